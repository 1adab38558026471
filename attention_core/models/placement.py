"""Choose a model's device and precision, and check that it fits into the memory that is free."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import torch

from attention_core.models.folder import free_memory_bytes, too_big
from attention_core.observe.refusal import ModelError

Precision = Literal["float32", "bfloat16", "float16", "stored"]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_SHORT: dict[str, Precision] = {  # what others call them: transformers, torch, configuration files
    **{"fp32": "float32", "f32": "float32", "float": "float32", "full": "float32"},
    **{"bf16": "bfloat16", "fp16": "float16", "f16": "float16", "half": "float16", "auto": "stored"},
}
_STORED_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}


_SHARE_OF_MEMORY = 0.8  # of what is free may be filled with weights: texts need room too


@dataclass(frozen=True, slots=True)
class Placement:
    """In which precision a model computes, and where."""

    dtype: Precision = "float32"
    device: str | None = None  # None: a GPU if there is one
    offload: Path | None = None  # a folder for what fits nowhere else

    def __post_init__(self) -> None:
        """Raises ModelError for a precision or a kind of device that there is not."""
        object.__setattr__(self, "dtype", precision_of(self.dtype))
        if self.device is not None:
            object.__setattr__(self, "device", _device_of(self.device))

    def needed(self, counts: Mapping[str, int]) -> int:
        """Bytes of memory for so many stored numbers of each safetensors dtype."""
        if self.dtype != "stored":
            return sum(counts.values()) * DTYPES[self.dtype].itemsize
        return sum(n * _STORED_BYTES.get(dtype, 4) for dtype, n in counts.items())

    @property
    def first(self) -> torch.device:
        """The device that is filled first."""
        if self.device is not None:
            return torch.device(self.device)
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def check(self, name: str, counts: Mapping[str, int]) -> None:
        """Raises ModelError if a model of this size finds no room."""
        needed, free = self.needed(counts), self._free()
        if self.offload is None and free is not None and needed > free * _SHARE_OF_MEMORY:
            advice = (
                "Choose a smaller model, or ask for the precision in which it is stored: that may take half."
                if self.dtype == "float32"
                else "Choose a smaller model."
            )
            raise ModelError(too_big(name, needed, free, advice))

    def fits_first(self, counts: Mapping[str, int]) -> bool:
        """Is there room for all of it on the first device?"""
        free = _free_on(self.first)
        return free is None or self.needed(counts) <= free * _SHARE_OF_MEMORY

    def limits(self) -> dict[int | str, int]:
        """Bytes that may be filled on each device, as accelerate wants them."""
        limits: dict[int | str, int] = {}
        if self.first.type == "cuda":
            limits = {
                i: int(torch.cuda.mem_get_info(i)[0] * _SHARE_OF_MEMORY) for i in range(torch.cuda.device_count())
            }
        return {**limits, "cpu": int((free_memory_bytes() or 0) * _SHARE_OF_MEMORY)}

    def _free(self) -> int | None:
        """Bytes free on all devices that may be used: GPUs and memory, or memory alone."""
        free = free_memory_bytes()
        if free is None or self.first.type != "cuda":
            return free
        return free + sum(torch.cuda.mem_get_info(i)[0] for i in range(torch.cuda.device_count()))


def precision_of(asked: object) -> Precision:
    """The precision by its own name, a usual short one ("fp16", "bf16", "half", "auto") or torch's dtype.

    Raises ModelError that names what there is.
    """
    name = str(asked).removeprefix("torch.").lower()
    name = _SHORT.get(name, name)
    if name not in get_args(Precision):
        raise ModelError(f"The precision is one of {', '.join(get_args(Precision))}; got {asked!r}.")
    return cast(Precision, name)


def _device_of(asked: object) -> str:
    try:
        return str(torch.device(str(asked)))
    except RuntimeError:
        raise ModelError(
            f'A device is "cpu", "cuda", "cuda:1" …; got {asked!r}. None takes a GPU if there is one.'
        ) from None


def _free_on(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_memory_bytes() if device.type == "cpu" else None
