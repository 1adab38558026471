"""Where a run can be changed while it goes on: inside the attention function, before W_O, after it, before a block.

Hooks are put on a model once and stay dormant until an experiment sets its `editor`, in its own thread's context: other
runs of the same model, at the same time, are not touched. Nothing is changed on the model itself.
"""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from typing import Protocol
from weakref import WeakSet

from jaxtyping import Float
from torch import Tensor, nn

from attention_core.formats.shown import short_repr
from attention_core.inside.of_torch import has_pre_hook, take_off
from attention_core.inside.of_transformers import Keywords


@dataclass(frozen=True, slots=True, eq=False)
class Attended:
    """What one attention call used and what it gave, as a running editor leaves it."""

    q: Float[Tensor, "batch head query d_head"]
    k: Float[Tensor, "batch kv_head key d_head"]
    v: Float[Tensor, "batch kv_head key d_value"]
    output: Float[Tensor, "batch query head d_value"]

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What one attention function was given, and how the model itself computes its output from q, k and v."""

    module: nn.Module
    q: Float[Tensor, "batch head query d_head"]
    k: Float[Tensor, "batch kv_head key d_head"]
    v: Float[Tensor, "batch kv_head key d_value"]
    mask: Tensor | None  # as the model passes it
    keywords: Keywords
    compute: Callable[[Tensor, Tensor, Tensor], Tensor]  # q, k, v → [batch query head d_value]

    __repr__ = short_repr


class Editor(Protocol):
    """Changes one run."""

    def attend(self, asked: Asked) -> Attended:
        """One attention call: the model's own output, or another one."""
        ...

    def before(self, module: nn.Module, x: Tensor) -> Tensor | None:
        """What a watched module is about to read; another tensor in its place, or None to leave it."""
        ...

    def after(self, module: nn.Module, output: object) -> object:
        """What a watched module gave; something else in its place, or None to leave it."""
        ...


# One per running experiment. Models are shared between threads; what an experiment changes is not.
editor: ContextVar[Editor | None] = ContextVar("editor", default=None)


def install(modules: Iterable[nn.Module]) -> None:
    """Put the dormant hooks on these modules; on one that has them already nothing changes."""
    with _lock:
        for module in modules:
            if module not in _installed or not has_pre_hook(module, _before):
                take_off(module, _HOOKS)
                module.register_forward_pre_hook(_before, with_kwargs=True)
                module.register_forward_hook(_after, prepend=True)  # whoever observes sees what was made of it
                _installed.add(module)


def remove(model: nn.Module) -> None:
    """Take the dormant hooks off again."""
    with _lock:
        for module in model.modules():
            take_off(module, _HOOKS)
            _installed.discard(module)


def changes_only_when_asked(hook: Callable[..., object]) -> bool:
    """Is this hook one of ours, which does nothing outside an experiment?"""
    return hook in _HOOKS


_lock = Lock()
_installed: WeakSet[nn.Module] = WeakSet()


def _before(
    module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object] | None = None
) -> tuple[tuple[object, ...], dict[str, object]] | None:
    running = editor.get()
    if running is None:
        return None
    kwargs = kwargs or {}
    if args and isinstance(args[0], Tensor):
        changed = running.before(module, args[0])
        return None if changed is None else ((changed, *args[1:]), kwargs)
    for name, value in kwargs.items():
        if isinstance(value, Tensor):
            changed = running.before(module, value)
            return None if changed is None else (args, {**kwargs, name: changed})
    return None


def _after(module: nn.Module, _: object, output: object) -> object:
    running = editor.get()
    return None if running is None else running.after(module, output)


_HOOKS = (_before, _after)
