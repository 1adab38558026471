"""The first page in a real browser: type, hover, choose by mouse and by keyboard, share, save."""

import csv
import io
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

from attention_core import capture, load_model, load_trace
from attention_core.record.file import trace_bytes
from tests.support.serving import PHONE, Visit, accessibility_faults, at_rest, wait_until_drawn

SENTENCE = "Dogs that chase cats are often tired."


@pytest.fixture(scope="module")
def minilm():
    return load_model("minilm")


@pytest.fixture
def opened(page: Page) -> Page:
    """The first page, drawn."""
    page.goto("/")
    wait_until_drawn(page)
    return page


def type_sentence(page: Page, text: str) -> str:
    """Type and press Enter; wait for the new picture."""
    before = wait_until_drawn(page)
    box = page.get_by_test_id("sl-text")
    box.fill(text)
    box.press("Enter")
    return wait_until_drawn(page, other_than=before)


def address(page: Page) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(page.url).query).items()}


def wait_for_address(page: Page, **wanted: str) -> None:
    page.wait_for_function(
        "wanted => { const found = new URLSearchParams(location.search);"
        " return Object.entries(wanted).every(([name, value]) => found.get(name) === value) }",
        arg=wanted,
    )


def readout(page: Page) -> tuple[int, int, float, float | None] | None:
    """Query, key, weight and q·k that the readout names, once it has the exact values; None for a masked cell."""
    line = page.get_by_test_id("sl-readout")
    expect(line).to_have_text(re.compile(r"(q·k -?[0-9]|masked).*query \d+, key \d+"))
    text = line.inner_text()
    if "masked" in text:
        return None
    found = re.search(r"([01]\.\d{4}) q·k (-?\d+\.\d+) · query (\d+), key (\d+)", text)
    assert found, text
    return int(found[3]), int(found[4]), float(found[1]), float(found[2])


def choose_by_mouse(page: Page, title: str) -> None:
    """Move over the atlas until the preview is that of `title`, then click."""
    canvas = page.get_by_test_id("sl-atlas").locator(".sl-grid canvas").first
    box = canvas.bounding_box()
    assert box
    preview = page.get_by_test_id("sl-preview")
    for y in range(20, int(box["height"]), 12):
        for x in range(20, int(box["width"]), 12):
            page.mouse.move(box["x"] + x, box["y"] + y)
            if title in preview.inner_text():
                page.mouse.click(box["x"] + x, box["y"] + y)
                return
    raise AssertionError(f"the atlas has no {title}")


def test_the_first_picture_comes_without_a_click_and_is_proven(opened):
    badge = opened.get_by_test_id("sl-badge")
    expect(badge).to_have_text("✓ recomputed: same as the model’s")
    expect(badge).to_have_attribute("title", re.compile("matches the model to"))
    expect(opened.get_by_test_id("sl-atlas")).to_be_visible()
    expect(opened.get_by_test_id("sl-links")).to_be_visible()
    expect(opened.get_by_test_id("sl-sentence")).to_contain_text("animal")


def test_a_typed_sentence_is_what_the_picture_shows(opened):
    type_sentence(opened, SENTENCE)
    expect(opened.get_by_test_id("sl-sentence")).to_contain_text("chase")
    wait_for_address(opened, t=SENTENCE)


def test_hovered_values_are_the_models_own_to_four_decimals(opened, minilm):
    type_sentence(opened, SENTENCE)
    wait_for_address(opened, t=SENTENCE)
    where = address(opened)
    steps = capture(minilm, SENTENCE).steps(int(where["l"]), int(where["h"]))
    box = opened.get_by_test_id("sl-heatmap").bounding_box()
    assert box
    seen = set()
    for part in (0.36, 0.42, 0.48, 0.55, 0.63, 0.71, 0.78, 0.86):
        opened.mouse.move(box["x"] + part * box["width"], box["y"] + (1.28 - part) * box["height"])
        opened.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if "Hover a cell" in opened.get_by_test_id("sl-readout").inner_text():
            continue  # beside the cells: how much of the box they take depends on the labels
        shown = readout(opened)
        assert shown
        query, key, weight, score = shown
        assert f"{steps.weights[query, key]:.4f}" == f"{weight:.4f}"
        assert score == pytest.approx(steps.scores[query, key].item(), abs=6e-4)
        seen.add((query, key))
    assert len(seen) >= 4


