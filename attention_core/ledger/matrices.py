"""One step of a ledger for all tokens at once, as pictures: the matrices that go in and the one that comes out."""

from collections.abc import Iterator

import torch
from torch import Tensor

from attention_core.ledger.maps import matrices_of_projection
from attention_core.ledger.matrix import SIDE, Matrix, extremes, picture
from attention_core.record.layers import LayerTrace
from attention_core.record.record import Record

_CELLS_PER_BLOCK = 2_000_000


def matrices_of(trace: Record, layer: int, head: int, step: str, which: str = "") -> tuple[Matrix, ...]:
    """The matrices of a step of one head.

    Raises ValueError if the step has no such picture.
    """
    one = trace.exact(layer)
    kv_head = one.kv_head(head)
    with torch.inference_mode():
        if step == "scores":
            return (
                picture("Q", "query", "query", "component", one.q[head].float()),
                picture("K^T", "key", "component", "key", one.k[kv_head].float().T, "×"),
                _pairs(one, head, "scores", "S", "="),
            )
        if step == "scale":
            return (_pairs(one, head, "scores", "S", ""), _pairs(one, head, "scaled", "S · scale", "→"))
        if step == "mask":
            return (_pairs(one, head, "scaled", "S · scale", ""), _pairs(one, head, "masked", "M", "→"))
        if step == "softmax":
            return (_pairs(one, head, "masked", "M", ""), _pairs(one, head, "weights", "A", "→"))
        if step == "output":
            return (
                _pairs(one, head, "weights", "A", ""),
                picture("V", "value", "key", "component", one.v[kv_head].float(), "×"),
                picture("O", "output", "query", "component", one.output[head].float(), "="),
            )
        return matrices_of_projection(one, head, step, which)


def _pairs(one: LayerTrace, head: int, name: str, symbol: str, before: str) -> Matrix:
    """A matrix with a row for every query and a column for every key, made block of rows by block of rows."""
    high = -(-one.n_query // SIDE)
    parts = [
        extremes(values, rows_a_block=high) for values in _rows(one, head, name, max(1, _block(one) // high) * high)
    ]
    role = "weights" if name == "weights" else "scores"
    return Matrix(symbol, role, "query", "key", (one.n_query, one.n_key), torch.cat(parts), before)


def _rows(one: LayerTrace, head: int, name: str, step: int) -> Iterator[Tensor]:
    for start in range(0, one.n_query, step):
        rows = slice(start, min(start + step, one.n_query))
        steps = one.steps(head, rows)
        values = (
            steps.scores * one.scale
            if name == "scaled"
            else getattr(steps, {"scores": "scores", "masked": "masked_scores", "weights": "weights"}[name])
        )
        allowed = one.allowed(head, rows)
        if allowed is not None and name in ("masked", "weights"):
            values = values.masked_fill(~allowed, float("nan"))
        yield values


def _block(one: LayerTrace) -> int:
    return max(1, _CELLS_PER_BLOCK // one.n_key)
