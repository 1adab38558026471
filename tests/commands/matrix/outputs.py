"""What a model returned, as a list of tensors."""

from typing import Any

from torch import Tensor


def tensors_of(output: Any) -> list[Tensor]:
    """Every floating-point tensor in a model's output, in order."""
    if isinstance(output, Tensor):
        return [output] if output.is_floating_point() else []
    if isinstance(output, dict):
        return [tensor for value in output.values() for tensor in tensors_of(value)]
    if isinstance(output, list | tuple):
        return [tensor for value in output for tensor in tensors_of(value)]
    return []
