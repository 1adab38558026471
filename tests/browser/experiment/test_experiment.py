"""The page Experiment in a real browser: asked, switched off, stopped, compared with chance, linked, taken away."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
from playwright.sync_api import Page, expect

from attention_core import EveryHead, LogDifference, TokenVector, capture, load_model, sweep
from pages.shared.experiment.examples import FIRST
from tests.support.serving import DESKTOP, PHONE, Visit, accessibility_faults

LONG = "The animal didn't cross the street because it was too tired. " * 12
SWEPT = '[data-ready$=":ready"]'


@pytest.fixture
def experiment(visit: Callable[..., Visit]) -> Callable[..., Page]:
    """Open the page: on its example, or as the address says."""

    def open_page(visit_options: dict | None = None, **params: object) -> Page:
        visitor = visit(**(visit_options or {}))
        visitor.allow("/experiment/_stcore")  # Streamlit looks for its server below the page's address first
        asked = "&".join(f"{name}={quote_plus(str(value))}" for name, value in params.items())
        visitor.page.goto(f"/experiment{'?' if asked else ''}{asked}")
        visitor.page.locator(".sl-exp-root[data-ready]").wait_for(timeout=100_000)
        return visitor.page

    return open_page


@pytest.fixture(scope="module")
def example():
    """The core's own sweep of the first example."""
    model = load_model(FIRST.model)
    said = capture(model, FIRST.text).readout().choices
    return sweep(model, FIRST.text, EveryHead("mean"), LogDifference(said[0].id, said[1].id), draws=20)


def number(text: str) -> float:
    found = re.search(r"[−+]?\d+(\.\d+)?", text)
    assert found, text
    return float(found[0].replace("−", "-"))


def test_two_clicks_from_the_start_page_say_which_heads_matter(page: Page, example):
    page.goto("/")
    page.locator("[role=grid]").first.wait_for(timeout=100_000)
    page.get_by_role("link", name="Experiment").first.click()
    page.locator(SWEPT).wait_for(timeout=100_000)  # its example is begun by itself: any other text takes one more click
    names = page.get_by_test_id("sl-exp-ranked").locator(".sl-name").all_inner_texts()
    edits = [example.variants[i][0] for i in example.ranked[:3]]
    assert names[:3] == [f"{edit.layer}.{edit.head}" for edit in edits]


def test_the_heads_that_copy_are_beyond_chance_and_said_to_be(experiment, example):
    page = experiment()
    page.locator(SWEPT).wait_for(timeout=100_000)
    important = {f"{example.variants[i][0].layer}.{example.variants[i][0].head}" for i in example.important}
    assert {"1.3", "2.0", "2.1"} <= important
    verdict = page.get_by_test_id("sl-exp-verdict").inner_text()
    assert verdict.startswith(f"{len(important)} of 20 heads are beyond what chance does: ")
    assert all(name in verdict for name in important)
    framed = page.get_by_test_id("sl-exp-atlas").locator("[data-beyond]")
    assert {cell.get_attribute("data-head") for cell in framed.all()} == important
    for button, i in zip(page.get_by_test_id("sl-exp-ranked").locator("button").all(), example.ranked, strict=False):
        shown = number(button.locator(".sl-number").inner_text())
        assert shown == pytest.approx(float(example.effects[i]), rel=0.06, abs=0.005)  # two digits are shown
    figure = page.get_by_test_id("sl-exp-strip").locator("[data-testid=sl-exp-figure][data-drawn]")
    expect(figure).to_be_visible()


def test_a_head_shows_before_and_after_its_control_and_what_it_looked_at(experiment):
    page = experiment()
    page.locator(SWEPT).wait_for(timeout=100_000)
    page.get_by_test_id("sl-exp-atlas").locator('[data-head="2.0"]').click()
    expect(page.get_by_test_id("sl-exp-title")).to_have_text("Layer 2 · head 0")
    expect(page.get_by_test_id("sl-exp-effect")).to_have_text(
        re.compile(r"Switched off, it costs [\d.]+ nats.*; chance up to [\d.]+: it works for the answer\.")
    )
    expect(page.get_by_test_id("sl-exp-control")).to_contain_text("beyond what chance does")
    expect(page.get_by_test_id("sl-exp-bars").locator("section")).to_have_count(2)
    expect(page.get_by_test_id("sl-exp-looked")).to_contain_text("it looked at")


def test_a_sentence_encoder_is_asked_about_a_vector(experiment):
    page = experiment(v=1, m="minilm", t="The animal was tired", l=3, h=1)
    expect(page.get_by_test_id("sl-exp-question")).to_contain_text("What makes the vector of")
    expect(page.get_by_test_id("sl-exp-other")).to_contain_text("Storyteller")
    page.locator('[data-slot="position"]').select_option("2")
    page.get_by_test_id("sl-exp-begin").click()
    page.locator(SWEPT).wait_for(timeout=100_000)
    own = sweep(load_model("minilm"), "The animal was tired", EveryHead("mean"), TokenVector(2), draws=20)
    first = own.variants[own.ranked[0]][0]
    shown = page.get_by_test_id("sl-exp-ranked").locator(".sl-name").first
    expect(shown).to_have_text(f"{first.layer}.{first.head}")


