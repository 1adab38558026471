"""Trainings that visitors watch: each in a process of its own, a few at a time, the others in order of arrival.

    trainings = Trainings(at_once=1)
    key = trainings.start(visitor, RunSettings("repeated", seed=3))   # an earlier one of this visitor is ended first
    trainings.look(key)    # Live: state, place in the queue, the run so far. Looking is also what keeps it going:
    trainings.stop(key)    # who does not look for `lease` seconds has left. stop keeps what was saved …
    trainings.leave(key)   # … leave forgets it. An unknown or forgotten key raises Gone

Every method may be called from any thread and returns at once. A training process (`attention_core.grow --live`) has
one thread at the lowest priority and bounds on time and memory that the kernel keeps. It ends when its standard input
does, so nothing is left running when this process is killed. Needs no torch.
"""

import atexit
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import IO, Literal

from attention_core.formats.wire import unpack
from attention_core.grow.record import Run, RunHead, SavedStep
from attention_core.grow.tasks import RunSettings

State = Literal["queued", "running", "finished", "stopped", "failed"]

ROOT = Path(__file__).resolve().parents[2]
LONGEST_RECORD = 4_000_000  # bytes; a saved step has about 5,000
GRACE = 20.0  # seconds over its time after which a process is killed that did not end by itself
_ALARMED = {-signal.SIGALRM} if hasattr(signal, "SIGALRM") else set()  # how a process ends when its clock runs out
KEEPER_PAUSE = 1.0  # seconds after which the keeper tries again what went wrong
PATIENCE = 600.0  # seconds for which an ended run is kept for a visitor who does not look


