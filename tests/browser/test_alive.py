"""Nothing that looks alive is dead: what is typed and chosen in the first seconds or in a hurry is kept."""

import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.serving import PHONE, Visit, at_rest, wait_until_drawn

SEED = 19
STREAMLIT = "**/static/js/index.*.js"


@pytest.fixture
def busy() -> Iterator[None]:
    """Two loops that do nothing, so that a server's answer takes its time."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


def menu(page: Page, title: str) -> None:
    page.get_by_test_id("stTopNavLink").filter(has_text=title).click()


@pytest.mark.parametrize("tries", [4, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
@pytest.mark.usefixtures("busy")
def test_a_second_click_on_a_cell_of_the_map_opens_the_head_that_was_clicked(visit: Callable[..., Visit], tries: int):
    page, chance = visit().page, random.Random(SEED)
    page.goto("")
    wait_until_drawn(page)
    wrong = []
    for _ in range(tries):
        menu(page, "Heads")
        layer, head = chance.randrange(6), chance.randrange(12)
        cell = page.get_by_test_id("sl-heads-map").locator(f'[data-head="{layer}.{head}"]')
        cell.click()
        page.wait_for_timeout(chance.uniform(0, 500))
        if page.get_by_test_id("sl-heads-map").count():
            cell.click()
        opened = page.get_by_test_id("sl-heatmap")
        opened.wait_for()
        page.locator("[data-ready]").first.wait_for(state="attached")
        title = page.locator(".sl-title h2").inner_text()
        if title != f"Layer {layer} · head {head}":
            wrong.append(f"{layer}.{head}: {title}")
    assert not wrong


def test_the_same_cell_clicked_three_times_is_pinned_released_and_pinned(visit: Callable[..., Visit]):
    for options in ({}, {"viewport": PHONE}):
        visitor = visit(**options)
        page = visitor.page
        page.goto("")
        wait_until_drawn(page)
        stage, release = page.get_by_test_id("sl-heatmap"), page.get_by_role("button", name="release (Esc)")
        page.keyboard.press("Escape")  # the first picture points at a row already
        at_rest(visitor)  # the tour's and the panel's last words
        stage.scroll_into_view_if_needed()
        before = stage.bounding_box()
        assert before
        x, y = before["x"] + 0.6 * before["width"], before["y"] + 0.6 * before["height"]
        for pinned in (True, False, True):
            page.mouse.click(x, y)
            expect(release).to_have_count(int(pinned))
            assert stage.bounding_box() == before
            for step in range(1, 8):  # other words in the readout: short and long tokens, masked cells
                page.mouse.move(x - 25 * step, y - 20 * step)
                assert stage.bounding_box() == before


def slow(page: Page) -> Callable[[], None]:
    """A slow network, on which Streamlit's own front end does not come at all until what is returned is called."""
    held: list[Route] = []
    released: list[bool] = []
    page.route(STREAMLIT, lambda route: route.continue_() if released else held.append(route))
    told = page.context.new_cdp_session(page)
    told.send("Network.enable")
    line = {"latency": 60, "downloadThroughput": 1_500_000, "uploadThroughput": 500_000, "offline": False}
    told.send("Network.emulateNetworkConditions", line)

    def release() -> None:
        released.append(True)
        for route in held:
            route.continue_()

    return release


