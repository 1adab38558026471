"""A linear map together with what sits on it: an adapter (LoRA, DoRA, IA3 …) adds to its base layer, or scales it.

Nothing is known here of any kind of adapter. In evaluation such a module is x·W + b like any other: what it makes of
the rows 0, e_0, e_1 … is b and b + W. Whether that gives what the module gave in the captured run is asked like of any
other map.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_core.formats.shown import short_repr
from attention_core.inside.of_torch import own_weight

_NUMBERS_AT_ONCE = 16_000_000  # of what goes in or comes out


@dataclass(frozen=True, slots=True, eq=False)
class ActingMap:
    """A module as one linear map, and the map it sits on."""

    weight: Float[Tensor, "d_in d_out"]  # base and adapter together
    bias: Float[Tensor, " d_out"] | None
    base: nn.Module | None  # the leaf of the same shape; None if there is none

    __repr__ = short_repr


def is_adapted(module: nn.Module) -> bool:
    """A module with parts that was observed as one map."""
    return next(module.children(), None) is not None


def acting_map(module: nn.Module, x: Float[Tensor, "row d_in"]) -> ActingMap:
    """What the module does to x [probe, d_in], as one matrix; its hooks are not asked."""
    d_in = x.shape[1]
    with torch.inference_mode():
        bias = _given(module, x.new_zeros(1, d_in))[0]
        step = max(1, _NUMBERS_AT_ONCE // max(d_in, bias.shape[0]))
        rows = []
        for start in range(0, d_in, step):
            unit = x.new_zeros(min(step, d_in - start), d_in)
            unit[:, start:].fill_diagonal_(1.0)
            rows.append(_given(module, unit) - bias)
    weight = torch.cat(rows)
    return ActingMap(weight, bias if bool(bias.any()) else None, _base_of(module, d_in, weight.shape[1]))


def _given(module: nn.Module, rows: Float[Tensor, "row d_in"]) -> Float[Tensor, "row d_out"]:
    return module.forward(rows[None])[0]


def _base_of(module: nn.Module, d_in: int, d_out: int) -> nn.Module | None:
    for leaf in module.modules():
        weight = own_weight(leaf)
        if isinstance(weight, Tensor) and weight.dim() == 2 and sorted(weight.shape) == sorted((d_in, d_out)):
            return leaf
    return None
