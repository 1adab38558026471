"""A thread-safe cache bounded in bytes; whoever asks for a value that another thread is making waits for that one."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """Least recently used goes first. A value larger than the whole bound is handed out but not kept.

    With `keep_newest` the newest value stays whatever its size: what somebody looks at now would otherwise be made anew
    for everything he asks of it. `when_gone` is given each value that made room for others, and its key.
    """

    def __init__(
        self,
        max_bytes: int,
        size: Callable[[Value], int],
        when_gone: Callable[[Hashable, Value], None] = lambda key, value: None,
        *,
        keep_newest: bool = False,
    ) -> None:
        self._max_bytes = max_bytes
        self._size = size
        self._when_gone = when_gone
        self._keep_newest = keep_newest
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._coming: dict[Hashable, Future[Value]] = {}
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes that the kept values take, by their own account; above the bound only if the newest alone is."""
        return self._nbytes

    def __len__(self) -> int:
        return len(self._kept)

    def peek(self, key: Hashable) -> Value | None:
        """The value if it is here; counts as use."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of `key`, made by `make` if it is not here. However many threads ask at once, it is made once.

        What `make` raises reaches everybody who waited, and nothing is kept.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
            coming = self._coming.get(key)
            future = coming or self._coming.setdefault(key, Future())
        if coming is not None:
            return coming.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._coming[key]
            future.set_exception(error)
            raise
        with self._lock:
            del self._coming[key]
            gone = self._keep(key, value)
        future.set_result(value)
        self._tell(gone)
        return value

    def drop(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Let go of every value whose key is unwanted; nobody is told."""
        with self._lock:
            for key in [key for key in self._kept if unwanted(key)]:
                self._drop(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value that was made elsewhere."""
        with self._lock:
            gone = self._keep(key, value)
        self._tell(gone)

    def _keep(self, key: Hashable, value: Value) -> list[tuple[Hashable, Value]]:
        """Keep a value; what made room for it."""
        if key in self._kept:
            self._drop(key)
        nbytes = self._size(value)
        if nbytes > self._max_bytes and not self._keep_newest:
            return []
        self._kept[key] = (value, nbytes)
        self._nbytes += nbytes
        gone = []
        while self._nbytes > self._max_bytes and len(self._kept) > self._keep_newest:
            oldest = next(iter(self._kept))
            gone.append((oldest, self._drop(oldest)))
        return gone

    def _drop(self, key: Hashable) -> Value:
        value, nbytes = self._kept.pop(key)
        self._nbytes -= nbytes
        return value

    def _tell(self, gone: list[tuple[Hashable, Value]]) -> None:
        # Without the lock: what is done with a value that goes may take a while, or ask this cache for something.
        for key, value in gone:
            self._when_gone(key, value)
