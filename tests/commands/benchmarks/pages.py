"""The pages in a real Chromium: bytes, time to picture, choosing a head, hover, cold and warm start.

Times are taken inside the page with performance.now(), from the event that the browser delivered to the moment that the
view says it has drawn, so that neither Playwright nor a network is in them.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from playwright.sync_api import Browser, Response

from pages.shared.address.view import View, to_params
from tests.commands.benchmarks import reruns
from tests.commands.benchmarks.table import Row
from tests.commands.benchmarks.texts import text_of
from tests.support.serving import Visit, new_visit, serve, skip_tour, wait_until_drawn

# Finds elements through shadow roots, and keeps what is measured.
PROBE = """
window.probe = {
  find(selector, root = document) {
    const here = root.querySelector(selector)
    if (here) return here
    for (const host of root.querySelectorAll('*')) {
      const found = host.shadowRoot && this.find(selector, host.shadowRoot)
      if (found) return found
    }
    return null
  },
  // Milliseconds from the next event of this type to the first time that `done()` holds after a change of the view.
  measure(type, done) {
    this.result = new Promise((resolve, reject) => {
      let start = null
      const view = this.find('[data-ready]')
      const look = () => {
        if (start === null || !done()) return
        observer.disconnect()
        resolve(performance.now() - start)
      }
      const observer = new MutationObserver(look)
      observer.observe(view.getRootNode(), {subtree: true, attributes: true, childList: true, characterData: true})
      const begin = (event) => { start = event.timeStamp; queueMicrotask(look) }
      document.addEventListener(type, begin, {once: true, capture: true})
      setTimeout(() => reject(new Error('nothing was drawn within 20 s')), 20000)
    })
    this.result.catch(() => {})
  },
}
"""
# Milliseconds after the navigation: the first frame's picture, and the page's own, with its controls.
FIRST, PAINTED = (f"performance.getEntriesByName('sightline:{what}')[0].startTime" for what in ("first", "painted"))
VIEW = "probe.find('[data-ready]')"
READY = f"{VIEW}.dataset.ready"


def rows(browser: Browser, rounds: int) -> list[Row]:
    """Everything that a visitor waits for."""
    found = _cold_start(browser)
    with serve() as server:
        with visitor(browser, server.url) as visit:  # until the model is loaded
            visit.page.goto(address(64))
            wait_until_drawn(visit.page, timeout_s=60)
        found += _warm_visitor(browser, server.url, rounds)
        found += _first_view_bytes(browser, server.url)
        for n, most in ((64, 33), (128, 33), (512, 150)):
            found += _choosing(browser, server.url, n, most, rounds)
        found += reruns.rows(server.url, 5 * rounds)
    return found


def address(n_tokens: int) -> str:
    return "?" + urlencode(to_params(View(text=text_of(n_tokens), layer=2, head=3)))


@contextmanager
def visitor(browser: Browser, url: str) -> Iterator[Visit]:
    context, visit = new_visit(browser, url)
    skip_tour(context)
    context.add_init_script(PROBE)
    try:
        yield visit
    finally:
        context.close()


EMPTY = """
import streamlit as st
st.navigation([st.Page(lambda: None, title="Explore", url_path="a"), st.Page(lambda: None, title="b", url_path="b")],
              position="top").run()
