"""The figures that plotly draws: where its code comes from, what it leaves alone, what its buttons do."""

import re
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from pages.shared.assets import PLOTLY_URL
from tests.support.serving import PHONE, Server, Visit, wait_until_drawn

FIGURES = {
    "sl-scatter-figure": "/heads?v=1&m=minilm&t=The+cat+sat+on+the+mat.&l=0&h=2",
    "sl-loss-figure": "/grow",
    "sl-scores-figure": "/grow?vs=repeated-seed1-1head",
}
NAMES = {
    "sl-scatter-figure": "sightline-previous-against-entropy.png",
    "sl-loss-figure": "sightline-repeated-seed1-4heads-loss.png",
    "sl-scores-figure": "sightline-repeated-seed1-4heads-repeated-seed1-1head-scores.png",
}
_LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


def opened(visitor: Visit, figure: str) -> Locator:
    """The figure, once it is drawn."""
    visitor.allow("/_stcore")  # Streamlit looks for its server below the page's address first
    visitor.page.goto(FIGURES[figure])
    return drawn(visitor.page, figure)


def drawn(page: Page, figure: str) -> Locator:
    found = page.locator(f"[data-testid={figure}][data-drawn]")
    found.wait_for(state="attached")
    return found


def ticks(figure: Locator) -> set[str]:
    """The numbers under the x axis; plotly leaves them in no order."""
    return set(figure.locator(".xtick text").all_text_contents())


def expect_ticks(figure: Locator, wanted: Callable[[set[str]], bool]) -> None:
    until = time.monotonic() + 60
    while not wanted(ticks(figure)):
        assert time.monotonic() < until, ticks(figure)
        time.sleep(0.05)


def asked_for(page: Page) -> list[str]:
    """Addresses of everything that the page asks for from now on."""
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    return requests


def test_the_first_page_fetches_nothing_of_the_charts(visit: Callable[..., Visit]):
    page = visit().page
    requests = asked_for(page)
    page.goto("/")
    wait_until_drawn(page)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(2_000)
    assert any("explore/explorer.js" in url for url in requests)
    assert not [url for url in requests if re.search("plotly|figure|scatter|curves", url, re.IGNORECASE)]


def test_plotly_comes_once_from_this_server_and_nothing_is_asked_of_another(
    visit: Callable[..., Visit], server: Server
):
    visitor = visit()
    page = visitor.page
    page.add_init_script(_LISTEN)
    requests = asked_for(page)
    opened(visitor, "sl-loss-figure")
    drawn(page, "sl-scores-figure")
    page.get_by_test_id("sl-against").select_option("repeated-seed1-1head")
    page.locator('[data-testid=sl-loss-figure][data-drawn*="1head"]').wait_for(state="attached")
    assert [urlsplit(url).path for url in requests if "plotly" in url] == [f"/{PLOTLY_URL}"]
    assert {urlsplit(url).netloc for url in requests if url.startswith("http")} == {urlsplit(server.url).netloc}
    assert page.evaluate("window.violations") == []


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_button_saves_a_picture(visit: Callable[..., Visit], figure: str, scheme: str):
    """In the page's colours, with curves or points in it; the policy allows how plotly makes it."""
    visitor = visit(color_scheme=scheme)
    page = visitor.page
    page.add_init_script(_LISTEN)
    plot = opened(visitor, figure)
    page.wait_for_timeout(500)
    with page.expect_download() as download:
        plot.get_by_role("button", name="Save as PNG").click()
    assert download.value.suggested_filename == NAMES[figure]
    picture = Image.open(BytesIO(Path(download.value.path()).read_bytes())).convert("RGB")
    assert picture.size == (1800, 1120)
    assert page.evaluate("window.violations") == []
    counted = picture.getcolors(picture.width * picture.height) or []
    paper = max(counted)[1]
    app = page.get_by_test_id("stApp")
    assert app.evaluate("one => getComputedStyle(one).backgroundColor") == "rgb({}, {}, {})".format(*paper)
    ink = sum(n for n, colour in counted if max(abs(a - b) for a, b in zip(colour, paper, strict=True)) > 60)
    assert ink > 5_000  # axes, numbers, and what is drawn between them
    inside = picture.crop((300, 200, 1700, 800))
    assert len(inside.getcolors(inside.width * inside.height) or []) > 20


