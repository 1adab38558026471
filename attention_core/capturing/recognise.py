"""Recognise the map between two tensors from a few of their rows: a choice of columns, a factor, a rotation, a norm.

Every function compares rows of what a model computed (`close` is how far, relative to the largest number, two rows of
the same quantity may differ) and returns None where they do not say enough.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from attention_core.formats.shown import short_repr
from attention_core.observe.seen import FedNorm
from attention_core.record.norms import Norm, normalise
from attention_core.record.projections import Layout, Rotary, pairs_read, pairs_written, present

LAYOUTS: tuple[Layout, ...] = ("half-split", "interleaved", "interleaved to half-split")

# How far, relative to the largest number, two rows of the same quantity may differ and still be recognised as one.
_CLOSE = {torch.float32: 2e-5, torch.float64: 2e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}

TRIED = 8  # windows that are looked at one by one where the first look cannot tell them apart
SAME_LENGTH = 0.02  # two lengths of numbers of 8 bits, each off by 0.4 % at most, differ by less
MOST_AS_LONG = 256  # windows of one length that are compared at all: more heads than models have


def closeness(dtype: torch.dtype) -> float:
    """How far numbers of this precision may differ, relative to the largest, and still be the same quantity."""
    return _CLOSE.get(dtype, 2e-5)


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A rotation as far as the probe rows show it."""

    start: int
    dims: int
    layout: Layout
    cos: Float[Tensor, "probe pair"]
    sin: Float[Tensor, "probe pair"]

    __repr__ = short_repr