def test_one_that_is_stopped_ends_and_keeps_what_it_had(experiment):
    page = experiment(v=1, m="minilm", t=LONG, l=3, h=1)
    page.get_by_test_id("sl-exp-begin").click()
    expect(page.get_by_test_id("sl-exp-progress")).to_have_text(re.compile(r"Comparing with chance … [\d,]+ of [\d,]+"))
    page.get_by_test_id("sl-exp-stop").click()
    page.locator('[data-ready$=":stopped"]').wait_for()
    expect(page.get_by_test_id("sl-exp-verdict")).to_contain_text("Stopped before it was compared with chance")
    expect(page.get_by_test_id("sl-exp-ranked").locator("button")).to_have_count(10)
    expect(page.get_by_test_id("sl-exp-begin")).to_have_text("Switch each head off again")


def test_a_link_restores_text_question_and_head(experiment, visit):
    page = experiment(v=1, m="storyteller", t="Once upon a time there was a", l=1, h=2)
    page.get_by_test_id("sl-exp-kind").select_option(label="its whole answer")
    page.get_by_test_id("sl-exp-atlas").locator('[data-head="2.3"]').click()
    page.wait_for_function("() => location.search.includes('divergence') && location.search.includes('h=3')")
    page.get_by_test_id("sl-copy").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    link = page.evaluate("() => navigator.clipboard.readText()")
    assert {"m", "t", "ask", "l", "h"} <= set(parse_qs(urlsplit(link).query))
    other = visit()
    other.allow("/experiment/_stcore")
    other.page.goto(link)
    expect(other.page.get_by_test_id("sl-exp-question")).to_have_text("What changes its answer at all?")
    expect(other.page.get_by_test_id("sl-exp-title")).to_have_text("Layer 2 · head 3")


def test_what_one_visitor_computed_is_there_for_another(experiment):
    first = experiment()
    first.locator(SWEPT).wait_for(timeout=100_000)
    verdict = first.get_by_test_id("sl-exp-verdict").inner_text()
    second = experiment()
    second.locator(SWEPT).wait_for(timeout=100_000)
    expect(second.get_by_test_id("sl-exp-verdict")).to_have_text(verdict)


def test_the_keyboard_alone_begins_chooses_and_opens(experiment):
    page = experiment(v=1, m="storyteller", t="Once upon a time there was a king", l=0, h=0)
    page.get_by_test_id("sl-exp-begin").focus()
    page.keyboard.press("Enter")
    page.locator(SWEPT).wait_for(timeout=100_000)
    page.locator("[role=gridcell][tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    live = page.get_by_test_id("sl-exp-live")
    expect(live).to_have_text(
        re.compile(r"Layer \d · head \d: .* to be switched off, (inside|beyond) what chance does")
    )
    here = page.evaluate("() => document.activeElement.shadowRoot?.activeElement?.dataset.head ?? ''")
    page.keyboard.press("Enter")
    page.wait_for_function("() => !location.pathname.endsWith('experiment')")
    layer, head = here.split(".")
    page.wait_for_function("([l, h]) => new URLSearchParams(location.search).get('l') === l", arg=[layer, head])


def test_a_row_is_seen_through_five_lenses(experiment):
    page = experiment(v=1, m="minilm", t="The animal was tired", l=3, h=1, q=4)
    page.get_by_test_id("sl-exp-lenses-begin").click()
    table = page.get_by_test_id("sl-exp-lenses").locator("tbody tr")
    expect(table).to_have_count(6)
    expect(page.get_by_test_id("sl-exp-lenses").locator("[data-first]")).to_have_count(5)
    expect(page.get_by_test_id("sl-exp-lenses-says")).not_to_be_empty()
    page.get_by_test_id("sl-exp-query").select_option("1")
    expect(table).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP, {"width": 1920, "height": 1080}], ids=["390", "1280", "1920"])
def test_it_has_no_accessibility_faults_and_nothing_sticks_out(experiment, size, scheme):
    page = experiment({"viewport": size, "color_scheme": scheme})
    page.locator(SWEPT).wait_for(timeout=100_000)
    expect(page.get_by_test_id("sl-exp-control")).to_contain_text("what chance does")
    assert not accessibility_faults(page)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_the_table_and_the_script_are_saved(experiment):
    page = experiment()
    page.locator(SWEPT).wait_for(timeout=100_000)
    page.get_by_test_id("sl-save").click()
    with page.expect_download() as table:
        page.locator('[data-file="csv"]').click()
    lines = table.value.path().read_text(encoding="utf-8").splitlines()
    assert len(lines) == 21 and lines[0].startswith("layer,head,edited,difference")
    page.get_by_test_id("sl-save").click()
    with page.expect_download() as program:
        page.locator('[data-file="script"]').click()
    assert "sweep(model, text" in program.value.path().read_text(encoding="utf-8")
