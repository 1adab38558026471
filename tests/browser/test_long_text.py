"""A text of thousands of tokens: an overview of all heads, one head as block maxima, exact where somebody looks."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from attention_core import capture, load_model
from tests.support import tiny
from tests.support.serving import new_visit, serve, skip_tour, wait_until_drawn

N_TOKENS = 3_001
TEXT = " ".join(tiny.WORDS[5 + (7 * i * i) % 14] for i in range(N_TOKENS - 2))


@pytest.fixture(scope="module")
def long_model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "long"
    tiny.bare("gpt2", n_positions=4_096).save_pretrained(folder)
    tiny.tokenizer(limit=4_096).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def opened(long_model, browser: Browser) -> Iterator[Page]:
    """The long text in the explorer, the strongest cell of its first head not yet looked at."""
    with serve(env={"SIGHTLINE_MODEL": str(long_model)}) as server:
        context, visit = new_visit(browser, server.url)
        skip_tour(context)
        page = visit.page
        page.goto(f"/?v=1&m={long_model}&t=the+cat&l=0&h=0")
        before = wait_until_drawn(page)
        page.get_by_test_id("sl-text").fill(TEXT)
        page.get_by_test_id("sl-text").press("Enter")
        wait_until_drawn(page, other_than=before)
        yield page
        context.close()
        assert visit.complaints() == []


def test_labels_thin_out_and_the_picture_says_that_it_is_an_overview(opened: Page):
    expect(opened.get_by_text(re.compile(rf"{N_TOKENS:,} of 4,096 tokens"))).to_be_visible()
    expect(opened.get_by_text(re.compile("largest weight of its block|largest of"))).not_to_have_count(0)
    expect(opened.get_by_test_id("sl-badge")).to_contain_text("same as the model")


def test_a_hovered_cell_is_exact_at_full_resolution(opened: Page, long_model):
    weights = capture(load_model(str(long_model)), TEXT).weights(0, 0)
    heatmap = opened.get_by_test_id("sl-heatmap")
    heatmap.focus()
    for _ in range(4):
        opened.keyboard.press("+")
    box = heatmap.bounding_box()
    assert box
    readout = opened.get_by_test_id("sl-readout")
    seen = set()
    for x, y in ((0.4, 0.75), (0.5, 0.8), (0.62, 0.9)):
        opened.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        expect(readout).to_have_text(re.compile(r"(q·k -?[0-9]|masked).*query \d+, key \d+"))
        text = readout.inner_text()
        found = re.search(r"query (\d+), key (\d+)", text)
        assert found
        query, key = int(found[1]), int(found[2])
        shown = re.search(r"([01]\.\d{4}) q·k", text)
        assert (shown is None) == (key > query)
        if shown:
            assert shown[1] == f"{weights[query, key]:.4f}"
        seen.add((query, key))
    assert len(seen) == 3


def test_a_text_too_long_for_a_link_says_how_to_share_it(opened: Page):
    opened.get_by_test_id("sl-copy").click()
    expect(opened.get_by_text("too long for a link")).to_be_visible()
