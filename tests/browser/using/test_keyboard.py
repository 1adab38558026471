"""The keyboard alone: the way past the navigation, one thing at a time, and where a page begins."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from pages.shared.session.menu import MENU
from tests.support.serving import Visit, wait_until_drawn

FOCUSED = """() => {
  let at = document.activeElement
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
  return at
}"""
MOST_STOPS = 10


def focused(page: Page, of: str) -> bool:
    """Is what has the focus, in a view too, such an element?"""
    return page.evaluate(f"([of]) => ({FOCUSED})().matches(of)", [of])


@pytest.mark.parametrize(
    ("path", "target"), [("/", "[role=grid]"), ("/heads", "[role=gridcell]"), ("/steps", ".sl-step-head h2")]
)
def test_what_a_page_is_about_is_within_ten_tab_stops(visit: Callable[..., Visit], path: str, target: str):
    seen = visit()
    seen.allow("_stcore")  # Streamlit looks for its server below the page's address first
    page = seen.page
    page.goto(path)
    wait_until_drawn(page)
    page.locator(".sl-skip").wait_for(state="attached")
    stops = 0
    while not focused(page, ".sl-skip"):
        page.keyboard.press("Tab")
        stops += 1
        assert stops < MOST_STOPS
    expect(page.get_by_role("link", name="Skip to the picture")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.wait_for_function(f"of => ({FOCUSED})().matches(of)", arg=target)


def test_the_grid_that_was_skipped_to_takes_the_arrows(page: Page):
    page.goto("/")
    before = wait_until_drawn(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    wait_until_drawn(page, other_than=before)


def test_escape_does_one_thing_at_a_time(visit: Callable[..., Visit]):
    """An open menu, the tour, the cell that the keys walked to, the pin: one Escape each, the last opened first."""
    page = visit(tour=True).page
    page.goto("/")
    wait_until_drawn(page)
    tour, saver = page.get_by_role("complementary", name="Tour"), page.get_by_test_id("sl-save")
    release = page.get_by_role("button", name="release")
    expect(tour).to_be_visible()
    expect(release).to_be_visible()  # the first picture has a pin
    heatmap = page.get_by_test_id("sl-heatmap")
    saver.click()
    heatmap.focus()  # the menu stays open behind the focus
    page.keyboard.press("ArrowDown")
    expect(page.get_by_test_id("sl-readout")).to_contain_text("was → [CLS]")

    left = lambda: (saver.get_attribute("aria-expanded"), tour.is_visible(), release.is_visible())  # noqa: E731
    assert left() == ("true", True, True)
    page.keyboard.press("Escape")
    assert left() == ("false", True, True)
    page.keyboard.press("Escape")
    assert left() == ("false", False, True)
    page.keyboard.press("Escape")  # the cell that was walked to
    expect(page.get_by_test_id("sl-readout")).to_contain_text("it → … most: animal")
    assert left() == ("false", False, True)
    page.keyboard.press("Escape")
    assert left() == ("false", False, False)


def test_escape_in_a_menu_of_the_frame_leaves_the_pin(page: Page):
    page.goto("/")
    wait_until_drawn(page)
    page.get_by_test_id("stPopover").get_by_role("button").first.click()
    body = page.get_by_test_id("stPopoverBody")
    expect(body).to_be_visible()
    page.keyboard.press("Escape")
    expect(body).to_be_hidden()
    assert page.get_by_role("button", name="release").is_visible()


def test_the_focus_lands_on_the_heading_of_a_page_that_was_opened(page: Page):
    page.goto("/")
    wait_until_drawn(page)
    for entry in [*MENU[1:], MENU[0]]:
        link = page.get_by_test_id("stTopNavLink").filter(has_text=entry.title)
        link.focus()
        page.keyboard.press("Enter")
        heading = (
            f"title => {{ const at = ({FOCUSED})(); return at.matches('h1') && at.textContent.startsWith(title) }}"
        )
        page.wait_for_function(heading, arg=entry.title)
        assert page.get_by_role("heading", level=1).count() == 1