def test_a_chart_is_zoomed_moved_and_put_back_by_keyboard_and_both_show_the_same_steps(visit: Callable[..., Visit]):
    visitor = visit()
    plot = opened(visitor, "sl-loss-figure")
    other = drawn(visitor.page, "sl-scores-figure")
    before = ticks(plot)
    assert before == ticks(other)
    button = plot.get_by_role("button", name="Zoom in")
    button.focus()
    visitor.page.keyboard.press("Enter")
    expect_ticks(plot, lambda now: now != before)
    expect_ticks(other, lambda now: now == ticks(plot))
    plot.get_by_role("button", name="Reset axes").focus()
    visitor.page.keyboard.press("Enter")
    expect_ticks(plot, lambda now: now == before)
    expect_ticks(other, lambda now: now == before)


def test_dragging_scrubs_until_zooming_is_chosen(visit: Callable[..., Visit]):
    visitor = visit()
    page = visitor.page
    plot = opened(visitor, "sl-loss-figure")
    area = plot.locator(".nsewdrag").bounding_box()
    assert area
    middle = area["y"] + area["height"] / 2

    def drag(start: float, end: float) -> None:
        page.mouse.move(area["x"] + start * area["width"], middle)
        page.mouse.down()
        page.mouse.move(area["x"] + end * area["width"], middle, steps=4)
        page.mouse.up()

    before = ticks(plot)
    drag(0.1, 0.5)
    expect(page.get_by_test_id("sl-at")).to_have_text("step 450 of 900")
    assert ticks(plot) == before
    plot.get_by_role("button", name="Zoom", exact=True).click()
    drag(0.2, 0.6)
    expect_ticks(plot, lambda now: now != before)
    expect(page.get_by_test_id("sl-at")).to_have_text("step 450 of 900")
    cursor = plot.locator(".sl-curve-cursor")
    line = cursor.evaluate("one => Number(one.getAttribute('x1'))")
    assert abs(line - (area["x"] - plot.bounding_box()["x"] + (0.5 - 0.2) / 0.4 * area["width"])) < 4
    plot.get_by_role("button", name="Drag to scrub").click()
    drag(0.5, 0.25)
    expect(page.get_by_test_id("sl-at")).to_have_text("step 270 of 900")


def test_heads_are_chosen_in_a_zoomed_scatter(visit: Callable[..., Visit]):
    visitor = visit()
    page = visitor.page
    plot = opened(visitor, "sl-scatter-figure")
    page.locator('[data-ready$=":labels"]').wait_for(state="attached")
    ring = plot.locator(".sl-sp-chosen")
    before = ring.evaluate("one => one.style.transform")
    plot.get_by_role("button", name="Zoom in").click()
    expect(ring).to_have_attribute("hidden", "")  # head 0.2 stands in a corner, which is no longer there
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_test_id("sl-heads-title")).not_to_have_text("Layer 0 · head 2")
    page.keyboard.press("Home")
    expect(page.get_by_test_id("sl-heads-title")).to_have_text("Layer 0 · head 0")
    page.get_by_test_id("sl-heads-map").locator('[data-head="0.2"]').click()
    plot.get_by_role("button", name="Reset axes").click()
    expect(ring).not_to_have_attribute("hidden", "")
    assert ring.evaluate("one => one.style.transform") == before


def test_the_colours_follow_the_theme_without_another_question(visit: Callable[..., Visit]):
    visitor = visit(color_scheme="light")
    page = visitor.page
    plot = opened(visitor, "sl-loss-figure")
    curve = plot.locator(".scatterlayer path.js-line").first
    light = curve.evaluate("one => getComputedStyle(one).stroke")
    page.wait_for_load_state("networkidle")
    requests = asked_for(page)
    page.emulate_media(color_scheme="dark")
    expect(curve).not_to_have_css("stroke", light)
    assert not [url for url in requests if "curves" in url or "plotly" in url]


def test_what_cannot_be_fetched_is_said_and_asked_for_again(visit: Callable[..., Visit]):
    visitor = visit()
    for expected in ("ERR_FAILED", "/_stcore"):
        visitor.allow(expected)
    page = visitor.page
    page.route(re.compile("plotly.min.js"), lambda route: route.abort())
    page.goto("/grow")
    told = page.get_by_test_id("sl-loss-figure").get_by_text("There is no picture")
    expect(told).to_contain_text("The table has the same numbers.")
    page.unroute_all()
    page.get_by_test_id("sl-loss-figure").get_by_role("button", name="Try again").click()
    drawn(page, "sl-loss-figure")
    expect(told).to_be_hidden()


def test_a_finger_chooses_a_head_and_a_step_and_can_scroll_over_both(visit: Callable[..., Visit]):
    visitor = visit(viewport=PHONE, has_touch=True)
    page = visitor.page
    plot = opened(visitor, "sl-loss-figure")
    area = plot.locator(".nsewdrag")
    assert area.evaluate("one => getComputedStyle(one).touchAction") == "pan-y"
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] - 20)
    expect(page.get_by_test_id("sl-at")).to_have_text("step 450 of 900")
