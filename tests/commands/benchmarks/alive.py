"""How soon something can be done: the first picture that answers, all controls, and a text while it is being typed.

Ours and an empty Streamlit page are visited in turn, so that what disturbs the one disturbs the other; a new text is
read in turn with plain SDPA passes of the same text and with reruns that change nothing.
"""

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from playwright.sync_api import Browser
from transformers import AutoModel

from attention_core import load_model
from tests.commands.benchmarks import pages
from tests.commands.benchmarks.capture import FOLDER
from tests.commands.benchmarks.table import Row, ratio_of
from tests.commands.benchmarks.texts import text_of
from tests.support.serving import serve, wait_until_drawn

USABLE = 0.6  # × the empty page's time to its navigation
CONTROLS = 1.2
PASSES = 4.0

# Looks at every frame: when does the empty page have its navigation; when does a heatmap answer a pointer that hits it
# and the atlas a click; when is the page's own everything there, and nothing over it.
WATCH = """
window.soon = {navigation: null, usable: null, controls: null}
{
  const hit = (x, y) => {
    let found = document.elementFromPoint(x, y)
    while (found?.shadowRoot) {
      const inside = found.shadowRoot.elementFromPoint(x, y)
      if (!inside || inside === found) break
      found = inside
    }
    return found
  }
  const send = (target, type, x, y) => {
    const init = {clientX: x, clientY: y, bubbles: true, composed: true, pointerId: 1, pointerType: 'mouse'}
    target.dispatchEvent(type === 'click' ? new MouseEvent(type, init) : new PointerEvent(type, init))
  }
  const answers = () => {
    const place = document.querySelector('#sl-first .sl-first-picture') ?? document
    const find = (selector) => probe.find(selector, place.shadowRoot ?? place)
    const [stage, readout, grid, title] =
      ['[data-testid=sl-heatmap]', '[data-testid=sl-readout]', '.sl-grid', '.sl-title h2'].map(find)
    if (!stage || !readout || !grid || !title?.textContent) return false
    const picture = stage.getBoundingClientRect(), atlas = grid.getBoundingClientRect()
    const [x, y] = [picture.x + 0.6 * picture.width, picture.y + Math.min(0.5 * picture.height, 200)]
    const over = hit(x, y)
    if (!over || !stage.contains(over)) return false
    const before = readout.textContent
    send(over, 'pointermove', x, y)
    const hovers = readout.textContent !== before
    send(over, 'pointerleave', x, y)
    if (!hovers) return false
    const [u, v] = [atlas.x + 0.5 * atlas.width, atlas.y + 0.4 * atlas.height]
    const head = hit(u, v)
    if (!head || !grid.contains(head)) return false
    const was = title.textContent
    send(head, 'click', u, v)
    return title.textContent !== was
  }
  const look = () => {
    const {soon} = window, now = performance.now()
    if (document.querySelector('[data-testid=stTopNavLink]')) soon.navigation ??= now
    if (soon.usable === null && answers()) soon.usable = now
    const whole = !document.querySelector('#sl-first') && document.querySelector('[data-testid=stSelectbox]') &&
      probe.find('[data-testid=sl-text]') && probe.find('[data-ready]') && !probe.find('[data-testid=sl-copy]').disabled
    if (whole) soon.controls ??= now
    requestAnimationFrame(look)
  }
  requestAnimationFrame(look)
}
"""


def rows(browser: Browser, rounds: int) -> list[Row]:
    """Everything that somebody waits for before he can act, and while he types."""
    with TemporaryDirectory() as folder:
        (empty := Path(folder) / "empty.py").write_text(pages.EMPTY)
        with serve() as ours, serve(app=empty) as other:
            with pages.visitor(browser, ours.url) as visit:  # until the model is loaded and the link's text read
                visit.page.goto(pages.address(64))
                wait_until_drawn(visit.page)
            found = _starts(browser, ours.url, other.url, rounds)
            found += _following(browser, ours.url, rounds)
    return found


