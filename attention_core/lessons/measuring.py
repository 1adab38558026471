"""The numbers that lessons speak of, measured on the text that the learner has: words found, figures computed."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formula.metrics import entropy
from attention_core.lessons.lesson import Figure, OfCell, OfColumn, OfRow, OfSize, OfVector, Word
from attention_core.reading.links import strongest_link
from attention_core.record.layers import LayerTrace
from attention_core.record.record import Record
from attention_core.text.tokens import Token


class CannotAskError(Exception):
    """A plain sentence why a figure or a question has no meaning on this text."""


def layer_of(trace: Record, layer: int, head: int = 0) -> LayerTrace:
    """A layer with its q, k and v. Raises CannotAskError where the model has no such head, or shows weights alone."""
    if layer >= len(trace.layers) or head >= trace.layers[layer].n_heads:
        raise CannotAskError(f"{trace.facts.name} has no head {layer}.{head}.")
    found = trace.layers[layer]
    if not isinstance(found, LayerTrace):
        raise CannotAskError(f"{trace.facts.name} shows weights here, and no queries, keys and values.")
    return found


def place_of(word: Word, trace: Record, layer: int, head: int, *, as_key: bool = False) -> int:
    """Where a word stands among the layer's queries, or among its keys.

    A word of several pieces is where its last piece stands, a word that stands twice is its first. If the text lacks
    it: the query (or key) of the head's strongest link between two words, or the last word. Raises CannotAskError where
    neither can be.
    """
    layer_of(trace, layer, head)
    tokens = trace.key_tokens(layer) if as_key else trace.query_tokens(layer)
    if (found := _find(word.word, tokens)) is not None:
        return found
    if word.otherwise in ("strongest", "query", "key") and (link := strongest_link(trace, layer, head)):
        own = "key" if as_key else "query"
        return getattr(link, own if word.otherwise == "strongest" else word.otherwise)
    if word.otherwise == "last" and (own := [i for i, token in enumerate(tokens) if not token.special]):
        return own[-1]
    raise CannotAskError(f"There is no “{word.word}” in this text.")


def _find(word: str, tokens: Sequence[Token]) -> int | None:
    pieces: dict[int, list[int]] = {}
    for i, token in enumerate(tokens):
        if token.word is not None:
            pieces.setdefault(token.word, []).append(i)
    for places in pieces.values():
        whole = "".join(tokens[i].text.strip("·‿") for i in places)
        if whole.casefold() == word.casefold():
            return places[-1]
    return None


def row_of(trace: Record, layer: int, head: int, query: int) -> Float[Tensor, " key"]:
    """The weights of one query; NaN where the mask leaves it nothing."""
    return layer_of(trace, layer, head).weights(head, slice(query, query + 1))[0].cpu()


def _undivided_row(trace: Record, layer: int, head: int, query: int) -> Float[Tensor, " key"]:
    """What softmax would make of one query's q·k as they are, where the mask lets it look."""
    steps = layer_of(trace, layer, head).steps(head, slice(query, query + 1))
    return steps.scores.masked_fill(~torch.isfinite(steps.masked_scores), -math.inf)[0].softmax(-1).cpu()


def measure(figure: Figure, trace: Record) -> float:
    """The number that a figure stands for. Raises CannotAskError where it has none on this text."""
    value = _measured(figure, trace)
    if not math.isfinite(value):
        raise CannotAskError("The mask leaves this word nothing to look at.")
    return value


def _measured(figure: Figure, trace: Record) -> float:
    match figure:
        case OfCell():
            return _of_cell(figure, trace)
        case OfRow():
            query = place_of(figure.query, trace, figure.layer, figure.head)
            of_query = _undivided_row if figure.undivided else row_of
            row = of_query(trace, figure.layer, figure.head, query)[None]
            of = {"sum": torch.sum, "largest": torch.max, "entropy": entropy}[figure.what]
            return float(of(row))
        case OfColumn():
            key = place_of(figure.key, trace, figure.layer, figure.head, as_key=True)
            return float(layer_of(trace, figure.layer, figure.head).weights(figure.head)[:, key].sum())
        case OfVector():
            layer = layer_of(trace, figure.layer, figure.head)
            place = place_of(figure.token, trace, figure.layer, figure.head, as_key=figure.what != "q")
            head = figure.head if figure.what == "q" else layer.kv_head(figure.head)
            vectors = {"q": layer.q, "k": layer.k, "v": layer.v}[figure.what]
            return float(vectors[head, place].float().norm())
        case OfSize():
            layer = layer_of(trace, figure.layer)
            sizes = {"d": layer.q.shape[-1], "heads": layer.n_heads, "layers": len(trace.layers)}
            return math.sqrt(sizes["d"]) if figure.what == "root" else float(sizes[figure.what])


def _of_cell(figure: OfCell, trace: Record) -> float:
    layer = layer_of(trace, figure.layer, figure.head)
    query = place_of(figure.query, trace, figure.layer, figure.head)
    key = place_of(figure.key, trace, figure.layer, figure.head, as_key=True)
    steps = layer.steps(figure.head, slice(query, query + 1))
    if not torch.isfinite(steps.masked_scores[0, key]):
        raise CannotAskError("The mask hides this word from that one.")
    return float(_at(layer, figure, query, key))


def slip_values(name: str, figure: Figure, trace: Record) -> float | None:
    """What comes out of a figure if one thing is forgotten; None where the slip cannot be made with it."""
    if not isinstance(figure, OfCell):
        return None
    layer = layer_of(trace, figure.layer, figure.head)
    query = place_of(figure.query, trace, figure.layer, figure.head)
    key = place_of(figure.key, trace, figure.layer, figure.head, as_key=True)
    if name == "row-for-column":
        if layer.kind == "cross" or query == key:
            return None
        return float(_at(layer, figure, key, query))
    if name == "forgot-root" and figure.what == "score":
        return float(_at(layer, OfCell(**{**_fields(figure), "what": "dot"}), query, key))
    if name == "no-exp" and figure.what == "weight":  # the scores themselves as shares of their sum
        scores = layer.steps(figure.head, slice(query, query + 1)).masked_scores[0]
        seen = scores[torch.isfinite(scores)]
        return float(scores[key] / seen.sum()) if float(seen.sum()) else None
    if name == "forgot-mask" and figure.what == "weight":
        scores = layer.steps(figure.head, slice(query, query + 1)).scaled_scores[0]
        return float(scores.softmax(-1)[key])
    return None


def _fields(figure: OfCell) -> dict[str, object]:
    return {name: getattr(figure, name) for name in figure.__struct_fields__}


def _at(layer: LayerTrace, figure: OfCell, query: int, key: int) -> Tensor:
    steps = layer.steps(figure.head, slice(query, query + 1))
    if figure.what == "cosine":
        q, k = layer.q[figure.head, query].float(), layer.k[layer.kv_head(figure.head), key].float()
        return steps.scores[0, key] / (q.norm() * k.norm())
    return {"weight": steps.weights, "score": steps.scaled_scores, "dot": steps.scores}[figure.what][0, key]
