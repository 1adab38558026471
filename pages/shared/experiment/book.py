"""Experiments on their way and their results, kept for all visitors: who asks the same as another waits with him.

An experiment goes on as long as a page watches it. Each is measured first and compared with chance after that, so that
there is something to see early, and something left for who stops it.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field, replace
from functools import cache
from threading import Event, Lock
from typing import Any, Literal, TypeVar

from attention_core.formats.json_data import Json
from pages.shared.engine.answers import Effected, Lensed, Plain, Swept
from pages.shared.engine.choosing import engine
from pages.shared.engine.engine import Handle
from pages.shared.engine.plain import Progress
from pages.shared.process import mishaps
from pages.shared.service.bounded import BoundedCache
from pages.shared.service.sources import Source
from pages.shared.service.turns import NoLongerWanted

Answer = TypeVar("Answer")
Kind = Literal["sweep", "effect", "lenses"]
Found = Swept | Effected | Lensed
State = Literal["none", "working", "ready", "stopped", "failed"]

KEPT_BYTES = 16 * 1_000_000  # hundreds of sweeps
AT_ONCE = 4  # experiments that run; all take their turns with everybody's sentences
MOST_WAITING = 200  # experiments that run or wait; each holds a few kilobytes
DRAWS = 20  # of chance
LOOK_SECONDS = 0.1  # how often an experiment's progress is asked for, and whether somebody still wants it
UNSEEN_SECONDS = 90.0  # a page in a hidden tab looks once a minute
STOPPED = "Stopped before it was compared with chance: whether this is much cannot be said."


@dataclass(frozen=True, slots=True)
class Asked:
    """One experiment: on which text, with what, asked what. What is plain data is JSON here, as part of a key."""

    kind: Kind
    source: Source
    of: str  # what a sweep goes through, the edits, or the row that is looked at
    question: str  # "": the usual one of the model

    @classmethod
    def plainly(cls, kind: Kind, source: Source, of: Json, question: Plain | None) -> "Asked":
        """The same, whatever order the names of the plain data have."""
        return cls(kind, source, _json(of), "" if question is None else _json(question))


@dataclass(frozen=True, slots=True)
class Told:
    """How an experiment stands."""

    state: State
    found: Found | None = None  # so far
    says: str = ""  # what it does, or why it ended
    done: int = 0  # runs
    total: int = 0
    ahead: int = 0  # experiments of others that come first


@dataclass(slots=True, eq=False)
class _Running:
    number: int
    watched: dict[str, float] = field(default_factory=dict)  # by page: when it last looked
    stop: Event = field(default_factory=Event)
    doing: str = "Waiting for its turn …"
    far: Progress = field(default_factory=Progress)
    found: Found | None = None

    @property
    def wanted(self) -> bool:
        """Does anybody still watch?"""
        now = time.monotonic()
        return not self.stop.is_set() and any(now - last < UNSEEN_SECONDS for last in list(self.watched.values()))


class Book:
    """The experiments of this process."""

    def __init__(self) -> None:
        self._ended: BoundedCache[Told] = BoundedCache(KEPT_BYTES, _told_bytes)
        self._running: dict[Asked, _Running] = {}
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="experiment")
        self._number = 0

    @property
    def nbytes(self) -> int:
        """What the kept results take."""
        return self._ended.nbytes

    def begin(self, asked: Asked, page: str) -> Told:
        """Begin it, unless it is known or on its way; this page then watches it."""
        with self._lock:
            ended = self._ended.peek(asked)
            if ended is not None and ended.state == "ready":
                return ended
            running = self._running.get(asked)
            if running is None:
                if len(self._running) >= MOST_WAITING:
                    return Told("failed", says="Too many experiments wait already. Try again in a while.")
                self._number += 1
                running = self._running[asked] = _Running(self._number)
                self._pool.submit(self._run, asked, running)
            running.watched[page] = time.monotonic()
            return self._of(running)

    def look(self, asked: Asked, page: str) -> Told:
        """How it stands; begins nothing. A page that looks while it runs watches it."""
        with self._lock:
            running = self._running.get(asked)
            if running is not None:
                if page in running.watched:
                    running.watched[page] = time.monotonic()
                return self._of(running)
            return self._ended.peek(asked) or Told("none")

    def stop(self, asked: Asked, page: str) -> None:
        """This page no longer watches it; what nobody watches ends after its next slice, and keeps what was done."""
        with self._lock:
            running = self._running.get(asked)
            if running is not None:
                running.watched.pop(page, None)
                if not running.watched:
                    running.stop.set()

    def _of(self, running: _Running) -> Told:
        ahead = sum(other.number < running.number for other in self._running.values()) - (AT_ONCE - 1)
        far = running.far
        return Told("working", running.found, running.doing, far.done, far.total, max(ahead, 0) if not far.total else 0)

    def _run(self, asked: Asked, running: _Running) -> None:
        try:
            ended = _measured(asked, running)
        except NoLongerWanted:
            ended = Told("stopped", running.found, STOPPED if running.found else "Stopped before it began.")
        except Exception as error:  # whatever it is, the page says it and the thread goes on
            ended = Told("failed", running.found, f"The experiment ended: {mishaps.in_words(error)}")
        with self._lock:
            self._ended.put(asked, ended)
            del self._running[asked]


def _measured(asked: Asked, running: _Running) -> Told:
    """First what is asked alone, then the same beside chance."""
    # Any: what an effect, a sweep and a row of lenses give
    measure: Callable[[int], Handle[Any]] = _asking(asked)
    running.doing = "Running the text …"
    found: Found = _waited(measure(0), running)
    running.found = found
    if isinstance(found, Lensed):  # it is compared with nothing
        return Told("ready", found)
    if isinstance(found, Swept) and not found.finished:
        return Told("stopped", found, STOPPED)
    running.doing, running.far = "Comparing with chance …", Progress()
    compared: Found = _waited(measure(DRAWS), running)
    stopped = not (compared.finished if isinstance(compared, Swept) else getattr(compared, "control", ""))
    if stopped:
        if isinstance(found, Swept):
            found = replace(found, why_no_chance=STOPPED)
        return Told("stopped", found, STOPPED)
    return Told("ready", compared)


def _asking(asked: Asked) -> "Callable[[int], Handle[Any]]":  # Any: as `measure`
    of, question = json.loads(asked.of), json.loads(asked.question) if asked.question else None
    name = f"experiment {hash(asked)}"  # whose turns it takes: one place in the round, however many runs there are
    if asked.kind == "lenses":
        return lambda _: engine().lenses(asked.source, of["layer"], of["head"], of["query"], name)
    if asked.kind == "sweep":
        return lambda draws: engine().sweep(asked.source, of, question, draws, name)
    return lambda draws: engine().effect(asked.source, of, question, draws, name)


def _waited(handle: Handle[Answer], running: _Running) -> Answer:
    future: Future[Answer] = handle.future
    cancelled = False
    while True:
        try:
            return future.result(timeout=LOOK_SECONDS)
        except NotYet:
            if future.done():
                raise  # the job's own
            if not running.wanted and not cancelled:
                cancelled = True
                handle.cancel()
            running.far = handle.progress()


def _told_bytes(told: Told) -> int:
    return 500 + (told.found.nbytes if told.found is not None else 0)


def _json(plain: Json) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@cache
def book() -> Book:
    """The book of this process."""
    return Book()
