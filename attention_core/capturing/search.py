"""The search for the linear maps around an attention call, among all that were observed while the model ran.

No table of architectures: a fused map, one interleaved per head, a transposed weight, shared heads, a constant factor,
a norm or a rotation on the way are all read off a few rows of what the model computed (`observing`), and then verified
from x and the weights.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import TypeCheckError
from torch import Tensor, nn

from attention_core.capturing.adapted import acting_map, is_adapted
from attention_core.capturing.recognise import (
    CLOSE,
    Turn,
    alike,
    angles,
    any_columns,
    columns_of,
    find_turn,
    magnitude,
    norm_rule,
    same_lengths,
    weight_of,
    windows,
)
from attention_core.observe.seen import FedMap, FedNorm, FedOutput, Seen, probe_rows
from attention_core.record.norms import Norm
from attention_core.record.projections import (
    GATES,
    Gate,
    OutputProjection,
    Part,
    Projection,
    Projections,
    Residual,
    Rotary,
)


def find_projections(seen: Seen) -> Projections:
    """Explain q, k, v and what was fed the output. Whatever cannot be verified is missing, with its reason."""
    search = _Search(seen)
    found: dict[str, Any] = {}
    missing = []
    for name, captured in (("q", seen.q), ("k", seen.k), ("v", seen.v)):
        projection = _or_none(lambda name=name, captured=captured: search.projection(name, captured))
        if projection is None:
            missing.append(f"{name}: no linear map that was observed gives it")
        found[name] = projection
    found["o"] = _or_none(search.output_projection)
    if found["o"] is None:
        missing.append("W_O: no linear map that reads the heads' outputs was seen to give what goes on from there")
    residual = _or_none(lambda: search.residual(found["q"], found["o"]))
    return Projections(**found, residual=residual, missing=tuple(missing))


def _or_none(find: Callable[[], Any]) -> Any:
    """An architecture with shapes that no rule here foresaw is not observed; it never stops the capture."""
    try:
        return find()
    except TypeCheckError:  # only in tests: a shape of ours is wrong, not the architecture's
        raise
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError, NotImplementedError):
        return None


@dataclass(frozen=True, slots=True, eq=False)
class _Origin:
    """Where some heads' channels come from: columns [head, width] of a map (or two, side by side), then steps."""

    pieces: tuple[tuple[FedMap, Tensor], ...]
    factor: float = 1.0
    steps: tuple[Norm | Turn, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Remembered:
    """One linear map that made q, k or v in an earlier run of a module: the first to be tried in the next one."""

    part: Part  # its x, which was the earlier run's, is left empty
    factor: float
    latent: bool


_remembered: WeakKeyDictionary[nn.Module, dict[str, _Remembered]] = WeakKeyDictionary()
_remembering = Lock()


def _name_in(module: nn.Module, part: nn.Module) -> str:
    return next((name for name, known in module.named_modules() if known is part), type(part).__name__)


class _Search:
    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.close = CLOSE.get(seen.q.dtype, 2e-5)
        self.names = {part: name for name, part in seen.module.named_modules()}
        self._taken: list[FedMap] = []  # maps that explained q or k already: the least likely to explain another
        self._made: dict[int, bool] = {}  # by where x is in memory: q, k and v often read the same one

    def projection(self, name: Any, captured: Tensor) -> Projection | None:
        n_tokens = captured.shape[1]
        target = captured[:, probe_rows(n_tokens)].float()
        maps = [fed for fed in self.seen.maps if fed.x.shape[0] == n_tokens]
        if (known := self._as_before(name, maps)) is not None and self._holds(known, target):
            return known
        maps.sort(key=lambda fed: any(fed is taken for taken in self._taken))
        norms = [fed for fed in self.seen.norms if fed.after.shape[0] == target.shape[1]]
        for origin in self._origins(target, maps, norms):
            for projection in self._completed(name, captured, origin):
                if self._holds(projection, target):
                    self._taken += [fed for fed, _ in origin.pieces]
                    self._remember(projection)
                    return projection
        return None

    def _as_before(self, name: Any, maps: list[FedMap]) -> Projection | None:
        """What was found when this module ran before, on what it was fed now. It has to hold like any other."""
        with _remembering:
            before = _remembered.get(self.seen.module, {}).get(name)
        if before is None:
            return None
        fed = next((fed for fed in maps if fed.module is before.part.module), None)
        if fed is None:
            return None
        return Projection(name, (replace(before.part, x=fed.x),), before.factor, (), before.latent)

    def _remember(self, found: Projection) -> None:
        """Of the plain kind, one map and no step after it: the others have numbers of the text in them."""
        part = found.parts[0]
        if len(found.parts) > 1 or found.steps or part.module in (None, self.seen.module):
            return
        part = replace(part, x=part.x.new_empty(0, part.x.shape[1]))
        with _remembering:
            _remembered.setdefault(self.seen.module, {})[found.name] = _Remembered(part, found.factor, found.latent)

    def _origins(self, target: Tensor, maps: list[FedMap], norms: list[FedNorm]) -> Iterator[_Origin]:
        """Explanations of target [head, probe, channel], the simplest first."""
        yield from self._straight(target, maps)
        for norm in norms:
            match = windows(target, norm.after.flatten(1), self.close)
            if match is not None and abs(match[1] - 1) < self.close:
                yield from self._through(norm, match[0], maps, norms)
        yield from self._turned(target, maps)
        for norm in norms:
            given = norm.after.flatten(1)
            for columns in same_lengths(target, given, self.close):
                turn = find_turn(target, columns_of(given, columns), self.close)
                if turn is not None:
                    for origin in self._through(norm, columns, maps, norms):
                        yield replace(origin, steps=(*origin.steps, turn))
        yield from self._side_by_side(target, maps)
        for fed in maps:
            columns = any_columns(target, fed.probe, self.close)
            if columns is not None:
                yield _Origin(((fed, columns),))

    def _straight(self, target: Tensor, maps: list[FedMap]) -> Iterator[_Origin]:
        for fed in maps:
            match = windows(target, fed.probe, self.close)
            if match is not None:
                yield _Origin(((fed, match[0]),), match[1])

    def _turned(self, target: Tensor, maps: list[FedMap]) -> Iterator[_Origin]:
        for fed in maps:
            for columns in same_lengths(target, fed.probe, self.close):
                before = columns_of(fed.probe, columns)
                stretch = float(target.norm() / before.norm().clamp_min(1e-30))
                # All of it turned, and stretched by the model's own cosines (YaRN), or a scaled map turned in part.
                for factor in (1.0, stretch) if abs(stretch - 1) > 1e-3 else (1.0,):
                    turn = find_turn(target, before * factor, self.close)
                    if turn is not None:
                        yield _Origin(((fed, columns),), factor, (turn,))

    def _through(self, norm: FedNorm, columns: Tensor, maps: list[FedMap], norms: list[FedNorm]) -> Iterator[_Origin]:
        """What a norm was fed, for the heads that are these columns of what it gave."""
        n_groups, width = norm.after.shape[1:]
        rule = norm_rule(norm, self.close)
        if rule is None:
            return
        group, channel = columns // width, columns % width
        gain, bias = ((None if t is None else t[group, channel]) for t in (rule.gain, rule.bias))
        if columns.shape[1] == width and bool((group == group[:, :1]).all()):  # each head is normalised alone
            before = norm.before[:, group[:, 0]].transpose(0, 1).float()
            step = replace(rule, gain=gain, bias=bias)
            for origin in self._origins(before, maps, [other for other in norms if other is not norm]):
                yield replace(origin, steps=(*origin.steps, step))
        elif n_groups == 1:  # all heads together
            for origin in self._straight(norm.before.transpose(0, 1).float(), maps):
                fed, whole = origin.pieces[0]
                step = replace(rule, gain=gain, bias=bias, over=whole[0])
                yield _Origin(((fed, whole[0][columns]),), origin.factor, (step,))

    def _side_by_side(self, target: Tensor, maps: list[FedMap]) -> Iterator[_Origin]:
        """Some channels of each head from one map, the others from another (latent attention)."""
        d_head = target.shape[2]
        for fed in maps:
            for first in (True, False):
                low, high = 1, d_head  # the longest start (or end) of the heads that this map gives: `low` fits
                while high - low > 1:
                    width = (low + high) // 2
                    some = target[..., :width] if first else target[..., d_head - width :]
                    low, high = (width, high) if windows(some, fed.probe, self.close) else (low, width)
                if low < 2:
                    continue
                some, rest = (
                    (target[..., :low], target[..., low:])
                    if first
                    else (target[..., d_head - low :], target[..., : d_head - low])
                )
                match = windows(some, fed.probe, self.close)
                if match is None or abs(match[1] - 1) > self.close:
                    continue
                others = [other for other in maps if other is not fed]
                for origin in (*self._straight(rest, others), *self._turned(rest, others)):
                    if first:
                        steps = tuple(
                            replace(step, start=step.start + low) if isinstance(step, Turn) else step
                            for step in origin.steps
                        )
                        yield replace(origin, pieces=((fed, match[0]), *origin.pieces), steps=steps)
                    else:
                        yield replace(origin, pieces=(*origin.pieces, (fed, match[0])))

    def _completed(self, name: Any, captured: Tensor, origin: _Origin) -> Iterator[Projection]:
        """The projection for all tokens: rotations take the model's own cosines, or what all heads' numbers say."""
        parts = tuple(self._part(fed, columns) for fed, columns in origin.pieces)
        latent = any(self._made_from_other_maps(fed) for fed, _ in origin.pieces)
        done = Projection(name, parts, origin.factor, (), latent)
        turns = [step for step in origin.steps if isinstance(step, Turn)]
        if not turns:
            yield replace(done, steps=origin.steps)
            return
        turn = turns[0]
        where = origin.steps.index(turn)
        for rotary in self._tables(turn, captured.shape[1]):
            yield replace(done, steps=(*origin.steps[:where], rotary, *origin.steps[where + 1 :]))
        if where == len(origin.steps) - 1:
            before = replace(done, steps=origin.steps[:where])
            pre = torch.stack([before.of(head) for head in range(before.n_heads)])
            cos, sin = angles(captured.float(), pre, turn.start, turn.dims, turn.layout)
            rotary = Rotary("rotary", turn.start, turn.dims, turn.layout, cos, sin, observed=False)
            yield replace(done, steps=(*origin.steps[:where], rotary))

    def _tables(self, turn: Turn, n_tokens: int) -> Iterator[Rotary]:
        pairs = turn.dims // 2
        rows = probe_rows(n_tokens)
        for cos, sin in self.seen.tables:
            if cos.shape[0] != n_tokens or cos.shape[1] not in (pairs, turn.dims):
                continue
            for take in (slice(0, pairs), slice(0, turn.dims, 2)):
                if cos[:, take].shape[1] != pairs:
                    continue
                for sign in (1, -1):  # some turn the other way
                    own = Rotary("rotary", turn.start, turn.dims, turn.layout, cos[:, take], sign * sin[:, take], True)
                    far = (own.cos[rows].float() - turn.cos).abs().max(), (own.sin[rows].float() - turn.sin).abs().max()
                    if max(map(float, far)) < 0.05:  # near is enough here: the projection is verified afterwards
                        yield own

    def _holds(self, projection: Projection, target: Tensor) -> bool:
        """Does it give the captured numbers from x and the weights, in every head on the probe rows?"""
        rows = torch.tensor(probe_rows(projection.x.shape[0]), device=target.device)
        made = projection.of_all(rows)
        return made.shape == target.shape and alike(made, target, 2 * self.close)

    def _part(self, fed: FedMap, columns: Tensor) -> Part:
        if is_adapted(fed.module):
            return self._adapted(fed.module, fed.x, columns)
        weight, bias, transposed = weight_of(fed.module, fed.x[probe_rows(fed.x.shape[0])], fed.probe)
        name = self.names.get(fed.module) or type(fed.module).__name__
        return Part(name, fed.x, weight, bias, transposed, columns, fed.module)

    def _adapted(self, module: nn.Module, x: Tensor, columns: Tensor) -> Part:
        """A map with an adapter on it: what both give together, and the base layer alone."""
        found = acting_map(module, x[:1])
        name = self.names.get(module) or type(module).__name__
        base = None
        if found.base is not None:
            weight, bias, transposed = weight_of(found.base, x[:1], found.base.forward(x[:1]))
            base = Part(f"{name}.{_name_in(module, found.base)}", x, weight, bias, transposed, columns, found.base)
        return Part(name, x, found.weight, found.bias, True, columns, base=base)

    def _made_from_other_maps(self, fed: FedMap) -> bool:
        place = fed.x.data_ptr()
        if place not in self._made:
            self._made[place] = self._is_made(fed.x)
        return self._made[place]

    def _is_made(self, whole: Tensor) -> bool:
        x = whole[probe_rows(whole.shape[0])].float()[None]
        sources = [other.probe for other in self.seen.maps if other.x.data_ptr() != whole.data_ptr()]
        sources += [norm.after.flatten(1) for norm in self.seen.norms]
        return any(source.shape[0] == x.shape[1] and windows(x, source, self.close) is not None for source in sources)

    def output_projection(self) -> OutputProjection | None:
        heads = self.seen.output[:, probe_rows(self.seen.output.shape[1])].float()
        for fed in self.seen.after:
            for o in self._readings(fed, heads):
                rows = torch.tensor(probe_rows(fed.output.shape[0]), device=heads.device)
                if alike(o.of(self.seen.output, rows), fed.output[rows].float(), 2 * self.close):
                    return o if fed is not self.seen.after[-1] or self._goes_on(fed.output[rows].float()) else None
        return None

    def _goes_on(self, written: Tensor) -> bool:
        """Is what the modules around W_O gave what W_O wrote, a norm of it, or its sum with what was read?

        Otherwise somebody (a hook, a wrapper) has changed it, and W_O's output is not what the layer writes.
        """
        known = [written, *(x[:, 0].float() for norm in self.seen.following for x in (norm.before, norm.after))]
        rows = probe_rows(self.seen.output.shape[1])
        for x in (*self.seen.entered, *(fed.x for fed in self.seen.maps)):
            if x.shape == (self.seen.output.shape[1], written.shape[1]):
                known.append(x[rows].float() + written)
        return all(any(alike(one.float(), other, 2 * self.close) for other in known) for one in self.seen.given)

    def residual(self, q: Projection | None, o: OutputProjection | None) -> Residual | None:
        """The norm that is fed next reads the stream: is that what was read before, plus what W_O wrote?"""
        if o is None:
            return None
        n_tokens = o.written.shape[0]
        rows = probe_rows(n_tokens)
        added, norm = o.written[rows].float(), None
        read = [x for x in self.seen.entered if x.shape == o.written.shape]
        x = [q.x] if q is not None and q.x.shape == o.written.shape else []
        streams = []  # what may be the sum, and the norm that reads it
        for following in self.seen.following:
            if norm is None and alike(following.before[:, 0].float(), added, self.close):
                norm = norm_rule(following, self.close)
                if norm is None:
                    return None
                norm, added = replace(norm, name="norm after W_O"), following.after[:, 0].float()
            else:
                streams.append((following.before[:, 0].float(), following))
        if self.seen.read_next is not None:
            streams.append((self.seen.read_next.float(), None))
        for stream, reader in streams:
            for pre in (*read, *x):
                if stream.shape != added.shape:
                    continue
                change = stream - pre[rows].float()
                factor = float((change * added).sum()) / max(1e-30, float((added * added).sum()))
                factor = 1.0 if abs(factor - 1) < 1e-3 else factor
                far = float((change - factor * added).abs().max())
                if abs(factor) > 1e-2 and far <= 2 * self.close * magnitude(stream):
                    return self._residual(pre, factor, norm, reader, read)
        return None

    def _residual(
        self, pre: Tensor, factor: float, norm: Norm | None, reader: FedNorm | None, read: list[Tensor]
    ) -> Residual:
        if any(pre is stream for stream in read):
            return Residual(pre, factor, norm, "norm, then attention", None)
        if reader is None:
            return Residual(pre, factor, norm, "no norm of the stream", None)
        after = norm_rule(reader, self.close)
        after = None if after is None else replace(after, name="norm of the sum")
        return Residual(pre, factor, norm, "attention, then norm", after)

    def _readings(self, fed: FedOutput, heads: Tensor) -> Iterator[OutputProjection]:
        written = fed.output[probe_rows(fed.output.shape[0])]
        name = self.names.get(fed.module) or type(fed.module).__name__
        d_value = heads.shape[2]
        in_order = torch.arange(heads.shape[0] * d_value, device=heads.device).view(-1, d_value)
        if is_adapted(fed.module):
            every = torch.arange(written.shape[1], device=heads.device)[None]
            part = self._adapted(fed.module, fed.probe, every)
            plain = OutputProjection(name, part.weight, part.bias, True, in_order, fed.output, base=part.base)
        else:
            weight, bias, transposed = weight_of(fed.module, fed.probe, written)
            plain = OutputProjection(name, weight, bias, transposed, in_order, fed.output, module=fed.module)
        if fed.norm is not None:
            match = windows(heads, fed.norm.before.flatten(1), self.close)
            rule = norm_rule(fed.norm, self.close)
            if match is not None and rule is not None:
                yield replace(plain, slots=match[0], norm=replace(rule, name="norm before W_O"))
            return
        side_by_side = heads.transpose(0, 1).flatten(1)
        if alike(fed.probe.float(), side_by_side, self.close):  # first: shared heads may give the same numbers
            yield plain
            return
        match = windows(heads, fed.probe, self.close)
        if match is not None and abs(match[1] - 1) < self.close:
            yield replace(plain, slots=match[0])
            return
        for gate in self._gates(fed, heads):
            yield replace(plain, gate=gate)

    def _gates(self, fed: FedOutput, heads: Tensor) -> Iterator[Gate]:
        """W_O's input as the joined outputs times a function of some map's output, a number a channel or a head."""
        n_heads, n_probes, d_value = heads.shape
        if fed.probe.shape[1] != n_heads * d_value:
            return
        wanted = fed.probe.float().unflatten(1, (n_heads, d_value)).transpose(0, 1)
        maps = [other for other in (*self.seen.maps, *self.seen.late) if other.probe.shape[0] == n_probes]
        for other in maps:
            for function, apply in GATES.items():
                for width in {d_value, 1}:
                    if other.probe.shape[1] < width:
                        continue
                    gates = apply(other.probe.float()).unfold(1, width, 1).transpose(0, 1)  # [window, probe, width]
                    far = [
                        (head * gates - want).abs().amax(dim=(1, 2)).min(dim=0)
                        for head, want in zip(heads, wanted, strict=True)
                    ]
                    if all(
                        float(least.values) <= 2 * self.close * max(1.0, float(wanted.abs().max())) for least in far
                    ):
                        starts = torch.stack([least.indices for least in far])
                        columns = starts[:, None] + torch.arange(width, device=heads.device)
                        columns = columns.expand(n_heads, d_value).reshape(1, -1)
                        yield Gate(self._part(other, columns), function)  # type: ignore[arg-type]
