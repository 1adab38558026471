"""Processor time by where it goes: seconds of this process's threads, added up by place."""

import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock, local
from typing import Literal

Place = Literal["page load", "rerun", "pass", "packs", "compression", "routes"]

_lock = Lock()
_seconds: defaultdict[str, float] = defaultdict(float)
_inside = local()  # seconds of this thread that belong to a place within the one that it is at


@contextmanager
def on(place: Place) -> Generator[None]:
    """Count what this thread computes until the block ends, without what a place within it counts for itself.

    Nothing in the block may wait for the event loop: other requests would be counted with it.
    """
    outer, begun = getattr(_inside, "seconds", 0.0), time.thread_time()
    _inside.seconds = 0.0
    try:
        yield
    finally:
        took = time.thread_time() - begun
        with _lock:
            _seconds[place] += took - _inside.seconds
        _inside.seconds = outer + took


def told() -> dict[str, float]:
    """Seconds of processor by place since the start, and in "all" those of the whole process."""
    with _lock:
        places = dict(_seconds)
    return {**{place: round(seconds, 3) for place, seconds in places.items()}, "all": round(time.process_time(), 3)}
