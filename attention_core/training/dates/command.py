"""What `python -m attention_core.training --model dates` does: train Dates, or measure the one in a folder."""

import json
from collections.abc import Sequence

import torch
from torch import Tensor

from attention_core.inside.of_transformers import attention_of
from attention_core.text.tokenizer import Tokenizer
from attention_core.training.checkpoints import keep_growth, run_to_the_end, say
from attention_core.training.classes import BartForConditionalGeneration
from attention_core.training.dates.drawn import DateBatch, Example, batch_at, batch_of, examples, new_tokenizer
from attention_core.training.dates.figures import field_figures, right_rows
from attention_core.training.dates.measure import measure, report
from attention_core.training.dates.recipe import Recipe, loss_of, new_model
from attention_core.training.dates.written import write
from attention_core.training.loop import Progress, make_optimizers
from attention_core.training.options import Options, options_of
from attention_core.training.probes import WRITTEN_DAY, WRITTEN_FORM


def command(arguments: Sequence[str] | None) -> None:
    """Train an encoder-decoder on written dates, save it and print its figures."""
    options, recipe = options_of(arguments, "dates", Recipe(), command.__doc__ or "", text=False)
    from transformers import AutoTokenizer, BartForConditionalGeneration

    if options.measure:
        tokenizer = AutoTokenizer.from_pretrained(options.out)
        model = BartForConditionalGeneration.from_pretrained(options.out, dtype=torch.float32)
    else:
        tokenizer = new_tokenizer()
        model = new_model(recipe, tokenizer)
        _train(model, recipe, tokenizer, options)
        keep_growth(options.work, options.out)
        model.save_pretrained(options.out)
        tokenizer.save_pretrained(options.out)
    model.eval()
    figures = measure(model, tokenizer, recipe.seed)
    (options.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    say(report(figures))


def _train(model: BartForConditionalGeneration, recipe: Recipe, tokenizer: Tokenizer, options: Options) -> None:
    used = attention_of(model.config)
    model.set_attn_implementation("eager")  # on a processor, with rows this short, as quick as torch's fused kernel
    optimizers = make_optimizers(
        model, matrix_rate=recipe.matrix_rate, other_rate=recipe.other_rate, weight_decay=recipe.weight_decay
    )
    held_out = _clear(examples("held out", 400, recipe.seed + 1))
    batch = batch_of(held_out, tokenizer)

    def watch(now: Progress, saving: bool) -> tuple[dict[str, float], dict[str, Tensor]]:
        fields = field_figures(model, held_out, tokenizer, recipe.seed)
        line = {"right": right_rows(model, batch).float().mean().item(), "field": fields.right.max().item()}
        return line, probe_maps(model, tokenizer)

    run_to_the_end(
        model,
        lambda step: batch_at(recipe.seed, step, recipe.n_rows, tokenizer),
        recipe.schedule(),
        optimizers,
        options.work,
        watch=watch,
        loss_of=loss_of,
        report_every=options.report_every,
        save_every=options.save_every,
    )
    model.set_attn_implementation(used or "eager")


def _clear(chosen: tuple[Example, ...]) -> tuple[Example, ...]:
    return tuple(one for one in chosen if not one.ambiguous)


def probe_batch(tokenizer: Tokenizer) -> DateBatch:
    """The date whose maps are kept, as one row."""
    return batch_of((Example(write(WRITTEN_DAY, WRITTEN_FORM), WRITTEN_FORM, WRITTEN_DAY),), tokenizer)


def probe_maps(model: BartForConditionalGeneration, tokenizer: Tokenizer) -> dict[str, Tensor]:
    """Every matrix on that date: "encoder", "decoder" and "cross", each [layer, head, query, key]."""
    batch = probe_batch(tokenizer)
    with torch.inference_mode():
        output = model(
            input_ids=batch.source,
            attention_mask=batch.read,
            decoder_input_ids=batch.target,
            output_attentions=True,
        )
    found = {
        "encoder": output.encoder_attentions,
        "decoder": output.decoder_attentions,
        "cross": output.cross_attentions,
    }
    return {name: torch.stack(maps)[:, 0].half() for name, maps in found.items()}
