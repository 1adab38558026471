"""Finds: two or three things worth a look in this very text, or none.

    for find in finds(trace): ...   # Find("link", layer=3, head=1, query=10, key=2, score=0.68, null=0.21)

Nothing is found that its null explains:

- A *link* from one word to another, or to an *earlier* occurrence of the same word, is a claim about these tokens. Its
  null is the same cell of the same head when other tokens stand there: the model reads the text with its tokens in
  other orders (N_CONTROLS times; special ones stay), and the largest weight that this cell ever gets counts. What all
  words look at is no find either: the mean that the other words give this key is part of the null.
- A *habit* (one token back, one ahead) is a claim about places. It is the share of the attention between words, marks
  and first token left out, that goes to this distance. Its null is the larger of the best other distance up to NEAR in
  the same head, and the best that *any* head of the model gets when each query's key is drawn at random (the largest of
  N_DRAWS such patterns: of a text without structure, one in N_DRAWS + 1 passes).

A find must reach LEAST and lie MARGIN above its null. A text without such a thing has no finds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.capturing.capture import capture_ids
from attention_core.heads.scores import Stopped, never
from attention_core.models.facts import LoadedModel
from attention_core.reading.links import word_cells
from attention_core.record.record import Record
from attention_core.text.marks import token_ids

MOST_TOKENS = 128  # of a text that is searched: a control costs a forward pass of the same length
N_CONTROLS = 4  # other orders of the tokens
N_DRAWS = 199  # random patterns
FEWEST_QUERIES = 5  # that a habit is told by
NEAR = 8  # distances up to here compete with a habit
LEAST = {"link": 0.3, "earlier": 0.3, "back": 0.4, "ahead": 0.4}
MARGIN = 0.2
SEED = 7

Kind = Literal["link", "earlier", "back", "ahead"]


@dataclass(frozen=True, slots=True)
class Find:
    """Something that a head does on this text, and what its null gives."""

    kind: Kind
    layer: int  # index into trace.layers
    head: int
    score: float  # a weight; of a habit its share of the attention between words
    null: float
    query: int | None = None  # of a link: places among the layer's tokens
    key: int | None = None


def finds(trace: Record, stop: Callable[[], bool] = never) -> tuple[Find, ...]:
    """At most three finds: a link between words, an earlier occurrence that is found again, a habit of place.

    Of each the one that lies furthest above its null. Links need the model (`trace.ending`) and a text that it read
    without a second one; where the model is not here, only habits are found. () for a text of more than MOST_TOKENS
    tokens. `stop` is asked before each forward pass. Raises Stopped if it said so.
    """
    if max(len(trace.source_tokens), len(trace.target_tokens)) > MOST_TOKENS:
        return ()
    layers = [index for index, layer in enumerate(trace.layers) if layer.kind != "cross"]
    weights = {index: trace.layers[index].all_weights().cpu().nan_to_num(0.0) for index in layers}
    cells = {index: word_cells(trace, index) for index in layers}
    found = [*_links(trace, weights, cells, stop), *_habits(weights, cells)]
    best: dict[str, Find] = {}
    for find in found:
        slot = "habit" if find.kind in ("back", "ahead") else find.kind
        if slot not in best or find.score - find.null > best[slot].score - best[slot].null:
            best[slot] = find
    return tuple(best[slot] for slot in ("link", "earlier", "habit") if slot in best)


def _links(
    trace: Record,
    weights: dict[int, Float[Tensor, "head query key"]],
    cells: dict[int, Bool[Tensor, "query key"]],
    stop: Callable[[], bool],
) -> Iterator[Find]:
    if trace.ending is None or trace.pair is not None:  # a second text is told by more than its tokens
        return
    wanted = {index: (weights[index] * cells[index]).amax() >= LEAST["link"] for index in weights}
    layers = [index for index, some in wanted.items() if some]
    if not layers:
        return
    null = {index: _by_others(weights[index], cells[index]) for index in layers}
    for control in _controls(trace, trace.ending.model, stop):
        for index in layers:
            null[index] = torch.maximum(null[index], control.layers[index].all_weights().cpu().nan_to_num(0.0))
    for index in layers:
        ids = token_ids(trace.query_tokens(index))
        distance = torch.arange(len(ids)) - torch.arange(len(ids))[:, None]
        same = ids[:, None] == ids
        kinds: dict[Kind, Tensor] = {"link": ~same & (distance.abs() > 1), "earlier": same & (distance < 0)}
        for kind, these in kinds.items():
            yield from _best_cell(kind, index, weights[index], null[index], cells[index] & these)


def _best_cell(
    kind: Kind,
    layer: int,
    weights: Float[Tensor, "head query key"],
    null: Float[Tensor, "head query key"],
    cells: Bool[Tensor, "query key"],
) -> Iterator[Find]:
    passes = cells & (weights >= LEAST[kind]) & (weights - null >= MARGIN)
    if not passes.any():
        return
    place = int((weights - null).masked_fill(~passes, -1).argmax())
    head, query, key = (int(i) for i in torch.unravel_index(torch.tensor(place), weights.shape))
    yield Find(kind, layer, head, float(weights[head, query, key]), float(null[head, query, key]), query, key)


def _by_others(
    weights: Float[Tensor, "head query key"], cells: Bool[Tensor, "query key"]
) -> Float[Tensor, "head query key"]:
    """The mean weight that the other words give a key."""
    kept = weights * cells
    sums, counts = kept.sum(dim=1, keepdim=True) - kept, cells.sum(dim=0).float() - cells.float()
    return sums / counts.clamp_min(1)


def _controls(trace: Record, model: LoadedModel, stop: Callable[[], bool]) -> Iterator[Record]:
    """The same tokens in other orders; special ones stay where they are."""
    sides = [trace.source_tokens, *([trace.target_tokens] if model.facts.encoder_decoder else [])]
    for number in range(N_CONTROLS):
        generator = torch.Generator().manual_seed(SEED + number)
        shuffled = []
        for tokens in sides:
            ids = torch.tensor([token.id for token in tokens])
            own = torch.tensor([not token.special for token in tokens]).nonzero()[:, 0]
            ids[own] = ids[own[torch.randperm(len(own), generator=generator)]]
            shuffled.append(ids.tolist())
        if stop():
            raise Stopped
        yield capture_ids(model, *shuffled)


def _habits(
    weights: dict[int, Float[Tensor, "head query key"]], cells: dict[int, Bool[Tensor, "query key"]]
) -> Iterator[Find]:
    """One token back or ahead, against other distances and against random patterns of all heads."""
    drawn = _drawn(weights, cells)
    for index, matrix in weights.items():
        n_query, n_key = cells[index].shape
        own = matrix * cells[index]
        shares: dict[int, Tensor] = {}
        for step in range(-min(NEAR, n_query - 1), min(NEAR, n_key - 1) + 1):
            counts = cells[index].diagonal(step)
            if step and int(counts.sum()) >= FEWEST_QUERIES:
                rows = slice(max(0, -step), max(0, -step) + len(counts))
                there = own.diagonal(step, dim1=-2, dim2=-1).sum(dim=-1)
                shares[step] = there / own[:, rows][:, counts].sum(dim=(-2, -1)).clamp_min(1e-9)
        steps: dict[Kind, int] = {"back": -1, "ahead": 1}
        for kind, step in steps.items():
            others = [share for other, share in shares.items() if other != step]
            if step not in shares or not others:
                continue
            null = torch.stack(others).amax(dim=0).clamp_min(drawn)
            head = int((shares[step] - null).argmax())
            score, its_null = float(shares[step][head]), float(null[head])
            if score >= LEAST[kind] and score - its_null >= MARGIN:
                yield Find(kind, index, head, score, its_null)


def _drawn(weights: dict[int, Float[Tensor, "head query key"]], cells: dict[int, Bool[Tensor, "query key"]]) -> float:
    """The largest share that any head gives to keys drawn at random, one for each query, in N_DRAWS patterns."""
    largest = 0.0
    for index, matrix in weights.items():
        rows = cells[index].any(dim=-1)
        if int(rows.sum()) < FEWEST_QUERIES:
            continue
        own = (matrix * cells[index])[:, rows]
        generator = torch.Generator().manual_seed(SEED + index)
        keys = torch.multinomial(cells[index][rows].float(), N_DRAWS, replacement=True, generator=generator)
        there = own.gather(-1, keys.expand(len(own), -1, -1)).sum(dim=1)  # head, draw
        largest = max(largest, float((there / own.sum(dim=(-2, -1)).clamp_min(1e-9)[:, None]).amax()))
    return largest


__all__ = ["Find", "finds"]
