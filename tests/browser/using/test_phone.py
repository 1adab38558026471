"""A phone: its menu, the tour, and no advice about keys that are not there."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from pages.shared.session.menu import MENU
from tests.support.serving import PHONE, Visit, wait_until_drawn

KEYS = re.compile(r"\b(Esc|Escape|Enter|Shift|Ctrl|Alt|arrow keys?|keyboard|shortcuts?|hover)\b|\(key ", re.IGNORECASE)


@pytest.fixture
def phone(visit: Callable[..., Visit]) -> Callable[..., Page]:
    def opened(**options: object) -> Page:
        seen = visit(viewport=PHONE, has_touch=True, is_mobile=True, **options)
        seen.allow("_stcore")  # Streamlit looks for its server below the page's address first
        return seen.page

    return opened


def covered(page: Page) -> bool:
    """Does the menu lie over the page?"""
    return page.evaluate("() => Boolean(document.elementFromPoint(150, 500).closest('[data-testid=stSidebar]'))")


def test_the_menu_closes_when_a_page_is_chosen_and_stays_closed(phone):
    page = phone()
    page.goto("/")
    wait_until_drawn(page)
    page.get_by_test_id("stExpandSidebarButton").tap()
    page.wait_for_function("() => document.elementFromPoint(150, 500).closest('[data-testid=stSidebar]')")
    page.get_by_test_id("stSidebar").get_by_text("Heads", exact=True).tap()
    page.wait_for_function("() => !document.elementFromPoint(150, 500).closest('[data-testid=stSidebar]')")
    wait_until_drawn(page)
    assert page.url.split("?")[0].endswith("/heads")
    page.reload()
    wait_until_drawn(page)
    assert not covered(page)


def test_a_menu_that_was_left_open_is_closed_at_the_next_load(phone):
    page = phone()
    page.goto("/")
    wait_until_drawn(page)
    page.get_by_test_id("stExpandSidebarButton").tap()
    page.wait_for_function("() => document.elementFromPoint(150, 500).closest('[data-testid=stSidebar]')")
    for path in ("/", "/lab"):
        page.goto(path)
        page.get_by_test_id("stExpandSidebarButton").wait_for()
        page.locator(".sl-root").first.wait_for()
        assert not covered(page)


def test_the_tour_never_lies_under_the_header(phone):
    page = phone(tour=True)
    page.goto("/")
    wait_until_drawn(page)
    tour = page.get_by_role("complementary", name="Tour")
    header = page.get_by_test_id("stHeader").bounding_box()
    assert header
    for step in range(1, 5):
        expect(tour).to_contain_text(f"{step} of 4")
        for down in (0, 300, 900, 5_000):
            page.evaluate("down => document.querySelector('[data-testid=stMain]').scrollTo(0, down)", down)
            box = tour.bounding_box()
            assert box
            assert box["y"] >= header["y"] + header["height"], (step, down)
        tour.get_by_role("button", name=re.compile("Next|Done")).tap()
    expect(tour).to_be_hidden()


@pytest.mark.parametrize("entry", MENU, ids=lambda entry: entry.title)
def test_a_touch_screen_gets_no_advice_about_keys(phone, entry):
    page = phone(tour=True)
    page.goto(f"/{entry.url_path}")
    if entry.views:
        page.locator(".sl-root").first.wait_for()
    if entry.reads_text:
        wait_until_drawn(page)
        page.get_by_test_id("sl-text").fill("Dogs chase cats.")
    page.locator("h1").first.wait_for(state="attached")
    page.locator("#sl-first").wait_for(state="detached")
    said = page.evaluate(
        """() => {
          const roots = [document, ...[...document.querySelectorAll('*')].flatMap(one => one.shadowRoot ?? [])]
          const texts = roots.flatMap(root => [...root.querySelectorAll('*')].flatMap(one =>
            one.checkVisibility({ visibilityProperty: true }) && !one.closest('.sl-prose, select')
              ? [...one.childNodes].filter(node => node.nodeType === 3).map(node => node.data) : []))
          return texts.filter(text => text.trim())
        }"""
    )
    assert len(said) > 5
    assert [text for text in said if KEYS.search(text)] == []
