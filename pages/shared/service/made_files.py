"""Files that visitors save: made once for the same view, in the worker's turns, and kept on the disk for a while.

On the disk and not in memory: a class that presses Save at the end of its hour would fill it, each with another text,
and whoever reads slowly would hold his. The files have no name, as those of `shelf`.
"""

import os
import tempfile
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from io import FileIO
from typing import cast
from weakref import finalize

from pages.shared.service.bounded import BoundedCache
from pages.shared.service.shelf import folder_of_files

KEPT_BYTES = 256 * 1_000_000  # on the disk: 4,096 tokens make a table of 130 MB


class MadeFile:
    """One finished file; its bytes are there as long as this is."""

    def __init__(self) -> None:
        self._file = cast(FileIO, tempfile.TemporaryFile(dir=folder_of_files(), buffering=0))
        finalize(self, self._file.close)
        self.nbytes = 0

    def append(self, part: str | bytes) -> None:
        """Write one more part. Raises OSError if the disk does not take it."""
        left = memoryview(part.encode() if isinstance(part, str) else part)
        while left:
            n = self._file.write(left)
            self.nbytes += n
            left = left[n:]

    def read(self, start: int, n: int) -> bytes:
        """At most `n` bytes from `start` on; safe from any thread."""
        return os.pread(self._file.fileno(), n, start)


class MadeFiles:
    """The files of this process. `in_turn` runs a job in the worker's next turn for files, and waits for it."""

    def __init__(self) -> None:
        self._kept: BoundedCache[MadeFile] = BoundedCache(KEPT_BYTES, lambda file: file.nbytes)

    @property
    def nbytes(self) -> int:
        """Bytes on the disk of the files that are kept."""
        return self._kept.nbytes

    def get(
        self,
        key: Hashable,
        make: Callable[[], str | bytes | Iterator[str]],
        in_turn: Callable[[Callable[[], bool]], bool],
    ) -> MadeFile:
        """The file, made if it is not here; each part has a turn of its own, so that sentences come in between.

        Raises what `make` and `in_turn` raise, or OSError if the disk is full.
        """
        return self._kept.get(key, lambda: _made(make, in_turn))


def _made(make: Callable[[], str | bytes | Iterator[str]], in_turn: Callable[[Callable[[], bool]], bool]) -> MadeFile:
    file = MadeFile()
    parts: Iterator[str | bytes] | None = None

    def step() -> bool:
        nonlocal parts
        if parts is None:
            whole = make()
            parts = iter([whole]) if isinstance(whole, str | bytes) else whole
        with suppress(StopIteration):
            file.append(next(parts))
            return True
        return False

    while in_turn(step):
        pass
    return file
