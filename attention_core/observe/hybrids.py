"""Name the layers of a hybrid model that made no attention call: state spaces, linear attention, convolutions."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from weakref import WeakKeyDictionary, WeakSet

from torch import nn

from attention_core.inside.of_torch import has_pre_hook, take_off
from attention_core.observe.interface import reads_text


@contextmanager
def layers_that_run(model: nn.Module) -> Iterator[set[nn.Module]]:
    """Collect the layers of the model that run inside the block, in this thread's context alone.

    Layers are the elements of the outermost lists of modules in the parts that read text. Their hooks are put on once
    and stay dormant otherwise.
    """
    _install(model)
    ran: set[nn.Module] = set()
    token = _running.set(ran)
    try:
        yield ran
    finally:
        _running.reset(token)


def other_layers(model: nn.Module, ran: set[nn.Module], called: Iterable[nn.Module]) -> tuple[str, ...]:
    """Names of the layers that ran without an attention call: "layers.3: mamba (JambaMambaMixer)".

    A list in which nothing was called counts as layers (an encoder of another mechanism beside a decoder with
    attention) if one of its elements has at least half as many parameters as a layer with attention; otherwise it is a
    list of norms or small maps. A name ends with the children that layers with attention lack, or with the layer's
    class.
    """
    attending = set(called)
    attends = {layer: not attending.isdisjoint(layer.modules()) for layer in ran}
    with_call = [layer for layer in ran if attends[layer]]
    if not with_call:
        return ()
    usual = {name for layer in with_call for name, _ in layer.named_children()}
    least = min(map(_n_parameters, with_call))
    names: list[str] = []
    for stack_name, stack in outermost_lists(model):
        without = [not attends[layer] if layer in attends else attending.isdisjoint(layer.modules()) for layer in stack]
        if all(without) and max(map(_n_parameters, stack), default=0) < least / 2:
            continue
        for index, layer in enumerate(stack):
            if without[index] and layer in ran:
                own = [
                    f"{name} ({type(child).__name__})" for name, child in layer.named_children() if name not in usual
                ]
                names.append(f"{stack_name}.{index}: {', '.join(own) or type(layer).__name__}")
    return tuple(names)


_running: ContextVar[set[nn.Module] | None] = ContextVar("running", default=None)
_installed: WeakSet[nn.Module] = WeakSet()
_sizes: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()  # asked again for every text
_lock = Lock()


def _install(model: nn.Module) -> None:
    with _lock:
        if model not in _installed:
            for _, stack in outermost_lists(model):
                for layer in stack:
                    if not has_pre_hook(layer, _note):
                        layer.register_forward_pre_hook(_note)
            _installed.add(model)


def remove(model: nn.Module) -> None:
    """Take the hooks off again."""
    with _lock:
        for module in model.modules():
            take_off(module, (_note,))
        _installed.discard(model)


def _note(module: nn.Module, _: object) -> None:
    running = _running.get()
    if running is not None:
        running.add(module)


def outermost_lists(module: nn.Module, prefix: str = "") -> Iterable[tuple[str, nn.ModuleList]]:
    """The lists of modules that lie in no other list, with their names, in the parts that read text."""
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield prefix + name, child
        elif reads_text(child):
            yield from outermost_lists(child, f"{prefix}{name}.")


def _n_parameters(module: nn.Module) -> int:
    if module not in _sizes:
        _sizes[module] = sum(parameter.numel() for parameter in module.parameters())
    return _sizes[module]
