"""Nothing that looks alive is dead: what is typed and chosen in the first seconds or in a hurry is kept."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from tests.support.serving import Visit, wait_until_drawn

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
