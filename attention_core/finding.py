"""Finding heads: by what looks at what on a text, and by how alike two heads behave."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.head_metrics import HeadScores
from attention_core.trace import Trace

LIKE_SAYS = (
    "Distance: root mean square difference of all metrics on this text, each in standard deviations over all heads; "
    "0 = the same numbers."
)


@dataclass(frozen=True, slots=True)
class Likeness:
    """A head and how far its behaviour is from another's."""

    layer: int
    head: int
    distance: float  # standard deviations, root mean square over metrics; 0 = the same numbers


def looks(trace: Trace, layers: Sequence[int], query: int, key: int) -> Float[Tensor, " row"]:
    """The weight with which token `query` looks at token `key` in every head of the trace, layer after layer.

    One row of each head is computed, never a whole matrix. NaN where the head may not look (masked) and in layers that
    are not among `layers`: there the two numbers would be other tokens. Raises ValueError for a token that is not
    there.
    """
    found = []
    for index, layer in enumerate(trace.layers):
        if index not in layers:
            found.append(torch.full((layer.n_heads,), math.nan))
            continue
        if not (0 <= query < layer.n_query and 0 <= key < layer.n_key):
            raise ValueError(
                f"layer {index} has {layer.n_query} queries and {layer.n_key} keys; there is no pair ({query}, {key})"
            )
        row = slice(query, query + 1)
        weights = layer.all_weights(row)[:, 0, key].float().cpu()
        allowed = layer.allowed(None, row)
        readable = allowed is None or bool(allowed[0, key])
        found.append(weights if readable else torch.full_like(weights, math.nan))
    return torch.cat(found)


def alike(scores: HeadScores, layer: int, head: int, n: int = 6) -> tuple[Likeness, ...]:
    """The `n` heads whose metrics are nearest to those of one head, nearest first; equal ones in order.

    Metrics are compared in standard deviations over all heads of the trace. A metric that one of the two heads does not
    have, or that is the same for all heads, does not count; heads with nothing to compare are left out.
    Raises ValueError if there is no such head.
    """
    place = (layer, head)
    if place not in scores.heads:
        raise ValueError(f"there is no head {layer}.{head} among these {len(scores.heads)} heads")
    distance = _distances(scores.values.double(), scores.heads.index(place)).tolist()
    order = sorted((d, row) for row, d in enumerate(distance) if not math.isnan(d) and scores.heads[row] != place)
    return tuple(Likeness(*scores.heads[row], d) for d, row in order[:n])


def _distances(values: Float[Tensor, "row metric"], own: int) -> Float[Tensor, " row"]:
    """Root mean square difference from row `own`, in standard deviations over rows; NaN where nothing compares."""
    mean = values.nanmean(dim=0)
    deviation = (values - mean).square().nanmean(dim=0).sqrt()
    # A metric that all heads share (up to rounding) tells nobody apart; NaN takes it out of the mean below.
    deviation = deviation.where(deviation > 1e-9, torch.full_like(deviation, math.nan))
    return ((values - values[own]) / deviation).square().nanmean(dim=-1).sqrt()
