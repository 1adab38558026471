"""The linear maps that made q, k and v and the one that reads the output, recognised and verified by their numbers.

No table of architectures: a fused map, one interleaved per head, a transposed weight, shared heads, a constant factor,
a norm or a rotation on the way are all read off a few rows of what the model computed while it ran (`observing`), and
then verified from x and the weights. What cannot be explained to within the tolerance is *not observed*, never guessed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Literal

import torch
from jaxtyping import Float, Int, TypeCheckError
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from attention_core.observing import FedMap, FedNorm, FedOutput, Seen, probe_rows

EVERY_ROW = slice(None)
Rows = slice | Tensor
Layout = Literal["half-split", "interleaved", "interleaved to half-split"]
NormKind = Literal["rms", "layer"]
Order = Literal["norm, then attention", "attention, then norm", "no norm of the stream"]
GateFunction = Literal["sigmoid", "silu", "softplus"]
_LAYOUTS: tuple[Layout, ...] = ("half-split", "interleaved", "interleaved to half-split")

# How far, relative to the largest number, two rows of the same quantity may differ and still be recognised as one.
_CLOSE = {torch.float32: 2e-5, torch.float64: 2e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Columns of one linear map x·W + b: what each head takes of its output, in order."""

    name: str  # the map's name inside the attention module, e.g. "c_attn"
    x: Float[Tensor, "token d_in"]  # what the map read
    weight: Float[Tensor, "row column"]  # the module's own, [d_out, d_in], or [d_in, d_out] if `transposed`
    bias: Float[Tensor, " d_out"] | None
    transposed: bool
    columns: Int[Tensor, "head width"]  # which of the d_out outputs
    module: nn.Module | None = field(default=None, repr=False)  # to fetch weights that live on disk

    def matrix(self, columns: Int[Tensor, " width"]) -> Float[Tensor, "d_in width"]:
        """W of some columns, in float32."""
        with _present(self.module, self.weight) as weight:
            columns = columns.to(weight.device)
            chosen = weight[:, columns] if self.transposed else weight[columns].T
            return chosen.to(self.x.device).float()

    def offsets(self, columns: Int[Tensor, " width"]) -> Float[Tensor, " width"] | None:
        """b of some columns, in float32."""
        if self.bias is None:
            return None
        with _present(self.module, self.bias, "bias") as bias:
            return bias[columns.to(bias.device)].to(self.x.device).float()

    def of(self, columns: Int[Tensor, " width"], rows: Rows = EVERY_ROW) -> Float[Tensor, "row width"]:
        """x·W + b of some columns."""
        product = self.x[rows].float() @ self.matrix(columns)
        offsets = self.offsets(columns)
        return product if offsets is None else product + offsets


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """A q/k norm: (p - mean) ÷ √(variance + eps) · gain + bias; "rms" leaves the mean in."""

    name: str  # "q/k norm"
    kind: NormKind
    eps: float
    gain: Float[Tensor, "head width"] | None
    bias: Float[Tensor, "head width"] | None
    over: Int[Tensor, " whole"] | None = None  # normalised over all these columns together; None: over the head alone


@dataclass(frozen=True, slots=True, eq=False)
class Rotary:
    """Rotary embedding: pair i of `dims` channels from `start` on is turned by an angle of its own at every position.

    Pairs are channels (i, i + dims/2) in "half-split", (2i, 2i + 1) in "interleaved"; "interleaved to half-split" reads
    them one way and writes them the other. Some models stretch the pairs too: √(cos² + sin²) is then not 1.
    Source: Su et al. 2021 (RoFormer), equation 34.
    """

    name: str  # "rotary"
    start: int
    dims: int
    layout: Layout
    cos: Float[Tensor, "token pair"]
    sin: Float[Tensor, "token pair"]
    observed: bool  # the model's own cosines and sines; otherwise recovered from the numbers of all heads

    @property
    def reads(self) -> tuple[Tensor, Tensor]:
        """The two channels of each pair, before."""
        return _reads(self.start, self.dims, self.layout)

    @property
    def writes(self) -> tuple[Tensor, Tensor]:
        """The two channels of each pair, after."""
        return _writes(self.start, self.dims, self.layout)

    def turn(self, p: Float[Tensor, "*head row d_head"], rows: Rows = EVERY_ROW) -> Float[Tensor, "*head row d_head"]:
        """Every pair turned by its angle; channels outside `dims` stay."""
        cos, sin = self.cos[rows].float(), self.sin[rows].float()
        (a, b), (to_a, to_b) = self.reads, self.writes
        turned = p.clone()
        turned[..., to_a] = p[..., a] * cos - p[..., b] * sin
        turned[..., to_b] = p[..., b] * cos + p[..., a] * sin
        return turned