def test_hovering_sends_no_frame(visit: Callable[..., Visit]):
    visitor = visit()
    visitor.page.goto("/")
    wait_until_drawn(visitor.page)
    at_rest(visitor)
    frames = len(visitor.sent)
    box = visitor.page.get_by_test_id("sl-heatmap").bounding_box()
    assert box
    for step in range(30):
        visitor.page.mouse.move(box["x"] + 150 + 5 * step, box["y"] + 150 + 5 * step)
    visitor.page.wait_for_timeout(600)
    assert len(visitor.sent) == frames


def test_a_head_is_chosen_by_mouse_and_one_small_frame_tells_the_server(visit: Callable[..., Visit]):
    visitor = visit()
    page = visitor.page
    page.goto("/")
    wait_until_drawn(page)
    at_rest(visitor)
    frames = len(visitor.sent)
    choose_by_mouse(page, "Layer 4 · head 7")
    expect(page.get_by_role("heading", name="Layer 4 · head 7")).to_be_visible()
    wait_for_address(page, l="4", h="7")
    at_rest(visitor)
    assert len(visitor.sent) == frames + 1
    assert visitor.sent[-1] <= 1_000


def test_a_head_is_chosen_by_keyboard(opened):
    opened.get_by_test_id("sl-atlas").get_by_role("grid").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        opened.keyboard.press(key)
    wait_for_address(opened, l="4", h="3")
    opened.keyboard.press("Enter")
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("Enter")
    expect(opened).to_have_url(re.compile(r"[?&]k="))
    opened.keyboard.press("Escape")
    expect(opened).not_to_have_url(re.compile(r"[?&]k="))


def test_the_browsers_back_and_forward_go_through_the_heads_that_were_chosen(opened):
    wait_for_address(opened, l="3", h="1")
    opened.get_by_test_id("sl-atlas").get_by_role("grid").focus()
    for layer in ("4", "5"):
        opened.keyboard.press("ArrowDown")
        wait_for_address(opened, l=layer)
    for step, layer in ((opened.go_back, 4), (opened.go_back, 3), (opened.go_forward, 4), (opened.go_forward, 5)):
        step()
        expect(opened.get_by_role("heading", name=f"Layer {layer} · head 1")).to_be_visible()
        wait_for_address(opened, l=str(layer), h="1")


def test_a_copied_link_opens_the_same_view_for_somebody_else(opened, visit: Callable[..., Visit]):
    type_sentence(opened, SENTENCE)
    opened.get_by_test_id("sl-options").click()
    opened.get_by_label("hide special tokens").check()
    choose_by_mouse(opened, "Layer 1 · head 2")
    opened.get_by_test_id("sl-copy").click()
    expect(opened.get_by_text("Copied")).to_be_visible()
    link = opened.evaluate("navigator.clipboard.readText()")
    other = visit().page
    other.goto(link)
    wait_until_drawn(other)
    expect(other.get_by_role("heading", name="Layer 1 · head 2")).to_be_visible()
    other.get_by_test_id("sl-options").click()
    expect(other.get_by_label("hide special tokens")).to_be_checked()
    expect(other.get_by_test_id("sl-text")).to_have_value(SENTENCE)
    assert address(other) == address(opened)
    assert other.get_by_test_id("sl-sentence").inner_text() == opened.get_by_test_id("sl-sentence").inner_text()


def download(page: Page, item: str) -> Path:
    page.get_by_test_id("sl-save").click()
    with page.expect_download() as found:
        page.get_by_role("button", name=item).click()
    return found.value.path()


