"""What `python -m attention_core.training` does unless another model is named: train or measure the Storyteller."""

import json
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attention_core.training.checkpoints import run_to_the_end, say
from attention_core.training.classes import LlamaForCausalLM
from attention_core.training.loop import Progress, generator_of, make_optimizers, repeated_once
from attention_core.training.options import Options, options_of
from attention_core.training.storyteller import (
    Recipe,
    head_figures,
    held_out_losses,
    layer_weights,
    measure,
    new_model,
    report,
    split_text,
    tell,
    train_tokenizer,
)


def command(arguments: Sequence[str] | None) -> None:
    """Train a small causal language model on a text, save it and print its figures."""
    options, recipe = options_of(arguments, "storyteller", Recipe(), command.__doc__ or "", text=True)
    from transformers import AutoTokenizer, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    seen, unseen = split_text(options.text.read_text(encoding="utf-8"))
    if options.measure:
        tokenizer = AutoTokenizer.from_pretrained(options.out)
        model = LlamaForCausalLM.from_pretrained(options.out, dtype=torch.float32)
    else:
        tokenizer = train_tokenizer(seen, recipe.d_vocab)
        model = new_model(recipe)
    ids, held_out = (torch.tensor(tokenizer.backend_tokenizer.encode(part).ids) for part in (seen, unseen))
    if not options.measure:
        _train(model, recipe, ids, held_out, options)
        model.set_attn_implementation("sdpa")
        model.save_pretrained(options.out)
        tokenizer.save_pretrained(options.out)
    model.eval()
    figures = measure(model, ids, held_out, len(unseen.encode()), recipe.seed + 2)
    (options.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    say(report(figures))
    say(tell(model, tokenizer, "Once upon a time there was", 80, recipe.seed))


def _train(
    model: LlamaForCausalLM,
    recipe: Recipe,
    ids: Int[Tensor, " position"],
    held_out: Int[Tensor, " held_out"],
    options: Options,
) -> None:
    model.set_attn_implementation("eager")  # on a processor, with rows this short, faster than torch's fused kernel
    optimizers = make_optimizers(
        model, matrix_rate=recipe.matrix_rate, other_rate=recipe.other_rate, weight_decay=recipe.weight_decay
    )
    say(f"{len(ids):,} tokens to train on, {len(held_out):,} held out")

    def watch(now: Progress, saving: bool) -> tuple[dict[str, float], Tensor]:
        heads = head_figures(
            model, held_out[: recipe.n_tokens], recipe.d_vocab, recipe.n_tokens, recipe.seed, n_periods=4
        )
        line = {"copied": heads.copied, "previous": heads.previous.max().item()}
        line |= {"previous_text": heads.previous_text.max().item(), "induction": heads.induction.max().item()}
        if saving:
            line["held_out"] = held_out_losses(model, held_out[:8000], recipe.n_tokens).mean().item()
        return line, _map_of_pairs(model, recipe).half()

    run_to_the_end(
        model,
        recipe.batch_at(ids),
        recipe.schedule(),
        optimizers,
        options.work,
        watch=watch,
        report_every=options.report_every,
        save_every=options.save_every,
        autocast=True,
    )


def _map_of_pairs(model: LlamaForCausalLM, recipe: Recipe) -> Float[Tensor, "layer head query key"]:
    """Every head on one fixed row: 16 random tokens and the same again."""
    row = repeated_once(1, 16, recipe.d_vocab, generator_of(recipe.seed + 2, 0))
    return layer_weights(model, row.tokens)[:, 0]
