"""Shrink large matrices by the maximum of each block, so that one strong link stays visible, and cut exact tiles."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.formats.shown import short_repr

LARGEST_SIDE = 64  # cells of a thumbnail; more than its pixels on screen


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: comparing tensors with == is ambiguous
class Blocks:
    """A matrix seen from afar: one cell per block of cells."""

    values: Float[
        Tensor, "*batch row column"
    ]  # maximum of a block's allowed cells; NaN if one is NaN or all are masked
    masked: Bool[Tensor, "row column"] | None  # True where every cell of a block is masked; None = no cell is
    block: tuple[int, int]  # queries × keys in a block; those at the lower and right edge may have fewer

    __repr__ = short_repr


class BlockMask:
    """Which cells count in pictures of blocks: prepared once for matrices of one shape, since most heads share it.

    What a masked cell holds counts for nothing; a block is masked only if all its cells are.
    """

    def __init__(self, allowed: Bool[Tensor, "query key"], block: tuple[int, int]) -> None:
        self.block = block
        rows, columns = block
        # Blocks of columns that everybody may read, usually most of them, are pooled as they are.
        self._n_free = free_columns(allowed) // columns * columns
        tail = allowed[:, self._n_free :]
        self._hidden = ~tail
        self._masked = ~_pool(tail.to(torch.float32), rows, columns).bool()
        self.masked: Bool[Tensor, "row column"] = torch.nn.functional.pad(self._masked, (self._n_free // columns, 0))

    def maxima(self, weights: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch row column"]:
        """The maximum of each block's allowed cells; NaN if one is NaN or all are masked."""
        behind = weights[..., self._n_free :].masked_fill(self._hidden, -math.inf)
        values = _pool(behind, *self.block).masked_fill_(self._masked, math.nan)
        if not self._n_free:
            return values
        return torch.cat((_pool(weights[..., : self._n_free], *self.block), values), dim=-1)


def block_max(
    weights: Float[Tensor, "*batch query key"],
    block: int | tuple[int, int],
    allowed: Bool[Tensor, "query key"] | None = None,
) -> Blocks:
    """The maximum of each block of `block` queries × keys; (1, 1) leaves the matrix as it is.

    The maximum and not the mean: a single weight of 0.9 among 4,096 tokens would vanish in a mean. A block is masked
    only if all its cells are, and what a masked cell holds counts for nothing. Raises ValueError for a block under 1.
    """
    rows, columns = (block, block) if isinstance(block, int) else block
    if rows < 1 or columns < 1:
        raise ValueError(f"a block must have at least 1 × 1 cells; got {rows} × {columns}")
    if allowed is None:
        return Blocks(_pool(weights, rows, columns), None, (rows, columns))
    mask = BlockMask(allowed, (rows, columns))
    return Blocks(mask.maxima(weights), mask.masked, (rows, columns))


def free_columns(allowed: Bool[Tensor, "query key"]) -> int:
    """How many of the first keys every query may read."""
    return int(allowed.all(dim=0).to(torch.uint8).cumprod(0).sum())


def block_side(n_tokens: int, side: int) -> int:
    """Tokens per block, so that `n_tokens` make at most `side` blocks."""
    return max(1, math.ceil(n_tokens / side))


def thumbnail_side(n_heads_total: int, budget_bytes: int) -> int:
    """Side of square thumbnails, one byte a cell, for which all heads together fit the budget: 8 to `LARGEST_SIDE`.

    Below 8 × 8 a pattern is no longer one: a model with very many heads (over 15,625 per megabyte) passes the budget.
    """
    side = math.isqrt(budget_bytes // max(1, n_heads_total))
    return max(8, min(LARGEST_SIDE, side))


def tile(
    weights: Float[Tensor, "*batch query key"], row0: int, col0: int, size: int = 256
) -> Float[Tensor, "*batch row column"]:
    """The exact cells from (row0, col0), at most `size` a side, fewer at the lower and right edge.

    Raises ValueError if the corner lies outside the matrix.
    """
    n_query, n_key = weights.shape[-2:]
    if not (0 <= row0 < n_query and 0 <= col0 < n_key):
        raise ValueError(f"a tile must begin inside the {n_query} × {n_key} matrix; got row {row0}, column {col0}")
    if size < 1:
        raise ValueError(f"a tile must have at least 1 cell a side; got {size}")
    return weights[..., row0 : row0 + size, col0 : col0 + size]


def _pool(values: Float[Tensor, "*batch query key"], rows: int, columns: int) -> Float[Tensor, "*batch row column"]:
    """Maximum over blocks; NaN wins over everything."""
    if rows == columns == 1:
        return values
    *batch, n_query, n_key = values.shape
    # Columns first: the inner axis then shrinks before the strided pass over rows.
    values = _pad(values, 0, -n_key % columns).unflatten(-1, (-1, columns)).amax(dim=-1)
    return _pad(values, -n_query % rows, 0).unflatten(-2, (-1, rows)).amax(dim=-2)


def _pad(values: Float[Tensor, "*batch query key"], rows: int, columns: int) -> Float[Tensor, "*batch row column"]:
    if not rows and not columns:
        return values
    return torch.nn.functional.pad(values, (0, columns, 0, rows), value=-math.inf)
