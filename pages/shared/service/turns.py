"""A fair queue of jobs on few threads: visitors take turns, so that nobody waits for another's whole list.

Each round takes one job of every visitor who has any: a visitor with a hundred texts delays another by one of them.
Short jobs come before long ones: a click is answered while a hundred sentences wait, which hardly delays them.
Work in the background stands back while others ask: it begins once nobody has for a moment, or waited long enough.
What nobody wants any more when its turn comes (its visitor typed something else, or left) is dropped before it costs.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Lock, get_ident
from typing import Any, TypeVar

from pages.shared.service.bounded import NoLongerWanted

Result = TypeVar("Result")

QUIET_SECONDS = 0.2  # after which who asked has what he asked for: a browser fetches a text's pictures within it
PATIENT_SECONDS = 0.5  # that work in the background stands back at most: in a busy class it goes on, slowly


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """Who asks, and whether an answer is still wanted."""

    name: str = ""  # the same for everything that one visitor asks for
    gone: Event | None = None  # set once nobody waits for the answer

    @property
    def waits(self) -> bool:
        """Whether an answer is still wanted."""
        return self.gone is None or not self.gone.is_set()


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    run: Callable[[], object]
    wanted: Callable[[], bool]
    answer: "Future[Any]"  # of what `run` gives
    background: bool = False


class Turns:
    """`submit` jobs; `n_threads` of them run at a time."""

    def __init__(self, name: str, n_threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix=name)
        # By visitor; the first one is next. Short jobs, then long ones.
        self._short: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._long: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._running = 0
        self._threads: set[int] = set()  # that run jobs now
        self._others = -1e9  # when somebody last asked for something, or got it, that is not work in the background
        self._lock = Lock()

    def submit(
        self,
        job: Callable[[], Result],
        visitor: str = "",
        wanted: Callable[[], bool] = lambda: True,
        *,
        short: bool = False,
        background: bool = False,
    ) -> "Future[Result]":
        """Run `job` when it is this visitor's turn; NoLongerWanted if by then `wanted` says so.

        `short` is for jobs of milliseconds that end what somebody waits for, `background` for those before which
        `stand_back` is called: nobody stands back for them.

        Raises RuntimeError if it is a job here that asks: waiting for an answer it would wait for itself.
        """
        if get_ident() in self._threads:
            raise RuntimeError("a job that has its turn must not ask for another one")
        answer: Future[Result] = Future()
        with self._lock:
            queues = self._short if short else self._long
            queues.setdefault(visitor, deque()).append(_Job(job, wanted, answer, background))
            self._noticed(background)
        self._pool.submit(self._next)  # one call for each job, whichever job its turn then is
        return answer

    @property
    def waiting(self) -> int:
        """Jobs that run or wait."""
        return self._running + sum(len(jobs) for queues in (self._short, self._long) for jobs in list(queues.values()))

    def ahead(self, visitor: str) -> int:
        """Long jobs of others that begin before this visitor's next one, all that run included; 0 if it has none."""
        with self._lock:
            if visitor not in self._long:
                return 0
            return self._running + list(self._long).index(visitor)

    def stand_back(self, quiet: float = QUIET_SECONDS, at_most: float = PATIENT_SECONDS) -> None:
        """Wait until nobody has asked for anything for `quiet` seconds, but no longer than `at_most`.

        Who has just got a text asks for its pictures next: a piece of work between the two would be waited for twice.
        """
        ends = time.monotonic() + at_most
        while (now := time.monotonic()) < ends and (left := self._others + quiet - now) > 0:
            time.sleep(min(left, ends - now))

    def _noticed(self, background: bool) -> None:
        if not background:
            self._others = time.monotonic()

    def _next(self) -> None:
        with self._lock:
            queues = self._short or self._long
            visitor, jobs = queues.popitem(last=False)
            job = jobs.popleft()
            if jobs:
                queues[visitor] = jobs  # to the end of the round
            self._running += 1
            self._threads.add(get_ident())
        try:
            if not job.wanted():
                raise NoLongerWanted("nobody waits for this any more")
            result = job.run()
        except BaseException as error:
            self._done(job)
            job.answer.set_exception(error)
        else:
            self._done(job)
            job.answer.set_result(result)

    def _done(self, job: _Job) -> None:
        with self._lock:
            self._noticed(job.background)
            self._running -= 1
            self._threads.discard(get_ident())
