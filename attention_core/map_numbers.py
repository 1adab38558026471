"""What a few rows of numbers say about the map between them: columns, a factor, a rotation, a norm.

Every function compares rows of what a model computed (`close` is how far, relative to the largest number, two rows of
the same quantity may differ) and returns None where they do not say enough.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from attention_core.observing import FedNorm
from attention_core.projections import (
    Layout,
    Norm,
    Rotary,
    normalise,
    pairs_read,
    pairs_written,
    present,
)

LAYOUTS: tuple[Layout, ...] = ("half-split", "interleaved", "interleaved to half-split")

# How far, relative to the largest number, two rows of the same quantity may differ and still be recognised as one.
CLOSE = {torch.float32: 2e-5, torch.float64: 2e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A rotation as far as the probe rows show it."""

    start: int
    dims: int
    layout: Layout
    cos: Tensor  # [probe, pair]
    sin: Tensor


def windows(target: Tensor, output: Tensor, close: float) -> tuple[Tensor, float] | None:
    """Neighbouring columns of output [probe, column] that are the heads of target [head, probe, channel].

    Returns the columns [head, channel] and the factor that all heads share (1 where it is within `close`), or None.
    """
    n_heads, n_probes, width = target.shape
    if output.shape[0] != n_probes or output.shape[1] < width:
        return None
    output = output.float()
    few = max(2, 2048 // width)  # rows that the first look takes: enough to tell windows apart
    spans = output[:few].unfold(1, width, 1).transpose(0, 1).flatten(1)  # [window, probe · channel]
    heads = target[:, :few].flatten(1)
    norms = heads.norm(dim=1, keepdim=True) * spans.norm(dim=1)
    start = (heads @ spans.T / norms.clamp_min(1e-30)).abs().argmax(dim=1)
    columns = start[:, None] + torch.arange(width, device=target.device)
    found = columns_of(output, columns)
    power = float((found * found).sum())
    factor = float((target * found).sum()) / power if power else 1.0
    for candidate in (1.0, width**-0.5, factor):
        if abs(candidate - factor) <= 10 * close * abs(factor) and alike(found * candidate, target, close):
            return columns, candidate
    return None


def same_lengths(target: Tensor, output: Tensor, close: float) -> Tensor | None:
    """Neighbouring columns in which every head's vector is as long as in the target (times one constant)."""
    n_heads, n_probes, width = target.shape
    if output.shape[0] != n_probes or output.shape[1] < width:
        return None
    lengths = output.float().unfold(1, width, 1).norm(dim=-1)  # [probe, window]
    ratio = target.norm(dim=-1)[:, :, None] / lengths.clamp_min(1e-30)
    middle = ratio.mean(dim=1, keepdim=True)
    spread = ((ratio - middle) / middle.clamp_min(1e-30)).abs().amax(dim=1)  # [head, window]
    stretched = (middle[:, 0] - 1).abs()
    # Of windows that fit, one without a stretch is the likelier; with a single probe any stretch would fit.
    best = (spread + (stretched if n_probes == 1 else 1e-3 * close * stretched)).argmin(dim=1)
    fits = spread.gather(1, best[:, None]).amax() <= 20 * close
    return best[:, None] + torch.arange(width, device=target.device) if bool(fits) else None


def any_columns(target: Tensor, output: Tensor, close: float) -> Tensor | None:
    """Columns in any order, one by one: three rows at least, so that a column is not found by chance."""
    n_heads, n_probes, width = target.shape
    if output.shape[0] != n_probes or n_probes < 3:
        return None
    wanted = target.transpose(1, 2).flatten(0, 1)  # [head · channel, probe]
    found = [torch.cdist(block, output.float().T).argmin(dim=1) for block in wanted.split(512)]
    columns = torch.cat(found).view(n_heads, width)
    return columns if alike(columns_of(output.float(), columns), target, close) else None


def find_turn(target: Tensor, before: Tensor, close: float) -> Turn | None:
    """The rotation of pairs that makes target [head, probe, channel] of `before`, or None."""
    d_head = target.shape[2]
    # Bit by bit: channels that are not turned are passed on as they are, even the slowest turn changes some last bit.
    changed = (target != before).any(dim=0).any(dim=0).nonzero().flatten().tolist()
    if len(changed) == d_head:  # all are turned, or none is left as it was to the last bit: a factor rounds
        far = ((target - before).abs().amax(dim=(0, 1)) > close * magnitude(target)).nonzero().flatten().tolist()
        changed = far or changed
    if not changed:
        return None
    first, last = changed[0], changed[-1]
    at_start = [(0, dims) for dims in range(2, d_head + 1, 2) if dims > last]
    at_end = [(d_head - dims, dims) for dims in range(2, d_head, 2) if d_head - dims <= first]
    # As few channels as can be is the likeliest, then all of them.
    places = [*at_start[:1], *at_end[:1], *at_start[-1:], *at_start[1:-1], *at_end[1:]]
    for start, dims in places:
        for layout in LAYOUTS:
            cos, sin = angles(target, before, start, dims, layout)
            rotary = Rotary("rotary", start, dims, layout, cos, sin, observed=False)
            if alike(rotary.turn(before), target, 4 * close) and one_length(rotary, before, close):
                return Turn(start, dims, layout, cos, sin)
    return None


def angles(target: Tensor, before: Tensor, start: int, dims: int, layout: Layout) -> tuple[Tensor, Tensor]:
    """Cosine and sine for every token and pair, by least squares over all heads: both [token, pair]."""
    (a, b), (to_a, to_b) = pairs_read(start, dims, layout), pairs_written(start, dims, layout)
    p, r = before[..., a], before[..., b]
    t, u = target[..., to_a], target[..., to_b]
    power = (p * p + r * r).sum(dim=0).clamp_min(1e-30)
    return (p * t + r * u).sum(dim=0) / power, (p * u - r * t).sum(dim=0) / power


def one_length(rotary: Rotary, before: Tensor, close: float) -> bool:
    """Every pair keeps its length, or all are stretched alike: with one head alone any two numbers would fit."""
    (a, b) = rotary.reads
    power = (before[..., a] ** 2 + before[..., b] ** 2).sum(dim=0)
    stretch = (rotary.cos**2 + rotary.sin**2).sqrt()
    usual = (stretch * power).sum() / power.sum().clamp_min(1e-30)
    return (
        float(((stretch - usual).abs() * power.sqrt()).max()) <= 8 * close * magnitude(before) * before.shape[0] ** 0.5
    )


def norm_rule(norm: FedNorm, close: float) -> Norm | None:
    """The norm as a formula, verified on its own input and output; gain and bias are [group, channel]."""
    before, after = norm.before.float(), norm.after.float()
    eps = next(
        (
            float(value)
            for name in ("variance_epsilon", "eps", "epsilon", "norm_eps", "layer_norm_eps")
            if isinstance(value := getattr(norm.module, name, None), float)
        ),
        0.0,
    )
    with present(norm.module, getattr(norm.module, "weight", None)) as stored:
        weight = None if stored is None else stored.detach().to(before.device).float()
    with present(norm.module, getattr(norm.module, "bias", None), "bias") as stored:
        bias = None if stored is None else stored.detach().to(before.device).float().expand(before.shape[1:])
    gains = [None] if weight is None else [weight.expand(before.shape[1:]), (1 + weight).expand(before.shape[1:])]
    for kind in ("rms", "layer"):
        for gain in gains:
            if alike(normalise(before, before, kind, eps, gain, bias), after, 2 * close):
                return Norm("q/k norm", kind, eps, gain, bias)
    return None


def weight_of(module: nn.Module, x: Tensor, output: Tensor) -> tuple[Tensor, Tensor | None, bool]:
    """A map's weight and bias, and whether the weight is [d_in, d_out]."""
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    assert isinstance(weight, Tensor)
    weight = weight.detach()
    bias = bias.detach() if isinstance(bias, Tensor) else None
    if isinstance(module, nn.Linear | Conv1D):
        return weight, bias, isinstance(module, Conv1D)
    if weight.shape[0] != weight.shape[1]:
        return weight, bias, weight.shape[0] == x.shape[1]
    made = x.float() @ weight.float() + (0.0 if bias is None else bias.float())
    return weight, bias, alike(made, output.float(), CLOSE.get(x.dtype, 2e-5))


def columns_of(output: Tensor, columns: Tensor) -> Tensor:
    """[probe, column] → [head, probe, channel]."""
    return output.float()[:, columns].transpose(0, 1)


def alike(a: Tensor, b: Tensor, close: float) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= close * magnitude(b))


def magnitude(x: Tensor) -> float:
    """The yardstick of a comparison: the largest magnitude, 1 at least in numbers that are of order 1."""
    return max(1e-3, float(x.abs().max()))
