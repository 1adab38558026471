"""Which visitor has which trace files open: one, and another beside it to compare; none is kept for nobody."""

from collections.abc import Iterable
from functools import cache
from threading import Lock

from pages.shared.engine.choosing import engine
from pages.shared.service.sources import Source


class OpenedFiles:
    """The opened trace file of each session."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, bool], Source] = {}  # session, and whether it is the one beside the other
        self._lock = Lock()

    def keep(self, session: str, source: Source, *, beside: bool = False) -> None:
        """This session looks at this file now; the one it had before is forgotten, unless another session has it.

        With `beside` it is the second file, which is compared with what the session looks at.
        """
        with self._lock:
            before = self._of.get((session, beside))
            self._of[session, beside] = source
        self._forget_unless_open([before] if before else [])

    def close(self, session: str, *, beside: bool = False) -> None:
        """This session no longer looks at its file, or at the one beside it."""
        with self._lock:
            before = self._of.pop((session, beside), None)
        self._forget_unless_open([before] if before else [])

    def leave(self, sessions: Iterable[str]) -> None:
        """These sessions have gone."""
        with self._lock:
            gone = set(sessions)
            left = [self._of.pop(key) for key in [key for key in self._of if key[0] in gone]]
        self._forget_unless_open(left)

    @property
    def sessions(self) -> tuple[str, ...]:
        """Those that have a file open."""
        with self._lock:
            return tuple({session for session, _ in self._of})

    def _forget_unless_open(self, sources: Iterable[Source]) -> None:
        for source in set(sources):
            with self._lock:
                open_still = source in self._of.values()
            if not open_still:
                engine().forget(source)


@cache
def opened_files() -> OpenedFiles:
    """Those of this process."""
    return OpenedFiles()