def test_each_download_reads_back(opened, minilm, tmp_path):
    wait_for_address(opened, l="3", h="1")
    weights = capture(minilm, address(opened)["t"]).weights(3, 1).numpy()
    rows = list(csv.reader(io.StringIO(download(opened, "Weights, CSV").read_text(encoding="utf-8"))))
    np.testing.assert_allclose(np.array([row[1:] for row in rows[1:]], dtype=np.float32), weights, atol=1e-6)
    archive = np.load(download(opened, "Weights, NPZ"))
    np.testing.assert_allclose(archive["weights"], weights, atol=1e-6)
    assert download(opened, "Heatmap, SVG").read_text(encoding="utf-8").startswith("<svg")
    assert download(opened, "Heatmap, PNG").read_bytes().startswith(b"\x89PNG")
    trace = load_trace(download(opened, "Trace file"))
    np.testing.assert_allclose(trace.weights(3, 1).numpy(), weights, atol=1e-6)
    assert "load_model('minilm')" in download(opened, "Python script").read_text(encoding="utf-8")


def open_menu(page: Page) -> Locator:
    """Open ⋯ and give its file field; a run of the page that ends at this moment can close it again."""
    field = page.locator('input[type="file"]')
    for _ in range(5):
        page.get_by_test_id("stPopover").get_by_role("button").click()
        with suppress(TimeoutError):
            field.wait_for(state="attached", timeout=20_000)
            break
    return field


def test_a_saved_trace_opens_again_without_its_model(opened, tmp_path):
    type_sentence(opened, SENTENCE)
    file = tmp_path / "trace.safetensors"
    file.write_bytes(download(opened, "Trace file").read_bytes())
    before = type_sentence(opened, "Something else entirely.")
    open_menu(opened).set_input_files(file)
    wait_until_drawn(opened, other_than=before)
    expect(opened.get_by_text("A saved trace of MiniLM")).to_be_visible()
    expect(opened.get_by_test_id("sl-sentence")).to_contain_text("chase")
    badge = opened.get_by_test_id("sl-badge")
    expect(badge).to_have_text("◐ checked, except: weights, which only the model can confirm")
    expect(badge).to_have_attribute("data-state", "part")
    badge.click()
    expect(opened.get_by_test_id("sl-reasons")).to_contain_text("it carries the checks of output, q, k, v and W_O")


def test_what_loading_dropped_stands_on_the_badge_of_a_head_and_of_a_mean(opened, tmp_path, minilm):
    lost = "2 weights of the attention were in the checkpoint and have no place in this model: <b>distance</b>."
    file = tmp_path / "reserved.safetensors"
    trace = replace(capture(minilm, SENTENCE), reservations=(lost,))
    file.write_bytes(trace_bytes(trace, projections=True))
    before = wait_until_drawn(opened)
    open_menu(opened).set_input_files(file)
    wait_until_drawn(opened, other_than=before)
    badge = opened.get_by_test_id("sl-badge")
    expect(badge).to_contain_text("◐ checked, except: what loading dropped or made up")
    badge.click()
    expect(opened.get_by_test_id("sl-reasons").locator("li").first).to_have_text(lost)  # as it is, never as markup
    assert not accessibility_faults(opened)


def test_a_broken_trace_file_gets_a_sentence_and_the_picture_stays(opened, tmp_path):
    file = tmp_path / "broken.safetensors"
    file.write_bytes(b"not a trace")
    open_menu(opened).set_input_files(file)
    expect(opened.get_by_text("The file is damaged")).to_be_visible()
    expect(opened.get_by_test_id("sl-sentence")).to_contain_text("animal")


def test_a_model_that_does_not_exist_gets_a_sentence_and_nothing_is_lost(opened):
    picker = opened.get_by_role("combobox", name=re.compile("Model"))
    picker.click()
    picker.fill("nobody/nothing")
    picker.press("Enter")
    expect(opened.get_by_text("the model hub does not answer")).to_be_visible()
    expect(opened.get_by_test_id("sl-text")).to_have_value(re.compile("animal"))
    expect(opened.get_by_test_id("sl-sentence")).to_contain_text("animal")


