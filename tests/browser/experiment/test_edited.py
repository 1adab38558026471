"""Changes of a run in a real browser: one click, said at once, on every page, taken back, and nobody else's."""

from collections.abc import Callable
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.support.serving import Visit, accessibility_faults

TEXT = "Once upon a time there was a"
PATIENCE_MS = 100_000


@pytest.fixture
def opened(visit: Callable[..., Visit]) -> Callable[..., Page]:
    """Open a page of the Storyteller's text as another visitor."""

    def open_page(path: str = "/", **params: object) -> Page:
        visitor = visit()
        visitor.allow("/_stcore")  # Streamlit looks for its server below a page's address first
        chosen = {"v": 1, "m": "storyteller", "t": TEXT, "l": 1, "h": 3, **params}
        visitor.page.goto(f"{path}?" + "&".join(f"{name}={quote_plus(str(value))}" for name, value in chosen.items()))
        return visitor.page

    return open_page


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click(timeout=PATIENCE_MS)


def banner(page: Page):
    return page.locator(".st-key-edited").first


def edits_of(page: Page) -> str:
    return parse_qs(urlsplit(page.url).query).get("e", [""])[0]


def test_one_click_switches_the_head_off_and_says_what_the_model_says_then(opened):
    page = opened()
    press(page, "Switch this head off")
    expect(banner(page)).to_contain_text("layer 1 head 3 switched off", timeout=PATIENCE_MS)
    expect(banner(page)).to_contain_text("Before: next: ")
    expect(banner(page)).to_contain_text("Now: next: ")
    page.wait_for_function("() => location.search.includes('switch+off')")
    assert not accessibility_faults(page)


def test_every_page_has_the_banner_and_undo_all_takes_it_away(opened):
    page = opened()
    press(page, "Switch this head off")
    banner(page).wait_for(timeout=PATIENCE_MS)
    for name in ("Step by step", "Heads", "Experiment"):
        page.get_by_role("link", name=name).first.click()
        page.get_by_role("heading", name=name, level=1).first.wait_for(state="attached", timeout=PATIENCE_MS)
        expect(banner(page)).to_contain_text("layer 1 head 3 switched off", timeout=PATIENCE_MS)
    press(page, "Undo all")
    expect(page.locator(".st-key-edited")).to_have_count(0, timeout=PATIENCE_MS)


def test_a_link_restores_the_changes_and_a_tampered_one_is_refused_in_a_sentence(opened):
    page = opened()
    press(page, "Switch this head off")
    page.wait_for_function("() => location.search.includes('switch+off')", timeout=PATIENCE_MS)
    made = edits_of(page)
    again = opened(e=made)
    expect(banner(again)).to_contain_text("layer 1 head 3 switched off", timeout=PATIENCE_MS)
    tampered = opened(e=made.replace('"head":3', '"head":2'))
    expect(tampered.locator(".sl-warning")).to_contain_text("not as they were copied", timeout=PATIENCE_MS)
    expect(tampered.locator(".st-key-edited")).to_have_count(0)


def test_two_visitors_with_different_changes_see_each_his_own(opened):
    one, other = opened(l=1, h=3), opened(l=2, h=0)
    press(one, "Switch this head off")
    press(other, "Switch this head off")
    expect(banner(one)).to_contain_text("layer 1 head 3 switched off", timeout=PATIENCE_MS)
    expect(banner(other)).to_contain_text("layer 2 head 0 switched off", timeout=PATIENCE_MS)
    expect(banner(one)).not_to_contain_text("layer 2 head 0")
    expect(banner(other)).not_to_contain_text("layer 1 head 3")
