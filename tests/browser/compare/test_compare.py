"""Compare in a real browser: one cursor in three maps, heads in order, links, the way from Explore, another model."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
from playwright.sync_api import Page, expect

from attention_core import capture, compare, load_model, save_trace
from tests.support.serving import PHONE, Visit, accessibility_faults, wait_until_drawn

RIVER, CITY = "He sat on the bank of the river.", "He sat in the bank of the city."


@pytest.fixture(scope="module")
def both():
    model = load_model("minilm")
    return compare(capture(model, RIVER), capture(model, CITY))


def ready(page: Page) -> None:
    page.locator('[data-ready$=":heads"]').wait_for(state="attached", timeout=100_000)


@pytest.fixture
def opened(visit: Callable[..., Visit]) -> Callable[..., Page]:
    """Open the page at these parameters, drawn."""

    def open_page(visit_options: dict | None = None, **params: object) -> Page:
        visitor = visit(**(visit_options or {}))
        visitor.allow("/compare/_stcore")  # Streamlit looks for its server below the page's address first
        chosen = "&".join(f"{name}={quote_plus(str(value))}" for name, value in params.items())
        visitor.page.goto(f"/compare?{chosen}" if chosen else "/compare")
        ready(visitor.page)
        return visitor.page

    return open_page


BANK = {"v": 1, "m": "minilm", "t": RIVER, "l": 2, "h": 1, "b": 1, "bt": CITY}


def line(page: Page):
    return page.get_by_test_id("sl-cmp-line")


def test_the_page_opens_with_a_pair_that_shows_something(opened):
    page = opened()
    expect(page.get_by_test_id("sl-cmp-heads")).to_have_text("A and B: Layer 3 · head 1")
    expect(page.get_by_label("B · text")).to_have_value(re.compile("too wide"))
    expect(page.get_by_text("Nothing differs here")).to_have_count(0)


def test_bank_in_two_sentences_is_two_clicks_from_the_start_page(visit, both):
    visitor = visit()
    visitor.allow("/compare/_stcore")
    page = visitor.page
    page.goto("")
    wait_until_drawn(page)
    page.get_by_role("link", name="Compare").first.click()
    page.get_by_role("button", name="bank: of the river").click()
    page.locator('[data-ready="2.1/2.1:heads"]').wait_for(state="attached")
    expect(page.get_by_label("B · text")).to_have_value(CITY)
    a, b = both.weights(2, 1)
    expect(
        page.get_by_text(f"“in” gives “bank” {b[3, 5]:.2f} of its attention, “on” only {a[3, 5]:.2f}")
    ).to_be_visible()


def test_one_cursor_marks_all_three_without_a_request(opened, both):
    page = opened(**BANK)
    page.wait_for_timeout(1_000)  # what opening asks for has been asked
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    stage = page.get_by_test_id("sl-cmp-a")
    stage.focus()
    page.keyboard.press("Home")
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    cells = {page.get_by_test_id(f"sl-cmp-{side}").get_attribute("data-cell") for side in ("a", "b", "both")}
    assert len(cells) == 1 and None not in cells
    row, column = map(int, str(cells.pop()).split("/"))
    a, b = both.weights(2, 1)
    expect(line(page)).to_contain_text(f"A {a[row, column]:.2f}, B {b[row, column]:.2f}")
    box = stage.bounding_box()
    assert box
    seen = set()
    for part in (0.4, 0.5, 0.6, 0.7):
        page.mouse.move(box["x"] + box["width"] * part, box["y"] + box["height"] * part)
        seen.add(tuple(page.get_by_test_id(f"sl-cmp-{side}").get_attribute("data-cell") for side in ("a", "b", "both")))
    assert len(seen) >= 3 and all(len(set(one)) == 1 for one in seen)
    assert asked == []


def test_the_list_has_the_heads_that_changed_most_and_each_is_a_click(opened, both):
    page = opened(**BANK)
    every = sorted(
        ((float(value), -layer, -head) for layer in range(6) for head, value in enumerate(both.of_heads(layer))),
        reverse=True,
    )
    names = page.get_by_test_id("sl-cmp-list").locator("button").evaluate_all("all => all.map(x => x.dataset.head)")
    assert names == [f"{-layer}.{-head}" for _, layer, head in every[:10]]
    page.get_by_test_id("sl-cmp-list").locator("button").first.click()
    expect(page.locator(f'[data-ready="{names[0]}/{names[0]}:heads"]')).to_be_attached()
    page.wait_for_function(
        "([l, h]) => { const p = new URLSearchParams(location.search); return p.get('l') === l && p.get('h') === h }",
        arg=names[0].split("."),
    )


def test_a_link_brings_back_both_sides_and_what_is_chosen(opened, visit):
    page = opened(**BANK, q=4, bl=5, bh=2, bs=1, bx="4-4")
    expect(page.get_by_test_id("sl-cmp-heads")).to_have_text("A: Layer 2 · head 1 · B: Layer 5 · head 2")
    expect(page.get_by_test_id("sl-cmp-a")).to_have_attribute("data-cell", "4/-")
    expect(page.get_by_label("scale to the largest difference")).to_be_checked()
    expect(page.get_by_test_id("sl-cmp-moving")).to_contain_text("with")
    held = {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
    wanted = {"t": RIVER, "bt": CITY, "bl": "5", "bh": "2", "bs": "1", "bx": "4-4", "q": "4"}
    assert {name: held.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("tampered", "says"),
    [
        ({"bl": "x"}, "B’s layer in this link must be"),
        ({"bx": "5-4_4-5"}, "What was put together by hand in this link must be pairs"),
        ({"b": "9"}, "The version of the comparison"),
        ({"bl": 40}, "B has no layer 40"),
    ],
)
def test_a_tampered_link_is_refused_in_a_sentence(opened, tampered, says):
    page = opened(**{**BANK, **tampered})
    expect(page.get_by_text(says)).to_be_visible()


def test_another_model_has_other_heads_and_the_closest_one_is_shown(opened):
    page = opened(v=1, m="minilm", t=RIVER, l=2, h=1, b=1, bm="storyteller")
    expect(page.get_by_test_id("sl-cmp-says")).to_contain_text("no head of one is the same head in the other")
    expect(page.get_by_test_id("sl-cmp-says")).to_contain_text("Two tokenizers")
    expect(page.get_by_test_id("sl-cmp-list").locator("button")).to_have_count(10)
    page.get_by_test_id("sl-cmp-list").locator("button").nth(3).click()
    expect(page.get_by_test_id("sl-cmp-list").locator("button").nth(3)).to_have_attribute("aria-current", "true")


def test_two_opened_files_are_compared_and_have_no_link(opened, tmp_path):
    page = opened()
    for name, text in (("a", RIVER), ("b", CITY)):
        save_trace(capture(load_model("minilm"), text), tmp_path / f"{name}.safetensors")
    page.locator(".st-key-compare_picker").get_by_role("button", name="⋯").click()
    page.locator(".st-key-compare_upload input[type=file]").set_input_files(tmp_path / "b.safetensors")
    expect(page.get_by_text("B is a file, of MiniLM")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("sl-cmp-says")).to_contain_text("A has 16 tokens and B has 11")
    page.locator(".st-key-frame_picker").get_by_role("button", name="⋯").click()
    page.locator(".st-key-frame_trace input[type=file]").set_input_files(tmp_path / "a.safetensors")
    expect(page.get_by_test_id("sl-cmp-says")).to_contain_text("all 11 places have a partner")
    page.keyboard.press("Escape")
    page.get_by_test_id("sl-copy").click()
    expect(page.get_by_text("Send the file instead")).to_be_visible()


def test_explore_leads_here_with_its_text_as_a(visit):
    visitor = visit()
    visitor.allow("/compare/_stcore")
    page = visitor.page
    page.goto(f"/?v=1&m=minilm&t={quote_plus('Birds sing in the morning.')}&l=1&h=4")
    wait_until_drawn(page)
    page.get_by_test_id("sl-compare-with").click()
    ready(page)
    expect(page.get_by_label("B · text")).to_have_value("Birds sing in the morning.")
    expect(page.get_by_test_id("sl-cmp-heads")).to_contain_text("A: Layer 1 · head 4")
    box = page.get_by_label("B · text")
    box.fill("Dogs sing in the morning.")
    box.press("Control+Enter")
    expect(page.get_by_test_id("sl-cmp-heads")).to_have_text("A and B: Layer 1 · head 4")


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, {"viewport": PHONE}])
def test_nothing_stands_in_the_way_of_anybody(opened, options):
    page = opened(options, **BANK, q=4)
    page.get_by_test_id("sl-cmp-table").locator("summary").click()
    page.get_by_test_id("sl-cmp-moving").locator("summary").click()
    assert accessibility_faults(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