@pytest.mark.parametrize(
    "text", ["<script>document.title='x'</script>", "$x^2$ **b** :smile: <b>", "مرحبا بالعالم", "👩\u200d👩\u200d👧 ok"]
)
def test_text_is_drawn_literally(opened, text):
    type_sentence(opened, text)
    assert opened.title() == "Sightline"
    expect(opened.get_by_test_id("sl-text")).to_have_value(text)
    shown = opened.get_by_test_id("sl-sentence").inner_text()
    assert "<b>" not in text or "b" in shown


def test_an_empty_text_says_what_to_do_and_keeps_the_picture(opened):
    ready = wait_until_drawn(opened)
    box = opened.get_by_test_id("sl-text")
    box.fill("   ")
    box.press("Enter")
    expect(opened.get_by_text("There is no text yet")).to_be_visible()
    assert wait_until_drawn(opened) == ready


def test_a_megabyte_pasted_is_cut_with_a_sentence(opened):
    type_sentence(opened, "A long story. " * 75_000)
    expect(opened.get_by_text(re.compile("100,000")).first).to_be_visible()
    expect(opened.get_by_text("The model reads at most 512 tokens").first).to_be_visible()


def test_data_that_are_gone_are_asked_for_again(visit: Callable[..., Visit]):
    """What a browser meets after the server was restarted: every key answers 410 once."""
    visitor = visit()
    visitor.allow("410")
    gone = []

    def answer(route):
        if gone:
            route.continue_()
        else:
            gone.append(1)
            route.fulfill(status=410, json={"error": "this picture is no longer here"})

    visitor.page.route("**/sightline/data/**/overview", answer)
    visitor.page.goto("/")
    wait_until_drawn(visitor.page)
    expect(visitor.page.get_by_test_id("sl-badge")).to_contain_text("same as the model")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/about"])
def test_axe_finds_nothing_serious(visit: Callable[..., Visit], scheme, path):
    visitor = visit(color_scheme=scheme)
    visitor.allow("/about/_stcore")  # Streamlit looks for its server below the page's address first
    page = visitor.page
    page.goto(path)
    if path == "/":
        wait_until_drawn(page)
    else:
        expect(page.get_by_role("heading").first).to_be_visible()
    assert accessibility_faults(page) == []


def test_a_phone_shows_everything_without_sideways_scrolling(visit: Callable[..., Visit]):
    page = visit(viewport=PHONE, has_touch=True).page
    page.goto("/")
    wait_until_drawn(page)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    page.get_by_test_id("sl-atlas").scroll_into_view_if_needed()
    expect(page.get_by_test_id("sl-heatmap")).to_be_visible()


def test_embed_mode_is_one_picture(visit: Callable[..., Visit]):
    page = visit().page
    page.goto(f"/?embed=true&v=1&m=minilm&t={SENTENCE.replace(' ', '+')}&l=0&h=2")
    wait_until_drawn(page)
    expect(page.get_by_test_id("sl-heatmap")).to_be_visible()
    expect(page.get_by_test_id("sl-atlas")).to_be_hidden()
    expect(page.get_by_test_id("sl-text")).to_have_count(0)


def test_the_tour_has_four_steps_and_can_be_skipped(visit: Callable[..., Visit]):
    page = visit(tour=True).page
    page.goto("/")
    wait_until_drawn(page)
    expect(page.get_by_text("1 of 4")).to_be_visible()
    page.get_by_role("button", name="Next", exact=True).click()
    expect(page.get_by_text("2 of 4")).to_be_visible()
    page.get_by_role("button", name="Skip").click()
    expect(page.get_by_text("2 of 4")).to_be_hidden()
    page.reload()
    wait_until_drawn(page)
    expect(page.get_by_text("1 of 4")).to_be_hidden()


def test_the_question_mark_lists_the_keys(opened):
    opened.get_by_test_id("sl-heatmap").focus()
    opened.keyboard.press("?")
    expect(opened.get_by_role("dialog")).to_contain_text("release the pin")
    opened.keyboard.press("Escape")
    expect(opened.get_by_role("dialog")).to_be_hidden()
