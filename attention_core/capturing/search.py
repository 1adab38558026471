"""The search for the linear maps before an attention call, among all that were observed while the model ran.

What comes after it, W_O and the sum with the residual stream, is found by `capturing/output_projection`.

No table of architectures: a fused map, one interleaved per head, a transposed weight, shared heads, a constant factor,
a norm or a rotation on the way are all read off a few rows of what the model computed (`observe/seen`), and then
verified from x and the weights.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from threading import Lock
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int, TypeCheckError
from torch import Tensor, nn

from attention_core.capturing.output_projection import OutputSearch
from attention_core.capturing.parts import Parts
from attention_core.capturing.recognise import (
    Turn,
    alike,
    angles,
    any_columns,
    closeness,
    columns_of,
    find_turn,
    norm_rule,
    same_lengths,
    windows,
)
from attention_core.observe.seen import FedMap, FedNorm, Seen, probe_rows
from attention_core.record.norms import Norm
from attention_core.record.projections import (
    Part,
    Projection,
    ProjectionName,
    Projections,
    Rotary,
)

Result = TypeVar("Result")


def find_projections(seen: Seen) -> Projections:
    """Explain q, k, v and what was fed the output. Whatever cannot be verified is missing, with its reason."""
    parts = Parts(seen.module)
    search, after = _Search(seen, parts), OutputSearch(seen, parts)
    found: dict[ProjectionName, Projection | None] = {}
    missing = []
    sought: tuple[tuple[ProjectionName, Tensor], ...] = (("q", seen.q), ("k", seen.k), ("v", seen.v))
    for name, captured in sought:
        projection = _or_none(lambda name=name, captured=captured: search.projection(name, captured))
        if projection is None:
            missing.append(f"{name}: no linear map that was observed gives it")
        found[name] = projection
    o = _or_none(after.output_projection)
    if o is None:
        missing.append("W_O: no linear map that reads the heads' outputs was seen to give what goes on from there")
    residual = _or_none(lambda: after.residual(found["q"], o))
    return Projections(found["q"], found["k"], found["v"], o, residual, tuple(missing))


def _or_none(find: Callable[[], Result | None]) -> Result | None:
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


class _Search:
    def __init__(self, seen: Seen, parts: Parts) -> None:
        self.seen = seen
        self.parts = parts
        self.close = closeness(seen.q.dtype)
        self._taken: list[FedMap] = []  # maps that explained q or k already: the least likely to explain another
        self._made: dict[int, bool] = {}  # by where x is in memory: q, k and v often read the same one

    def projection(self, name: ProjectionName, captured: Float[Tensor, "head token channel"]) -> Projection | None:
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

    def _as_before(self, name: ProjectionName, maps: list[FedMap]) -> Projection | None:
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

    def _origins(
        self, target: Float[Tensor, "head probe channel"], maps: list[FedMap], norms: list[FedNorm]
    ) -> Iterator[_Origin]:
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

    def _straight(self, target: Float[Tensor, "head probe channel"], maps: list[FedMap]) -> Iterator[_Origin]:
        for fed in maps:
            match = windows(target, fed.probe, self.close)
            if match is not None:
                yield _Origin(((fed, match[0]),), match[1])

    def _turned(self, target: Float[Tensor, "head probe channel"], maps: list[FedMap]) -> Iterator[_Origin]:
        for fed in maps:
            for columns in same_lengths(target, fed.probe, self.close):
                before = columns_of(fed.probe, columns)
                stretch = float(target.norm() / before.norm().clamp_min(1e-30))
                # All of it turned, and stretched by the model's own cosines (YaRN), or a scaled map turned in part.
                for factor in (1.0, stretch) if abs(stretch - 1) > 1e-3 else (1.0,):
                    turn = find_turn(target, before * factor, self.close)
                    if turn is not None:
                        yield _Origin(((fed, columns),), factor, (turn,))

    def _through(
        self, norm: FedNorm, columns: Int[Tensor, "head channel"], maps: list[FedMap], norms: list[FedNorm]
    ) -> Iterator[_Origin]:
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

    def _side_by_side(self, target: Float[Tensor, "head probe channel"], maps: list[FedMap]) -> Iterator[_Origin]:
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

    def _completed(
        self, name: ProjectionName, captured: Float[Tensor, "head token channel"], origin: _Origin
    ) -> Iterator[Projection]:
        """The projection for all tokens: rotations take the model's own cosines, or what all heads' numbers say."""
        parts = tuple(self.parts.part_of(fed, columns) for fed, columns in origin.pieces)
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

    def _holds(self, projection: Projection, target: Float[Tensor, "head probe channel"]) -> bool:
        """Does it give the captured numbers from x and the weights, in every head on the probe rows?"""
        rows = torch.tensor(probe_rows(projection.x.shape[0]), device=target.device)
        made = projection.of_all(rows)
        return made.shape == target.shape and alike(made, target, 2 * self.close)

    def _made_from_other_maps(self, fed: FedMap) -> bool:
        place = fed.x.data_ptr()
        if place not in self._made:
            self._made[place] = self._is_made(fed.x)
        return self._made[place]

    def _is_made(self, whole: Float[Tensor, "token d_in"]) -> bool:
        x = whole[probe_rows(whole.shape[0])].float()[None]
        sources = [other.probe for other in self.seen.maps if other.x.data_ptr() != whole.data_ptr()]
        sources += [norm.after.flatten(1) for norm in self.seen.norms]
        return any(source.shape[0] == x.shape[1] and windows(x, source, self.close) is not None for source in sources)
