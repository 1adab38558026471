"""The real server and a real browser, for browser tests, benchmarks and screenshots."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python import sync_playwright as axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, Request, WebSocket

ROOT = Path(__file__).resolve().parents[2]
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 120_000  # until a fault is certain: a slow machine is none

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM_FLAGS = [
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",  # the browser asks nobody for updates
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Server:
    """A running server: where it listens, which process it is, where its output goes."""

    url: str
    process: subprocess.Popen
    log: Path

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80


def free_port() -> int:
    """A port that nobody listens at, and that nobody else takes before our server does.

    Those that the system itself gives away begin at 32,768 (Linux), and each of pytest's workers has a thousand below
    to itself.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 12_000 + 1_000 * (worker % 20)
    for port in random.Random().sample(range(first, first + 1_000), 1_000):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no port is free from {first} to {first + 999}")


@contextmanager
def serve(
    *,
    env: dict[str, str] | None = None,
    wait_s: float = 300.0,
    app: Path = ROOT / "app.py",
    port: int = 0,
    below: str = "",
    address: str = "127.0.0.1",
) -> Iterator[Server]:
    """Run `streamlit run` of app.py, or another script, until the block ends; on a free port unless one is given.

    `below`: a path like "class/" under which it then lies.

    Raises RuntimeError with the server's output if it does not answer within `wait_s` seconds.
    """
    port = port or free_port()
    url = f"http://127.0.0.1:{port}/{below}"
    command = [sys.executable, "-m", "streamlit", "run", str(app)]
    command += [f"--server.address={address}", f"--server.port={port}", "--server.headless=true"]
    command += [f"--server.baseUrlPath={below}"] if below else []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=ROOT,  # and so with our settings
                env={**os.environ, "HF_HUB_OFFLINE": "1", **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that ending it ends its children too
            )
        try:
            _wait_until_healthy(url, process, log, wait_s)
            yield Server(url, process, log)
        finally:
            _end(process)


def _wait_until_healthy(url: str, process: subprocess.Popen, log: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url + "_stcore/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise RuntimeError(f"the server did not answer within {wait_s:g} s; it said:\n{log.read_text(errors='replace')}")


def _end(process: subprocess.Popen) -> None:
    for sig in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sig)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=10)
            return
        except subprocess.TimeoutExpired:
            continue


def launch_chromium(playwright: Playwright) -> Browser:
    """Start the machine's own Chromium, headless.

    Raises RuntimeError if there is none: a browser test that cannot run must not look like one that passed.
    """
    path = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if path is None:
        raise RuntimeError(f"Chromium is needed (looked for {', '.join(CHROMIUM_NAMES)}); `make test` installs it")
    return playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)


@dataclass
class Visit:
    """One visitor's page, and everything that it should not have done.

    `errors` holds console errors and uncaught exceptions, `foreign` the addresses asked that are not the server,
    `sent` and `received` the websocket frames in bytes; `asked` counts requests, `answered` those that have ended.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    asked: int = 0
    answered: int = 0

    def allow(self, text: str) -> None:
        """Expect console errors that contain `text`: a test that provokes a 410 allows "410"."""
        self.allowed.append(text)

    def complaints(self) -> list[str]:
        """What is wrong with this visit, in sentences; empty when nothing is."""
        errors = [e for e in self.errors if not any(text in e for text in self.allowed)]
        return [f"console error: {e}" for e in errors] + [f"asked another host: {url}" for url in self.foreign]


def watch(page: Page, server_url: str) -> Visit:
    """Note down what `page` does from now on; call it before the page goes anywhere."""
    visit, host = Visit(page), urlsplit(server_url).netloc

    def on_request(url: str) -> None:
        if url.split(":", 1)[0] not in ("data", "blob", "about") and urlsplit(url).netloc != host:
            visit.foreign.append(url)

    def on_websocket(ws: WebSocket) -> None:
        on_request(ws.url)
        ws.on("framesent", lambda data: visit.sent.append(len(data)))
        ws.on("framereceived", lambda data: visit.received.append(len(data)))

    def count_asked(request: Request) -> None:
        visit.asked += 1
        on_request(request.url)

    def count_answered(_: Request) -> None:
        visit.answered += 1

    page.on("request", count_asked)
    page.on("requestfinished", count_answered)
    page.on("requestfailed", count_answered)
    page.on("websocket", on_websocket)
    page.on("console", lambda message: message.type == "error" and visit.errors.append(_where(message)))
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    return visit


def _where(message) -> str:
    place = message.location
    return f"{message.text} ({place.get('url', '')}:{place.get('lineNumber', '')})"


def new_visit(browser: Browser, server_url: str, **context_options) -> tuple[BrowserContext, Visit]:
    """Open an empty page in a context of its own: own storage, own clipboard permission, 1280 × 800 unless told."""
    context = browser.new_context(**{"viewport": DESKTOP, "base_url": server_url, **context_options})
    context.set_default_timeout(PATIENCE_MS)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    return context, watch(context.new_page(), server_url)


def wait_until_drawn(page: Page, *, other_than: str | None = None, timeout_s: float = 120.0) -> str:
    """Wait until the explorer has drawn a picture, a new one if `other_than` names the old one.

    Returns its data-ready, "<key>:<layer>:<head>", which the explorer sets after drawing.
    """
    ready = "[data-ready]" if other_than is None else f'[data-ready]:not([data-ready="{other_than}"])'
    drawn: Locator = page.locator(ready).first
    drawn.wait_for(state="attached", timeout=timeout_s * 1000)
    return drawn.get_attribute("data-ready") or ""


def at_rest(visit: Visit, rest_ms: int = 1000) -> None:
    """Wait until the server has drawn the page and both have said nothing for a while, by the page's own clock.

    Nothing that was asked for is then on its way, and what the page puts off for less than that is done, however slow
    the machine is.
    """
    while True:
        visit.page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(state="attached")
        said = len(visit.sent), len(visit.received), visit.asked
        visit.page.evaluate("ms => new Promise(done => setTimeout(done, ms))", rest_ms)
        if said == (len(visit.sent), len(visit.received), visit.answered):
            return


def skip_tour(context: BrowserContext) -> None:
    """Make every page of this context believe that its visitor has seen the first-visit tour."""
    context.add_init_script("try { localStorage.setItem('sightline.tour', 'done') } catch {}")


def accessibility_faults(page: Page, *, impacts: tuple[str, ...] = ("serious", "critical")) -> list[str]:
    """Run axe-core on the page as it is; one line per fault of at least these impacts, with the elements concerned."""
    result = axe.Axe().run(page)
    return [
        f"{fault['id']} ({fault['impact']}): {fault['help']} at {[node['target'] for node in fault['nodes']][:5]}"
        for fault in result.response["violations"]
        if fault["impact"] in impacts
    ]
