"""Matrices of one's own in a real browser: opened from a file, looked at on every page that can show them, saved."""

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from attention_core import load_trace
from tests.browser.test_explore import download, open_menu
from tests.support.serving import PHONE, Visit, accessibility_faults, wait_until_drawn

TOKENS = ["<s>", "Ġone", "Ġ<b>two</b>", "Ġthr", "ee", "Ġone"]


@pytest.fixture(scope="module")
def attention() -> np.ndarray:
    """Two layers of three heads that read backwards only."""
    scores = np.random.default_rng(5).normal(scale=2.0, size=(2, 3, 6, 6))
    weights = np.exp(scores) * np.tril(np.ones((6, 6)))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def open_own(visit: Callable[..., Visit], attention, tmp_path) -> Callable[..., Page]:
    """The first page, with these matrices opened in place of the sentence."""
    file = tmp_path / "mine.npz"
    np.savez(file, attention=attention, tokens=np.array(TOKENS), name="Mine")

    def opened(**options) -> Page:
        page = visit(**options).page
        page.goto("/")
        before = wait_until_drawn(page)
        open_menu(page).set_input_files(file)
        wait_until_drawn(page, other_than=before)
        page.keyboard.press("Escape")
        return page

    return opened


def go_to(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).first.click()


def test_matrices_of_ones_own_are_shown_and_saved_and_whatever_needs_a_model_says_that_it_is_off(open_own, attention):
    page = open_own()
    expect(page.get_by_test_id("sl-badge")).to_have_text("○ cannot be checked: weights only, given by you")
    expect(page.get_by_text("Mine: weights only, given by you.")).to_be_visible()
    expect(page.get_by_text("No model is behind matrices of your own: the text cannot be changed")).to_be_visible()
    expect(page.get_by_text("what a model says, and continuing its text, is off")).to_be_visible()
    expect(page.get_by_text("2 layers × 3 heads · weights only, given by you")).to_be_visible()
    expect(page.get_by_test_id("sl-text")).to_have_count(0)
    expect(page.get_by_role("combobox", name=re.compile("Model"))).to_be_disabled()
    expect(page.get_by_test_id("sl-sentence")).to_contain_text("<b>two</b>")  # data, never markup
    expect(page.get_by_test_id("sl-readout")).to_have_text(re.compile("its exact weight appears here"))
    assert accessibility_faults(page) == []

    archive = np.load(io.BytesIO(download(page, "Weights, NPZ").read_bytes()))
    assert np.array_equal(archive["weights"], attention[0, 0])
    rows = download(page, "Weights, CSV").read_text(encoding="utf-8").splitlines()
    assert float(rows[2].split(",")[1]) == pytest.approx(attention[0, 0, 1, 0], abs=1e-8)
    assert "given by you" in download(page, "Heatmap, SVG").read_text(encoding="utf-8")
    assert "load_trace(" in download(page, "Python script").read_text(encoding="utf-8")
    again = load_trace(download(page, "Trace file"))
    assert all(np.array_equal(layer.given.numpy(), mine) for layer, mine in zip(again.layers, attention, strict=True))

    page.keyboard.press("?")
    expect(page.get_by_text("The tour is off")).to_be_visible()
    expect(page.get_by_role("button", name="Tour", exact=True)).to_be_disabled()
    page.keyboard.press("Escape")

    go_to(page, "Heads")
    table = page.get_by_test_id("sl-heads-table")
    expect(table.locator("tbody tr")).to_have_count(6)
    expect(page.get_by_test_id("sl-labels-status")).to_have_text(
        "No labels: they need the model itself, and none is behind matrices of your own."
    )
    expect(page.get_by_text("labels and the survey over text files, which both run one, are off")).to_be_visible()
    assert accessibility_faults(page) == []

    go_to(page, "Step by step")
    expect(page.get_by_text("what they were computed from was not given").first).to_be_visible()
    expect(page.get_by_text("hides")).to_have_count(0)
    assert accessibility_faults(page) == []

    go_to(page, "Explore")
    wait_until_drawn(page)
    page.get_by_role("button", name="Back to the text box").click()
    expect(page.get_by_test_id("sl-text")).to_be_visible()
    expect(page.get_by_role("combobox", name=re.compile("Model"))).to_be_enabled()


def test_on_a_phone_in_the_dark_nothing_is_cut_off(open_own):
    page = open_own(viewport=PHONE, has_touch=True, color_scheme="dark")
    expect(page.get_by_text("Mine: weights only, given by you.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert accessibility_faults(page) == []


def test_a_row_that_does_not_sum_to_one_is_named_and_the_picture_stays(page: Page, attention, tmp_path):
    file = tmp_path / "wrong.npz"
    np.savez(file, attention=attention * 0.9, tokens=np.array(TOKENS))
    page.goto("/")
    wait_until_drawn(page)
    open_menu(page).set_input_files(file)
    expect(page.get_by_text("layer 0, head 0, query")).to_be_visible()
    expect(page.get_by_test_id("sl-sentence")).to_contain_text("animal")
