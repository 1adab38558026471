"""SIGTERM: what is being read is read and fetched first, for five seconds at most."""

import asyncio
import itertools
import os
import signal
import time
from types import SimpleNamespace

import pytest

from pages.shared.http import draining
from tests.support.serving import serve


class Busy:
    """A service with so many texts waiting at each look."""

    def __init__(self, *waiting: int) -> None:
        self._waiting = list(waiting)
        self.looks = 0

    @property
    def waiting(self) -> int:
        self.looks += 1
        return self._waiting.pop(0) if len(self._waiting) > 1 else self._waiting[0]


@pytest.mark.parametrize(("waiting", "looks"), [((0,), 1), ((3, 2, 1, 0), 4), ((1, 0, 1, 0), 4)])
def test_it_waits_until_nobody_has_asked_for_a_while(monkeypatch, waiting, looks):
    """A picture is asked for after its text has been read: once nothing waits is not the end."""
    busy = Busy(*waiting)
    monkeypatch.setattr(draining, "engine", lambda: busy)
    monkeypatch.setattr(draining, "QUIET_SECONDS", 0.2)
    monkeypatch.setattr(draining, "LOOK_SECONDS", 0)
    ticks = itertools.count()  # a clock of its own: a busy machine sleeps longer than it was told
    monkeypatch.setattr(draining, "time", SimpleNamespace(monotonic=lambda: next(ticks) * 0.05))
    asyncio.run(draining.until_quiet())
    assert busy.looks > looks
    assert busy.waiting == 0


def test_it_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(draining, "engine", lambda: Busy(1))
    monkeypatch.setattr(draining, "DRAIN_SECONDS", 0.3)
    asyncio.run(draining.until_quiet())
    assert draining.DRAIN_SECONDS < 5


def test_the_server_hears_of_it_afterwards_and_at_once_the_second_time(monkeypatch):
    heard = []
    original = signal.signal(signal.SIGTERM, lambda *_: heard.append(time.monotonic()))
    go = []

    async def quiet() -> None:
        while not go:
            await asyncio.sleep(0.01)

    monkeypatch.setattr(draining, "until_quiet", quiet)

    async def told() -> None:
        usual = draining.drain_at_the_end(asyncio.get_running_loop())
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.1)
        assert not heard
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0.05)
        assert len(heard) == 1
        go.append(True)
        await asyncio.sleep(0.1)
        assert len(heard) == 2
        usual()

    try:
        asyncio.run(told())
    finally:
        signal.signal(signal.SIGTERM, original)


@pytest.mark.slow
def test_a_server_that_is_told_to_stop_stops():
    with serve() as server:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=120)
        assert "Traceback" not in server.log.read_text(errors="replace")
