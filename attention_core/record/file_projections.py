"""The linear maps of a layer in a trace file: x, the columns of the weights that were used, and the steps after."""

from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor

from attention_core.formats.json_data import Json, JsonObject
from attention_core.record.norms import Norm, NormKind
from attention_core.record.projections import (
    Gate,
    GateFunction,
    Layout,
    Order,
    OutputProjection,
    Part,
    Projection,
    ProjectionName,
    Projections,
    Residual,
    Rotary,
    Step,
)

_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)

Keep = Callable[[str, Tensor], str]  # stores a tensor under a name of its own and returns the name it is found by


def pack_projections(projections: Projections, keep: Keep) -> JsonObject:
    """What JSON holds of them; their tensors go to `keep`."""
    packed: JsonObject = {"missing": list(projections.missing)}
    for projection in (projections.q, projections.k, projections.v):
        if projection is not None:
            packed[projection.name] = _pack_projection(projection, keep)
    if projections.o is not None:
        packed["o"] = _pack_output(projections.o, keep)
    if projections.residual is not None:
        packed["residual"] = _pack_residual(projections.residual, keep)
    return packed


def unpack_projections(packed: JsonObject, tensors: dict[str, Tensor], q: Tensor, k: Tensor, v: Tensor) -> Projections:
    """The projections of a layer with these q, k, v. Raises ValueError, KeyError … if anything does not fit."""
    likes: dict[ProjectionName, Tensor] = {"q": q, "k": k, "v": v}
    made = {name: _projection(name, packed[name], tensors, like) for name, like in likes.items() if name in packed}
    o = _output(packed["o"], tensors, q, v) if "o" in packed else None
    residual = _residual(packed["residual"], tensors, o) if "residual" in packed else None
    missing = packed["missing"]
    _require(isinstance(missing, list))
    return Projections(**made, o=o, residual=residual, missing=tuple(_text(sentence) for sentence in missing))


def _pack_projection(projection: Projection, keep: Keep) -> JsonObject:
    own = f"{projection.name}."
    wholes = [step.over for step in projection.steps if isinstance(step, Norm) and step.over is not None]
    parts, steps = [], []
    for index, part in enumerate(projection.parts):
        parts.append(_pack_part(part, f"{own}{index}.", keep, wholes if index == 0 else []))
    for index, step in enumerate(projection.steps):
        steps.append(_pack_step(step, f"{own}step{index}.", keep, _used(projection.parts[0], wholes)))
    return {"parts": parts, "steps": steps, "factor": projection.factor, "latent": projection.latent}


def _used(part: Part, more: list[Tensor]) -> Tensor:
    """The columns of the map that are stored, in order."""
    return torch.cat([part.columns.flatten(), *more]).unique()


def _pack_part(part: Part, own: str, keep: Keep, more: list[Tensor]) -> JsonObject:
    used = _used(part, more)
    bias = part.offsets(used)
    return {
        "name": part.name,
        "x": keep(f"{own}x", part.x),
        "weight": keep(f"{own}weight", part.matrix(used).to(part.weight.dtype)),
        "bias": None if bias is None else keep(f"{own}bias", bias.to(part.weight.dtype)),
        "columns": keep(f"{own}columns", torch.searchsorted(used, part.columns)),
        **({} if part.base is None else {"base": _pack_base(part.base, used, f"{own}base.", keep)}),
    }


def _pack_base(base: Part, used: Tensor, own: str, keep: Keep) -> JsonObject:
    """The map below an adapter: its weight and bias; x and columns are those of the map as it acts."""
    bias = base.offsets(used)
    return {
        "name": base.name,
        "weight": keep(f"{own}weight", base.matrix(used).to(base.weight.dtype)),
        "bias": None if bias is None else keep(f"{own}bias", bias.to(base.weight.dtype)),
    }


def _pack_step(step: Step, own: str, keep: Keep, used: Tensor) -> JsonObject:
    if isinstance(step, Rotary):
        return {
            "rotary": step.layout,
            "start": step.start,
            "dims": step.dims,
            "observed": step.observed,
            "cos": keep(f"{own}cos", step.cos),
            "sin": keep(f"{own}sin", step.sin),
        }
    over = None if step.over is None else keep(f"{own}over", torch.searchsorted(used, step.over))
    return {**_pack_norm(step, own, keep), "over": over}


