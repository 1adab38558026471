"""The linear maps that made q, k and v and the one that reads the output: what they are, and what they give.

Which maps these are is read off the numbers of a captured run (`capturing/search`), not looked up by name, and verified
from x and the weights. What cannot be explained to within the tolerance is *not observed*, never guessed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from attention_core.formats.shown import short_repr
from attention_core.inside.of_accelerate import fetched
from attention_core.record.norms import Norm, normalise, normalise_groups

EVERY_ROW = slice(None)
Rows = slice | Tensor
Layout = Literal["half-split", "interleaved", "interleaved to half-split"]
Order = Literal["norm, then attention", "attention, then norm", "no norm of the stream"]
GateFunction = Literal["sigmoid", "silu", "softplus"]


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
    base: "Part | None" = None  # this map without the adapter that sits on it; `weight` is that of both together

    __repr__ = short_repr

    def matrix(self, columns: Int[Tensor, " width"]) -> Float[Tensor, "d_in width"]:
        """W of some columns, in float32."""
        with present(self.module, self.weight) as weight:
            columns = columns.to(weight.device)
            chosen = weight[:, columns] if self.transposed else weight[columns].T
            return chosen.to(self.x.device).float()

    def offsets(self, columns: Int[Tensor, " width"]) -> Float[Tensor, " width"] | None:
        """b of some columns, in float32."""
        if self.bias is None:
            return None
        with present(self.module, self.bias, "bias") as bias:
            return bias[columns.to(bias.device)].to(self.x.device).float()

    def of(self, columns: Int[Tensor, " width"], rows: Rows = EVERY_ROW) -> Float[Tensor, "row width"]:
        """x·W + b of some columns."""
        product = self.x[rows].float() @ self.matrix(columns)
        offsets = self.offsets(columns)
        return product if offsets is None else product + offsets

    def of_adapter(self, columns: Int[Tensor, " width"], rows: Rows = EVERY_ROW) -> Float[Tensor, "row width"]:
        """What the adapter adds to what the base layer gives (0 without one)."""
        own = self.of(columns, rows)
        return torch.zeros_like(own) if self.base is None else own - self.base.of(columns, rows)


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

    __repr__ = short_repr

    @property
    def reads(self) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
        """The two channels of each pair, before."""
        return pairs_read(self.start, self.dims, self.layout)

    @property
    def writes(self) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
        """The two channels of each pair, after."""
        return pairs_written(self.start, self.dims, self.layout)

    def turn(self, p: Float[Tensor, "*head row d_head"], rows: Rows = EVERY_ROW) -> Float[Tensor, "*head row d_head"]:
        """Every pair turned by its angle; channels outside `dims` stay."""
        cos, sin = self.cos[rows].float(), self.sin[rows].float()
        (a, b), (to_a, to_b) = self.reads, self.writes
        turned = p.clone()
        turned[..., to_a] = p[..., a] * cos - p[..., b] * sin
        turned[..., to_b] = p[..., b] * cos + p[..., a] * sin
        return turned


Step = Norm | Rotary
T = TypeVar("T")
ProjectionName = Literal["q", "k", "v"]


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """How q, k or v is made of x: columns of one linear map (two in latent attention), times a factor, then steps."""

    name: ProjectionName
    parts: tuple[Part, ...]  # side by side in a head's channels
    factor: float
    steps: tuple[Step, ...]
    latent: bool = False  # x is itself the output of other linear maps

    __repr__ = short_repr

    @property
    def x(self) -> Float[Tensor, "token d_in"]:
        """What the first (usually the only) linear map read."""
        return self.parts[0].x

    @property
    def n_heads(self) -> int:
        """Query heads for q, key/value heads for k and v."""
        return self.parts[0].columns.shape[0]

    def weight(self, head: int) -> Float[Tensor, "d_in width"]:
        """The columns of W that make this head (of the first part), in float32."""
        return self.parts[0].matrix(self.parts[0].columns[head])

    def bias(self, head: int) -> Float[Tensor, " width"] | None:
        """The bias of the columns that make this head (of the first part), in float32; None if the map has none."""
        return self.parts[0].offsets(self.parts[0].columns[head])

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

    def of_all(self, rows: Rows = EVERY_ROW) -> Float[Tensor, "head row d_head"]:
        """Every head's q, k or v as it enters attention, from x."""
        if any(isinstance(step, Norm) for step in self.steps):
            return torch.stack([self.of(head, rows) for head in range(self.n_heads)])
        pieces = [part.of(part.columns.flatten(), rows).unflatten(1, part.columns.shape) for part in self.parts]
        made = torch.cat(pieces, dim=-1).transpose(0, 1) * self.factor
        for step in self.steps:
            made = step.turn(made, rows) if isinstance(step, Rotary) else made
        return made

    def _normed(
        self, step: Norm, made: Float[Tensor, "token channel"], head: int, rows: Rows
    ) -> Float[Tensor, "token channel"]:
        whole = made if step.over is None else self.parts[0].of(step.over, rows) * self.factor
        return normalise(
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
    base: Part | None = None  # W_O without the adapter that sits on it; it reads what `joined` gives

    __repr__ = short_repr

    @property
    def d_in(self) -> int:
        """Channels that W_O reads: those of all heads side by side."""
        return self.weight.shape[0 if self.transposed else 1]

    def matrix(self) -> Float[Tensor, "d_in d_model"]:
        """W_O in float32, turned so that `joined @ matrix()` is what is written."""
        with present(self.module, self.weight) as weight:
            return (weight if self.transposed else weight.T).to(self.written.device).float()

    def offsets(self) -> Float[Tensor, " d_model"] | None:
        """The bias of W_O in float32; None if it has none. It belongs to no head."""
        if self.bias is None:
            return None
        with present(self.module, self.bias, "bias") as bias:
            return bias.to(self.written.device).float()

    def joined(self, output: Float[Tensor, "head query d_value"], rows: Rows = EVERY_ROW) -> Float[Tensor, "row d_in"]:
        """All heads' outputs in their slots, gated or normed where the model does so: what W_O reads."""
        heads = output[:, rows].float()
        joined = heads.new_zeros(heads.shape[1], self.d_in)
        joined[:, self.slots.flatten()] = heads.transpose(0, 1).flatten(1)
        if self.norm is not None:
            joined = normalise_groups(joined, self.norm)
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

    __repr__ = short_repr

    def of(self, rows: Rows = EVERY_ROW) -> Float[Tensor, "row d_in"]:
        """The factors for some rows, from x."""
        return GATES[self.function](self.part.of(self.part.columns[0], rows))


GATES: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "silu": F.silu, "softplus": F.softplus}


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

    __repr__ = short_repr

    def added(self, written: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_model"]:
        """What is added for rows that W_O wrote."""
        normed = written.float() if self.norm is None else normalise_groups(written.float(), self.norm)
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

    __repr__ = short_repr

    def tensors(self) -> dict[str, Tensor]:
        """What takes memory of its own (the weights are the model's)."""
        named = {}
        for projection in (self.q, self.k, self.v):
            if projection is not None:
                named |= {f"x_{projection.name}{i}": part.x for i, part in enumerate(projection.parts)}
                named |= {
                    f"acting_{projection.name}{i}": part.weight
                    for i, part in enumerate(projection.parts)
                    if part.base is not None
                }
        if self.o is not None:
            named["written"] = self.o.written
            if self.o.base is not None:
                named["acting_o"] = self.o.weight
        if self.residual is not None:
            named["pre"] = self.residual.pre
        return named


@runtime_checkable
class Sought(Protocol):
    """What was observed around a call, from which its projections are found."""

    def tensors(self) -> dict[str, Tensor]:
        """What of it takes memory, by name."""
        ...


class Found:
    """The projections of one call: given, or searched by `search` in what was observed when somebody first asks."""

    # `search` takes what `seen` is.
    def __init__(self, seen: Sought | Projections, search: Callable[[Any], Projections] | None = None) -> None:
        self._seen = None if isinstance(seen, Projections) else seen
        self._found = seen if isinstance(seen, Projections) else None
        self._search = search
        self._lock = Lock()
        if self._found is None and search is None:
            raise ValueError("what was observed needs a function that finds the projections in it")

    def __call__(self) -> Projections:
        """Search on the first call, which may take tenths of a second; later calls give the same object."""
        with self._lock:
            if self._found is None:
                assert self._search is not None
                with torch.inference_mode():
                    self._found = self._search(self._seen)
                self._seen = None  # what was not needed is let go
            return self._found

    def __reduce__(self) -> tuple[object, ...]:
        """A trace that rests while it is not looked at (`record/apart`) is written without the lock."""
        with self._lock:
            return Found, (self._seen if self._found is None else self._found, self._search)

    def tensors(self) -> dict[str, Tensor]:
        """What takes memory, by name: of the projections once they are found, of what was observed before."""
        with self._lock:
            known = self._seen if self._found is None else self._found
            assert known is not None
            return known.tensors()


def pairs_read(start: int, dims: int, layout: Layout) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """The two channels of each rotary pair as the embedding reads them, [pair] each."""
    return _pairs(start, dims, split=layout == "half-split")


def pairs_written(start: int, dims: int, layout: Layout) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    """The two channels of each rotary pair as the embedding writes them; some models read and write differently."""
    return _pairs(start, dims, split=layout != "interleaved")


def _pairs(start: int, dims: int, *, split: bool) -> tuple[Int[Tensor, " pair"], Int[Tensor, " pair"]]:
    pair = torch.arange(dims // 2)
    return (start + pair, start + dims // 2 + pair) if split else (start + 2 * pair, start + 2 * pair + 1)


@contextmanager
def present(module: nn.Module | None, tensor: T, name: str = "weight") -> Iterator[T | Tensor]:
    """The tensor itself, or, of a module whose weights rest on disk, the tensor fetched for as long as it is needed."""
    if not isinstance(tensor, Tensor) or tensor.device.type != "meta":
        yield tensor
        return
    assert module is not None
    with fetched(module, name) as here:
        yield here
