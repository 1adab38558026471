"""A cache bounded in bytes, shared by threads; who asks for a value that another thread makes waits for that one.

What goes first, and how much there is, `cachetools` knows. Ours is that a value is made once however many ask at once,
that what made room is told without the lock, and that the newest may stay whatever its size.
"""

import math
import sys
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, fields, is_dataclass
from threading import Lock
from typing import Generic, TypeVar

from cachetools import LRUCache

Value = TypeVar("Value")

LOOK_SECONDS = 0.5  # after which one who waits looks whether it is still wanted
SHORT = 500  # characters: names of models and what else is no text of a visitor's


def key_bytes(key: object) -> int:
    """What the long texts in a key take in memory: a visitor's text may be more than what is kept under it."""
    if isinstance(key, tuple):
        return sum(map(key_bytes, key))
    if is_dataclass(key) and not isinstance(key, type):
        return sum(key_bytes(getattr(key, field.name)) for field in fields(key))
    return sys.getsizeof(key) if isinstance(key, str) and len(key) > SHORT else 0


def text_bytes(*texts: str | None) -> int:
    """What texts take in memory."""
    return sum(sys.getsizeof(text) for text in texts if text)


@dataclass(frozen=True, slots=True)
class _Held(Generic[Value]):
    value: Value
    nbytes: int  # the texts in its key too


class NoLongerWanted(Exception):
    """Whoever asked has left, or asked for something else."""


def result_while(coming: "Future[Value]", wanted: Callable[[], bool]) -> Value:
    """What a future comes to, waited for as long as it is wanted; then NoLongerWanted."""
    while True:
        try:
            return coming.result(timeout=LOOK_SECONDS)
        except TimeoutError:
            if coming.done():
                return coming.result()  # its own: the job's result, or what the job raised
            if not wanted():
                raise NoLongerWanted("nobody waits for this any more") from None


class BoundedCache(Generic[Value]):
    """Least recently used goes first. A value larger than the whole bound is handed out but not kept.

    What counts is a value's own account of itself and the texts in its key.

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
        self._kept: LRUCache[Hashable, _Held[Value]] = LRUCache(math.inf, lambda held: held.nbytes)
        self._size = size
        self._coming: dict[Hashable, Future[Value]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes that the kept values take, and the texts in their keys; above the bound only if the newest alone is."""
        return int(self._kept.currsize)

    def __len__(self) -> int:
        return len(self._kept)

    def peek(self, key: Hashable) -> Value | None:
        """The value if it is here; counts as use."""
        with self._lock:
            held = self._kept.get(key)
            return None if held is None else held.value

    def get(self, key: Hashable, make: Callable[[], Value], wanted: Callable[[], bool] = lambda: True) -> Value:
        """The value of `key`, made by `make` if it is not here. However many threads ask at once, it is made once.

        What `make` raises reaches everybody who waited, and nothing is kept. Who waits while another makes it waits as
        long as it is `wanted`: then NoLongerWanted, so that the threads of those who have left do not stand in line.
        """
        with self._lock:
            if key in self._kept:
                return self._kept[key].value
            coming = self._coming.get(key)
            future = coming or self._coming.setdefault(key, Future())
        if coming is not None:
            return result_while(coming, wanted)
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
        self._kept[key] = _Held(value, self._size(value) + key_bytes(key))
        if self._kept.currsize - others > self._max_bytes and not self._keep_newest:
            del self._kept[key]
            return []
        gone = []
        while self._kept.currsize > self._max_bytes and len(self._kept) > self._keep_newest:
            other, held = self._kept.popitem()
            gone.append((other, held.value))
        return gone

    def _tell(self, gone: list[tuple[Hashable, Value]]) -> None:
        # Without the lock: what is done with a value that goes may take a while, or ask this cache for something.
        for key, value in gone:
            self._when_gone(key, value)