def _pack_norm(norm: Norm, own: str, keep: Keep) -> JsonObject:
    return {
        "name": norm.name,
        "norm": norm.kind,
        "eps": norm.eps,
        "gain": None if norm.gain is None else keep(f"{own}gain", norm.gain),
        "bias": None if norm.bias is None else keep(f"{own}bias", norm.bias),
    }


def _pack_output(o: OutputProjection, keep: Keep) -> JsonObject:
    offsets = o.offsets()
    gate = o.gate
    return {
        "name": o.name,
        "weight": keep("o.weight", o.matrix().to(o.weight.dtype)),
        "bias": None if offsets is None else keep("o.bias", offsets.to(o.weight.dtype)),
        "slots": keep("o.slots", o.slots),
        "written": keep("o.written", o.written),
        "norm": None if o.norm is None else _pack_norm(o.norm, "o.norm.", keep),
        "gate": None
        if gate is None
        else {"function": gate.function, "part": _pack_part(gate.part, "o.gate.", keep, [])},
        **({} if o.base is None else {"base": _pack_base(o.base, o.base.columns[0], "o.base.", keep)}),
    }


def _pack_residual(residual: Residual, keep: Keep) -> JsonObject:
    norm, after = residual.norm, residual.after
    return {
        "pre": keep("residual.pre", residual.pre),
        "factor": residual.factor,
        "order": residual.order,
        "norm": None if norm is None else _pack_norm(norm, "residual.norm.", keep),
        "after": None if after is None else _pack_norm(after, "residual.after.", keep),
    }


def _projection(name: ProjectionName, packed: JsonObject, tensors: dict[str, Tensor], like: Tensor) -> Projection:
    n_heads, n_tokens, d_head = like.shape
    parts = tuple(_part(part, tensors, n_heads, n_tokens) for part in packed["parts"])
    _require(bool(parts) and sum(part.columns.shape[1] for part in parts) == d_head)
    steps = tuple(_step(step, tensors, like.shape, parts[0]) for step in packed["steps"])
    _require(type(packed["latent"]) is bool)
    return Projection(name, parts, number(packed["factor"]), steps, packed["latent"])


def _part(packed: JsonObject, tensors: dict[str, Tensor], n_heads: int, n_tokens: int) -> Part:
    x, weight, columns = tensors[packed["x"]], tensors[packed["weight"]], tensors[packed["columns"]]
    bias = None if packed["bias"] is None else tensors[packed["bias"]]
    _require(x.dim() == 2 and x.shape[0] == n_tokens and x.dtype in _FLOATS)
    _require(weight.dim() == 2 and weight.shape[0] == x.shape[1] and weight.dtype in _FLOATS)
    _require(bias is None or (bias.shape == weight.shape[1:] and bias.dtype in _FLOATS))
    _indices(columns, weight.shape[1])
    _require(columns.dim() == 2 and columns.shape[0] == n_heads)
    base = None if "base" not in packed else _base(packed["base"], tensors, x, weight, columns)
    return Part(_text(packed["name"]), x, weight, bias, True, columns, base=base)


def _base(packed: JsonObject, tensors: dict[str, Tensor], x: Tensor, acting: Tensor, columns: Tensor) -> Part:
    weight = tensors[packed["weight"]]
    bias = None if packed["bias"] is None else tensors[packed["bias"]]
    _require(weight.shape == acting.shape and weight.dtype in _FLOATS)
    _require(bias is None or (bias.shape == weight.shape[1:] and bias.dtype in _FLOATS))
    return Part(_text(packed["name"]), x, weight, bias, True, columns)


