"""Numbers that describe a head: how spread out its attention is, how far it reaches, its strongest links.

Spread and reach describe how attention is divided among the keys that are there, so a row is divided by its sum first:
it makes no difference to a full row, and a row with hidden keys or a sink logit still means something. A row of zeros
has neither (NaN), and a row with a NaN stays NaN.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Link:
    """One weight and where it stands: row `query` looks at column `key`."""

    query: int
    key: int
    weight: float


def entropy(weights: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch query"]:
    """Spread of each query's attention in bits: 0 = one key, log2(n_keys) = uniform.

    Source: Shannon 1948, theorem 2, with p = weight ÷ row sum.
    """
    total = weights.sum(dim=-1)
    # With p = w / s: -Σ p log p = (-Σ w log w) / s + log s, and 0 log 0 = 0: a weight under 1e-38 adds nothing.
    # (`torch.special.entr` is that too, at four times the price.)
    nats = -(weights * weights.clamp_min(1e-38).log_()).sum(dim=-1) / total + total.log()
    return (nats / math.log(2)).clamp_min(0)  # rounding leaves a row of one key a few 1e-8 below 0


def reach(
    weights: Float[Tensor, "*batch query key"],
    query_positions: Float[Tensor, " query"] | None = None,
    key_positions: Float[Tensor, " key"] | None = None,
) -> Float[Tensor, "*batch query"]:
    """Mean distance |query − key| of each query's attention, in tokens.

    Positions count from 0 in the order of rows and columns unless given (hidden tokens leave gaps; a word of several
    pieces stands at their mean). Source: Vig & Belinkov 2019, equation 2, per query.
    """
    like = {"dtype": weights.dtype, "device": weights.device}
    if query_positions is None:
        query_positions = torch.arange(weights.shape[-2], **like)
    if key_positions is None:
        key_positions = torch.arange(weights.shape[-1], **like)
    distance = (query_positions.to(**like)[:, None] - key_positions.to(**like)[None, :]).abs()
    return mean_distance(weights, distance)


def mean_distance(
    weights: Float[Tensor, "*batch query key"], distance: Float[Tensor, "query key"]
) -> Float[Tensor, "*batch query"]:
    """Mean of `distance` under each query's attention: what `reach` is, with the distances made once for many heads."""
    return (weights * distance).sum(dim=-1) / weights.sum(dim=-1)


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


def row_sum_range(weights: Float[Tensor, "*batch query key"]) -> tuple[float, float] | None:
    """Smallest and largest row sum, rows with a NaN left out; None if no row is left."""
    sums = weights.sum(dim=-1)
    sums = sums[~sums.isnan()]
    return (sums.min().item(), sums.max().item()) if len(sums) else None
