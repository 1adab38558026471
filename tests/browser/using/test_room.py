"""A heatmap uses the room it has: what is written on it, read off its canvas; a deep atlas shows its chosen layer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page

from attention_core import capture, load_model
from tests.support import tiny
from tests.support.serving import Visit, new_visit, serve, skip_tour, wait_until_drawn

# Every text that a canvas holds since it was cleared, with its box in CSS pixels.
RECORD = """
  const { fillText, clearRect } = CanvasRenderingContext2D.prototype
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    if (box[2] * devicePixelRatio >= this.canvas.width - 1) this.canvas.written = []
    return clearRect.apply(this, box)
  }
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...rest) {
    const size = this.measureText(text)
    const corners = [[-size.actualBoundingBoxLeft, -size.actualBoundingBoxAscent],
      [size.actualBoundingBoxRight, size.actualBoundingBoxDescent]]
      .map(([dx, dy]) => this.getTransform().transformPoint({ x: x + dx, y: y + dy }))
    const box = [Math.min, Math.max].flatMap(of => [of(...corners.map(one => one.x)), of(...corners.map(one => one.y))])
    ;(this.canvas.written ??= []).push({ text, box: box.map(one => one / devicePixelRatio), colour: this.fillStyle })
    return fillText.apply(this, [text, x, y, ...rest])
  }
"""
THIRTY = (
    "The old keeper climbed the stairs because the lamp was dark, and the sailors who "
    "waited near the rocks saw a small light and turned away."
)


def path(text: str, **params: object) -> str:
    return "/?" + urlencode({"v": 1, "m": "minilm", "t": text, "l": 3, "h": 1, **params})


def written(page: Page) -> list[dict]:
    return page.get_by_test_id("sl-heatmap").locator("canvas").first.evaluate("canvas => canvas.written")


@pytest.fixture
def read(visit: Callable[..., Visit]) -> Callable[..., Page]:
    def opened(text: str, **params: object) -> Page:
        page = visit().page
        page.add_init_script(RECORD)
        page.goto(path(text, **params))
        wait_until_drawn(page)
        return page

    return opened


def test_thirty_tokens_are_all_named_in_a_column_of_500_pixels(read):
    tokens = [token.text for token in capture(load_model("minilm"), THIRTY).source_tokens]
    assert len(tokens) == 30
    page = read(THIRTY)
    box = page.get_by_test_id("sl-heatmap").bounding_box()
    assert box
    assert box["width"] <= 500
    labels = [one["text"] for one in written(page)]
    assert sorted(labels) == sorted([*tokens, *tokens, "key (is looked at) →", "← query (looks)"])


def test_a_pair_has_a_border_where_its_second_sentence_begins(read):
    tokens = capture(load_model("minilm"), "I sat by the bank.", pair="It was wide.").source_tokens
    begins = [token.text for token in tokens].index("[SEP]") + 1
    stage = read("I sat by the bank.", p="It was wide.").get_by_test_id("sl-heatmap")
    assert stage.get_attribute("data-borders") == f"{begins}/{begins}"
    assert read("I sat by the bank. It was wide.").get_by_test_id("sl-heatmap").get_attribute("data-borders") is None


def test_the_axes_names_of_a_map_of_two_tokens_are_whole(read):
    page = read("a", special=0)
    page.get_by_test_id("sl-options").click()
    page.get_by_role("checkbox", name="hide first token").check()
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")
    page.get_by_test_id("sl-heatmap").and_(page.locator("[aria-label*='2 queries down']")).wait_for()
    canvas = page.get_by_test_id("sl-heatmap").locator("canvas").first.bounding_box()
    assert canvas
    found = {one["text"]: one["box"] for one in written(page)}
    for name in ("key (is looked at) →", "← query (looks)"):
        left, top, right, bottom = found[name]
        assert left >= 0
        assert top >= 0
        assert right <= canvas["width"]
        assert bottom <= canvas["height"]


N_TOKENS = 3_001


@pytest.fixture(scope="module")
def deep(tmp_path_factory, browser: Browser) -> Iterator[Page]:
    """A model of 30 layers that reads 4,096 tokens, opened at its layer 26."""
    folder = tmp_path_factory.mktemp("models") / "deep"
    tiny.bare("gpt2", n_positions=4_096, n_layer=30).save_pretrained(folder)
    tiny.tokenizer(limit=4_096).save_pretrained(folder)
    with serve(env={"SIGHTLINE_MODEL": str(Path(folder))}) as server:
        context, visit = new_visit(browser, server.url)
        skip_tour(context)
        visit.page.add_init_script(RECORD)
        visit.page.goto(path("the cat sat", m=folder, l=26, h=1))
        wait_until_drawn(visit.page)
        yield visit.page
        context.close()
        assert visit.complaints() == []


def test_a_deep_atlas_opens_at_the_chosen_layer_and_follows_the_keys(deep: Page):
    grids = deep.get_by_test_id("sl-atlas").locator(".sl-grids")

    def chosen_is_seen() -> bool:
        return grids.evaluate(
            "grids => { const [at, seen] = [grids.querySelector('.sl-chosen'), grids]"
            ".map(one => one.getBoundingClientRect()); return at.top >= seen.top && at.bottom <= seen.bottom }"
        )

    assert grids.evaluate("grids => grids.scrollHeight > grids.clientHeight + 50")
    assert chosen_is_seen()
    before = wait_until_drawn(deep)
    deep.get_by_role("grid").focus()
    for _ in range(25):
        deep.keyboard.press("ArrowUp")
    wait_until_drawn(deep, other_than=before)
    assert chosen_is_seen()


def test_the_numbers_of_3000_rows_are_whole(deep: Page):
    before = wait_until_drawn(deep)
    deep.get_by_test_id("sl-text").fill(" ".join(tiny.WORDS[5 + (7 * i * i) % 14] for i in range(N_TOKENS - 2)))
    deep.get_by_test_id("sl-text").press("Enter")
    wait_until_drawn(deep, other_than=before)
    numbers = [one["text"].split()[0] for one in written(deep) if one["text"][0].isdigit()]
    rows = [int(number) for number in numbers]  # a number that is cut is none
    assert len(rows) > 20
    step = rows[1] - rows[0]
    assert step >= 50
    n_rows = len(range(0, N_TOKENS, step))  # then the columns', which have a step of their own
    assert rows[:n_rows] == list(range(0, N_TOKENS, step))
