"""One matrix as a picture of at most 128 cells a side."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formats.json_data import JsonObject
from attention_core.formats.shown import short_repr

SIDE = 128  # cells a side of a picture; up to here cells are exact


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

    __repr__ = short_repr

    @property
    def header(self) -> JsonObject:
        """Everything but the cells, as plain data for a pack; `exact` where no cell was put together with others."""
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
