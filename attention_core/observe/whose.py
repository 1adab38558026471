"""Whose code a module runs: transformers' own as it is written, or something that somebody else had a hand in."""

from collections.abc import Callable

from torch import nn
from transformers import PreTrainedModel

from attention_core.inside.of_torch import ids_of_parts, last_forward_hook, own_weight
from attention_core.observe.editing import changes_only_when_asked

_OURS = "transformers"


def holds_parts(module: nn.Module) -> bool:
    """Does it run parts of its own, short of a whole model? Lists are walked through and never run."""
    return bool(ids_of_parts(module)) and not isinstance(module, PreTrainedModel | nn.ModuleList | nn.ModuleDict)


def somebody_elses(module: nn.Module, own: Callable[..., object]) -> bool:
    """May it give something else than transformers' code makes of its parts? `own` is the hook that is no news.

    So where the class or its `forward` is not transformers' own (an adapter's, a caller's, a parametrisation's of
    torch), where it holds a matrix beside its parts, and where somebody put a hook on the module or replaced its
    `forward`.
    """
    kind = type(module)
    ours = kind is nn.Sequential or all(name.partition(".")[0] == _OURS for name in _origins(kind))
    return not ours or own_weight(module) is not None or changed_by_hand(module, own)


def changed_by_hand(module: nn.Module, own: Callable[..., object]) -> bool:
    """Has somebody put a hook on this one module, other than `own`, or another `forward` in?"""
    hook = last_forward_hook(module)
    hooked = hook is not None and hook is not own and not changes_only_when_asked(hook)
    return hooked or "forward" in vars(module)


def _origins(kind: type[nn.Module]) -> tuple[str, str]:
    """The modules in which a class and its `forward` were written."""
    return kind.__module__, getattr(kind.forward, "__module__", "")