def _starts(browser: Browser, ours: str, empty: str, rounds: int) -> list[Row]:
    places = {"empty": (empty, ""), "default": (ours, ""), "link": (ours, pages.address(64))}
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, (url, address) in places.items():
            time.sleep(pages.GONE_SECONDS)
            with pages.visitor(browser, url) as visit:
                visit.page.context.add_init_script(WATCH)
                visit.page.goto(address)
                last = "navigation" if name == "empty" else "controls"
                visit.page.wait_for_function(f"() => soon.{last} !== null", timeout=60_000)
                for what, value in visit.page.evaluate("soon").items():
                    times.setdefault(f"{name} {what}", []).append((value or float("nan")) / 1000)
    floor = times["empty navigation"]
    found = [Row("an empty Streamlit page, warm server, empty cache → its navigation", median(floor), "s")]
    for name, text in (("default", "the default text"), ("link", "a link's text")):
        for what, words, most in (
            ("usable", "first picture that hovers and selects", USABLE),
            ("controls", "all controls", CONTROLS),
        ):
            here = times[f"{name} {what}"]
            note = f"{median(here):.2f} s; visits in turn with the empty page"
            found.append(Row(f"{text} → {words} ÷ the empty page", ratio_of(here, floor), " ×", most, note))
    return found


def _following(browser: Browser, url: str, rounds: int) -> list[Row]:
    """A text that nobody has asked for before, each time: by Enter, and by a pause of the typing."""
    model = load_model("minilm")
    plain = AutoModel.from_pretrained(FOLDER, attn_implementation="sdpa", dtype=torch.float32).eval()
    entered, paused, known, passes, reruns = [], [], [], [], []
    words = text_of(64).split()
    with pages.visitor(browser, url) as visit:
        page = visit.page
        page.goto(pages.address(64))
        wait_until_drawn(page)
        box = page.get_by_test_id("sl-text")
        for i in range(rounds):
            for times, order, event in (
                (entered, words[i + 1 :] + words[: i + 1], "keydown"),
                (paused, [*reversed(words[i + 1 :]), *words[: i + 1]], "input"),
                (known, words, "keydown"),
            ):
                key = page.evaluate(pages.READY).split(":")[0]
                done = f"() => !{pages.READY}.startsWith('{key}:')"
                if event == "keydown":
                    # At once, before the picture follows by itself.
                    page.evaluate(f"probe.find('[data-testid=sl-text]').value = {' '.join(order)!r}")
                    page.evaluate(f"probe.measure('keydown', {done})")
                    box.press("Enter")
                else:
                    page.evaluate(f"probe.measure('input', {done})")
                    box.fill(" ".join(order))
                times.append(page.evaluate("probe.result") - (250 if event == "input" else 0))
                page.wait_for_timeout(700)
                passes.append(_pass(plain, model.tokenizer, " ".join(order)))
            reruns.append(_rerun(page))
    passed, again = median(passes), median(reruns)
    most = max(PASSES * passed, 2 * passed + 1.5 * again)
    note = f"{median(entered) / passed:.1f} passes; at most 4 passes, or 2 and 1.5 reruns"
    return [
        Row("a plain SDPA pass of these texts, 64 tokens", passed, "ms", note="in turn with the rows below"),
        Row("a rerun that changes nothing, in the browser", again, "ms", note="key r → the script has run"),
        Row("Enter → all heads drawn, 64 tokens", median(entered), "ms", most, note),
        Row(
            "  end of the typing's pause → the same",
            median(paused),
            "ms",
            most,
            f"{median(paused) / passed:.1f} passes",
        ),
        Row("  Enter, a text that the server has seen", median(known), "ms"),
    ]


def _pass(model: torch.nn.Module, tokenizer, text: str) -> float:
    with torch.inference_mode():
        start = time.perf_counter()
        model(**tokenizer(text, return_tensors="pt"))
        return 1000 * (time.perf_counter() - start)


def _rerun(page) -> float:
    """Streamlit's own key for a rerun; its page says when the script has run."""
    page.get_by_test_id("sl-text").blur()
    page.evaluate(
        """window.again = new Promise((resolve, reject) => {
          const app = document.querySelector('[data-testid=stApp]')
          let start = null, ran = false
          document.addEventListener('keydown', (event) => { start = event.timeStamp }, {once: true, capture: true})
          new MutationObserver((_, observer) => {
            const state = app.getAttribute('data-test-script-state')
            if (state !== 'notRunning') ran = true  // a short run goes from "rerunRequested" straight to its end
            if (state !== 'notRunning' || !ran || start === null) return
            observer.disconnect()
            resolve(performance.now() - start)
          }).observe(app, {attributes: true})
          setTimeout(() => reject(new Error('nothing was run within 20 s')), 20000)
        })
        window.again.catch(() => {})
        null  // what evaluate waits for: a promise would be waited for here, before the key"""
    )
    page.keyboard.press("r")
    took = page.evaluate("again")
    page.wait_for_timeout(300)
    return took
