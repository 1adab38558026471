"""Which visitor has which trace file open: one each, and none is kept for nobody."""

from collections.abc import Iterable
from functools import cache
from threading import Lock

from pages.shared.service.service import service
from pages.shared.service.sources import Source


class OpenedFiles:
    """The opened trace file of each session."""

    def __init__(self) -> None:
        self._of: dict[str, Source] = {}
        self._lock = Lock()

    def keep(self, session: str, source: Source) -> None:
        """This session looks at this file now; the one it had before is forgotten, unless another session has it."""
        with self._lock:
            before = self._of.get(session)
            self._of[session] = source
        self._forget_unless_open([before] if before else [])

    def leave(self, sessions: Iterable[str]) -> None:
        """These sessions have gone."""
        with self._lock:
            left = [self._of.pop(session) for session in set(sessions) & self._of.keys()]
        self._forget_unless_open(left)

    @property
    def sessions(self) -> tuple[str, ...]:
        """Those that have a file open."""
        with self._lock:
            return tuple(self._of)

    def _forget_unless_open(self, sources: Iterable[Source]) -> None:
        for source in set(sources):
            with self._lock:
                open_still = source in self._of.values()
            if not open_still:
                service().forget(source)


@cache
def opened_files() -> OpenedFiles:
    """Those of this process."""
    return OpenedFiles()
