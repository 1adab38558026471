"""The figures of Dates that its card tells, each beside what it is compared with."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formats.json_data import JsonObject
from attention_core.text.tokenizer import Tokenizer
from attention_core.training.classes import BartForConditionalGeneration
from attention_core.training.dates.drawn import DateBatch, Example, Which, batch_of, examples
from attention_core.training.dates.figures import FieldFigures, field_figures, right_rows
from attention_core.training.dates.recipe import logits_of
from attention_core.training.dates.written import FIELDS

N_DATES = 4000  # of each kind
KINDS: tuple[Which, ...] = ("held out", "other years", "far years", "other forms")


def measure(
    model: BartForConditionalGeneration, tokenizer: Tokenizer, seed: int, n_dates: int | None = None
) -> JsonObject:
    """Dates' figures: how many dates of each kind it writes right, where it looks, what it makes of ambiguous ones.

    `n_dates` of each kind are drawn, those that are ambiguous among them; None: `N_DATES`.
    """
    n_dates = N_DATES if n_dates is None else n_dates
    figures: JsonObject = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "dates": n_dates,
    }
    for kind in KINDS:
        chosen = tuple(one for one in examples(kind, n_dates, seed + 2) if not one.ambiguous)
        figures[f"right {kind}"] = _right(model, chosen, tokenizer)
        figures[f"clear {kind}"] = len(chosen)
    drawn = examples("held out", n_dates, seed + 2)
    fields = field_figures(model, tuple(one for one in drawn if not one.ambiguous), tokenizer, seed)
    best = divmod(int(fields.right.argmax()), fields.right.shape[1])
    figures |= {"field_head": list(best), "digits": fields.n, "field_even": fields.even}
    figures |= _of_head(fields, *best)
    figures["field_all"] = fields.right.tolist()
    for place, field in enumerate(FIELDS):
        figures[f"{field}_all"] = fields.by_field[place].tolist()
    return figures | _ambiguous(model, tuple(one for one in drawn if one.ambiguous), tokenizer)


def _right(model: BartForConditionalGeneration, chosen: tuple[Example, ...], tokenizer: Tokenizer) -> float:
    parts = [chosen[first : first + 256] for first in range(0, len(chosen), 256)]
    return torch.cat([right_rows(model, batch_of(part, tokenizer)) for part in parts]).double().mean().item()


def _of_head(fields: FieldFigures, layer: int, head: int) -> dict[str, float]:
    found = {"field": fields.right[layer, head].item(), "field_elsewhere": fields.elsewhere[layer, head].item()}
    return found | {f"field_{name}": fields.by_field[place, layer, head].item() for place, name in enumerate(FIELDS)}


def _ambiguous(model: BartForConditionalGeneration, chosen: tuple[Example, ...], tokenizer: Tokenizer) -> JsonObject:
    """How likely the two readings of an ambiguous date are to it, and how often it writes neither."""
    readings = {name: readings_of(chosen, day_first=name == "day_first") for name in ("day_first", "month_first")}
    chances = {name: chance_of(model, batch_of(each, tokenizer)) for name, each in readings.items()}
    written = [right_rows(model, batch_of(each, tokenizer)) for each in readings.values()]
    figures: JsonObject = {"ambiguous": len(chosen)}
    figures |= {name: chance.mean().item() for name, chance in chances.items()}
    figures["day_first_written"] = written[0].double().mean().item()
    return figures | {"neither": (~(written[0] | written[1])).double().mean().item()}


def readings_of(chosen: Sequence[Example], *, day_first: bool) -> tuple[Example, ...]:
    """The same texts of bare slashes, each with the date that it stands for when the day (the month) stands first."""
    found = []
    for one in chosen:
        first, second, _ = (int(number) for number in one.written.text.split("/"))
        day, month = (first, second) if day_first else (second, first)
        when = one.when.replace(day=day, month=month)
        found.append(Example(replace(one.written, iso=when.isoformat()), one.form, when))
    return tuple(found)


def chance_of(model: BartForConditionalGeneration, batch: DateBatch) -> Float[Tensor, " row"]:
    """The probability of each row's whole date: the product over its characters and its end."""
    with torch.inference_mode():
        said = logits_of(model, batch).log_softmax(dim=-1)
    return said.gather(-1, batch.labels[..., None])[..., 0].double().sum(dim=1).exp()


def report(figures: JsonObject) -> str:
    """The figures as lines of text, each beside what it is compared with."""
    f = figures
    head = "layer {}, head {}".format(*f["field_head"])
    by_field = ", ".join(f"{name} {f[f'field_{name}']:.1%}" for name in FIELDS)
    lines = {"parameters": f"{f['parameters']:,}"}
    lines |= {f"right, {kind}": f"{f[f'right {kind}']:.2%} of {f[f'clear {kind}']:,}" for kind in KINDS}
    lines |= {
        "reads the right field": f"{f['field']:.1%} of {f['digits']:,} digits by cross-attention {head} ({by_field}); "
        f"fields of another date of that length {f['field_elsewhere']:.1%}, a key picked evenly {f['field_even']:.1%}",
        "day or month first": f"{f['ambiguous']} ambiguous dates: the chance of day first is {f['day_first']:.3f}, of "
        f"month first {f['month_first']:.3f}; day first is written for {f['day_first_written']:.1%}, "
        f"neither for {f['neither']:.1%}",
    }
    return "\n".join(f"{name:24} {value}" for name, value in lines.items())
