"""End the readers of a server with SIGKILL while a crowd is there, each time that they are healthy."""

import json
import os
import signal
import threading
import time
import urllib.request

import psutil

from tests.support.serving import Server

READER = "pages.shared.engine.reader"


class Killer:
    """`with Killer(servers, 5, 120) as restarts: …` ends each server's reader five times within 120 s.

    `restarts` are the seconds from each kill until that server was ready again.
    """

    def __init__(self, servers: list[Server], times: int, seconds: float) -> None:
        self._servers, self._times, self._pause = servers, times, seconds / (times + 1)
        self.restarts: list[float] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._kill, args=(one,), daemon=True) for one in servers]

    def __enter__(self) -> list[float]:
        for thread in self._threads if self._times else ():
            thread.start()
        return self.restarts

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads if self._times else ():
            thread.join(timeout=120)

    def _kill(self, server: Server) -> None:
        for _ in range(self._times):
            if self._stop.wait(self._pause):
                return
            children = psutil.Process(server.process.pid).children(recursive=True)
            (reader,) = (child for child in children if READER in child.cmdline())
            os.kill(reader.pid, signal.SIGKILL)
            begun = time.monotonic()
            while not _ready(server, reader.pid):
                time.sleep(0.05)
            self.restarts.append(time.monotonic() - begun)


def _ready(server: Server, killed: int) -> bool:
    children = psutil.Process(server.process.pid).children(recursive=True)
    if not any(READER in _line(child) for child in children if child.pid != killed):
        return False
    with urllib.request.urlopen(server.url + "sightline/health", timeout=30) as answer:
        return json.load(answer)["ready"]


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
