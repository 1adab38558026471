"""What is taken away: a step and the map of heads as pictures that other programs read, numbers, and the link."""

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from attention_core import capture, load_model
from attention_core.heads.scores import head_scores
from tests.support.serving import Visit, wait_until_drawn

TEXT = "The animal didn't cross the street because it was too tired."
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def opened(visit: Callable[..., Visit]) -> Callable[..., Page]:
    def open_page(page: str, **params: object) -> Page:
        seen = visit()
        seen.allow("_stcore")  # Streamlit looks for its server below the page's address first
        chosen = {"v": 1, "m": "minilm", "t": TEXT, "l": 3, "h": 1, "q": 10, **params}
        seen.page.goto(f"/{page}?{urlencode(chosen)}")
        wait_until_drawn(seen.page)
        return seen.page

    return open_page


def saved(page: Page, name: str) -> bytes:
    page.get_by_test_id("sl-save").click()
    with page.expect_download() as download:
        page.locator(f'[data-file="{name}"]').click()
    return Path(download.value.path()).read_bytes()


def words(svg: bytes) -> list[str]:
    return [text.text or "" for text in ET.fromstring(svg).iter(f"{SVG}text")]


def test_a_step_is_saved_as_vectors_and_pixels_with_what_the_page_shows(opened):
    page = opened("steps", step="scores")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    numbers = page.locator('.sl-step-body [data-tensor="scores"]').all_inner_texts()
    assert len(numbers) > 16
    svg = saved(page, "svg")
    assert sum("keeping/drawn.js" in url for url in asked) == 1  # fetched when it is needed, and not before
    texts = words(svg)
    assert [text for text in texts if text in numbers] == numbers
    assert texts[0].endswith("head 1 · “it” (token 10) · MiniLM (all-MiniLM-L6-v2)")
    assert "checked" in texts[1]
    assert b"foreignObject" not in svg
    strips = page.locator(".sl-step-body canvas").count()
    assert len(list(ET.fromstring(svg).iter(f"{SVG}image"))) == strips
    picture = Image.open(io.BytesIO(saved(page, "png")))
    root = ET.fromstring(svg)
    assert picture.size == (2 * int(root.attrib["width"]), 2 * int(root.attrib["height"]))
    assert len(picture.convert("RGB").getcolors(10**6) or []) > 100


def test_the_map_of_heads_is_saved_and_its_numbers_are_the_cores(opened):
    page = opened("heads")
    svg = saved(page, "svg")
    cells = page.locator("[data-testid=sl-heads-map] [role=gridcell]")
    grounds = cells.evaluate_all(
        "cells => cells.map(cell => getComputedStyle(cell).backgroundColor.replaceAll(' ', ''))"
    )
    drawn = [one.get("fill", "") for one in ET.fromstring(svg).iter(f"{SVG}rect")]
    assert len(grounds) == 72
    at = drawn.index(grounds[0])
    assert [fill for fill in drawn[at:] if fill in set(grounds)][:72] == grounds
    table = list(csv.DictReader(io.StringIO(saved(page, "csv").decode())))
    scores = head_scores(capture(load_model("minilm"), TEXT))
    assert [(row["layer"], row["head"]) for row in table] == [(str(i), str(j)) for i in range(6) for j in range(12)]
    for name in ("previous", "entropy", "reach"):
        shown = np.array([float(row[name]) for row in table])
        np.testing.assert_allclose(shown, np.array(scores.column(name), dtype=float), rtol=1e-6)


@pytest.mark.parametrize("path", ["steps", "heads"])
def test_the_link_is_that_of_the_choice_made_a_moment_ago(opened, path: str):
    page = opened(path)
    if path == "steps":
        page.keyboard.press("End")
    else:
        page.get_by_test_id("sl-heads-map").locator('[data-head="4.7"]').click()
    page.get_by_test_id("sl-copy").click()
    expect(page.locator(".sl-keep-says")).to_have_text("Link copied. It opens this very view.")
    copied = urlsplit(page.evaluate("navigator.clipboard.readText()"))
    assert copied.path == f"/{path}"
    chosen = {name: values[0] for name, values in parse_qs(copied.query).items()}
    if path == "steps":
        assert chosen["step"] == "residual"
    else:
        assert (chosen["l"], chosen["h"]) == ("4", "7")


def test_the_picture_saved_from_explore_shows_the_pin_and_a_pairs_border(opened):
    page = opened("", k=2, p="It slept.")
    root = ET.fromstring(saved(page, "svg"))
    framed = {one.attrib["class"]: one.attrib for one in root.iter(f"{SVG}rect") if "pinned" in one.get("class", "")}
    assert set(framed) == {"pinned query", "pinned key", "pinned cell"}
    side = float(framed["pinned cell"]["height"])
    assert float(framed["pinned query"]["y"]) == pytest.approx(10 * side)
    assert float(framed["pinned key"]["x"]) == pytest.approx(2 * float(framed["pinned cell"]["width"]))
    assert len([one for one in root.iter(f"{SVG}path") if one.get("class") == "border"]) == 1
