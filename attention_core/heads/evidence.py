"""One probe's evidence for and against each label: a score and what it must beat, for every head of a trace.

The sink is removed first: scores are shares of the attention that does *not* go to the first token or to special
tokens. They are taken over all queries together (Σ on the target ÷ Σ outside the sink), so that a row with nothing left
counts for nothing and is not blown up to a whole one. Special tokens and the first token do not count as queries.

The nulls are of two kinds. A label about places (previous token …) must beat *other places*: the best of the
distances up to 8 on the same text. A label about tokens (induction, punctuation …) must beat *other tokens*: the same
cells of the same matrix when the model reads the control, in which other tokens stand there.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attention_core.formats.shown import short_repr
from attention_core.formula.metrics import adjusted_share, offset_sums
from attention_core.record.layers import AttentionLayer
from attention_core.record.record import Record
from attention_core.text.marks import KeyMarks, key_marks

LabelId = Literal[
    "induction", "duplicate", "previous", "next", "same", "punctuation", "rare", "positional", "separator", "first"
]
LABEL_IDS: tuple[LabelId, ...] = (
    "induction",
    "duplicate",
    "previous",
    "next",
    "same",
    "punctuation",
    "rare",
    "positional",
    "separator",
    "first",
)

NEAR = 8  # distances up to here compete with previous, same and next token
FEWEST_QUERIES = 8  # that another place must have to compete with the first token


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One probe's evidence for all heads of a trace, in the order of its layers; NaN where a label has no meaning."""

    score: Float[Tensor, "label row"]
    null: Float[Tensor, "label row"]
    weight: Float[Tensor, "label row"]  # mean weight on what is scored, sinks counted

    __repr__ = short_repr


_OfHeads = Float[Tensor, " head"]
Found = dict[LabelId, tuple[_OfHeads, _OfHeads, _OfHeads]]  # score, null, weight


def text_tables(trace: Record, control: Record | None) -> Iterator[Float[Tensor, "3 label head"]]:
    """Every label that a text can speak for, layer by layer: score, null and weight, for `gathered`.

    `control` is the same text with its tokens in another order; without one there is no word about labels that other
    tokens compete for.
    """
    return (_table(trace, layer, _text_layer(trace, control, layer, seed=layer)) for layer in range(len(trace.layers)))


def repeat_tables(trace: Record, control: Record, period: int) -> Iterator[Float[Tensor, "3 label head"]]:
    """Induction and duplicate token, from a stretch of `period` random tokens read twice; `control` repeats nothing."""
    return (_table(trace, layer, _repeat_layer(trace, control, layer, period)) for layer in range(len(trace.layers)))


def gathered(tables: Iterable[Float[Tensor, "3 label head"]]) -> Scored:
    """The evidence of all layers as one."""
    score, null, weight = torch.cat(list(tables), dim=-1)
    return Scored(score, null, weight)


def _table(trace: Record, layer: int, found: Found) -> Float[Tensor, "3 label head"]:
    table = torch.full((3, len(LABEL_IDS), trace.layers[layer].n_heads), math.nan, dtype=torch.float64)
    for label, numbers in found.items():
        table[:, LABEL_IDS.index(label)] = torch.stack(numbers).double()
    return table


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """One layer on a probe: its weights, and which queries and keys count."""

    weights: Float[Tensor, "head query key"]
    outside: Bool[Tensor, "query key"]  # cells that count: a query of the text, a key that it may read and no sink
    left: Float[Tensor, "head query"]  # what each row has in these cells
    allowed: Bool[Tensor, "query key"]
    queries: Bool[Tensor, " query"]
    marks: KeyMarks

    @classmethod
    def of(cls, trace: Record, layer: int) -> "_View":
        weights, allowed = trace.layers[layer].all_weights().cpu(), everybody(trace.layers[layer])
        marks = key_marks(trace.key_tokens(layer))
        queries = ~key_marks(trace.query_tokens(layer)).sink
        outside = allowed & ~marks.sink & queries[:, None]
        left = torch.einsum("hqk,qk->hq", weights, outside.float())
        return cls(weights, outside, left, allowed, queries, marks)

    def at_keys(self, cells: Bool[Tensor, "query key"]) -> tuple[Float[Tensor, " head"], Float[Tensor, " head"]] | None:
        """Share of the attention outside the sink that goes to `cells`, by the queries that have one; and the mean
        weight there, sinks counted. None if no query has one."""
        cells = cells & self.outside
        return self._shared(torch.einsum("hqk,qk->hq", self.weights, cells.float()), cells.any(dim=-1))

    def at_distance(self, distance: int) -> tuple[Float[Tensor, " head"], Float[Tensor, " head"]] | None:
        """The same for the keys at one distance key − query."""
        n_query, n_key = self.outside.shape
        if not -n_query < distance < n_key:
            return None
        there = self.weights.diagonal(distance, dim1=-2, dim2=-1)
        counts = self.outside.diagonal(distance)
        rows = slice(max(0, -distance), max(0, -distance) + len(counts))
        on, counted = torch.zeros_like(self.left), torch.zeros_like(self.queries)
        on[:, rows], counted[rows] = there * counts, counts
        return self._shared(on, counted)

    def _shared(
        self, on: Float[Tensor, "head query"], counted: Bool[Tensor, " query"]
    ) -> tuple[Float[Tensor, " head"], Float[Tensor, " head"]] | None:
        if not counted.any():
            return None
        there = on[:, counted].sum(dim=-1)
        return there / self.left[:, counted].sum(dim=-1).clamp_min(1e-9), there / int(counted.sum())


