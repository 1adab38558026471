"""What we lean on inside accelerate: what it does to modules whose weights rest on another device or on disk."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from attention_core.inside.of_torch import AnyModule


def unwrapped(copied: AnyModule) -> AnyModule:
    """The shallow copy of a module, without the wrapper that accelerate may have put before its `forward`.

    The wrapper stands among the object's own attributes and is bound to the module that was copied: left there, a run
    of the copy would be one of the original.
    """
    copied.__dict__.pop("forward", None)
    return copied


@contextmanager
def fetched(module: nn.Module, name: str) -> Iterator[Tensor]:
    """A parameter of a module whose weights rest on disk (they are on the `meta` device), on the processor meanwhile.

    Without this, the maps of a model that is spread over the disk could not be compared with what they gave.
    """
    from accelerate.utils import align_module_device

    with align_module_device(module, torch.device("cpu")):
        yield getattr(module, name).detach()
