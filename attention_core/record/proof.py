"""The proof: what we show, recomputed by our formula from the captured inputs, against what the model itself computed.

Two independent sources speak for the model. Its attention function returned `output` during the captured run; its eager
function, run afterwards on the captured q, k and v with the mask, scale and bias that the model passed, returns the
weights that the fused kernel hides. A fault in mask, scale or bias shows at *weights*, a fault in v at *output*. Where
the linear maps around the call were observed, a fault in one shows at *q*, *k*, *v* or *W_O*.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.formats.wire import OVERSHOOT
from attention_core.record.layers import AttentionLayer, LayerTrace, WeightsOnly
from attention_core.record.projections import OutputProjection, Projections

ROWS_PER_BLOCK = 256  # × 4,096 keys: 4 MB a tensor
MOST_PRODUCTS = 500_000_000  # multiplications for W_O, about 20 ms on one core

# Largest difference for numbers of order 1. Float32 keeps 24 bits (6e-8); sums of tens to thousands of products in
# another order differ by some tens of that. Half precisions keep 8 or 11 bits (a rounding is off by up to 0.4 % or
# 0.05 % of a number); a product of rounded vectors is a few roundings away from ours: eight are allowed.
_TOLERANCES: dict[torch.dtype, tuple[float, str]] = {
    torch.float32: (1e-5, "float32: 24 bits, sums of many products in another order"),
    torch.float64: (1e-5, "compared in float32: 24 bits, sums of many products in another order"),
    torch.bfloat16: (3e-2, "bfloat16: the model rounds every number to 8 bits"),
    torch.float16: (4e-3, "float16: the model rounds every number to 11 bits"),
}
_HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True, slots=True)
class Check:
    """One step of the proof. `holds` is False for any NaN."""

    name: str
    difference: float  # largest absolute difference over allowed entries; NaN where a side is no number
    tolerance: float
    holds: bool
    reason: str  # why the tolerance is what it is, or what was compared


def prove(layer: AttentionLayer, head: int) -> tuple[Check, ...]:
    """Compare one head's weights (where the model can witness them) and output with the model's own.

    Works through blocks of rows, so memory stays linear in the text. Of a layer that gave its weights alone, only that
    its rows sum to 1 can be said.
    """
    if layer.edited:
        return (_prove_range(layer, head),)
    if not isinstance(layer, LayerTrace):
        given = isinstance(layer, WeightsOnly) and not layer.sums_to_one
        return (_prove_range(layer, head) if given else _prove_sums(layer, head),)
    projections = layer.projections or Projections()
    checks = {check.name: check for check in _prove_projections(layer, projections, head)}
    for start in range(0, layer.n_query, ROWS_PER_BLOCK):
        rows = slice(start, start + ROWS_PER_BLOCK)
        for check in _prove_rows(layer, head, rows):
            checks[check.name] = _worse(checks.get(check.name), check)
    if projections.o is not None:
        checks["W_O"] = _prove_output_projection(layer, projections.o)
    return tuple(checks.values())


def _prove_sums(layer: AttentionLayer, head: int) -> Check:
    """Each row of given weights sums to 1, as far as the precision in which they were given lets it."""
    dtype = layer.given.dtype if isinstance(layer, WeightsOnly) else torch.float32
    sums = layer.weights(head).sum(dim=-1)
    check = compare("row sums", sums, torch.ones_like(sums), dtype)
    reason = "the weights are the model's own; this architecture hides q and k"
    if layer.origin == "given":
        reason = "weights only, given by you: that their rows sum to 1 is all that can be said"
    return replace(check, reason=f"{reason}; {check.reason}" if dtype in _HALF else reason)


def _prove_range(layer: AttentionLayer, head: int) -> Check:
    """How far weights whose rows need not sum to 1 leave the range from 0 to 1."""
    weights = layer.weights(head)
    outside = float((weights - weights.clamp(0.0, 1.0)).abs().max())
    reason = "weights only, given by you, with rows that need not sum to 1: each is a number from 0 to 1"
    if layer.edited:
        reason = "this layer was edited: no proof, only that each weight is a number from 0 to 1"
    return Check("range", outside, OVERSHOOT, outside <= OVERSHOOT, reason)


@torch.inference_mode()
def _prove_projections(layer: LayerTrace, projections: Projections, head: int) -> list[Check]:
    """q, k and v of this head, from x and the weights through the named steps, where they were observed."""
    kv_head = layer.kv_head(head)
    of_head = ((projections.q, layer.q, head), (projections.k, layer.k, kv_head), (projections.v, layer.v, kv_head))
    return [
        compare(projection.name, projection.of(own), captured[own].float(), captured.dtype)
        for projection, captured, own in of_head
        if projection is not None
    ]


@torch.inference_mode()
def _prove_output_projection(layer: LayerTrace, o: OutputProjection) -> Check:
    """W_O reads all heads at once: for long texts in wide models on evenly spread rows, and the reason says so."""
    n_rows = max(1, MOST_PRODUCTS // max(1, o.weight.numel()))
    if n_rows >= layer.n_query:
        return compare("W_O", o.of(layer.output), o.written.float(), layer.output.dtype)
    rows = torch.linspace(0, layer.n_query - 1, n_rows, device=layer.output.device).long()
    check = compare("W_O", o.of(layer.output, rows), o.written[rows].float(), layer.output.dtype)
    return replace(check, reason=f"{check.reason}; on {n_rows:,} of {layer.n_query:,} rows, evenly spread")


def _prove_rows(layer: LayerTrace, head: int, rows: slice) -> list[Check]:
    steps = layer.steps(head, rows)
    allowed = layer.allowed(head, rows)
    dtype = layer.q.dtype
    checks = []
    witnessed = layer.witness(head, rows) if layer.witness is not None else None
    if witnessed is not None:
        witnessed = witnessed.float()
        checks.append(_compare_masks(allowed, witnessed))
        # Both are computed in float32 from the same captured q and k, so float32's tolerance holds for any model.
        checks.append(compare("weights", steps.weights, witnessed, layer.witness_dtype, allowed))
    if layer.has_output:
        checks.append(compare("output", steps.output, layer.output[head, rows].float(), dtype))
    return checks


def compare(
    name: str,
    ours: Float[Tensor, "*shape"],
    models: Float[Tensor, "*shape"],
    dtype: torch.dtype = torch.float32,
    allowed: Bool[Tensor, "*shape"] | None = None,
) -> Check:
    """Largest absolute difference over allowed entries, where equal infinities differ by nothing.

    It is NaN, and the check fails, if a side has a NaN or an infinity that the other side has not.

    The tolerance is the dtype's, times the largest finite magnitude compared where that is above 1.
    """
    base, reason = _TOLERANCES.get(dtype, _TOLERANCES[torch.float32])
    if allowed is not None:  # zeros count for nothing below; picking the others out would take longer than all the rest
        ours, models = ours.masked_fill(~allowed, 0.0), models.masked_fill(~allowed, 0.0)
    difference = float((ours - models).abs().max()) if ours.numel() else 0.0
    if math.isfinite(difference):  # then every number is, or the difference of two of them was not
        tolerance = base * max(1.0, float(models.abs().max()) if models.numel() else 0.0)
        return Check(name, difference, tolerance, difference <= tolerance, reason)
    finite = torch.isfinite(ours) & torch.isfinite(models)
    same_signs = bool((ours[~finite] == models[~finite]).all())  # ±inf must agree; NaN equals nothing, so it fails
    ours, models = ours[finite], models[finite]
    tolerance = base * max(1.0, float(models.abs().max()) if models.numel() else 0.0)
    if not same_signs:
        return Check(name, math.nan, tolerance, False, reason)
    difference = float((ours - models).abs().max()) if ours.numel() else 0.0
    return Check(name, difference, tolerance, difference <= tolerance, reason)


def worst_by_name(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Of each step the check that is worst, in the order in which they first come."""
    worst: dict[str, Check] = {}
    for check in checks:
        worst[check.name] = _worse(worst.get(check.name), check)
    return tuple(worst.values())


def largest_difference(checks: Iterable[Check]) -> float:
    """The largest difference of some checks: NaN if any is, 0 if there are none."""
    return max((check.difference for check in checks), key=lambda one: (math.isnan(one), one), default=0.0)


def _compare_masks(allowed: Bool[Tensor, "query key"] | None, witnessed: Float[Tensor, "query key"]) -> Check:
    """Where we say "may not be read", the model's weight must be exactly 0."""
    leaked = 0.0 if allowed is None else float(witnessed.masked_fill(allowed, 0.0).abs().max())
    return Check("mask", leaked, 0.0, leaked == 0.0, "a masked key's weight is exactly 0 in the model too")


def _worse(a: Check | None, b: Check) -> Check:
    if a is None or (a.holds and not b.holds):
        return b
    if b.holds and not a.holds:
        return a
    return max(a, b, key=lambda check: (math.isnan(check.difference), check.difference / (check.tolerance or 1.0)))
