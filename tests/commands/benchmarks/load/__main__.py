"""`make load N=100`: N visitors open the teacher's link within 30 s, type two sentences and choose five heads.

`PROXY=1` puts nginx with the documented configuration before two processes; `FLOOR=1` lets the same crowd open an empty
Streamlit page afterwards. Loopback only. The clients share the machine's cores with the server; their cost is printed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, sync_playwright

from pages.shared.process.settings import from_environment
from tests.commands.benchmarks import machine, pages
from tests.commands.benchmarks.load import report
from tests.commands.benchmarks.load.crowd import Plan
from tests.commands.benchmarks.load.proxy import nginx
from tests.commands.benchmarks.load.recording import copied_link, record
from tests.commands.benchmarks.load.report import Seen
from tests.commands.benchmarks.load.watching import Watch
from tests.support.serving import ROOT, Server, launch_chromium, serve

START_SECONDS = 8.0  # in which the real Chromium starts, before anybody comes
MOST_VISITORS, MOST_SECONDS = 1_000, 600


def main() -> int:
    told = _arguments()
    load = os.getloadavg()[0]
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        chromium = f"Chromium {browser.version}"
        ours = _ours(browser, told)
        floor = _floor(browser, told) if told.floor else None
        browser.close()
    how = "2 processes behind nginx" if told.proxy else "1 process"
    acts = f"then 2 sentences and 5 heads each over {told.seconds:g} s"
    print(f"Sightline {machine.release()}: {told.n} visitors within {told.arrive:g} s, {acts}; {how}\n")
    print(machine.describe(chromium, from_environment().threads, load), end="\n\n")
    lines, held = report.lines(ours, floor)
    print("\n".join(lines))
    return 0 if held else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("n", type=int, help=f"visitors, at most {MOST_VISITORS}")
    parser.add_argument("--arrive", type=float, default=30.0, help="seconds within which all arrive")
    parser.add_argument("--seconds", type=float, default=120.0, help="seconds over which each then acts")
    parser.add_argument("--proxy", action="store_true", help="nginx before two processes")
    parser.add_argument("--floor", action="store_true", help="an empty Streamlit page too")
    told = parser.parse_args()
    if not 1 <= told.n <= MOST_VISITORS or not 0 < told.arrive + told.seconds <= MOST_SECONDS:
        parser.error(f"1 to {MOST_VISITORS} visitors, {MOST_SECONDS} s at most in all")
    return told


def _ours(browser: Browser, told: argparse.Namespace) -> Seen:
    with ExitStack() as stack:
        servers = [stack.enter_context(serve()) for _ in range(2 if told.proxy else 1)]
        url = stack.enter_context(nginx([server.port for server in servers])) if told.proxy else servers[0].url
        for server in servers:
            _wait_until_warm(server)
        link = copied_link(browser, url, "/" + pages.address(64))
        recording = record(browser, url, link)
        watched = [server.process.pid for server in servers]
        with _real_visit(url, link, START_SECONDS + told.arrive / 2) as visit:
            time.sleep(START_SECONDS)
            seen = _crowd(recording, url, told, watched)
        return replace(seen, browser=visit.get("seconds"), caches=_caches(servers))


def _floor(browser: Browser, told: argparse.Namespace) -> Seen:
    with serve(app=ROOT / "tests/commands/benchmarks/load/floor.py") as server:
        recording = record(browser, server.url, "/", explorer=False)
        return _crowd(recording, server.url, told, [server.process.pid])


def _crowd(recording, url: str, told: argparse.Namespace, pids: list[int]) -> Seen:
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    plan = Plan(recording.to_json(), host, port, told.n, told.arrive, told.seconds)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.json"
        file.write_text(json.dumps(asdict(plan)))
        command = [sys.executable, "-m", "tests.commands.benchmarks.load.crowd", str(file)]
        with Watch(pids) as server, subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            with Watch([process.pid]) as clients:
                told_us, _ = process.communicate(timeout=told.arrive + told.seconds + 600)
    return Seen(json.loads(told_us), server, clients)


@contextmanager
def _real_visit(url: str, page: str, after: float) -> Iterator[dict[str, float]]:
    """One real Chromium among the arriving: the same link, an empty cache, its own drawing included."""
    found: dict[str, float] = {}
    command = [sys.executable, "-m", "tests.commands.benchmarks.load.browser", url, page, str(after)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        yield found
        told_us, _ = process.communicate(timeout=120)
        if process.returncode:
            raise RuntimeError("the real Chromium failed; its reason stands above")
        found |= json.loads(told_us)


def _wait_until_warm(server: Server) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if _health(server).get("model") == "loaded":
            return
        time.sleep(0.2)
    raise RuntimeError("the model was not loaded within 60 s")


def _health(server: Server) -> dict:
    with urllib.request.urlopen(server.url + "sightline/health", timeout=10) as answer:
        return json.load(answer)


def _caches(servers: list[Server]) -> dict[str, int]:
    """Bytes of the caches, by name, over all processes."""
    total: Counter[str] = Counter()
    for server in servers:
        total.update(_health(server)["cache_bytes"])
    return dict(total)


if __name__ == "__main__":
    sys.exit(main())