@pytest.mark.parametrize("starts", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_what_is_typed_and_chosen_before_the_page_is_there_goes_over_into_it(visit: Callable[..., Visit], starts: int):
    first = visit()
    first.page.goto("")
    wait_until_drawn(first.page)
    chance = random.Random(SEED)
    for _ in range(starts):
        visitor = visit(tour=True)
        page = visitor.page
        release = slow(page)
        page.goto("", wait_until="commit")
        early = page.locator(".sl-first-picture")
        early.locator("[data-first]").wait_for(state="attached")
        canvas = early.get_by_test_id("sl-atlas").locator(".sl-grid canvas").bounding_box()
        assert canvas
        page.mouse.click(
            canvas["x"] + canvas["width"] * 0.3, canvas["y"] + canvas["height"] * chance.uniform(0.35, 0.8)
        )
        chosen = early.locator(".sl-title h2").inner_text()
        box = page.locator("#sl-first-text")
        assert box.input_value().startswith("The animal")
        box.click()
        page.keyboard.press("Home")
        release()
        typed = "".join(chance.choice("abcdefgh ") for _ in range(chance.randrange(8, 60)))
        for letter in typed:  # right through the moment in which the page takes over
            page.keyboard.type(letter)
            page.wait_for_timeout(chance.uniform(10, 120))
        wait_until_drawn(page)
        page.locator("#sl-first").wait_for(state="detached")
        own = page.get_by_test_id("sl-text")
        expect(own).to_be_focused()
        assert own.input_value().startswith(typed + "The animal")
        assert own.evaluate("box => [box.selectionStart, box.selectionEnd]") == [len(typed)] * 2
        expect(page.locator(".sl-title h2")).to_have_text(chosen)
        layer, head = re.findall(r"\d+", chosen)
        told = "place => ['l', 'h'].every((name, i) => new URLSearchParams(location.search).get(name) === place[i])"
        page.wait_for_function(told, arg=[layer, head])
        expect(page.get_by_role("complementary", name="Tour")).to_have_count(0)  # who acts already needs none
        page.context.close()


def test_the_keyboards_place_in_the_early_picture_is_kept(visit: Callable[..., Visit]):
    first = visit()
    first.page.goto("")
    wait_until_drawn(first.page)
    page = visit().page
    release = slow(page)
    page.goto("", wait_until="commit")
    early = page.locator(".sl-first-picture")
    early.locator("[data-first]").wait_for(state="attached")
    early.get_by_test_id("sl-heatmap").focus()
    for key in ("Escape", "ArrowDown", "ArrowRight", "ArrowRight", "Enter", "]"):
        page.keyboard.press(key)
    release()
    title, pinned = early.locator(".sl-title h2").inner_text(), early.get_by_test_id("sl-readout").inner_text()
    wait_until_drawn(page)
    page.locator("#sl-first").wait_for(state="detached")
    expect(page.locator(".sl-title h2")).to_have_text(title)
    assert pinned.split("·")[-1] in page.get_by_test_id("sl-readout").inner_text()
    expect(page.get_by_test_id("sl-heatmap")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="release (Esc)")).to_have_count(0)


def test_a_sentence_entered_before_the_page_is_there_is_read(visit: Callable[..., Visit]):
    page = visit().page
    release = slow(page)
    page.goto("steps", wait_until="commit")
    box = page.locator("#sl-first-text")
    box.fill("Dogs chase cats.")
    box.press("Enter")
    release()
    page.locator("#sl-first").wait_for(state="detached")
    expect(page.get_by_test_id("sl-text")).to_have_value("Dogs chase cats.")
    page.wait_for_function("() => new URLSearchParams(location.search).get('t') === 'Dogs chase cats.'")


def test_the_pictures_follow_the_typing_and_enter_commits_what_is_drawn(visit: Callable[..., Visit]):
    visitor = visit()
    page, fetched = visitor.page, []
    page.goto("")
    before = wait_until_drawn(page)
    at_rest(visitor)
    page.on("request", lambda request: fetched.append(request.url))
    address, frames = page.url, len(visitor.sent)
    box = page.get_by_test_id("sl-text")
    box.fill("")
    box.press_sequentially("Cats follow dogs", delay=30)
    typed = wait_until_drawn(page, other_than=before)
    expect(page.get_by_test_id("sl-sentence")).to_contain_text("follow")
    assert (page.url, len(visitor.sent)) == (address, frames)  # nobody was told, the address is as it was
    expect(box).to_be_focused()
    page.get_by_test_id("sl-copy").click()
    expect(page.get_by_text("press Enter in its box")).to_be_visible()
    fetched.clear()
    box.press("Enter")
    page.wait_for_function("() => new URLSearchParams(location.search).get('t') === 'Cats follow dogs'")
    page.wait_for_timeout(500)
    assert wait_until_drawn(page) == typed
    assert not [url for url in fetched if url.endswith("/overview")]
    page.get_by_test_id("sl-copy").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    box.fill("Birds")
    wait_until_drawn(page, other_than=typed)
    box.fill("Cats follow dogs")  # what the page has
    page.locator(f'[data-ready="{typed}"]').wait_for(state="attached")