Step = Norm | Rotary


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """How q, k or v is made of x: columns of one linear map (two in latent attention), times a factor, then steps."""

    name: Literal["q", "k", "v"]
    parts: tuple[Part, ...]  # side by side in a head's channels
    factor: float
    steps: tuple[Step, ...]
    latent: bool = False  # x is itself the output of other linear maps

    @property
    def x(self) -> Float[Tensor, "token d_in"]:
        """What the first (usually the only) linear map read."""
        return self.parts[0].x

    @property
    def n_heads(self) -> int:
        return self.parts[0].columns.shape[0]

    def weight(self, head: int) -> Float[Tensor, "d_in width"]:
        """The columns of W that make this head (of the first part), in float32."""
        return self.parts[0].matrix(self.parts[0].columns[head])

    def bias(self, head: int) -> Float[Tensor, " width"] | None:
        return self.parts[0].offsets(self.parts[0].columns[head])

    def without_bias(self) -> "Projection":
        return replace(self, parts=tuple(replace(part, bias=None) for part in self.parts))

    def stages(self, head: int, rows: Rows = EVERY_ROW) -> tuple[tuple[str, Float[Tensor, "row d_head"]], ...]:
        """A head's vectors after each step, by name: "projection", then each of `steps`."""
        made = torch.cat([part.of(part.columns[head], rows) for part in self.parts], dim=-1) * self.factor
        found = [("projection", made)]
        for step in self.steps:
            made = self._normed(step, made, head, rows) if isinstance(step, Norm) else step.turn(made, rows)
            found.append((step.name, made))
        return tuple(found)

    def of(self, head: int, rows: Rows = EVERY_ROW) -> Float[Tensor, "row d_head"]:
        """A head's q, k or v as it enters attention, from x."""
        return self.stages(head, rows)[-1][1]

    def _normed(self, step: Norm, made: Tensor, head: int, rows: Rows) -> Tensor:
        whole = made if step.over is None else self.parts[0].of(step.over, rows) * self.factor
        return _normalise(
            made,
            whole,
            step.kind,
            step.eps,
            None if step.gain is None else step.gain[head],
            None if step.bias is None else step.bias[head],
        )


@dataclass(frozen=True, slots=True, eq=False)
class OutputProjection:
    """W_O: the linear map that reads all heads' outputs side by side."""

    name: str  # the module's class, e.g. "Linear"
    weight: Float[Tensor, "row column"]
    bias: Float[Tensor, " d_model"] | None
    transposed: bool
    slots: Int[Tensor, "head d_value"]  # which inputs of W_O each head fills
    written: Float[Tensor, "token d_model"]  # what the module gave in the captured run
    norm: Norm | None = None  # all heads' outputs together, before W_O; its gain is [1, channel]
    gate: "Gate | None" = None
    module: nn.Module | None = field(default=None, repr=False)

    @property
    def d_in(self) -> int:
        return self.weight.shape[0 if self.transposed else 1]

    def matrix(self) -> Float[Tensor, "d_in d_model"]:
        with _present(self.module, self.weight) as weight:
            return (weight if self.transposed else weight.T).to(self.written.device).float()

    def offsets(self) -> Float[Tensor, " d_model"] | None:
        if self.bias is None:
            return None
        with _present(self.module, self.bias, "bias") as bias:
            return bias.to(self.written.device).float()

    def joined(self, output: Float[Tensor, "head query d_value"], rows: Rows = EVERY_ROW) -> Float[Tensor, "row d_in"]:
        """All heads' outputs in their slots, gated or normed where the model does so: what W_O reads."""
        heads = output[:, rows].float()
        joined = heads.new_zeros(heads.shape[1], self.d_in)
        joined[:, self.slots.flatten()] = heads.transpose(0, 1).flatten(1)
        if self.norm is not None:
            joined = _normalise_groups(joined, self.norm)
        if self.gate is not None:
            joined = joined * self.gate.of(rows)
        return joined

    def of(self, output: Float[Tensor, "head query d_value"], rows: Rows = EVERY_ROW) -> Float[Tensor, "row d_model"]:
        """What the layer writes, from its heads' outputs: joined · W_O + b."""
        product = self.joined(output, rows) @ self.matrix()
        offsets = self.offsets()
        return product if offsets is None else product + offsets


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """Every joined output is multiplied by a number between 0 and 1, computed from x by a linear map of its own."""

    part: Part  # columns [1, d_in of W_O]
    function: GateFunction

    def of(self, rows: Rows = EVERY_ROW) -> Float[Tensor, "row d_in"]:
        return _GATES[self.function](self.part.of(self.part.columns[0], rows))