class Gone(KeyError):
    """There is no training with this key: it was left, or nobody looked at it for too long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one training may take, and how many there may be."""

    at_once: int = 1  # processes
    seconds: int | float = 120  # by the clock, from the start of the process
    lease: int | float = 15  # seconds without a look after which a visitor has left
    memory_mb: int = 700  # of writable memory of one process
    niceness: int = 19  # added to that of this process; 19 is the lowest priority
    waiting: int = 150  # visitors in the queue; more are refused
    of_one_address: int = 75  # of them that come from one: a class behind its school's address, and not all places
    kept: int = 16  # ended runs kept in memory


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A training as it stands."""

    settings: RunSettings
    state: State
    ahead: int  # trainings that must end before this one can start; 0 unless queued
    seconds: float  # since its process was started
    run: Run | None  # what is saved so far; None until the process has said its first word
    says: str  # a sentence for the visitor; why, if it was stopped or failed

    @property
    def step(self) -> int:
        """Training steps done at the newest saved step; 0 before the first."""
        return self.run.saved[-1].step if self.run and self.run.saved else 0


@dataclass(slots=True, eq=False)
class _Ticket:
    key: str
    visitor: str
    address: str
    settings: RunSettings
    until: float  # when the lease ends
    state: State = "queued"
    says: str = ""
    head: RunHead | None = None
    saved: tuple[SavedStep, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    ended: float = 0.0


class Trainings:
    """The queue, the leases and the processes. One for a server."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._tickets: dict[str, _Ticket] = {}
        self._queue: deque[_Ticket] = deque()
        self._running: list[_Ticket] = []
        self._changed = Condition()
        self._keeper: Thread | None = None
        self._closed = False
        atexit.register(self.close)

    def start(self, visitor: str, settings: RunSettings, address: str = "") -> str:
        """Begin a training, or queue it; the key is unguessable. An earlier one of the same visitor is forgotten.

        `address`: where the visitor comes from, "" where that is not known; of one address only so many wait.
        """
        with self._changed:
            for ticket in [one for one in self._tickets.values() if one.visitor == visitor]:
                self._forget(ticket)
            ticket = _Ticket(
                secrets.token_urlsafe(18), visitor, address, settings, time.monotonic() + self.limits.lease
            )
            self._tickets[ticket.key] = ticket
            if self._closed:
                self._end(ticket, "failed", "The server is stopping.")
            elif len(self._queue) >= self.limits.waiting:
                self._end(ticket, "failed", f"{self.limits.waiting} others are waiting. Try again in a few minutes.")
            elif address and sum(one.address == address for one in self._queue) >= self.limits.of_one_address:
                many = f"{self.limits.of_one_address} others of your network are waiting."
                self._end(ticket, "failed", f"{many} Try again in a few minutes.")
            else:
                self._queue.append(ticket)
                if self._keeper is None:
                    keeper = Thread(target=self._keep, name="trainings", daemon=True)
                    keeper.start()  # raises where there is no room for another thread
                    self._keeper = keeper
                self._changed.notify_all()
            return ticket.key

    def look(self, key: str) -> Live:
        """How a training stands; keeps it for another `lease` seconds. Raises Gone for an unknown key."""
        with self._changed:
            ticket = self._find(key)
            ended = ticket.state not in ("queued", "running")
            ticket.until = time.monotonic() + (max(PATIENCE, self.limits.lease) if ended else self.limits.lease)
            ahead = 0
            seconds = (ticket.ended or time.monotonic()) - ticket.began if ticket.began else 0.0
            run = Run(ticket.head, ticket.saved) if ticket.head else None
            says = ticket.says
            if ticket.state == "queued":
                free = self.limits.at_once - len(self._running)
                ahead = max(0, self._queue.index(ticket) + 1 - free)
                says = f"{ahead} ahead of you." if ahead else "Next to start."
            elif ticket.state == "running" and run is None:
                says = "Starting …"
            return Live(ticket.settings, ticket.state, ahead, seconds, run, says)

    def stop(self, key: str) -> None:
        """End a training and keep what it saved. Raises Gone for an unknown key."""
        with self._changed:
            ticket = self._find(key)
            if ticket.state in ("queued", "running"):
                self._end(ticket, "stopped", "Stopped.")

    def leave(self, key: str) -> None:
        """End a training and forget it; nothing happens if it is forgotten already."""
        with self._changed:
            if ticket := self._tickets.get(key):
                self._forget(ticket)

    def close(self) -> None:
        """End all trainings; none can be started after that."""
        with self._changed:
            self._closed = True
            for ticket in list(self._tickets.values()):
                self._forget(ticket)
        atexit.unregister(self.close)

    @property
    def processes(self) -> tuple[int, ...]:
        """Process ids of what is running."""
        with self._changed:
            return tuple(ticket.process.pid for ticket in self._running if ticket.process)

    def _find(self, key: str) -> _Ticket:
        if key not in self._tickets:
            raise Gone("this training is over and forgotten")
        return self._tickets[key]

    def _forget(self, ticket: _Ticket) -> None:
        self._end(ticket, "stopped", "Left.")
        self._tickets.pop(ticket.key, None)

    def _end(self, ticket: _Ticket, state: State, says: str) -> None:
        """Take a training out of the queue or kill its process; what has ended already stays as it ended."""
        if ticket.state not in ("queued", "running"):
            return
        if ticket in self._queue:
            self._queue.remove(ticket)
        if ticket in self._running:
            self._running.remove(ticket)
        if ticket.process:
            ticket.process.kill()  # its reader waits for it, so that no zombie stays
        ticket.state, ticket.says, ticket.ended = state, says, time.monotonic()
        if ticket.began:
            ticket.until = ticket.ended + PATIENCE
        ended = [one for one in self._tickets.values() if one.ended]
        for old in sorted(ended, key=lambda one: one.ended)[: -self.limits.kept]:
            self._tickets.pop(old.key, None)
        self._changed.notify_all()

    def _keep(self) -> None:
        """Until nothing is left: look after the trainings. What goes wrong with one ends that one, not the keeper."""
        with self._changed:
            while self._tickets:
                try:
                    pause = self._look_after()
                except Exception:  # no memory, most likely: later there may be some
                    pause = KEEPER_PAUSE
                if self._tickets:
                    self._changed.wait(pause)
            self._keeper = None

    def _look_after(self) -> float:
        """Start what can start, forget whom nobody looks at, kill what takes too long; seconds until then."""
        now = time.monotonic()
        for ticket in [one for one in self._tickets.values() if one.until <= now]:
            self._forget(ticket)
        for ticket in [one for one in self._running if self._latest(one) <= now]:
            self._end(ticket, "stopped", self._too_long())
        while self._queue and len(self._running) < self.limits.at_once:
            self._begin(self._queue.popleft())
        times = [one.until for one in self._tickets.values()] + [self._latest(one) for one in self._running]
        return max(0.01, min(times, default=now) - time.monotonic())

    def _latest(self, ticket: _Ticket) -> float:
        return ticket.began + self.limits.seconds + GRACE

    def _too_long(self) -> str:
        return f"Stopped after {self.limits.seconds:.0f} seconds, the most that one training may take."

    def _begin(self, ticket: _Ticket) -> None:
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        ticket.began, ticket.state = time.monotonic(), "running"
        try:
            ticket.process = subprocess.Popen(
                [sys.executable, "-m", "attention_core.grow", "--live"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=ROOT,
                env={**os.environ, **threads},
                bufsize=0,
            )
            order = {
                "settings": ticket.settings.as_json(),
                "seconds": self.limits.seconds,
                "memory_mb": self.limits.memory_mb,
                "niceness": self.limits.niceness,
            }
            assert ticket.process.stdin is not None  # a pipe was asked for
            ticket.process.stdin.write(json.dumps(order).encode() + b"\n")
            Thread(target=self._read, args=(ticket, ticket.process), name="training", daemon=True).start()
        except (OSError, MemoryError, RuntimeError) as error:  # the last: there can be no more threads
            why = error.strerror if isinstance(error, OSError) else "the machine has no room for it"
            self._end(ticket, "failed", f"The training could not be started: {why}.")
            return
        self._running.append(ticket)

    def _read(self, ticket: _Ticket, process: subprocess.Popen[bytes]) -> None:
        """Take over what the process says, until it ends."""
        state, says = "failed", "The training ended by itself before it was done."
        assert process.stdin is not None and process.stdout is not None
        with process.stdin, process.stdout:  # the input stays open as long as somebody wants the run
            while (record := read_record(process.stdout)) is not None:
                try:
                    meta, _ = unpack(record)
                    if "head" in meta:
                        head = RunHead.from_json(meta["head"])
                        with self._changed:
                            ticket.head = head
                    elif "step" in meta:
                        saved = SavedStep.from_bytes(record)
                        with self._changed:
                            ticket.saved = (*ticket.saved, saved)
                    elif meta["end"] == "finished":
                        state, says = "finished", ""
                    elif meta["end"] == "time":
                        state, says = "stopped", self._too_long()
                    elif meta["end"] == "memory":
                        says = f"The training needed more than {self.limits.memory_mb} MB, the most that one may have."
                except (ValueError, TypeError, KeyError, MemoryError):
                    break
        process.kill()
        if process.wait() in _ALARMED and state == "failed":
            state, says = "stopped", self._too_long()
        with self._changed:
            self._end(ticket, state, says)


def read_record(stream: IO[bytes]) -> bytes | None:
    """One record (u32 length, bytes) of a training process; None when it is over or no such thing comes."""
    size = _read_all(stream, 4)
    if size is None or int.from_bytes(size, "little") > LONGEST_RECORD:
        return None
    return _read_all(stream, int.from_bytes(size, "little"))


def write_record(stream: IO[bytes], record: bytes) -> None:
    """What `read_record` reads."""
    stream.write(len(record).to_bytes(4, "little") + record)
    stream.flush()


def _read_all(stream: IO[bytes], size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = stream.read(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)
