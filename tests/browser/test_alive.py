"""Nothing that looks alive is dead: what is typed and chosen in the first seconds or in a hurry is kept."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.serving import PHONE, Visit, wait_until_drawn

SEED = 19


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
        page = visit(**options).page
        page.goto("")
        wait_until_drawn(page)
        stage, release = page.get_by_test_id("sl-heatmap"), page.get_by_role("button", name="release (Esc)")
        page.keyboard.press("Escape")  # the first picture points at a row already
        page.wait_for_timeout(600)  # the tour's and the panel's last words
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