def _step(packed: JsonObject, tensors: dict[str, Tensor], shape: torch.Size, first: Part) -> Step:
    n_heads, n_tokens, d_head = shape
    if "rotary" in packed:
        layout, start, dims = packed["rotary"], packed["start"], packed["dims"]
        cos, sin = tensors[packed["cos"]], tensors[packed["sin"]]
        _require(layout in get_args(Layout) and type(packed["observed"]) is bool)
        _require(type(start) is int and type(dims) is int and 0 <= start < start + dims <= d_head and dims % 2 == 0)
        _require(cos.shape == sin.shape == (n_tokens, dims // 2) and cos.dtype in _FLOATS and sin.dtype in _FLOATS)
        return Rotary("rotary", start, dims, layout, cos, sin, packed["observed"])
    over = None if packed["over"] is None else tensors[packed["over"]]
    if over is not None:
        _indices(over, first.weight.shape[1])
        _require(over.dim() == 1)
    return _norm(packed, tensors, (n_heads, d_head), over)


def _norm(packed: JsonObject, tensors: dict[str, Tensor], shape: tuple[int, int] | None, over: Tensor | None) -> Norm:
    gain, bias = ((None if packed[name] is None else tensors[packed[name]]) for name in ("gain", "bias"))
    for tensor in (gain, bias):
        _require(tensor is None or (tensor.dim() == 2 and tensor.dtype in _FLOATS))
        _require(tensor is None or shape is None or tensor.shape == shape)
    _require(packed["norm"] in get_args(NormKind))
    return Norm(_text(packed["name"]), packed["norm"], number(packed["eps"]), gain, bias, over)


def _output(packed: JsonObject, tensors: dict[str, Tensor], q: Tensor, v: Tensor) -> OutputProjection:
    n_heads, n_query, d_value = q.shape[0], q.shape[1], v.shape[2]
    weight, slots, written = (tensors[packed[name]] for name in ("weight", "slots", "written"))
    bias = None if packed["bias"] is None else tensors[packed["bias"]]
    _require(weight.dim() == 2 and weight.dtype in _FLOATS and written.dtype in _FLOATS)
    _require(written.shape == (n_query, weight.shape[1]))
    _require(bias is None or (bias.shape == weight.shape[1:] and bias.dtype in _FLOATS))
    _indices(slots, weight.shape[0])
    _require(slots.shape == (n_heads, d_value))
    norm = None if packed["norm"] is None else _norm(packed["norm"], tensors, None, None)
    for tensor in () if norm is None else (norm.gain, norm.bias):
        _require(tensor is None or tensor.numel() == weight.shape[0])
    gate = None
    if packed["gate"] is not None:
        part = _part(packed["gate"]["part"], tensors, 1, n_query)
        _require(packed["gate"]["function"] in get_args(GateFunction) and part.columns.shape[1] == weight.shape[0])
        gate = Gate(part, packed["gate"]["function"])
    base = None
    if "base" in packed:
        every = torch.arange(weight.shape[1])[None]
        base = _base(packed["base"], tensors, written.new_empty(0, weight.shape[0]), weight, every)
    return OutputProjection(_text(packed["name"]), weight, bias, True, slots, written, norm, gate, base=base)


def _residual(packed: JsonObject, tensors: dict[str, Tensor], o: OutputProjection | None) -> Residual:
    pre, order = tensors[packed["pre"]], packed["order"]
    if o is None:
        raise ValueError("inconsistent trace file")
    _require(pre.shape == o.written.shape and pre.dtype in _FLOATS and order in get_args(Order))
    shape = (1, pre.shape[1])
    norm, after = (
        None if packed[name] is None else _norm(packed[name], tensors, shape, None) for name in ("norm", "after")
    )
    return Residual(pre, number(packed["factor"]), norm, order, after)


def _indices(tensor: Tensor, below: int) -> None:
    _require(tensor.dtype == torch.int64 and tensor.numel() > 0)
    _require(0 <= int(tensor.min()) and int(tensor.max()) < below)


def number(value: Json) -> float:
    """A factor as float32 holds it, in which everything is computed. Raises ValueError for anything else."""
    _require(type(value) in (int, float) and abs(value) <= torch.finfo(torch.float32).max)
    return float(value)


def _text(value: Json) -> str:
    _require(isinstance(value, str))
    str(value).encode("utf-8")  # a lone surrogate cannot be sent to a browser
    return str(value)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("inconsistent trace file")
