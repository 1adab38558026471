"""Keep traces that nobody has looked at for a while on the disk, in one temporary file of bounded size.

Tensors only: texts, tokens and models stay in memory, and count against a bound of their own. The file has no name in
any folder, so it is gone with its process, however that ends.
"""

import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Hashable
from io import FileIO
from threading import Lock
from typing import TYPE_CHECKING, cast
from weakref import finalize

from pages.shared.process import logs
from pages.shared.service.bounded import key_bytes, text_bytes

if TYPE_CHECKING:
    from attention_core.models.facts import LoadedModel
    from attention_core.record.apart import Apart
    from attention_core.trace import Trace

# Kept across restarts and so on a disk on every Linux, where /tmp may be memory; other systems have their own place.
FOLDERS = ("/var/tmp",)
MEMORY_BYTES = 64 * 1_000_000  # of texts and tokens: about 500 sentences, as many as the file has by default
TOKEN_BYTES = 2_000  # of a token, as it is shown and as it was


def memory_of_words(trace: "Trace") -> int:
    """What a trace takes in memory beside its numbers: its texts and tokens."""
    tokens = len(trace.source_tokens) + len(trace.target_tokens)
    return TOKEN_BYTES * tokens + text_bytes(trace.text, trace.pair, trace.target)


def folder_of_files() -> str | None:
    """Where temporary files of many megabytes go; None: where the system puts them."""
    return next((folder for folder in FOLDERS if os.access(folder, os.W_OK)), None)


class Shelf:
    """Put traces away and take them back; what was put away longest ago makes room.

    The file is written round and round. Whatever goes wrong, a trace that cannot be put away or taken back is only
    forgotten: it can be computed again.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._file: FileIO | None = None
        self._next = 0  # where in the file the next one begins
        self._kept: OrderedDict[Hashable, tuple[int, Apart[Trace]]] = OrderedDict()  # where each begins; oldest first
        self._words: dict[Hashable, int] = {}  # bytes in memory of each
        self.nbytes = 0  # of the file that are in use: counted, so that who asks does not wait for the disk
        self.memory_bytes = 0  # of texts and tokens, and of the keys

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def put(self, key: Hashable, trace: "Trace", model: "LoadedModel | None") -> None:
        """Put a trace away, unless it is here already or there is no place for it."""
        from attention_core.record.apart import take_apart

        if key in self._kept or trace.nbytes > self._max_bytes or (taken := take_apart(trace, model)) is None:
            return
        apart, blocks = taken
        words = memory_of_words(trace) + key_bytes(key)
        if words > MEMORY_BYTES:
            return
        with self._lock:
            start = self._place(apart.nbytes)
            if start is None:
                return
            try:
                file = self._opened()
                for offset, block in zip(apart.starts, blocks, strict=True):
                    _write(file, block, start + offset)
                if file.seek(0, os.SEEK_END) < start + apart.nbytes:
                    file.truncate(start + apart.nbytes)  # the last block has its padding too
            except OSError as error:
                logs.event("disk", errno=error.errno or 0)
                return
            self._forget(key)
            self._kept[key] = start, apart
            self._words[key] = words
            self.nbytes += apart.nbytes
            self.memory_bytes += words
            while self.memory_bytes > MEMORY_BYTES:
                self._forget(next(iter(self._kept)))
            self._next = start + apart.nbytes

    def take(self, key: Hashable) -> "Trace | None":
        """The trace, whole again, or None; it also stays here, so that it need not be put away once more."""
        if key not in self._kept:
            return None  # torch may not be here yet, and a page's frame does not wait for it
        import torch

        from attention_core.formats.memory import is_out_of_memory
        from attention_core.record.apart import put_together

        with self._lock:
            if key not in self._kept:
                return None
            start, apart = self._kept[key]
            try:
                data = torch.empty(apart.nbytes, dtype=torch.uint8)
                _read(self._opened(), data.numpy().data, start)
            except OSError as error:
                logs.event("disk", errno=error.errno or 0)
                self._forget(key)
                return None
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                return None
        return put_together(apart, data)

    def drop(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Forget every trace whose key is unwanted."""
        with self._lock:
            for key in [key for key in self._kept if unwanted(key)]:
                self._forget(key)

    def _forget(self, key: Hashable) -> None:
        if key in self._kept:
            _, apart = self._kept.pop(key)
            self.nbytes -= apart.nbytes
            self.memory_bytes -= self._words.pop(key)

    def _place(self, nbytes: int) -> int | None:
        """Where so many bytes go: after the last ones or at the beginning again; what lies there is forgotten."""
        if nbytes > self._max_bytes:
            return None
        start = self._next if self._next + nbytes <= self._max_bytes else 0
        for key, (begins, apart) in list(self._kept.items()):
            if begins < start + nbytes and start < begins + apart.nbytes:
                self._forget(key)
        return start

    def _opened(self) -> FileIO:
        if self._file is None:
            self._file = cast(FileIO, tempfile.TemporaryFile(dir=folder_of_files(), buffering=0))
            finalize(self, self._file.close)
        return self._file


def _write(file: FileIO, data: memoryview, at: int) -> None:
    file.seek(at)
    while data:
        data = data[file.write(data) :]


def _read(file: FileIO, into: memoryview, at: int) -> None:
    file.seek(at)
    while into:
        n = file.readinto(into)
        if not n:
            raise OSError("the file is shorter than it was")
        into = into[n:]
