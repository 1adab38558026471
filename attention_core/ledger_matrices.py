"""A step of a ledger for all tokens at once: the matrices that go in and the one that comes out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.record.layers import LayerTrace

if TYPE_CHECKING:
    from attention_core.record.record import Record

SIDE = 128  # cells a side of a picture; up to here cells are exact
_CELLS_PER_BLOCK = 2_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """One matrix as a picture."""

    symbol: str  # "Q", "K^T"
    role: str  # decides the colours: "query", "key", "value", "output", "scores", "weights", "map"
    rows: str  # what a row is: "query", "key", "component", "channel"
    columns: str
    shape: tuple[int, int]
    values: Float[Tensor, "row column"]  # NaN where masked
    before: str = ""  # what is written before it: "×", "=", "→"

    @property
    def header(self) -> dict[str, Any]:
        finite = self.values[torch.isfinite(self.values)]
        return {
            "symbol": self.symbol,
            "role": self.role,
            "rows": self.rows,
            "columns": self.columns,
            "shape": list(self.shape),
            "before": self.before,
            "exact": tuple(self.values.shape) == self.shape,
            "top": float(finite.abs().max()) if finite.numel() else 0.0,
        }


def matrices_of(trace: "Record", layer: int, head: int, step: str, which: str = "") -> tuple[Matrix, ...]:
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
        from attention_core.ledger_maps import matrices_of_projection

        return matrices_of_projection(one, head, step, which)


def picture(
    symbol: str, role: str, rows: str, columns: str, values: Float[Tensor, "row column"], before: str = ""
) -> Matrix:
    """A whole matrix as a picture of at most SIDE cells a side."""
    return Matrix(symbol, role, rows, columns, (values.shape[0], values.shape[1]), extremes(values), before)


def extremes(
    values: Float[Tensor, "row column"], side: int = SIDE, rows_a_block: int | None = None
) -> Float[Tensor, "small_row small_column"]:
    """Blocks that each show their value of largest magnitude; NaN only where all of a block is."""
    high, wide = rows_a_block or -(-values.shape[0] // side), -(-values.shape[1] // side)
    if high == wide == 1:
        return values.contiguous()
    rows, columns = -(-values.shape[0] // high), -(-values.shape[1] // wide)
    padded = values.new_full((rows * high, columns * wide), float("nan"))
    padded[: values.shape[0], : values.shape[1]] = values
    blocks = padded.reshape(rows, high, columns, wide).transpose(1, 2).reshape(rows, columns, high * wide)
    at = blocks.abs().nan_to_num(-1.0, posinf=torch.inf).argmax(dim=-1, keepdim=True)
    return blocks.gather(-1, at)[..., 0]


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
