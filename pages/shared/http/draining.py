"""When the server is told to stop: who waits for a sentence gets it first, for a few seconds."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from pages.shared.service.service import service

DRAIN_SECONDS = 5.0  # at most; a page whose sentence takes longer comes back by itself when the server is there again
QUIET_SECONDS = 0.5  # in which nobody asked: what was read has been drawn and fetched
LOOK_SECONDS = 0.05


async def until_quiet() -> None:
    """Wait until nothing has been read or made for a while, DRAIN_SECONDS at most."""
    latest = time.monotonic() + DRAIN_SECONDS
    quiet_since = time.monotonic()
    while (now := time.monotonic()) < latest:
        if service().waiting:
            quiet_since = now
        elif now - quiet_since >= QUIET_SECONDS:
            return
        await asyncio.sleep(LOOK_SECONDS)


def drain_at_the_end(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Let SIGTERM wait `until_quiet` before the server hears of it; a second one ends it at once.

    Call what it returns to have the server's own handler back.
    """
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        return lambda: None  # a test's server: nobody tells it to stop
    tasks: set[asyncio.Task[None]] = set()

    async def drain(number: int, frame: FrameType | None) -> None:
        try:
            await until_quiet()
        finally:
            before(number, frame)

    def told_to_stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, before)
        loop.call_soon_threadsafe(lambda: tasks.add(loop.create_task(drain(number, frame))))

    signal.signal(signal.SIGTERM, told_to_stop)
    return lambda: None if signal.getsignal(signal.SIGTERM) is before else _back(before)


def _back(before: Callable[[int, FrameType | None], object]) -> None:
    signal.signal(signal.SIGTERM, before)
