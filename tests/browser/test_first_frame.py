"""What a visitor sees before Streamlit's front end has started."""

from collections.abc import Callable

from tests.serving import Visit, wait_until_drawn

FRAME = "#sl-first"
STREAMLIT = "**/static/js/index.*.js"


def test_the_navigation_is_there_and_works_before_streamlit_has_started(visit: Callable[..., Visit]):
    seen = visit()
    seen.allow("ERR_FAILED")  # Streamlit's front end is held back on purpose
    page = seen.page
    page.route(STREAMLIT, lambda route: route.abort())
    page.goto("", wait_until="commit")
    frame = page.locator(FRAME)
    frame.get_by_role("link", name="Explore").wait_for()
    assert frame.get_by_role("status").inner_text() == "Opening …"
    page.unroute(STREAMLIT)
    frame.get_by_role("link", name="Step by step").click()
    page.get_by_test_id("stTopNavLink").get_by_text("Step by step").wait_for()
    page.locator(FRAME).wait_for(state="detached")


def test_the_frame_leaves_nothing_behind_and_nothing_moves(page):
    page.add_init_script("""
      addEventListener('DOMContentLoaded', () => {
        const link = document.querySelector('#sl-first nav a:nth-child(2)')
        window.promised = link.getBoundingClientRect().toJSON()
      })
    """)
    page.goto("")
    wait_until_drawn(page)
    assert page.locator(FRAME).count() == 0
    promised = page.evaluate("promised")
    box = page.get_by_test_id("stTopNavLink").nth(1).bounding_box()
    assert box is not None
    assert abs(box["x"] - promised["x"]) <= 2
    assert abs(box["width"] - promised["width"]) <= 2


def test_a_link_to_another_page_asks_for_nothing_that_is_not_there(visit: Callable[..., Visit]):
    seen = visit()
    missing = []
    seen.page.on("response", lambda answer: answer.status >= 400 and missing.append(answer.url))
    seen.page.goto("steps")
    seen.page.get_by_test_id("stTopNavLink").first.wait_for()
    seen.page.locator(FRAME).wait_for(state="detached")
    assert missing == []
