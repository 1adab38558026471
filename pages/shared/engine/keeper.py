"""Keep a reader process running: start it, ask it, start it again when it has ended, and ask again what was asked."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

import msgspec
import psutil

from pages.shared.engine import messages
from pages.shared.engine.plain import Progress, Refused
from pages.shared.process import logs
from pages.shared.process.settings import Settings
from pages.shared.process.unforeseen import Unforeseen
from pages.shared.service.service import Gone
from pages.shared.service.turns import NoLongerWanted

_ROOT = Path(__file__).resolve().parents[3]
PROGRAM = (sys.executable, "-m", "pages.shared.engine.reader")
MOST_DEATHS = 3  # of the reader while it had one question: then it is taken to be what ends it
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before it is started again if it ended before it was ready
LONGEST_CLOSING = 10.0  # seconds that the server's end waits for the reader's
SOON = 1.0  # seconds within which the reader says how far a job is
STARTING = "Starting the computing engine …"
_ENDED = (
    f"The process that computes ended {MOST_DEATHS} times over this: it may take more memory than there is. "
    "Try a shorter text or a smaller model."
)


@dataclass(slots=True, eq=False)
class Asked:
    """A question on its way; a handle of the seam."""

    id: int
    message: bytes
    kind: messages.Kind  # of the answer
    keeper: "Keeper"
    future: "Future[messages.Answer]" = field(default_factory=Future)
    with_file: bool = False
    lasting: bool = False  # asked again however often the reader ends
    deaths: int = 0
    known: Progress = field(default_factory=Progress)

    def progress(self) -> Progress:
        """How far it is; a sentence that the reader starts while there is none."""
        if self.future.done():
            return self.known
        if not self.keeper.ready:
            return Progress(0, STARTING, self.known.done, self.known.total)
        asked = self.keeper.ask("progress", (self.id,), Progress | None)
        try:
            self.known = asked.future.result(timeout=SOON) or self.known
        except Exception:  # busy, or it has just ended: the job itself tells
            pass
        return self.known

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.keeper.cancel(self)


class Keeper:
    """The reader of this process. `on_event` is given what the reader tells by itself: its name and its data."""

    def __init__(self, settings: Callable[[], Settings], on_event: Callable[[str, msgspec.Raw], None]) -> None:
        self._settings, self._on_event = settings, on_event
        self._lock = Lock()
        self._ids = itertools.count(1)
        self._pending: dict[int, Asked] = {}
        self._line: messages.Line | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: Thread | None = None
        self._closing = Event()
        self.ready = False  # the reader has loaded its first model, or has found that it cannot
        self.restarts = 0
        self.start_seconds = 0.0  # what the last start took until it was ready

    @property
    def pid(self) -> int | None:
        """The reader's process, if there is one."""
        return self._process.pid if self._process is not None else None

    @property
    def waiting(self) -> int:
        """Questions that are not answered yet, without those that last."""
        with self._lock:
            return sum(not one.lasting for one in self._pending.values())

    @property
    def rss_bytes(self) -> int:
        """Its resident memory, 0 while there is none."""
        try:
            return psutil.Process(self.pid).memory_info().rss if self.pid else 0
        except psutil.NoSuchProcess:
            return 0

    def begin(self) -> None:
        """Start the reader, once."""
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = Thread(target=self._keep, name="reader keeper", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """End the reader, and whatever is still asked."""
        self._closing.set()
        end = time.monotonic() + LONGEST_CLOSING
        while self._thread is not None and self._thread.is_alive() and time.monotonic() < end:
            if (process := self._process) is not None:  # one may just be starting
                process.terminate()
            self._thread.join(timeout=0.1)

    def ask(self, op: str, arguments: tuple[object, ...], kind: messages.Kind, *, lasting: bool = False) -> Asked:
        """Ask the reader: at once, or when there is one (again)."""
        self.begin()
        id_ = next(self._ids)
        message = messages.encode(messages.Ask(id_, op, messages.raw(arguments)))
        one = Asked(id_, message, kind, self, with_file=op == "save", lasting=lasting)
        with self._lock:
            if self._closing.is_set():
                one.future.set_exception(Refused("The server is closing."))
                return one
            self._pending[id_] = one
            line = self._line
        if line is not None:
            self._send(line, one.message)
        return one

    def cancel(self, one: Asked) -> None:
        """Nobody waits for an answer any more."""
        if one.future.done():
            return
        with self._lock:
            line = self._line
            waiting = line is None and self._pending.pop(one.id, None) is not None
        if waiting:  # for a reader: it need not be asked at all
            one.future.set_exception(NoLongerWanted("nobody waits for this any more"))
        elif line is not None:
            self._send(line, messages.encode(messages.Ask(one.id, "cancel", messages.raw(()))))

    def _send(self, line: messages.Line, message: bytes) -> None:
        try:
            line.send(message)
        except messages.Ended:
            pass  # whoever receives has noticed, and what is pending is asked again

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while not self._closing.is_set():
            begun = time.monotonic()
            line = self._start()
            self._receive(line)
            line.close()
            was_ready = self.ready
            self._ended()
            if self._closing.is_set():
                break
            self.restarts += 1
            logs.event("reader ended", restarts=self.restarts, seconds=time.monotonic() - begun)
            pause = FIRST_PAUSE if was_ready else min(2 * pause, LONGEST_PAUSE)
            if not was_ready:
                self._closing.wait(pause)
        self._fail_all()

    def _start(self) -> messages.Line:
        ours, theirs = messages.pair()
        with theirs:  # only the reader keeps it: when it has ended, nobody does, and the connection closes
            command = [*PROGRAM, str(theirs.fileno())]
            process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        self._process = process
        line = messages.Line(ours)
        self._send(line, messages.encode(self._settings()))
        return line

    def _listens(self, line: messages.Line) -> None:
        """The reader takes questions now, so that nobody who asks one has to wait until it is taken."""
        with self._lock:
            for one in self._pending.values():  # in the order in which they were asked
                self._send(line, one.message)
            self._line = line

    def _receive(self, line: messages.Line) -> None:
        begun = time.monotonic()
        while True:
            try:
                data, file = line.receive()
            except messages.Ended:
                return
            told = messages.told(data)
            if told.event == "listens":
                self._listens(line)
            elif told.event == "ready":
                self.ready, self.start_seconds = True, time.monotonic() - begun
            elif told.event:
                self._on_event(told.event, told.value)
            if told.event:
                continue
            with self._lock:
                one = self._pending.pop(told.id, None)
            if one is not None and (one.with_file or file is None):
                _resolve(one, told, file)
            elif file is not None:
                os.close(file)

    def _ended(self) -> None:
        """What was asked over and over when the reader ended is not asked again."""
        with self._lock:
            self._line, self.ready = None, False
            process, self._process = self._process, None
            for one in self._pending.values():
                one.deaths += 1
            over = [one for one in self._pending.values() if one.deaths >= MOST_DEATHS and not one.lasting]
            for one in over:
                del self._pending[one.id]
        for one in over:
            one.future.set_exception(Refused(_ENDED))
        if process is not None:
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _fail_all(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, {}
        for one in pending.values():
            one.future.set_exception(Refused("The server is closing."))


def _resolve(one: Asked, told: messages.Told, file: int | None) -> None:
    try:
        if told.error is not None:
            one.future.set_exception(_error(*told.error))
        else:
            value = messages.read(told.value, one.kind)
            one.future.set_result((value, file) if one.with_file else value)
    except Exception as error:  # an answer that is not what the seam says: the asker is told, the reader lives on
        one.future.set_exception(error)


def _error(kind: str, says: str) -> Exception:
    kinds: dict[str, Callable[[str], Exception]] = {
        "Refused": Refused,
        "Gone": Gone,
        "NoLongerWanted": NoLongerWanted,
        "MemoryError": MemoryError,
        "ValueError": ValueError,
    }
    return kinds.get(kind, Unforeseen)(says)
