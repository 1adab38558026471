"""Name the terms that a layer's attention has beyond softmax(q·kᵀ ÷ √d_head)·v: bias, soft-cap, window, sink logit …"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.formula.masks import Band
from attention_core.record.norms import Norm
from attention_core.record.projections import Projections, Rotary

_LOOK = 64  # rows and columns of a bias that are looked at to name it


def terms_of(
    projections: Projections | None,
    *,
    grouped: bool,
    mask: Band | Bool[Tensor, "query key"] | Bool[Tensor, "head query key"],
    bias: Float[Tensor, "#head query key"] | None,
    softcap: float | None,
    sink_logit: Float[Tensor, " head"] | Float[Tensor, "head query"] | None,
) -> tuple[str, ...]:
    """The named terms of one layer, in the order in which they are computed; `grouped`: fewer keys than queries."""
    terms = []
    if grouped:
        terms.append("grouped heads")
    if projections is not None:
        inputs = [projection for projection in (projections.q, projections.k, projections.v) if projection is not None]
        if any(projection.latent for projection in inputs):
            terms.append("latent projections")
        steps = [step for projection in inputs for step in projection.steps]
        if any(isinstance(step, Norm) for step in steps):
            terms.append("q/k norm")
        if any(isinstance(step, Rotary) for step in steps):
            terms.append("rotary")
    if softcap is not None:
        terms.append("soft-cap")
    if bias is not None and bool(bias[:, -_LOOK:, -_LOOK:].any()):  # cross-attention of T5 adds zeros
        terms.append(name_of_bias(bias))
    if isinstance(mask, Band) and mask.back is not None:
        terms.append("sliding window")
    if sink_logit is not None:
        terms.append("sink logit")
    if projections is not None and projections.o is not None and projections.o.gate is not None:
        terms.append("gated output")
    return tuple(terms)


def name_of_bias(bias: Float[Tensor, "head query key"]) -> str:
    """ "ALiBi" if each head's bias grows evenly with the key's position, "relative bias" if it depends on the distance.

    Looked at in the last rows and columns: there every distance occurs.
    """
    corner = bias[:, -_LOOK:, -_LOOK:].float()
    steps = corner.diff(dim=-1)
    finite = torch.isfinite(steps)
    if not bool(finite.any()):
        return "bias"
    # ALiBi: a constant step per head, sign turning at the diagonal in bidirectional models; causal cells are masked.
    size = steps.abs().where(finite, steps.new_tensor(0.0)).amax(dim=(1, 2), keepdim=True)
    even = ((steps.abs() - size).abs() <= 1e-4 * size.clamp_min(1e-6)) | ~finite
    if bool(even.all()) and bool((size > 0).any()):
        return "ALiBi"
    same_distance = torch.isclose(corner[:, 1:, 1:], corner[:, :-1, :-1], rtol=1e-4, atol=1e-5, equal_nan=True)
    return "relative bias" if bool(same_distance.all()) else "bias"
