"""Numbers that describe a head: how spread out its attention is, how far it reaches, its strongest links.

Spread and reach describe how attention is divided among the keys that are there, so a row is divided by its sum first:
it makes no difference to a full row, and a row with hidden keys or a sink logit still means something. A row of zeros
has neither (NaN), and a row with a NaN stays NaN.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Link:
    """One weight and where it stands: row `query` looks at column `key`."""

    query: int
    key: int
    weight: float


def entropy(
    weights: Float[Tensor, "*batch query key"], total: Float[Tensor, "*batch query"] | None = None
) -> Float[Tensor, "*batch query"]:
    """Spread of each query's attention in bits: 0 = one key, log2(n_keys) = uniform.

    `total` saves summing the rows again. Source: Shannon 1948, theorem 2, with p = weight ÷ row sum.
    """
    total = weights.sum(dim=-1) if total is None else total
    # With p = w / s: -Σ p log p = (-Σ w log w) / s + log s. Where w is 0, 0 · -∞ is NaN and is left out, as 0 log 0 = 0
    # asks; a NaN among the weights comes back by the row's sum. (`torch.special.entr` is that too, at four times the
    # price.)
    nats = -weights.log().mul_(weights).nansum(dim=-1) / total + total.log()
    return (nats / math.log(2)).clamp_min(0)  # rounding leaves a row of one key a few 1e-8 below 0


def reach(
    weights: Float[Tensor, "*batch query key"],
    query_positions: Float[Tensor, " query"] | None = None,
    key_positions: Float[Tensor, " key"] | None = None,
    total: Float[Tensor, "*batch query"] | None = None,
) -> Float[Tensor, "*batch query"]:
    """Mean distance |query − key| of each query's attention, in tokens.

    Positions count from 0 in the order of rows and columns unless given (hidden tokens leave gaps; a word of several
    pieces stands at their mean). `total` saves summing the rows again.
    Source: Vig & Belinkov 2019, equation 2, per query.
    """
    like = {"dtype": weights.dtype, "device": weights.device}
    if query_positions is None:
        query_positions = torch.arange(weights.shape[-2], **like)
    if key_positions is None:
        key_positions = torch.arange(weights.shape[-1], **like)
    q, k = query_positions.to(**like), key_positions.to(**like)
    total = weights.sum(dim=-1) if total is None else total
    # In a few rows of a long text most keys stand before or after all of the queries. There the distance is a sum,
    # |q − k| = (q − first) + (first − k), and costs a product of matrix and vector instead of a matrix of distances.
    # Every term is ≥ 0, so nothing is lost to cancellation.
    n_before, n_after = _keys_around(q, k)
    if n_before + n_after < len(k) / 2:
        return (weights * (q[:, None] - k[None, :]).abs()).sum(dim=-1) / total
    first, last = q.min(), q.max()
    before, among, after = weights.tensor_split((n_before, len(k) - n_after), dim=-1)
    k_before, k_among, k_after = k.tensor_split((n_before, len(k) - n_after))
    sums = before @ (first - k_before) + (q - first) * before.sum(dim=-1)
    sums += after @ (k_after - last) + (last - q) * after.sum(dim=-1)
    sums += (among * (q[:, None] - k_among[None, :]).abs()).sum(dim=-1)
    return sums / total


def _keys_around(queries: Float[Tensor, " query"], keys: Float[Tensor, " key"]) -> tuple[int, int]:
    """How many keys at the beginning stand before all queries, and how many at the end after all of them."""
    if not len(queries) or not len(keys):
        return 0, 0
    n_before = int((keys <= queries.min()).cumprod(0).sum())
    n_after = int((keys >= queries.max()).flip(0).cumprod(0).sum())
    return n_before, min(n_after, len(keys) - n_before)


def strongest(
    weights: Float[Tensor, "query key"], n: int = 12, allowed: Bool[Tensor, "query key"] | None = None
) -> tuple[Link, ...]:
    """The `n` largest weights, largest first; equal ones in reading order. Masked cells, NaN and 0 are no links."""
    if n <= 0 or not weights.numel():
        return ()
    counted = weights > 0  # False for NaN
    if allowed is not None:
        counted &= allowed
    weights = weights.masked_fill(~counted, 0)
    # The n largest lie in rows whose own largest is among the n largest of those: n rows hold one at least as large.
    tops = weights.amax(dim=-1)
    rows = (tops >= tops.topk(min(n, len(tops))).values[-1]).nonzero().flatten()
    flat = weights[rows].flatten()
    n = min(n, int((flat > 0).sum()))
    if n <= 0:
        return ()
    smallest = flat.topk(n).values[-1]
    above = (flat > smallest).nonzero().flatten()
    equal = (flat == smallest).nonzero().flatten()[: n - len(above)]  # topk alone takes any of several equal ones
    cells = torch.cat((above, equal))
    order = flat[cells].argsort(descending=True, stable=True)
    links = zip(cells[order].tolist(), flat[cells[order]].tolist(), strict=True)
    n_keys = weights.shape[-1]
    return tuple(Link(int(rows[cell // n_keys]), cell % n_keys, weight) for cell, weight in links)


def offset_sums(block: Float[Tensor, "*batch query key"]) -> Float64[Tensor, "*batch offset"]:
    """The sum of a block's cells along each diagonal, from column − row = −(rows − 1) to columns − 1."""
    *batch, n_query, n_key = block.shape
    # Row r, read with a stride longer by one, moves r places to the left of where it began.
    padded = torch.nn.functional.pad(block, (n_query, 0)).flatten(-2)
    padded = torch.nn.functional.pad(padded, (0, n_query))
    shifted = padded.view(*batch, n_query, n_key + n_query + 1)
    return shifted.sum(dim=-2, dtype=torch.float64)[..., 1 : n_key + n_query]


def adjusted_share(
    sums: Float[Tensor, "*batch offset"], counts: Float[Tensor, " offset"], squares: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Share of the variance of cells that their groups explain: R² adjusted for the number of groups; 0 by chance.

    `sums` and `counts` are of each group's cells, `squares` the sum of all squared cells. NaN if there is no variance
    (rounding aside), or not more cells than groups. Source: Theil 1961, R̄² = 1 − (1 − R²)(N − 1)/(N − G).
    """
    used = counts > 0
    sums, counts = sums[..., used], counts[used]
    n, groups = counts.sum(), len(counts)
    mean = sums.sum(dim=-1).square() / n
    total = squares - mean
    rest = (squares - (sums.square() / counts).sum(dim=-1)).clamp_min(0)
    share = 1 - rest / total * (n - 1) / (n - groups)
    # Cells in float32 carry a relative error of 6e-8 each: a variance below 1e-12 of the squares is rounding.
    return share.masked_fill((total <= 1e-12 * squares) | (n <= groups), math.nan)


def correlation(moments: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch"]:
    """Pearson's correlation of two places from weighted sums of 1, x, y, x², y² and xy; NaN if one does not vary."""
    total, x, y, xx, yy, xy = moments.unbind(dim=-1)
    spread_x, spread_y = xx - x * x / total, yy - y * y / total
    r = (xy - x * y / total) / (spread_x.clamp_min(0) * spread_y.clamp_min(0)).sqrt()
    still = (spread_x <= 1e-9 * xx) | (spread_y <= 1e-9 * yy)
    return r.clamp(-1, 1).masked_fill(still, math.nan)