def windows(
    target: Float[Tensor, "head probe channel"], output: Float[Tensor, "row column"], close: float
) -> tuple[Int[Tensor, "head channel"], float] | None:
    """Neighbouring columns of output that are the heads of target.

    Returns the columns and the factor that all heads share (1 where it is within `close`), or None.
    """
    n_heads, n_probes, width = target.shape
    if output.shape[0] != n_probes or output.shape[1] < width:
        return None
    output = output.float()
    few = max(2, 2048 // width)  # rows that the first look takes: enough to tell windows apart
    spans = output[:few].unfold(1, width, 1).transpose(0, 1).flatten(1)  # [window, probe · channel]
    heads = target[:, :few].flatten(1)
    products, lengths = heads @ spans.T, spans.norm(dim=1)
    likeness = (products / (heads.norm(dim=1, keepdim=True) * lengths).clamp_min(1e-30)).abs()
    start = likeness.argmax(dim=1)
    if len(start.unique()) == n_heads and (match := _shared_factor(target, output, start, close)) is not None:
        return match
    # Heads that are equal, parallel, nearly so, or empty: the likest window is a matter of rounding.
    longest = int(heads.norm(dim=1).argmax())
    if float(heads[longest].norm()) and float(likeness[longest].max()) < 1 - max(close, 1e-4):
        return None
    best = start[longest]
    factor = float(products[longest, best] / lengths[best].square().clamp_min(1e-30))
    for candidate in (1.0, width**-0.5, factor):
        if abs(candidate - factor) <= 10 * close * abs(factor) or not factor:
            apart = (candidate * lengths) ** 2 - 2 * candidate * products  # squared, less the head's own length
            start = _one_each(target, output * candidate, apart, close)
            match = _shared_factor(target, output, start, close)
            if match is not None:
                return match
    return None


def _shared_factor(
    target: Float[Tensor, "head probe channel"],
    output: Float[Tensor, "probe column"],
    start: Int[Tensor, " head"],
    close: float,
) -> tuple[Int[Tensor, "head channel"], float] | None:
    """The windows that start there, and the factor they all need, if that is what gives the target."""
    width = target.shape[2]
    columns = start[:, None] + torch.arange(width, device=target.device)
    found = columns_of(output, columns)
    power = float((found * found).sum())
    factor = float((target * found).sum()) / power if power else 1.0
    for candidate in (1.0, width**-0.5, factor):
        if abs(candidate - factor) <= 10 * close * abs(factor) and alike(found * candidate, target, close):
            return columns, candidate
    return None


def _one_each(
    target: Float[Tensor, "head probe channel"],
    output: Float[Tensor, "probe column"],
    apart: Float[Tensor, "head window"],
    close: float,
) -> Int[Tensor, " head"]:
    """Where the window nearest to each head starts: of equally near ones, the first that no earlier head overlaps."""
    n_heads, _, width = target.shape
    near = apart.topk(min(max(TRIED, 2 * n_heads), apart.shape[1]), dim=1, largest=False).indices.sort(dim=1).values
    aligned = torch.arange(n_heads, device=target.device) * width  # of empty heads any window is near: these, if so
    aligned = aligned.clamp_max(apart.shape[1] - 1).expand(n_heads, -1)
    near = torch.cat((near, aligned), dim=1)
    channels = torch.arange(width, device=target.device)
    far = torch.stack(
        [
            (columns_of(output, near[:, i, None] + channels) - target).abs().amax(dim=(1, 2))
            for i in range(near.shape[1])
        ],
        dim=1,
    )
    return _in_their_order(near, far, width, 0.05 * close * magnitude(target))


def _in_their_order(
    near: Sequence[Tensor] | Tensor, far: Iterable[Tensor], width: int, equal: float
) -> Int[Tensor, " head"]:
    """Of the starts near each head, the one least far; of equal ones, the first that no earlier head overlaps."""
    taken: list[int] = []
    for starts, apart in zip(near, far, strict=True):
        same = sorted(set(starts[apart <= apart.min() + equal].tolist()))
        free = [at for at in same if all(abs(at - other) >= width for other in taken)]
        # None is free where keys are repeated for several heads: one window makes them all.
        taken.append(free[0] if free and len(same) > 1 else int(starts[apart.argmin()]))
    return torch.tensor(taken, device=near[0].device)


def same_lengths(
    target: Float[Tensor, "head probe channel"], output: Float[Tensor, "row column"], close: float
) -> Iterator[Int[Tensor, "head channel"]]:
    """Neighbouring columns in which every head's vector is as long as in the target (times one constant).

    Where several windows are as long (after an RMS norm with equal gains all heads are), their lengths do not tell
    which is which: then the turn that takes one head to the target says it for the others.
    """
    n_heads, n_probes, width = target.shape
    if output.shape[0] != n_probes or output.shape[1] < width:
        return
    spans = output.float().unfold(1, width, 1)  # [probe, window, channel]
    lengths, wanted = spans.norm(dim=-1), target.norm(dim=-1)
    ratio = wanted[:, :, None] / lengths.clamp_min(1e-30)
    middle = ratio.mean(dim=1, keepdim=True)
    spread = ((ratio - middle) / middle.clamp_min(1e-30)).abs().amax(dim=1)  # [head, window]
    middle = middle[:, 0]
    stretched = (middle - 1).abs()
    empty = wanted.amax(dim=1, keepdim=True) == 0
    fits = torch.where(empty, lengths.amax(dim=0) == 0, spread <= min(20 * close, SAME_LENGTH))
    if not bool(fits.any(dim=1).all()):
        return
    # Of windows that fit, one without a stretch is the likelier; with a single probe any stretch would fit.
    unlike = spread + (stretched if n_probes == 1 else 1e-3 * close * stretched)
    unlike = unlike.masked_fill(~fits, float("inf"))
    channels = torch.arange(width, device=target.device)
    if bool((fits.sum(dim=1) > 1).any()):
        for start in _told_by_one_turn(target, spans.transpose(0, 1), middle, unlike, close):
            yield start[:, None] + channels
    yield unlike.argmin(dim=1)[:, None] + channels


def _told_by_one_turn(
    target: Float[Tensor, "head probe channel"],
    spans: Float[Tensor, "window probe channel"],
    stretch: Float[Tensor, "head window"],
    unlike: Float[Tensor, "head window"],
    close: float,
) -> Iterator[Int[Tensor, " head"]]:
    """Where each head's window starts, if the turn of the longest head's window is that of all the others."""
    head = int(target.flatten(1).norm(dim=1).argmax())
    alone = target[head : head + 1]
    some = _nearest(unlike[head])
    apart = _pairs_apart(alone, spans[some] * stretch[head, some, None, None])
    likely = apart.argsort(stable=True)[:TRIED]
    others = _nearest(unlike.amin(dim=0))
    unfit = ~unlike[:, others].isfinite()
    for window in some[likely[apart[likely] <= 8 * close * magnitude(alone)]].tolist():
        factor = float(stretch[head, window])
        for scale in (1.0, factor) if abs(factor - 1) > 1e-3 else (1.0,):
            turn = find_turn(alone, spans[window][None] * scale, close)
            if turn is None:
                continue
            rotary = Rotary("rotary", turn.start, turn.dims, turn.layout, turn.cos, turn.sin, observed=False)
            turned = rotary.turn(spans[others] * scale)
            far = torch.cdist(target.flatten(1), turned.flatten(1), p=float("inf")).masked_fill(unfit, float("inf"))
            yield _in_their_order([others] * len(far), far, target.shape[2], 0.05 * close * magnitude(target))


def _nearest(unlike: Float[Tensor, " window"]) -> Int[Tensor, " nearest"]:
    """The windows that fit, the likeliest first, as many as are compared."""
    ranked = unlike.sort()
    return ranked.indices[: int(ranked.values.isfinite().sum())][:MOST_AS_LONG]


def _pairs_apart(
    alone: Float[Tensor, "1 probe channel"], spans: Float[Tensor, "window probe channel"]
) -> Float[Tensor, " window"]:
    """How far each window is from one that a turn takes to this head.

    A turn keeps the length of every pair and passes on the channels that it leaves alone, at one end of the head.
    """
    width = alone.shape[2]
    far = [(spans[..., at] - alone[..., at]).abs().amax(dim=1) for at in (0, width - 1)]
    for layout in LAYOUTS if width % 2 == 0 else ():
        (a, b), (to_a, to_b) = pairs_read(0, width, layout), pairs_written(0, width, layout)
        before = (spans[..., a] ** 2 + spans[..., b] ** 2).sqrt()
        after = (alone[..., to_a] ** 2 + alone[..., to_b] ** 2).sqrt()
        far.append((before - after).abs().amax(dim=(1, 2)))
    return torch.stack(far).amin(dim=0)


def any_columns(
    target: Float[Tensor, "head probe channel"], output: Float[Tensor, "row column"], close: float
) -> Int[Tensor, "head channel"] | None:
    """Columns in any order, one by one: three rows at least, so that a column is not found by chance."""
    n_heads, n_probes, width = target.shape
    if output.shape[0] != n_probes or n_probes < 3:
        return None
    wanted = target.transpose(1, 2).flatten(0, 1)  # [head · channel, probe]
    exact = "donot_use_mm_for_euclid_dist"  # by a product, columns nearer than 3e-4 would be told apart by rounding
    found = [torch.cdist(block, output.float().T, compute_mode=exact).argmin(dim=1) for block in wanted.split(512)]
    columns = torch.cat(found).view(n_heads, width)
    return columns if alike(columns_of(output.float(), columns), target, close) else None


def find_turn(
    target: Float[Tensor, "head probe channel"], before: Float[Tensor, "head probe channel"], close: float
) -> Turn | None:
    """The rotation of pairs that makes target of `before`, or None."""
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


def angles(
    target: Float[Tensor, "head token channel"],
    before: Float[Tensor, "head token channel"],
    start: int,
    dims: int,
    layout: Layout,
) -> tuple[Float[Tensor, "token pair"], Float[Tensor, "token pair"]]:
    """Cosine and sine for every token and pair, by least squares over all heads."""
    (a, b), (to_a, to_b) = pairs_read(start, dims, layout), pairs_written(start, dims, layout)
    p, r = before[..., a], before[..., b]
    t, u = target[..., to_a], target[..., to_b]
    power = (p * p + r * r).sum(dim=0).clamp_min(1e-30)
    return (p * t + r * u).sum(dim=0) / power, (p * u - r * t).sum(dim=0) / power


def one_length(rotary: Rotary, before: Float[Tensor, "head probe channel"], close: float) -> bool:
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


def weight_of(
    module: nn.Module, x: Float[Tensor, "row d_in"], output: Float[Tensor, "row d_out"]
) -> tuple[Tensor, Tensor | None, bool]:
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
    return weight, bias, alike(made, output.float(), closeness(x.dtype))


def columns_of(
    output: Float[Tensor, "probe column"], columns: Int[Tensor, "head channel"]
) -> Float[Tensor, "head probe channel"]:
    """Each head's columns, in float32."""
    return output.float()[:, columns].transpose(0, 1)


def alike(a: Float[Tensor, "..."], b: Float[Tensor, "..."], close: float) -> bool:
    """Same shape, and every difference at most `close` times the largest magnitude in `b`."""
    return a.shape == b.shape and bool((a - b).abs().max() <= close * magnitude(b))


def magnitude(x: Float[Tensor, "..."]) -> float:
    """The yardstick of a comparison: the largest magnitude, 1 at least in numbers that are of order 1."""
    return max(1e-3, float(x.abs().max()))
