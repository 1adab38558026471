"""What we lean on inside torch: where a module keeps its hooks, its parts and its compiled code.

All of it begins with an underscore on `torch.nn.Module`. Documented ways are taken wherever there is one.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

AnyModule = Any  # a module by its parts and settings: torch types each as "a tensor or a module", whatever it is

_CLASS_OF_COMPILED = "OptimizedModule"  # torch._dynamo's; importing it takes a second


def last_forward_hook(module: nn.Module) -> Callable[..., object] | None:
    """The forward hook that is called last; None without any.

    The documented handles say nothing of the order, and of nobody else's hooks. Without this, a hook that somebody puts
    on after ours would change an output that was recorded already: the proof would say so, and nobody would know why.
    """
    return next(reversed(module._forward_hooks.values()), None)


def run_last(module: nn.Module, hook: Callable[..., None]) -> None:
    """Put a forward hook that wants keywords on, or move it behind all others where it is on already.

    A copied model brings its hooks along, but no handle by which they could be taken off and put on again.
    """
    own = next((key for key, known in module._forward_hooks.items() if known is hook), None)
    if own is None:
        module.register_forward_hook(hook, with_kwargs=True)
    else:
        module._forward_hooks[own] = module._forward_hooks.pop(own)


def has_pre_hook(module: nn.Module, hook: Callable[..., object]) -> bool:
    """Is this forward pre-hook on the module? A copied model has it from its original, and would get it twice."""
    return any(known is hook for known in module._forward_pre_hooks.values())


def take_off(module: nn.Module, hooks: Sequence[Callable[..., object]]) -> None:
    """Take these hooks off, before and after `forward`, whoever put them on.

    The documented way are handles, and a copied model has none. Without this our hooks would stay on the copy: dormant,
    but there.
    """
    for known, with_kwargs in (
        (module._forward_hooks, module._forward_hooks_with_kwargs),
        (module._forward_pre_hooks, module._forward_pre_hooks_with_kwargs),
    ):
        for key in [key for key, hook in known.items() if any(hook is one for one in hooks)]:
            del known[key]
            with_kwargs.pop(key, None)


def own_weight(module: nn.Module) -> Tensor | None:
    """The parameter called `weight` that the module itself holds; None if it has none, or computes one.

    `getattr(module, "weight")` would compute what a parametrisation makes of it, and the documented `named_parameters`
    takes twenty times as long: every module of a model is asked before every capture.
    """
    return module._parameters.get("weight")


def ids_of_parts(module: nn.Module) -> tuple[int, ...]:
    """Which modules this one holds itself, in order; asked as often as `own_weight`.

    The documented `children` takes four times as long: it leaves out those that it has given already.
    """
    return tuple(map(id, module._modules.values()))


def holds_buffers_alone(module: nn.Module) -> bool:
    """Does the module itself hold buffers and no parameter? Asked as often as `own_weight`, and as quickly."""
    return bool(module._buffers) and not module._parameters


def shallow_copy(module: nn.Module) -> AnyModule:
    """A copy that shares every parameter, buffer and part, and can be given other parts: the original keeps its own.

    `copy.copy` alone leaves both with one table of parts. Without a table of its own, running a head without its body
    would take the body out of a model that visitors share.
    """
    shallow = copy.copy(module)
    shallow.__dict__["_modules"] = dict(module._modules)
    return shallow


def is_compiled(module: nn.Module) -> bool:
    """Is this what `torch.compile(module)` gives? Told by the name of its class, which lies in the compiler."""
    return type(module).__name__ == _CLASS_OF_COMPILED


def uncompiled(module: nn.Module) -> AnyModule:
    """The module that was compiled; any other as it is. Without this a compiled model is refused in a sentence."""
    return module._modules["_orig_mod"] if is_compiled(module) else module


def compiled_call(module: nn.Module) -> Callable[..., object] | None:
    """What `module.compile()` left to be called in place of `forward`; None if it was not compiled."""
    return module._compiled_call_impl


def set_compiled_call(module: nn.Module, call: Callable[..., object] | None) -> None:
    """Have `call` called in place of `forward`, or `forward` itself for None.

    torch documents how a module is compiled and not how that is undone. Without this, hooks inside a compiled model
    would not be seen, and it could not be captured.
    """
    module._compiled_call_impl = call
