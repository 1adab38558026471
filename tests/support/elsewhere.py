"""Tensors that behave as if they lay on a GPU, for a machine without one.

They compute on the CPU and keep a GPU's rules: an operation does not mix them with the CPU's tensors (single numbers
aside), a CPU tensor is not indexed by one of them, and numpy takes them only after `.cpu()`.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attention_core.record.layers import AttentionLayer, LayerTrace
from attention_core.record.projections import Found
from attention_core.trace import Trace

GPU = torch.device("cuda", 0)


class Elsewhere(Tensor):
    """A tensor of the other device."""


class OtherDevice(TorchFunctionMode):
    """While this is on, every operation is held to the rules above."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        given = [value for value in _flat((args, kwargs)) if isinstance(value, Tensor)]
        theirs = [tensor for tensor in given if isinstance(tensor, Elsewhere)]
        ours = [tensor for tensor in given if not isinstance(tensor, Elsewhere)]
        with torch._C.DisableTorchFunction():
            if name == "__get__" and func == Tensor.device.__get__:
                return GPU if theirs else func(*args)
            goal = _goal(name, args, kwargs)
            if theirs:
                if name in ("numpy", "__array__"):
                    raise TypeError("can't convert a tensor of the other device to numpy; use .cpu() first")
                if name == "__getitem__" and not isinstance(args[0], Elsewhere):
                    raise RuntimeError("a tensor of the CPU is indexed by one of the other device")
                moves = name in ("to", "cpu", "__getitem__", "__setitem__")
                if not moves and any(tensor.dim() or name in ("cat", "stack") for tensor in ours):
                    raise RuntimeError(f"{name} mixes tensors of two devices")
            result = func(*_here(args), **_here(kwargs))
        stays = bool(theirs) and name != "cpu" and not (name == "to" and goal == "cpu")
        return _there(result) if stays or goal == "cuda" else result


def elsewhere(trace: Trace) -> Trace:
    """The trace as a model on the other device would have left it."""
    return replace(trace, layers=tuple(_moved(layer) for layer in trace.layers))


def _moved(layer: AttentionLayer) -> AttentionLayer:
    values: dict[str, Any] = {field.name: _deep(getattr(layer, field.name)) for field in fields(layer) if field.init}
    if isinstance(layer, LayerTrace):
        found, witness = layer.projections, layer.witness
        values["found"] = None if found is None else Found(_deep(found))
        values["witness"] = witness and (lambda head, rows: _there(_plain(witness(head, rows))))
    return replace(layer, **values)


def _goal(name: str, args: tuple, kwargs: dict[str, Any]) -> str | None:
    """The kind of device that an operation is told to put its result on."""
    told = [kwargs.get("device"), *(args[1:] if name == "to" else ())]
    for place in told:
        if isinstance(place, Elsewhere):
            return GPU.type
        if isinstance(place, Tensor):
            return "cpu"
        if isinstance(place, torch.device | str):
            return torch.device(place).type
    return None


def _plain(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.clone()  # made in inference mode, it could not become another class


def _deep(value: Any) -> Any:
    """Everything that holds tensors in a trace, with its tensors on the other device."""
    if isinstance(value, Tensor):
        return _there(value)
    if isinstance(value, tuple):
        return tuple(map(_deep, value))
    if is_dataclass(value) and type(value).__module__.startswith(("attention_core.record.", "attention_core.formula.")):
        return replace(value, **{field.name: _deep(getattr(value, field.name)) for field in fields(value)})
    return value


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _flat(one)
    elif isinstance(value, dict):
        yield from _flat(tuple(value.values()))
    else:
        yield value


def _here(value: Any) -> Any:
    """The same for the CPU to compute."""
    if isinstance(value, Elsewhere):
        return value.as_subclass(Tensor)
    if isinstance(value, torch.device) or value == GPU.type:
        return torch.device("cpu")
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_here, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_here, value))
    if isinstance(value, dict):
        return {name: _here(one) for name, one in value.items()}
    return value


def _there(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.as_subclass(Elsewhere)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_there, value))
    if isinstance(value, list | tuple):
        return type(value)(map(_there, value))
    return value
