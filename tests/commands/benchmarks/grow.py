"""Grow a head in a real Chromium: one visitor, from the press on Start to what has formed on the screen.

Times are taken inside the page, from the click as the browser delivered it to the change of the page that shows it:
the queue, the start of a process, the training, HTTP and drawing are in them, a network is not.
"""

import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page

from attention_core.grow.tasks import RunSettings
from pages.shared.grow import library
from tests.commands.benchmarks.pages import PROBE
from tests.commands.benchmarks.table import Row
from tests.support.serving import Server, Visit, new_visit, serve, skip_tour

SEEDS = (1, 2, 3)
LONGEST_S = 90  # the promise, on a machine of 2 cores
A_MEGABYTE = 1_000_000
MOVES = 30  # of the scrubber

# Notes when each thing is first on the screen, in milliseconds since the press on Start.
WATCH = """
() => {
  const seen = probe.seen = {}
  const view = probe.find('.sl-grow-root').getRootNode()
  const part = (name) => view.querySelector(name)
  const scores = /previous token, layer \\d+ head \\d+\\D*?(\\d\\.\\d\\d)/g
  const best = (text) => Math.max(...[...text.matchAll(scores)].map((found) => Number(found[1])))
  let start = null
  const note = (name, holds) => { if (!(name in seen) && holds) seen[name] = performance.now() - start }
  const observer = new MutationObserver(() => {
    if (start === null || !part('.sl-grow-root').dataset.ready?.startsWith('mine:')) return
    note('first', true)
    note('previous', best(part('[data-testid=sl-scores]').textContent) >= 0.9)
    note('cliff', part('[data-moment=loss]'))
    note('finished', part('[data-testid=sl-live]').textContent.startsWith('Finished'))
    if ('finished' in seen) observer.disconnect()
  })
  document.addEventListener('click', function begin(event) {
    if (event.composedPath()[0].dataset?.testid !== 'sl-start') return
    document.removeEventListener('click', begin, true)
    start = event.timeStamp
    observer.observe(view, {subtree: true, attributes: true, childList: true, characterData: true})
  }, true)
}
"""
# Resolves with the milliseconds from the next arrow key to the frame that has the map of that step.
STEP = """
() => new Promise((resolve) => {
  const view = probe.find('.sl-grow-root')
  let start = null
  new MutationObserver((_, observer) => {
    if (start === null) return
    observer.disconnect()
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)))
  }).observe(view, {attributes: true, attributeFilter: ['data-ready']})
  document.addEventListener('keydown', (event) => { start = event.timeStamp }, {capture: true, once: true})
})
"""


def rows(browser: Browser) -> list[Row]:
    """What a visitor alone waits for, what his process takes, and what the scrubber asks of the server."""
    found: list[dict[str, Any]] = []
    with serve() as server:
        for seed in SEEDS:
            visit, close = _open(browser, server)
            found.append(_grow(visit.page, server, seed))
            close()
            sys.stderr.write(f"seed {seed}: {found[-1]}\n")
        visit, close = _open(browser, server)
        scrubbed = _scrub(visit)
        left = _leave(visit.page, server)
        close()
    each = f"seeds {', '.join(map(str, SEEDS))}: "

    def slowest(what: str, name: str, most: float | None) -> Row:
        seconds = [run[name] / 1000 for run in found]
        return Row(what, max(seconds), "s", most, each + ", ".join(f"{one:.1f}" for one in seconds) + " s")

    largest = max((len(library.run(one.id).to_pack()), one.id) for one in library.recorded())
    return [
        slowest("Start → first saved step of one's own run on the screen", "first", None),
        slowest("Start → a previous-token head of 0.9 or more on the screen", "previous", LONGEST_S),
        slowest("Start → the loss has fallen off its cliff, on the screen", "cliff", LONGEST_S),
        slowest(f"Start → all {RunSettings().n_steps} steps of repeated sequences", "finished", None),
        Row(
            "most memory of the training process",
            max(run["bytes"] for run in found),
            "B",
            700e6,
            "its bound is on data",
        ),
        Row("closing the tab → its process is gone", left, "s", 15, "15 s if the tab could not say good-bye"),
        scrubbed,
        Row("all heads of all saved steps, the largest recorded run", largest[0], "B", A_MEGABYTE, largest[1]),
    ]


def _open(browser: Browser, server: Server) -> tuple[Visit, Any]:
    context, visit = new_visit(browser, server.url)
    skip_tour(context)
    context.add_init_script(PROBE)
    visit.page.goto("grow")
    visit.page.locator(".sl-grow-root[data-ready]").wait_for(state="attached", timeout=60_000)
    visit.page.wait_for_timeout(2000)
    return visit, context.close


def _start(page: Page, seed: int) -> None:
    page.get_by_test_id("sl-own").click()
    page.get_by_test_id("sl-seed").fill(str(seed))
    page.get_by_test_id("sl-start").click()


def _grow(page: Page, server: Server, seed: int) -> dict[str, Any]:
    """Milliseconds of each moment, and the process's highest resident memory in bytes."""
    page.evaluate(WATCH)
    _start(page, seed)
    peak, until = 0, time.monotonic() + 3 * LONGEST_S
    while "finished" not in (seen := page.evaluate("probe.seen")):
        if time.monotonic() > until:
            raise RuntimeError(f"after {3 * LONGEST_S} s the run with seed {seed} had only {sorted(seen)}")
        peak = max([peak, *map(_peak_bytes, processes(server))])
        page.wait_for_timeout(500)
    return {**seen, "bytes": peak}


def _scrub(visit: Visit) -> Row:
    page = visit.page
    page.set_default_timeout(20_000)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.get_by_test_id("sl-scrub").focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(1000)  # Python is told where it stayed, once
    requests.clear()
    frames = len(visit.sent)
    times = []
    for _ in range(MOVES):
        page.evaluate(f"void (probe.moved = ({STEP})())")
        page.keyboard.press("ArrowRight")
        times.append(page.evaluate("probe.moved"))
    asked = f"{len(visit.sent) - frames} frames and {len(requests)} requests in {MOVES} moves"
    return Row("scrubber to the next step → every map painted", median(times), "ms", 33, asked)


def _leave(page: Page, server: Server) -> float:
    """Seconds from closing the tab until no training process is left."""
    _start(page, SEEDS[0])
    _wait(lambda: len(processes(server)) == 1)
    page.get_by_test_id("sl-live").get_by_text("Growing").wait_for(timeout=60_000)
    began = time.monotonic()
    page.close()
    _wait(lambda: not processes(server))
    return time.monotonic() - began


def _wait(holds: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise RuntimeError(f"waited {seconds} s for the training processes in vain")
        time.sleep(0.01)


def processes(server: Server) -> list[int]:
    """The training processes of a server: of its group, and running `attention_core.grow.run`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            group = int((folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[2])
        except (OSError, ValueError):
            continue
        if b"attention_core.grow" in words and group == server.process.pid:  # it leads its group
            found.append(int(folder.name))
    return found


def _peak_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)