def everybody(layer: AttentionLayer) -> Bool[Tensor, "query key"]:
    """The mask as booleans, whether there is one or not."""
    allowed = layer.allowed()
    return torch.ones(layer.n_query, layer.n_key, dtype=torch.bool) if allowed is None else allowed.cpu()


def _text_layer(trace: Record, control: Record | None, layer: int, seed: int) -> Found:
    view = _View.of(trace, layer)
    found = _resting(view) if control is None else _tokens(view, _View.of(control, layer)) | _resting(view)
    return found if trace.layers[layer].kind == "cross" else found | _places(view) | _positional(view, seed)


def _repeat_layer(trace: Record, control: Record, layer: int, period: int) -> Found:
    """The second reading of a stretch against the same cells where nothing was read before."""
    if trace.layers[layer].kind == "cross":
        return {}
    view, other = _View.of(trace, layer), _View.of(control, layer)
    start = int((~torch.tensor([token.special for token in trace.query_tokens(layer)])).nonzero()[0])
    distance = _distances(view.allowed)
    second = torch.zeros_like(view.queries)
    second[start + period + 1 : start + 2 * period] = True  # not the first token of the copy: nothing calls for it
    found: Found = {}
    steps: dict[LabelId, int] = {"duplicate": -period, "induction": 1 - period}
    for label, step in steps.items():
        cells = (distance == step) & second[:, None]
        score, null = view.at_keys(cells), other.at_keys(cells)
        if score and null:
            found[label] = (score[0], null[0], score[1])
    return found


def _places(view: _View) -> Found:
    """Previous, same and next token, each against the best of the other near distances."""
    shares = {step: view.at_distance(step) for step in range(-NEAR, NEAR + 1)}
    found: Found = {}
    steps: dict[LabelId, int] = {"previous": -1, "same": 0, "next": 1}
    for label, step in steps.items():
        own = shares[step]
        others = [share[0] for other, share in shares.items() if other != step and share]
        if own and others:
            found[label] = (own[0], torch.stack(others).amax(dim=0), own[1])
    return found


def _tokens(view: _View, other: _View) -> Found:
    """Punctuation and rare words, against the same cells when other tokens stand there."""
    found: Found = {}
    self_look = _distances(view.allowed) == 0 if view.allowed.shape[0] == view.allowed.shape[1] else None
    marked: tuple[tuple[LabelId, Bool[Tensor, " key"], Bool[Tensor, " key"]], ...] = (
        ("punctuation", view.marks.punctuation, other.marks.punctuation),
        ("rare", view.marks.rare, other.marks.rare),
    )
    for label, here, there in marked:
        cells = (here & ~there).expand_as(view.allowed)
        cells = cells if self_look is None else cells & ~self_look
        score, null = view.at_keys(cells), other.at_keys(cells)
        if score and null:
            found[label] = (score[0], null[0], score[1])
    return found


def _resting(view: _View) -> Found:
    """The sink itself: first token and separators, against the most-read other place in the text."""
    asked = view.weights[:, view.queries]
    readers = (view.allowed & view.queries[:, None]).sum(dim=0)
    means = asked.sum(dim=1) / readers.clamp_min(1)
    places = ~view.marks.sink & (readers >= FEWEST_QUERIES)
    if not places.any():
        return {}
    best = means[:, places].amax(dim=-1)
    found: Found = {}
    marked: dict[LabelId, Bool[Tensor, " key"]] = {"first": view.marks.first, "separator": view.marks.separator}
    for label, mark in marked.items():
        read = mark & (readers >= FEWEST_QUERIES)
        if read.any():
            score = means[:, read].sum(dim=-1)
            found[label] = (score, best * int(read.sum()), score)
    return found


def _positional(view: _View, seed: int) -> Found:
    """How much distance explains outside the sink, against each row's weights shuffled among the keys it may read.

    `weight` is the share of all attention that the distances move: half the sum of what each distance gets more or less
    than it would if every query spread what it has outside the sink evenly.
    """
    outside = view.outside
    kept = view.weights.masked_fill(~outside, 0)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(outside.shape, generator=generator)
    # Ranks of what a row may read, in reading order and in random order: one permutation of its own keys per row.
    reading_order = torch.where(outside, torch.arange(outside.shape[1]), outside.shape[1]).argsort(dim=-1, stable=True)
    random_order = torch.where(outside, noise, torch.inf).argsort(dim=-1)
    drawn = kept.gather(-1, random_order.expand_as(kept))
    shuffled = torch.zeros_like(kept).scatter(-1, reading_order.expand_as(kept), drawn).masked_fill(~outside, 0)
    counts = offset_sums(outside.float())
    n_queries = int(outside.any(dim=-1).sum())
    sums = offset_sums(kept)
    scores = [
        adjusted_share(offset_sums(each), counts, each.double().square().sum(dim=(-2, -1))) for each in (kept, shuffled)
    ]
    even = outside.float() / outside.sum(dim=-1, keepdim=True).clamp_min(1)
    moved = (sums - offset_sums(even * kept.sum(dim=-1, keepdim=True))).abs().sum(dim=-1) / 2 / max(1, n_queries)
    return {"positional": (scores[0], scores[1], moved)}


def _distances(allowed: Bool[Tensor, "query key"]) -> Int[Tensor, "query key"]:
    """key − query."""
    n_query, n_key = allowed.shape
    return torch.arange(n_key) - torch.arange(n_query)[:, None]
