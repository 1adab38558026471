"""The real server, a real Chromium, and pages that fail their test if they misbehave."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.serving import PATIENCE_MS, Server, Visit, launch_chromium, new_visit, serve, skip_tour

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all browser tests, as its visitors would share it."""
    with serve() as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = launch_chromium(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(server: Server, browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open pages as separate visitors: `visit(color_scheme="dark")`, `visit(viewport=PHONE, tour=True)`.

    The test fails if one of them logs a console error or asks any host but the server.
    """
    opened = []

    def open_page(*, tour: bool = False, **context_options) -> Visit:
        context, visit = new_visit(browser, server.url, **context_options)
        if not tour:
            skip_tour(context)
        opened.append((context, visit))
        return visit

    yield open_page
    complaints = [line for _, visit in opened for line in visit.complaints()]
    for context, _ in opened:
        context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def page(visit: Callable[..., Visit]) -> Page:
    """One visitor on a 1280 × 800 screen who has seen the tour; nothing opened yet."""
    return visit().page
