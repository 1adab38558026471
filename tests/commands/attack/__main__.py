"""Attack a server of our own, one attack after another, and print what somebody beside it notices: a line each.

A bystander opens the page in time and types sentences that nobody else has: before, during and after each attack.
Memory is that of the server's process, less what its bounded caches say that they hold. Loopback only.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

from pages.shared.process.settings import from_environment
from tests.commands.attack.attacks import ATTACKS, Plan
from tests.commands.benchmarks import machine, pages
from tests.commands.benchmarks.load.recording import Recording, record
from tests.commands.benchmarks.load.visitor import Visitor
from tests.support.serving import ROOT, Server, launch_chromium, serve

MEGABYTE = 1e6
SLOWER, SECONDS = 2.0, 1.0  # a sentence may take twice as long as in quiet, or a second
OVER, MORE_MB = 1.1, 64.0  # memory comes back to within a tenth and so many megabytes
BACK_SECONDS = 60.0
QUIET_SENTENCES = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """What one attack came to: seconds of the bystander's sentences, megabytes, lines of the log."""

    name: str
    before: list[float]
    during: list[float]
    after: list[float]
    failed: int  # sentences of the bystander that were not answered
    memory: tuple[float, float, float]  # before, at most, after
    log_lines: int

    @property
    def held(self) -> bool:
        """Did the bystander hardly notice, and did the memory come back?"""
        quick = p95(self.during) <= max(SLOWER * p95(self.before), SECONDS)
        return quick and not self.failed and self.memory[2] <= OVER * self.memory[0] + MORE_MB

    @property
    def line(self) -> str:
        """One row of the table."""
        times = " / ".join(f"{p95(one):.2f}" for one in (self.before, self.during, self.after))
        memory = " / ".join(f"{one:.0f}" for one in self.memory)
        failed = f" ({self.failed} failed)" if self.failed else ""
        said = "holds" if self.held else "DOES NOT HOLD"
        return f"| {self.name} | {times} s{failed} | {len(self.during)} | {memory} MB | {self.log_lines} | {said} |"


HEAD = (
    "| attack | bystander's sentence, p95 before / during / after | sentences during | memory before / most / after "
    "| log lines | |\n|---|---|---|---|---|---|"
)


def p95(values: Sequence[float]) -> float:
    """The 95th percentile by nearest rank; of few values the largest. Infinite for none: nobody was answered."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))] if ordered else float("inf")


class Bystander(Visitor):
    """Types one sentence after another."""

    async def open(self) -> None:
        """Open the page, and wait for its picture."""
        self.reading = await self._open()

    async def sentences(self, n: int = 10**6, until: asyncio.Event | None = None) -> tuple[list[float], int]:
        """Seconds of so many sentences, or of as many as there is time for; how many failed."""
        self.times.sentence.clear()
        failed = 0
        for _ in range(n):
            if until is not None and until.is_set():
                break
            try:
                await asyncio.wait_for(self._type(), 30)
            except (TimeoutError, OSError, RuntimeError):
                failed += 1
        return list(self.times.sentence), failed


def main() -> int:
    """Start a server, attack it, print the table; 1 if something did not hold."""
    parser = argparse.ArgumentParser(prog="make attack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each attack, 60 at most")
    parser.add_argument("--only", default="", help="attacks whose names have this in them")
    told = parser.parse_args()
    if not 1 <= told.seconds <= 60:
        parser.error("an attack takes 1 to 60 seconds")
    with serve(env={"SIGHTLINE_HUB": "0"}) as server:
        _until_warm(server)
        with sync_playwright() as playwright:
            browser = launch_chromium(playwright)
            chromium = f"Chromium {browser.version}"
            recording = record(browser, server.url, "/" + pages.address(64))
            browser.close()
        _say(machine.describe(chromium, from_environment().threads, psutil.getloadavg()[0]))
        _say(HEAD)
        seen = asyncio.run(_all(server, recording, told.seconds, told.only))
        traced = server.log.read_text(errors="replace").count("Traceback")
    _say(f"\nTracebacks in the log: {traced}")
    return 0 if seen and all(one.held for one in seen) and not traced else 1


async def _all(server: Server, recording: Recording, seconds: float, only: str) -> list[Seen]:
    bystander = Bystander(recording, "127.0.0.1", server.port, 7)
    await bystander.open()
    found = []
    for name in ATTACKS:
        if only in name:
            found.append(await _one(server, bystander, name, seconds))
            _say(found[-1].line)
    return found


async def _one(server: Server, bystander: Bystander, name: str, seconds: float) -> Seen:
    lines = _lines(server)
    before, failed_before = await bystander.sentences(QUIET_SENTENCES)
    memory_before, most = await _memory(server), 0.0
    over = asyncio.Event()
    plan = Plan("127.0.0.1", server.port, seconds, bystander.key, bystander.recording.to_json())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.json"
        file.write_text(json.dumps(asdict(plan)), encoding="utf-8")
        command = [sys.executable, "-m", "tests.commands.attack.attacks", name, str(file)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        attack = await asyncio.create_subprocess_exec(*command, cwd=ROOT, **pipes)
        assert attack.stdout is not None
        await asyncio.wait_for(attack.stdout.readline(), 120)  # its modules are imported: what comes now is the attack

        async def watch() -> None:
            nonlocal most
            latest = time.monotonic() + seconds + 30
            while attack.returncode is None and time.monotonic() < latest:
                most = max(most, psutil.Process(server.process.pid).memory_info().rss / MEGABYTE)
                await asyncio.sleep(0.2)
            if attack.returncode is None:
                attack.kill()
            over.set()

        watching = asyncio.create_task(watch())
        during, failed = await bystander.sentences(until=over)
        await watching
        await attack.wait()
    after, failed_after = await bystander.sentences(QUIET_SENTENCES)
    memory_after = await _memory(server)
    latest = time.monotonic() + BACK_SECONDS
    while memory_after > OVER * memory_before + MORE_MB and time.monotonic() < latest:
        await asyncio.sleep(1)
        memory_after = await _memory(server)
    every = failed_before + failed + failed_after
    memory = memory_before, most, memory_after
    return Seen(name, before, during, after, every, memory, _lines(server) - lines)


async def _memory(server: Server) -> float:
    """Megabytes of the server less what its caches report."""
    told = await asyncio.to_thread(_health, server)
    return (told["rss_bytes"] - sum(told["cache_bytes"].values())) / MEGABYTE


def _health(server: Server) -> dict:
    with urllib.request.urlopen(f"{server.url}sightline/health", timeout=60) as answer:
        return json.load(answer)


def _until_warm(server: Server) -> None:
    latest = time.monotonic() + 300
    while _health(server)["model"] != "loaded":
        if time.monotonic() > latest:
            raise RuntimeError("the model was not loaded within 300 s")
        time.sleep(0.2)


def _lines(server: Server) -> int:
    with suppress(OSError):
        return server.log.read_text(errors="replace").count("\n")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
