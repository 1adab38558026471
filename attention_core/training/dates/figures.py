"""What Dates is judged by: which dates it writes right, and where its cross-attention looks while it writes them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.inside.of_transformers import attention_of
from attention_core.text.tokenizer import Tokenizer
from attention_core.training.classes import BartForConditionalGeneration
from attention_core.training.dates.drawn import DateBatch, Example, batch_of
from attention_core.training.dates.recipe import logits_of
from attention_core.training.dates.written import FIELDS, ISO_FIELDS


def right_rows(model: BartForConditionalGeneration, batch: DateBatch) -> Bool[Tensor, " row"]:
    """Which dates are written right from the first character to the end, each character the likeliest.

    Given the right characters before each place. That is the same as writing freely: up to the first wrong character
    both have the same before them.
    """
    with torch.inference_mode():
        said = logits_of(model, batch).argmax(dim=-1)
    return (said == batch.labels).all(dim=1)


def cross_weights(model: BartForConditionalGeneration, batch: DateBatch) -> Float[Tensor, "layer row head query key"]:
    """Every cross-attention matrix, as eager attention returns it: row c writes character c of the date."""
    used = attention_of(model.config)
    model.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            output = model(
                input_ids=batch.source,
                attention_mask=batch.read,
                decoder_input_ids=batch.target,
                output_attentions=True,
            )
            return torch.stack(output.cross_attentions)
    finally:
        model.set_attn_implementation(used or "eager")


def field_cells(chosen: Sequence[Example], n_keys: int) -> Bool[Tensor, "row query key"]:
    """True where the key belongs to the field that the query writes; hyphens and the end have no field."""
    cells = torch.zeros(len(chosen), len(ISO_FIELDS) + 1, n_keys, dtype=torch.bool)
    for row, one in enumerate(chosen):
        for field in FIELDS:
            keys = torch.tensor([own == field for own in one.written.fields])
            for query in (place for place, own in enumerate(ISO_FIELDS) if own == field):
                cells[row, query, : len(keys)] = keys
    return cells


@dataclass(frozen=True, slots=True, eq=False)
class FieldFigures:
    """Of the eight digits of each date: how often a head's strongest key lies in the field that is written."""

    right: Float[Tensor, "layer head"]
    by_field: Float[Tensor, "field layer head"]  # year, month, day
    elsewhere: Float[Tensor, "layer head"]  # the same heads, fields of another date of the same length: the null
    even: float  # of a key that is picked evenly from the date
    n: int  # digits


def field_figures(
    model: BartForConditionalGeneration, chosen: Sequence[Example], tokenizer: Tokenizer, seed: int
) -> FieldFigures:
    """Where every cross-attention head looks while these dates are written, beside two nulls.

    Raises ValueError if no two dates have the same length: the null needs another one.
    """
    strongest, cells, lengths = [], [], []
    longest = max(len(one.written.text) for one in chosen)
    for first in range(0, len(chosen), 256):
        part = tuple(chosen[first : first + 256])
        batch = batch_of(part, tokenizer)
        strongest.append(cross_weights(model, batch).argmax(dim=-1))
        cells.append(field_cells(part, longest))
        lengths.append(batch.read.sum(dim=1))
    keys, own, length = torch.cat(strongest, dim=1), torch.cat(cells), torch.cat(lengths)
    digits = own.any(dim=-1)
    other, moved = _another_of_the_same_length(length.tolist(), seed)
    if not moved.any():
        raise ValueError(f"the null needs two dates of the same length; all {len(chosen)} differ")
    hit, null = _hits(keys, own), _hits(keys, own[other])
    wanted = digits & moved[:, None] & digits[other]
    return FieldFigures(
        right=hit[..., digits.nonzero()[:, 0], digits.nonzero()[:, 1]].mean(dim=-1),
        by_field=torch.stack([_of_field(hit, digits, field) for field in FIELDS]),
        elsewhere=null[..., wanted.nonzero()[:, 0], wanted.nonzero()[:, 1]].mean(dim=-1),
        even=(own.sum(dim=-1) / length[:, None])[digits].mean().item(),
        n=int(digits.sum()),
    )


def _hits(keys: Tensor, cells: Bool[Tensor, "row query key"]) -> Float[Tensor, "layer head row query"]:
    """1 where the strongest key of a query is one of its cells."""
    spread = cells[None, :, None].expand(keys.shape[0], -1, keys.shape[2], -1, -1)
    return spread.gather(-1, keys[..., None])[..., 0].float().transpose(1, 2)


def _of_field(hit: Tensor, digits: Tensor, field: str) -> Float[Tensor, "layer head"]:
    of_field = torch.tensor([own == field for own in (*ISO_FIELDS, "")])
    rows, queries = (digits & of_field).nonzero().T
    return hit[..., rows, queries].mean(dim=-1)


def _another_of_the_same_length(lengths: list[int], seed: int) -> tuple[Tensor, Tensor]:
    """For each row another of its length, drawn by the seed, and whether there was one."""
    by_length: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        by_length.setdefault(length, []).append(row)
    other = torch.arange(len(lengths))
    for rows in by_length.values():
        order = rows.copy()
        random.Random(seed).shuffle(order)
        for row, next_row in zip(order, order[1:] + order[:1], strict=True):
            other[row] = next_row
    return other, other != torch.arange(len(lengths))
