"""The engine of this process: the one that the operator chose, made when it is first asked for."""

from threading import Lock

from pages.shared.engine.engine import Engine
from pages.shared.process.settings import from_environment

_engine: Engine | None = None
_lock = Lock()


def engine() -> Engine:
    """The engine that computes for the pages of this process."""
    global _engine
    with _lock:
        if _engine is None:
            _engine = _made()
        return _engine


def _made() -> Engine:
    settings = from_environment()
    if settings.engine == "process":
        from pages.shared.engine.process import ProcessEngine

        return ProcessEngine(settings)
    from pages.shared.engine.local import LocalEngine
    from pages.shared.service.service import service

    return LocalEngine(service())
