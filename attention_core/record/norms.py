"""Layer norm and RMS norm, as data and as arithmetic: of q and k, of what a layer writes, of the residual stream."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attention_core.formats.shown import short_repr

NormKind = Literal["rms", "layer"]


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A q/k norm: (p - mean) ÷ √(variance + eps) · gain + bias; "rms" leaves the mean in."""

    name: str  # "q/k norm"
    kind: NormKind
    eps: float
    gain: Float[Tensor, "head width"] | None
    bias: Float[Tensor, "head width"] | None
    over: Int[Tensor, " whole"] | None = None  # normalised over all these columns together; None: over the head alone

    __repr__ = short_repr


def normalise(
    p: Float[Tensor, "*rows channel"],
    whole: Float[Tensor, "*rows whole"],
    kind: NormKind,
    eps: float,
    gain: Float[Tensor, "*group channel"] | None,
    bias: Float[Tensor, "*group channel"] | None,
) -> Float[Tensor, "*rows channel"]:
    """p normalised by the mean and spread of `whole`, along the last axis."""
    if kind == "layer":
        mean = whole.mean(dim=-1, keepdim=True)
        p, whole = p - mean, whole - mean
    p = p * torch.rsqrt((whole * whole).mean(dim=-1, keepdim=True) + eps)
    if gain is not None:
        p = p * gain
    return p if bias is None else p + bias


def normalise_groups(joined: Float[Tensor, "row channel"], norm: Norm) -> Float[Tensor, "row channel"]:
    """Each group of channels alone, as many channels as the gain has."""
    groups = (1, joined.shape[1]) if norm.gain is None else tuple(norm.gain.shape)
    split = joined.unflatten(1, groups)
    return normalise(split, split, norm.kind, norm.eps, norm.gain, norm.bias).flatten(1)
