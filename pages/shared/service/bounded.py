"""A cache bounded in bytes, shared by threads; who asks for a value that another thread makes waits for that one.

What goes first, and how much there is, `cachetools` knows. Ours is that a value is made once however many ask at once,
that what made room is told without the lock, and that the newest may stay whatever its size.
"""

import math
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

from cachetools import LRUCache

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
        self._when_gone = when_gone
        self._keep_newest = keep_newest
        self._lock = Lock()
        # Without a bound of its own: that one would refuse a newest value that is larger.
        self._kept: LRUCache[Hashable, Value] = LRUCache(math.inf, size)
        self._coming: dict[Hashable, Future[Value]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes that the kept values take, by their own account; above the bound only if the newest alone is."""
        return int(self._kept.currsize)

    def __len__(self) -> int:
        return len(self._kept)

    def peek(self, key: Hashable) -> Value | None:
        """The value if it is here; counts as use."""
        with self._lock:
            return self._kept.get(key)

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of `key`, made by `make` if it is not here. However many threads ask at once, it is made once.

        What `make` raises reaches everybody who waited, and nothing is kept.
        """
        with self._lock:
            if key in self._kept:
                return self._kept[key]
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
                del self._kept[key]

    def put(self, key: Hashable, value: Value) -> None:
        """Keep a value that was made elsewhere."""
        with self._lock:
            gone = self._keep(key, value)
        self._tell(gone)

    def _keep(self, key: Hashable, value: Value) -> list[tuple[Hashable, Value]]:
        """Keep a value; what made room for it."""
        self._kept.pop(key, None)
        others = self._kept.currsize
        self._kept[key] = value
        if self._kept.currsize - others > self._max_bytes and not self._keep_newest:
            del self._kept[key]
            return []
        gone = []
        while self._kept.currsize > self._max_bytes and len(self._kept) > self._keep_newest:
            gone.append(self._kept.popitem())
        return gone

    def _tell(self, gone: list[tuple[Hashable, Value]]) -> None:
        # Without the lock: what is done with a value that goes may take a while, or ask this cache for something.
        for key, value in gone:
            self._when_gone(key, value)
