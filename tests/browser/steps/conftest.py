"""Step by step, opened at a step."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from attention_core import capture, load_model
from tests.browser.steps.walking import TEXT, path
from tests.support.serving import Visit, wait_until_drawn


@pytest.fixture(scope="package")
def trace():
    return capture(load_model("minilm"), TEXT)


@pytest.fixture
def walk(visit: Callable[..., Visit]) -> Callable[..., Page]:
    """Open a step: `walk(step="scores", mode="numbers")`; options of the visit as `visit_options={…}`."""

    def open_step(visit_options: dict | None = None, **params: object) -> Page:
        visitor = visit(**(visit_options or {}))
        visitor.allow("/steps/_stcore")  # Streamlit looks for its server below the page's address first
        visitor.page.goto(path(**params))
        wait_until_drawn(visitor.page)
        return visitor.page

    return open_step
