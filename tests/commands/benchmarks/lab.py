"""The Lab in a real Chromium: a committed edit until every picture is painted again.

From the key that commits the edit, as the browser timed it, to the frame in which all matrices show what Python
answered: editor, websocket, Python, drawing and painting are in it, a network is not.
"""

from statistics import median

from playwright.sync_api import Browser, Page

from tests.commands.benchmarks.pages import PROBE
from tests.commands.benchmarks.table import Row
from tests.support.serving import new_visit, serve, skip_tour

# Resolves with the milliseconds from the next Enter to the end of the frame that shows its result.
MEASURE = """
() => {
  probe.result = new Promise((resolve, reject) => {
    const lab = probe.find('[data-testid=lab]')
    let start = null
    const observer = new MutationObserver(() => {
      if (start === null || Number(lab.dataset.ready) < Number(lab.dataset.sent ?? 0)) return
      observer.disconnect()
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)))
    })
    document.addEventListener('keydown', function begin(event) {
      if (event.key !== 'Enter') return
      document.removeEventListener('keydown', begin, true)
      start = event.timeStamp
      observer.observe(lab, {attributes: true, attributeFilter: ['data-ready']})
    }, true)
    setTimeout(() => reject(new Error('nothing was drawn within 20 s')), 20000)
  })
  probe.result.catch(() => {})
}
"""
PRESETS = (("animal", "7 words, d_model 4, d_k 2"), ("two-heads", "2 heads, positions"), ("scaling", "d_k 64"))


def rows(browser: Browser, rounds: int) -> list[Row]:
    """One row for each of a few presets, the smallest and the largest among them."""
    found = []
    with serve() as server:
        context, visit = new_visit(browser, server.url)
        skip_tour(context)
        context.add_init_script(PROBE)
        page = visit.page
        page.goto("lab")
        page.locator("[data-testid=lab][data-ready]").wait_for(state="attached", timeout=60_000)
        for name, what in PRESETS:
            page.get_by_test_id("lab-presets").click()
            page.locator(f'[data-preset="{name}"]').click()
            page.wait_for_timeout(1000)
            times = [_edit(page, f"{0.1 * i + 0.5:.1f}") for i in range(rounds + 1)][1:]  # the first one warms up
            found.append(Row(f"edit in the Lab → all matrices painted: {what}", median(times), "ms", 200))
        context.close()
    return found


def _edit(page: Page, text: str) -> float:
    page.locator('[data-band] [data-matrix="w_q"] td[data-r="1"][data-c="0"]').focus()
    page.keyboard.type(text)
    page.wait_for_timeout(200)
    page.evaluate(MEASURE)
    page.keyboard.press("Enter")
    milliseconds = page.evaluate("probe.result")
    page.wait_for_timeout(300)
    return milliseconds
