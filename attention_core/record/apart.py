"""Split a trace into the bytes of its captured tensors, which may be moved to a disk, and the rest, which stays in
memory; and put both together again.

Unlike a trace file (`record/file`) this serves one process only: the model, the tokens and all that is small or shared
stays in memory and is referred to, so a trace that is put together again is whole, witness and all, and equal to the
bit.
"""

import io
import pickle
from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from attention_core.formats.shown import short_repr
from attention_core.models.facts import LoadedModel, ModelFacts
from attention_core.record.ending import Ending
from attention_core.record.layers import AttentionLayer
from attention_core.record.record import Record
from attention_core.text.tokens import Token

_weights_of: WeakKeyDictionary[nn.Module, Set[int]] = WeakKeyDictionary()
R = TypeVar("R", bound=Record)
Place = tuple[int, str, int, tuple[int, ...], tuple[int, ...]]  # block, dtype, offset, shape, strides
_ALIGNED = 64  # bytes: where a block begins, so that a tensor of any type can begin there
# What is written out piece by piece, with our own records; anything else (modules, functions, caches) stays.
_SHARED = (LoadedModel, ModelFacts, Token)
_PLAIN = (str, int, float, bool, bytes, type(None), tuple, list, dict, set, frozenset, slice, type)


@dataclass(frozen=True, slots=True, eq=False)
class Apart(Generic[R]):
    """What stays of a trace while its tensors are elsewhere."""

    frame: R  # tokens, facts, notes; no layers
    outline: bytes  # the layers, pickled, with numbers for tensors and for what stays; never leaves this memory
    staying: tuple[object, ...]
    starts: tuple[int, ...]  # of the blocks, in bytes from the first
    nbytes: int  # of all blocks

    __repr__ = short_repr


def take_apart(trace: R, model: LoadedModel | None = None) -> tuple[Apart[R], list[memoryview]] | None:
    """What stays of a trace, and the blocks that may go: the bytes from each of `starts` on.

    The weights of `model`, the one that made the trace, stay. None if there is nothing to gain: tensors on a device of
    their own (their bytes are not this machine's memory), or a part that cannot be taken apart.
    """
    if any(tensor.device.type != "cpu" for tensor in trace.captured()):
        return None
    written = io.BytesIO()
    pickler = _Outline(written, frozenset() if model is None else _places(model.model))
    try:
        pickler.dump((trace.layers, trace.ending))
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError):
        return None
    starts, blocks, end = [], [], 0
    for storage in pickler.storages:
        starts.append(end)
        blocks.append(torch.empty(0, dtype=torch.uint8).set_(storage).numpy().data)
        end += -(-storage.nbytes() // _ALIGNED) * _ALIGNED
    frame = replace(trace, layers=(), ending=None)
    return Apart(frame, written.getvalue(), tuple(pickler.staying), tuple(starts), end), blocks


def put_together(apart: Apart[R], data: Tensor) -> R:
    """The trace again; `data` holds its blocks (uint8, `apart.nbytes` of them) and becomes the tensors' memory."""
    layers: tuple[AttentionLayer, ...]
    ending: Ending | None
    layers, ending = _Whole(io.BytesIO(apart.outline), apart, data).load()
    return replace(apart.frame, layers=layers, ending=ending)


def _places(model: nn.Module) -> Set[int]:
    """Where a model's weights lie; walking its modules takes longer than all the rest."""
    if model not in _weights_of:
        weights = [*model.parameters(), *model.buffers()]
        _weights_of[model] = frozenset(weight.untyped_storage().data_ptr() for weight in weights)
    return _weights_of[model]


class _Outline(pickle.Pickler):
    """Writes our records; a captured tensor as its place in a block, anything that stays as its number."""

    def __init__(self, file: io.BytesIO, weights: Set[int]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._weights = weights  # where the model's tensors lie
        self.staying: list[object] = []
        self.storages: list[torch.UntypedStorage] = []
        self._numbers: dict[int, int] = {}  # in `staying`, by identity
        self._blocks: dict[int, int] = {}  # in `storages`, by where they lie

    def persistent_id(self, obj: object) -> int | Place | None:
        kind = type(obj)
        if kind in _PLAIN or (kind not in _SHARED and kind.__module__.startswith("attention_core.")):
            return None
        if kind is Tensor and isinstance(obj, Tensor) and (place := self._place(obj)) is not None:
            return place
        number = self._numbers.setdefault(id(obj), len(self.staying))
        if number == len(self.staying):
            self.staying.append(obj)
        return number

    def _place(self, tensor: Tensor) -> Place | None:
        """Where a tensor lies in the blocks; None for one that stays."""
        storage = tensor.untyped_storage()
        if tensor.device.type != "cpu" or storage.data_ptr() in self._weights:
            return None
        block = self._blocks.setdefault(storage.data_ptr(), len(self.storages))
        if block == len(self.storages):
            self.storages.append(storage)
        return block, str(tensor.dtype), int(tensor.storage_offset()), tuple(tensor.shape), tensor.stride()


class _Whole(pickle.Unpickler, Generic[R]):
    """Reads what `_Outline` wrote in this process; nothing from outside comes here."""

    def __init__(self, file: io.BytesIO, apart: Apart[R], data: Tensor) -> None:
        super().__init__(file)
        self._apart, self._data = apart, data

    def persistent_load(self, pid: int | Place) -> object:
        if isinstance(pid, int):
            return self._apart.staying[pid]
        block, name, offset, shape, stride = pid
        dtype: torch.dtype = getattr(torch, name.removeprefix("torch."))
        start = self._apart.starts[block] // dtype.itemsize + offset
        return torch.empty(0, dtype=dtype).set_(self._data.untyped_storage(), start, shape, stride)