_GATES: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "silu": F.silu, "softplus": F.softplus}


@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """What the layer really adds to the residual stream: pre + factor · (what W_O wrote, normed where the model does).

    Not there in layers whose attention and feed-forward part are added together (GPT-NeoX, Cohere).
    """

    pre: Float[Tensor, "token d_model"]  # the stream before this layer's attention
    factor: float
    norm: Norm | None  # of what W_O wrote, before it is added (Gemma 2, OLMo 2); its gain is [1, d_model]
    order: Order
    after: Norm | None  # the norm that reads the sum, in "attention, then norm" (in BERT it replaces the stream)

    def added(self, written: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_model"]:
        """What is added for rows that W_O wrote."""
        normed = written.float() if self.norm is None else _normalise_groups(written.float(), self.norm)
        return normed * self.factor

    def mid(self, written: Float[Tensor, "token d_model"], rows: Rows = EVERY_ROW) -> Float[Tensor, "row d_model"]:
        """The stream after this layer's attention (before a norm of the sum)."""
        return self.pre[rows].float() + self.added(written[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Projections:
    """The linear maps of one attention call; None, with a reason in `missing`, where one could not be observed."""

    q: Projection | None = None
    k: Projection | None = None
    v: Projection | None = None
    o: OutputProjection | None = None
    residual: Residual | None = None
    missing: tuple[str, ...] = ()  # sentences: "k: …"

    def tensors(self) -> dict[str, Tensor]:
        """What takes memory of its own (the weights are the model's)."""
        named = {}
        for projection in (self.q, self.k, self.v):
            if projection is not None:
                named |= {f"x_{projection.name}{i}": part.x for i, part in enumerate(projection.parts)}
        if self.o is not None:
            named["written"] = self.o.written
        if self.residual is not None:
            named["pre"] = self.residual.pre
        return named


class Found:
    """The projections of one call, searched when somebody first asks, or given."""

    def __init__(self, seen: Seen | Projections) -> None:
        self._seen = seen if isinstance(seen, Seen) else None
        self._found = seen if isinstance(seen, Projections) else None
        self._lock = Lock()

    def __call__(self) -> Projections:
        with self._lock:
            if self._found is None:
                assert self._seen is not None
                with torch.inference_mode():
                    self._found = find_projections(self._seen)
                self._seen = None  # what was not needed is let go
            return self._found

    def tensors(self) -> dict[str, Tensor]:
        with self._lock:
            if self._found is not None:
                return self._found.tensors()
            assert self._seen is not None
            named = {f"x{i}": fed.x for i, fed in enumerate(self._seen.maps)}
            named |= {f"written{i}": fed.output for i, fed in enumerate(self._seen.after)}
            return named | {f"pre{i}": x for i, x in enumerate(self._seen.entered)}


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
        missing.append("W_O: no linear map was seen to read the heads' outputs")
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


# --- the search -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    """A rotation as far as the probe rows show it."""

    start: int
    dims: int
    layout: Layout
    cos: Tensor  # [probe, pair]
    sin: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Origin:
    """Where some heads' channels come from: columns [head, width] of a map (or two, side by side), then steps."""

    pieces: tuple[tuple[FedMap, Tensor], ...]
    factor: float = 1.0
    steps: tuple[Norm | _Turn, ...] = ()


class _Search:
    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.close = _CLOSE.get(seen.q.dtype, 2e-5)
        self.names = {part: name for name, part in seen.module.named_modules()}

    def projection(self, name: Any, captured: Tensor) -> Projection | None:
        n_tokens = captured.shape[1]
        target = captured[:, probe_rows(n_tokens)].float()
        maps = [fed for fed in self.seen.maps if fed.x.shape[0] == n_tokens]
        norms = [fed for fed in self.seen.norms if fed.after.shape[0] == target.shape[1]]
        for origin in self._origins(target, maps, norms):
            for projection in self._completed(name, captured, origin):
                if self._holds(projection, target):
                    return projection
        return None

    def _origins(self, target: Tensor, maps: list[FedMap], norms: list[FedNorm]) -> Iterator[_Origin]:
        """Explanations of target [head, probe, channel], the simplest first."""
        yield from self._straight(target, maps)
        for norm in norms:
            match = _windows(target, norm.after.flatten(1), self.close)
            if match is not None and abs(match[1] - 1) < self.close:
                yield from self._through(norm, match[0], maps, norms)
        yield from self._turned(target, maps)
        for norm in norms:
            given = norm.after.flatten(1)
            columns = _same_lengths(target, given, self.close)
            turn = None if columns is None else _find_turn(target, _take(given, columns), self.close)
            if columns is not None and turn is not None:
                for origin in self._through(norm, columns, maps, norms):
                    yield replace(origin, steps=(*origin.steps, turn))
        yield from self._side_by_side(target, maps)
        for fed in maps:
            columns = _any_columns(target, fed.probe, self.close)
            if columns is not None:
                yield _Origin(((fed, columns),))

    def _straight(self, target: Tensor, maps: list[FedMap]) -> Iterator[_Origin]:
        for fed in maps:
            match = _windows(target, fed.probe, self.close)
            if match is not None:
                yield _Origin(((fed, match[0]),), match[1])

    def _turned(self, target: Tensor, maps: list[FedMap]) -> Iterator[_Origin]:
        for fed in maps:
            columns = _same_lengths(target, fed.probe, self.close)
            if columns is None:
                continue
            before = _take(fed.probe, columns)
            stretch = float(target.norm() / before.norm().clamp_min(1e-30))
            # All of it turned, and stretched by the model's own cosines (YaRN), or a scaled map turned in part.
            for factor in (1.0, stretch) if abs(stretch - 1) > 1e-3 else (1.0,):
                turn = _find_turn(target, before * factor, self.close)
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
                    low, high = (width, high) if _windows(some, fed.probe, self.close) else (low, width)
                if low < 2:
                    continue
                some, rest = (
                    (target[..., :low], target[..., low:])
                    if first
                    else (target[..., d_head - low :], target[..., : d_head - low])
                )
                match = _windows(some, fed.probe, self.close)
                if match is None or abs(match[1] - 1) > self.close:
                    continue
                others = [other for other in maps if other is not fed]
                for origin in (*self._straight(rest, others), *self._turned(rest, others)):
                    if first:
                        steps = tuple(
                            replace(step, start=step.start + low) if isinstance(step, _Turn) else step
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
        turns = [step for step in origin.steps if isinstance(step, _Turn)]
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
            cos, sin = _angles(captured.float(), pre, turn.start, turn.dims, turn.layout)
            rotary = Rotary("rotary", turn.start, turn.dims, turn.layout, cos, sin, observed=False)
            yield replace(done, steps=(*origin.steps[:where], rotary))

    def _tables(self, turn: _Turn, n_tokens: int) -> Iterator[Rotary]:
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
        made = torch.stack([projection.of(head, rows) for head in range(projection.n_heads)])
        return made.shape == target.shape and _same(made, target, 2 * self.close)

    def _part(self, fed: FedMap, columns: Tensor) -> Part:
        weight, bias, transposed = _weights(fed.module, fed.x[probe_rows(fed.x.shape[0])], fed.probe)
        name = self.names.get(fed.module) or type(fed.module).__name__
        return Part(name, fed.x, weight, bias, transposed, columns, fed.module)

    def _made_from_other_maps(self, fed: FedMap) -> bool:
        x = fed.x[probe_rows(fed.x.shape[0])].float()[None]
        sources = [other.probe for other in self.seen.maps if other is not fed]
        sources += [norm.after.flatten(1) for norm in self.seen.norms]
        return any(source.shape[0] == x.shape[1] and _windows(x, source, self.close) is not None for source in sources)

    def output_projection(self) -> OutputProjection | None:
        heads = self.seen.output[:, probe_rows(self.seen.output.shape[1])].float()
        for fed in self.seen.after:
            for o in self._readings(fed, heads):
                rows = torch.tensor(probe_rows(fed.output.shape[0]), device=heads.device)
                if _same(o.of(self.seen.output, rows), fed.output[rows].float(), 2 * self.close):
                    return o
        return None

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
            if norm is None and _same(following.before[:, 0].float(), added, self.close):
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
                if abs(factor) > 1e-2 and far <= 2 * self.close * _size(stream):
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
        weight, bias, transposed = _weights(fed.module, fed.probe, written)
        name = self.names.get(fed.module) or type(fed.module).__name__
        d_value = heads.shape[2]
        in_order = torch.arange(heads.shape[0] * d_value, device=heads.device).view(-1, d_value)
        plain = OutputProjection(name, weight, bias, transposed, in_order, fed.output, module=fed.module)
        if fed.norm is not None:
            match = _windows(heads, fed.norm.before.flatten(1), self.close)
            rule = norm_rule(fed.norm, self.close)
            if match is not None and rule is not None:
                yield replace(plain, slots=match[0], norm=replace(rule, name="norm before W_O"))
            return
        side_by_side = heads.transpose(0, 1).flatten(1)
        if _same(fed.probe.float(), side_by_side, self.close):  # first: shared heads may give the same numbers
            yield plain
            return
        match = _windows(heads, fed.probe, self.close)
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
            for function, apply in _GATES.items():
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


# --- reading numbers --------------------------------------------------------------------------------------------------


def _windows(target: Tensor, output: Tensor, close: float) -> tuple[Tensor, float] | None:
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
    found = _take(output, columns)
    power = float((found * found).sum())
    factor = float((target * found).sum()) / power if power else 1.0
    for candidate in (1.0, width**-0.5, factor):
        if abs(candidate - factor) <= 10 * close * abs(factor) and _same(found * candidate, target, close):
            return columns, candidate
    return None


def _same_lengths(target: Tensor, output: Tensor, close: float) -> Tensor | None:
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


def _any_columns(target: Tensor, output: Tensor, close: float) -> Tensor | None:
    """Columns in any order, one by one: three rows at least, so that a column is not found by chance."""
    n_heads, n_probes, width = target.shape
    if output.shape[0] != n_probes or n_probes < 3:
        return None
    wanted = target.transpose(1, 2).flatten(0, 1)  # [head · channel, probe]
    found = [torch.cdist(block, output.float().T).argmin(dim=1) for block in wanted.split(512)]
    columns = torch.cat(found).view(n_heads, width)
    return columns if _same(_take(output.float(), columns), target, close) else None


def _find_turn(target: Tensor, before: Tensor, close: float) -> _Turn | None:
    """The rotation of pairs that makes target [head, probe, channel] of `before`, or None."""
    d_head = target.shape[2]
    # Bit by bit: channels that are not turned are passed on as they are, even the slowest turn changes some last bit.
    changed = (target != before).any(dim=0).any(dim=0).nonzero().flatten().tolist()
    if len(changed) == d_head:  # all are turned, or none is left as it was to the last bit: a factor rounds
        far = ((target - before).abs().amax(dim=(0, 1)) > close * _size(target)).nonzero().flatten().tolist()
        changed = far or changed
    if not changed:
        return None
    first, last = changed[0], changed[-1]
    at_start = [(0, dims) for dims in range(2, d_head + 1, 2) if dims > last]
    at_end = [(d_head - dims, dims) for dims in range(2, d_head, 2) if d_head - dims <= first]
    # As few channels as can be is the likeliest, then all of them.
    places = [*at_start[:1], *at_end[:1], *at_start[-1:], *at_start[1:-1], *at_end[1:]]
    for start, dims in places:
        for layout in _LAYOUTS:
            cos, sin = _angles(target, before, start, dims, layout)
            rotary = Rotary("rotary", start, dims, layout, cos, sin, observed=False)
            if _same(rotary.turn(before), target, 4 * close) and _one_length(rotary, before, close):
                return _Turn(start, dims, layout, cos, sin)
    return None


def _angles(target: Tensor, before: Tensor, start: int, dims: int, layout: Layout) -> tuple[Tensor, Tensor]:
    """Cosine and sine for every token and pair, by least squares over all heads: both [token, pair]."""
    (a, b), (to_a, to_b) = _reads(start, dims, layout), _writes(start, dims, layout)
    p, r = before[..., a], before[..., b]
    t, u = target[..., to_a], target[..., to_b]
    power = (p * p + r * r).sum(dim=0).clamp_min(1e-30)
    return (p * t + r * u).sum(dim=0) / power, (p * u - r * t).sum(dim=0) / power


def _one_length(rotary: Rotary, before: Tensor, close: float) -> bool:
    """Every pair keeps its length, or all are stretched alike: with one head alone any two numbers would fit."""
    (a, b) = rotary.reads
    power = (before[..., a] ** 2 + before[..., b] ** 2).sum(dim=0)
    stretch = (rotary.cos**2 + rotary.sin**2).sqrt()
    usual = (stretch * power).sum() / power.sum().clamp_min(1e-30)
    return float(((stretch - usual).abs() * power.sqrt()).max()) <= 8 * close * _size(before) * before.shape[0] ** 0.5


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
    with _present(norm.module, getattr(norm.module, "weight", None)) as stored:
        weight = None if stored is None else stored.detach().to(before.device).float()
    with _present(norm.module, getattr(norm.module, "bias", None), "bias") as stored:
        bias = None if stored is None else stored.detach().to(before.device).float().expand(before.shape[1:])
    gains = [None] if weight is None else [weight.expand(before.shape[1:]), (1 + weight).expand(before.shape[1:])]
    for kind in ("rms", "layer"):
        for gain in gains:
            if _same(_normalise(before, before, kind, eps, gain, bias), after, 2 * close):
                return Norm("q/k norm", kind, eps, gain, bias)
    return None


def _normalise(
    p: Tensor, whole: Tensor, kind: NormKind, eps: float, gain: Tensor | None, bias: Tensor | None
) -> Tensor:
    """p normalised by the mean and spread of `whole`, along the last axis."""
    if kind == "layer":
        mean = whole.mean(dim=-1, keepdim=True)
        p, whole = p - mean, whole - mean
    p = p * torch.rsqrt((whole * whole).mean(dim=-1, keepdim=True) + eps)
    if gain is not None:
        p = p * gain
    return p if bias is None else p + bias


def _normalise_groups(joined: Tensor, norm: Norm) -> Tensor:
    """Each group of channels alone, as many channels as the gain has."""
    groups = (1, joined.shape[1]) if norm.gain is None else tuple(norm.gain.shape)
    split = joined.unflatten(1, groups)
    return _normalise(split, split, norm.kind, norm.eps, norm.gain, norm.bias).flatten(1)


def _weights(module: nn.Module, x: Tensor, output: Tensor) -> tuple[Tensor, Tensor | None, bool]:
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
    return weight, bias, _same(made, output.float(), _CLOSE.get(x.dtype, 2e-5))


def _take(output: Tensor, columns: Tensor) -> Tensor:
    """[probe, column] → [head, probe, channel]."""
    return output.float()[:, columns].transpose(0, 1)


def _reads(start: int, dims: int, layout: Layout) -> tuple[Tensor, Tensor]:
    return _pairs(start, dims, split=layout == "half-split")


def _writes(start: int, dims: int, layout: Layout) -> tuple[Tensor, Tensor]:
    return _pairs(start, dims, split=layout != "interleaved")


def _pairs(start: int, dims: int, *, split: bool) -> tuple[Tensor, Tensor]:
    pair = torch.arange(dims // 2)
    return (start + pair, start + dims // 2 + pair) if split else (start + 2 * pair, start + 2 * pair + 1)


def _same(a: Tensor, b: Tensor, close: float) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= close * _size(b))


def _size(x: Tensor) -> float:
    """The yardstick of a comparison: the largest magnitude, 1 at least in numbers that are of order 1."""
    return max(1e-3, float(x.abs().max()))


@contextmanager
def _present(module: nn.Module | None, tensor: Any, name: str = "weight") -> Iterator[Any]:
    """The tensor itself, or, of a module whose weights rest on disk, the tensor fetched for as long as it is needed."""
    if not isinstance(tensor, Tensor) or tensor.device.type != "meta":
        yield tensor
        return
    from accelerate.utils import align_module_device

    assert module is not None
    with align_module_device(module, torch.device("cpu")):
        yield getattr(module, name).detach()