"""
FIRST_PAINT = "performance.timeOrigin + performance.getEntriesByName('first-contentful-paint')[0].startTime"
GONE_SECONDS = 1.5  # until the browser's last visitor has left: closing a page takes the same cores
COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}  # as Python does by itself: modules are compiled once, not at every start
OWN_NAVIGATION = "[data-testid=stTopNavLink]"


def _cold_start(browser: Browser) -> list[Row]:
    """From starting the process. The files are in the disk cache: only the processes are cold.

    The frame is there when the browser paints for the first time: by its own clock, since whoever asks it would wait
    for its scripts to be compiled.
    """
    frame, navigation, box, picture, floor = [], [], [], [], []
    with TemporaryDirectory() as folder:
        (empty := Path(folder) / "empty.py").write_text(EMPTY)
        for _ in range(3):
            start, began = time.perf_counter(), time.time()
            with serve(env=COMPILED) as server, visitor(browser, server.url) as visit:
                visit.page.goto("", wait_until="commit")
                visit.page.locator(OWN_NAVIGATION).first.wait_for()
                navigation.append(time.perf_counter() - start)
                visit.page.get_by_test_id("sl-text").wait_for()
                box.append(time.perf_counter() - start)
                wait_until_drawn(visit.page)
                picture.append(time.perf_counter() - start)
                frame.append(visit.page.evaluate(FIRST_PAINT) / 1000 - began)
            start = time.perf_counter()
            with serve(app=empty, env=COMPILED) as server, visitor(browser, server.url) as visit:
                visit.page.goto("", wait_until="commit")
                visit.page.locator(OWN_NAVIGATION).first.wait_for()
                floor.append(time.perf_counter() - start)
    return [
        Row("cold start → page frame with its navigation", median(frame), "s", 1.5, "first paint; median of 3"),
        Row("cold start → Streamlit's own navigation in its place", median(navigation), "s", note="the same runs"),
        Row("  the same of an empty Streamlit page with two entries", median(floor), "s", note="in turn with ours"),
        Row("cold start → text box", median(box), "s", note="the same runs"),
        Row("cold start → first picture", median(picture), "s", 8, "the same runs; MiniLM, the default text"),
    ]


def _warm_visitor(browser: Browser, url: str, rounds: int) -> list[Row]:
    """He opens the first page as everybody does: the server has read its text when it warmed up."""
    first, own = [], []
    for _ in range(rounds):
        time.sleep(GONE_SECONDS)
        with visitor(browser, url) as visit:
            visit.page.goto("")
            wait_until_drawn(visit.page)
            for times, what in ((first, FIRST), (own, PAINTED)):
                times.append(visit.page.evaluate(what) / 1000)
    row = "a visitor after warm-up: navigation → first picture"
    return [
        Row(row, median(first), "s", 1.5, "in the first frame; empty browser cache"),
        Row("  → the same with all controls, drawn by the page itself", median(own), "s", note="the same visits"),
    ]


def _first_view_bytes(browser: Browser, url: str) -> list[Row]:
    found = []
    for n, most in ((64, 700_000), (128, 2_500_000), (512, 1_000_000)):
        with visitor(browser, url) as visit:
            answers: list[Response] = []
            visit.page.on("response", lambda answer, answers=answers: answers.append(answer))
            visit.page.goto(address(n))
            wait_until_drawn(visit.page)
            visit.page.wait_for_timeout(1500)
            bodies = [answer.body() for answer in answers if "/sightline/data/" in answer.url]
            http, socket = sum(map(len, bodies)), sum(visit.received)
        note = f"HTTP {http / 1000:.0f} kB in {len(bodies)} answers, websocket {socket / 1000:.0f} kB in all"
        found.append(Row(f"bytes for the first view of 72 heads, {n} tokens", http + socket, "B", most, note))
    return found


def _choosing(browser: Browser, url: str, n: int, most: float, rounds: int) -> list[Row]:
    """Arrow keys in the atlas: every head is new to the browser. Then the pointer over the heatmap."""
    choose, exact, hover = [], [], []
    way = iter([*["ArrowRight"] * 8, "ArrowUp", *["ArrowLeft"] * 11, "ArrowUp", *["ArrowRight"] * 11])  # from 2.3 on
    early = 0  # frames that were sent before the picture was there
    with visitor(browser, url) as visit:
        page = visit.page
        page.goto(address(n))
        wait_until_drawn(page)
        page.wait_for_timeout(1500)
        page.get_by_test_id("sl-atlas").get_by_role("grid").first.focus()
        for _ in range(rounds):
            for times, done in ((choose, "true"), (exact, f"{VIEW}.dataset.exact")):
                frames, before = len(visit.sent), page.evaluate(READY)
                page.evaluate(f"probe.measure('keydown', () => {READY} !== {before!r} && {done})")
                page.keyboard.press(next(way))
                times.append(page.evaluate("probe.result"))
                early += len(visit.sent) - frames if times is choose else 0
                page.wait_for_timeout(800)
        box = page.get_by_test_id("sl-heatmap").bounding_box() or {}
        readout = "probe.find('[data-testid=sl-readout]').textContent"
        frames = len(visit.sent)
        for i in range(rounds):
            before = page.evaluate(readout)
            page.evaluate("text => probe.measure('pointermove', () => " + readout + " !== text)", before)
            x, y = box["x"] + box["width"] * (0.4 + 0.02 * i), box["y"] + box["height"] * (0.4 + 0.017 * i)
            page.mouse.move(x, y)
            hover.append(page.evaluate("probe.result"))
            page.wait_for_timeout(100)
        page.wait_for_timeout(600)
        hovered = len(visit.sent) - frames
    note = f"exact numbers after {median(exact):.0f} ms; {early} frames before it was painted"
    return [
        Row(f"choosing another head → painted, {n} tokens", median(choose), "ms", most, note),
        Row(f"  hover → highlight, {n} tokens", median(hover), "ms", 16, f"{hovered} frames sent in {rounds} moves"),
    ]
