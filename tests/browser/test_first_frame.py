"""What a visitor sees before Streamlit's front end has started."""

from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from pages.shared.address.view import View, to_params
from tests.support.serving import Visit, wait_until_drawn

FRAME = "#sl-first"
SAID = f"{FRAME} > [role=status]"
STREAMLIT = "**/static/js/index.*.js"


def test_the_navigation_is_there_and_works_before_streamlit_has_started(visit: Callable[..., Visit]):
    seen = visit()
    seen.allow("ERR_FAILED")  # Streamlit's front end is held back on purpose
    page = seen.page
    page.route(STREAMLIT, lambda route: route.abort())
    page.goto("", wait_until="commit")
    menu = page.locator(FRAME).get_by_role("navigation")  # a picture that is there already has links as well
    menu.get_by_role("link", name="Explore").wait_for()
    assert page.locator(SAID).inner_text() == "Opening …"
    page.unroute(STREAMLIT)
    menu.get_by_role("link", name="Step by step").click()
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


def test_a_text_that_was_read_before_is_drawn_before_streamlit_and_fetched_once(visit: Callable[..., Visit]):
    link = "?" + urlencode(
        to_params(View(text="The keys to the old wooden cabinet in the kitchen are on the table.", layer=1, head=4))
    )
    first = visit()
    first.page.goto(link)
    wait_until_drawn(first.page)

    seen = visit(tour=True)
    page, asked, held, released = seen.page, [], [], []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    page.route(STREAMLIT, lambda route: route.continue_() if released else held.append(route))
    page.goto(link, wait_until="commit")
    picture = page.locator(".sl-first-picture [data-first]")
    picture.wait_for(state="attached")
    assert (
        page.locator(".sl-first-box").inner_text()
        == "The keys to the old wooden cabinet in the kitchen are on the table."
    )
    assert picture.get_by_test_id("sl-atlas").is_visible()
    assert not page.locator(".sl-first-picture").get_by_role("dialog").is_visible()  # no tour over a still picture
    assert page.locator(".sl-first-picture").evaluate("e => e.inert")
    early = picture.get_by_test_id("sl-heatmap").bounding_box()
    before = picture.get_attribute("data-first")
    page.keyboard.press("]")  # the next head, on the page itself
    page.wait_for_timeout(300)
    assert picture.get_attribute("data-first") == before

    released.append(True)
    for route in held:
        route.continue_()
    assert wait_until_drawn(page) == before
    assert page.locator(FRAME).count() == 0
    numbers = [path for path in asked if path.startswith("/sightline/data/")]
    assert any(path.endswith("/overview") for path in numbers)
    assert len(numbers) == len(set(numbers))
    own = page.get_by_test_id("sl-heatmap").bounding_box()
    assert early is not None
    assert own is not None
    assert abs(own["width"] - early["width"]) <= 2


def test_the_early_picture_says_nothing_while_its_numbers_are_on_their_way(visit: Callable[..., Visit]):
    link = "?" + urlencode(to_params(View(text="The film was not very good, but the music was never really boring.")))
    first = visit()
    first.page.goto(link)
    wait_until_drawn(first.page)

    seen = visit()
    seen.allow("ERR_FAILED")
    page, held = seen.page, []
    page.route(STREAMLIT, lambda route: route.abort())
    page.route("**/sightline/data/**", lambda route: held.append(route))
    page.goto(link, wait_until="commit")
    picture = page.locator(".sl-first-picture")
    on_its_way = picture.locator("[data-name=loading]")
    on_its_way.wait_for(state="attached")
    page.wait_for_timeout(1500)  # longer than the picture holds up Streamlit's modules
    assert held
    assert page.locator(SAID).inner_text() == "Opening …"
    assert not on_its_way.is_visible()
    page.unroute("**/sightline/data/**")
    for route in held:
        route.continue_()
    picture.get_by_test_id("sl-atlas").wait_for()


def test_what_the_page_has_to_say_is_not_hidden_by_the_picture(visit: Callable[..., Visit]):
    link = "?" + urlencode(to_params(View(text="The letter that my sister wrote to our parents arrived yesterday.")))
    first = visit()
    first.page.goto(link)
    wait_until_drawn(first.page)
    seen = visit()
    seen.page.route(
        STREAMLIT,
        lambda route: route.fulfill(
            content_type="text/javascript",
            body="setTimeout(() => document.body.append(Object.assign(document.createElement('p'), "
            "{role: 'dialog', textContent: 'No server'})), 1500)",
        ),
    )
    seen.page.goto(link)
    seen.page.locator(".sl-first-picture [data-first]").wait_for(state="attached")
    seen.page.get_by_text("No server").wait_for()
    seen.page.locator(FRAME).wait_for(state="detached")


def test_a_link_to_another_page_asks_for_nothing_that_is_not_there(visit: Callable[..., Visit]):
    seen = visit()
    missing = []
    seen.page.on("response", lambda answer: answer.status >= 400 and missing.append(answer.url))
    seen.page.goto("steps")
    seen.page.get_by_test_id("stTopNavLink").first.wait_for()
    seen.page.locator(FRAME).wait_for(state="detached")
    assert missing == []
