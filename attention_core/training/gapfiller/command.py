"""What `python -m attention_core.training --model gapfiller` does: train Gapfiller, or measure the one in a folder."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from attention_core.text.tokenizer import Tokenizer
from attention_core.training.checkpoints import keep_growth, run_to_the_end, say
from attention_core.training.classes import EuroBertForMaskedLM
from attention_core.training.gapfiller.figures import (
    attention_weights,
    gap_losses,
    measure,
    neighbour_weights,
    places,
    report,
    windows,
)
from attention_core.training.gapfiller.recipe import Recipe, loss_of, new_model, with_mask
from attention_core.training.loop import Progress, make_optimizers
from attention_core.training.options import Options, options_of
from attention_core.training.probes import GAP
from attention_core.training.storyteller import split_text

STORYTELLER = Path(__file__).resolve().parents[3] / "assets" / "models" / "storyteller"
N_WATCHED = 128  # held-out gaps at every report


def command(arguments: Sequence[str] | None) -> None:
    """Train a masked model on a text with the Storyteller's tokens, save it and print its figures."""
    options, recipe = options_of(arguments, "gapfiller", Recipe(), command.__doc__ or "", text=True)
    from transformers import AutoTokenizer, EuroBertForMaskedLM, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    seen, unseen = split_text(options.text.read_text(encoding="utf-8"))
    storyteller = LlamaForCausalLM.from_pretrained(STORYTELLER, dtype=torch.float32).eval()
    if options.measure:
        tokenizer = AutoTokenizer.from_pretrained(options.out)
        model = EuroBertForMaskedLM.from_pretrained(options.out, dtype=torch.float32)
    else:
        tokenizer = with_mask(STORYTELLER)
        model = new_model(recipe, storyteller, tokenizer)
    ids, held_out = (torch.tensor(tokenizer.backend_tokenizer.encode(part).ids) for part in (seen, unseen))
    if not options.measure:
        _train(model, recipe, tokenizer, ids, held_out, options)
        keep_growth(options.work, options.out)
        model.save_pretrained(options.out)
        tokenizer.save_pretrained(options.out)
    model.eval()
    figures = measure(model, storyteller, ids, held_out, tokenizer.mask_token_id, recipe.seed + 2)
    (options.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    say(report(figures))


def _train(
    model: EuroBertForMaskedLM,
    recipe: Recipe,
    tokenizer: Tokenizer,
    ids: Int[Tensor, " position"],
    held_out: Int[Tensor, " held_out"],
    options: Options,
) -> None:
    optimizers = make_optimizers(
        model, matrix_rate=recipe.matrix_rate, other_rate=recipe.other_rate, weight_decay=recipe.weight_decay
    )
    mask, half = tokenizer.mask_token_id, recipe.n_tokens // 2
    watched = places(len(held_out), N_WATCHED, recipe.n_tokens, recipe.seed + 1)
    rows = windows(held_out, watched[::8], half, half - 1)
    probe = torch.tensor([tokenizer.backend_tokenizer.encode(GAP).ids])
    say(f"{len(ids):,} tokens to train on, {len(held_out):,} held out")

    def watch(now: Progress, saving: bool) -> tuple[dict[str, float], Tensor]:
        line = {"held_out": gap_losses(model, held_out, watched, mask, before=half, after=half - 1).mean().item()}
        line |= {name: heads.max().item() for name, heads in neighbour_weights(model, rows).items()}
        return line, attention_weights(model, probe)[:, 0].half()

    run_to_the_end(
        model,
        lambda step: recipe.batch_at(ids, mask, step),
        recipe.schedule(),
        optimizers,
        options.work,
        watch=watch,
        loss_of=loss_of,
        report_every=options.report_every,
        save_every=options.save_every,
    )
