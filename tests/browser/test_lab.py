"""The Lab in a real browser: edits by mouse and by keyboard, what follows from them, links, files, small screens."""

import re
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from attention_core.lab.edits import randomised, with_cell, with_switch
from attention_core.lab.link import to_link
from attention_core.lab.presets import PRESETS
from attention_core.lab.run import run
from tests.support.serving import PHONE, Visit, accessibility_faults, at_rest

ANIMAL = PRESETS["animal"].state


# The element that has the focus, also inside shadow roots.
ACTIVE = "let e = document.activeElement; while (e?.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;"
# Resolves when nothing that was told is still to be answered.
DONE = """
lab => new Promise((resolve) => {
  const look = () => Number(lab.dataset.ready) >= Number(lab.dataset.sent ?? 0) ? resolve() : setTimeout(look, 20)
  look()
})
"""
# What the page tells its server arrives so many milliseconds later.
LATE = """
late => {
  const send = WebSocket.prototype.send
  WebSocket.prototype.send = function (data) { setTimeout(() => send.call(this, data), late) }
}
"""
# Notes how long after Enter the matrices begin to fade.
FADES = """
view => {
  let pressed = NaN
  addEventListener('keydown', () => { pressed = performance.now() }, true)
  new MutationObserver(() => {
    if (view.getAttribute('aria-busy') === 'true') view.fadedAfter ??= performance.now() - pressed
  }).observe(view, { attributeFilter: ['aria-busy'] })
}
"""
# Text that is smaller than 14 pixels.
SMALL = """
lab => [...lab.querySelectorAll('*')]
  .filter(e => e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
  .filter(e => parseFloat(getComputedStyle(e).fontSize) < 14)
  .map(e => `${e.className} ${e.textContent.slice(0, 20)}`)
"""


@pytest.fixture
def lab(visit: Callable[..., Visit]) -> Callable[..., Page]:
    """Open the Lab: `lab()`, `lab(address="?lab=…")`, `lab(viewport=PHONE)`."""

    def open_lab(address: str = "", **options: object) -> Page:
        visitor = visit(**options)
        visitor.allow("/lab/_stcore")  # Streamlit looks for its server below the page's address first
        visitor.page.goto(f"lab{address}")
        # The first visitor of a server waits for the engine, which takes its time on a slow machine.
        visitor.page.locator("[data-testid=lab][data-ready]").wait_for(state="attached")
        return visitor.page

    return open_lab


def cell(page: Page, matrix: str, row: int, column: int) -> Locator:
    return page.locator(f'[data-band] [data-matrix="{matrix}"] td[data-r="{row}"][data-c="{column}"]')


def settled(page: Page) -> None:
    """Everything that was told is done, drawn, and in the address."""
    page.get_by_test_id("lab").evaluate(DONE)


def numbers(page: Page, matrix: str) -> list[float]:
    texts = page.locator(f'[data-band] [data-matrix="{matrix}"] td[data-r]').all_inner_texts()
    return [float(text.replace("−", "-").replace("∞", "inf")) for text in texts]


def assert_shows(page: Page, state) -> None:
    """Every number of the weights and of the result, as the core computes them."""
    found = run(state)
    for name, tensor in (("weights:0", found.weights[0]), ("projected", found.result)):
        wanted = [round(float(x), 2) + 0.0 for x in tensor.flatten()]
        assert numbers(page, name) == pytest.approx(wanted, abs=0.0051), name


def edit(page: Page, place: Locator, text: str) -> None:
    place.click()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def focused(page: Page) -> str:
    return page.evaluate(
        f"() => {{ {ACTIVE}"
        " return `${e.closest('[data-matrix]')?.dataset.matrix} ${e.dataset.r} ${e.dataset.c}` }"
    )


def test_every_matrix_is_on_the_page_with_its_formula_and_shape(lab):
    page = lab()
    for matrix in run(ANIMAL).matrices:
        figure = page.locator(
            f'[data-band] [data-matrix="{matrix.name if matrix.head is None else f"{matrix.name}:0"}"]'
        )
        expect(figure.locator("figcaption")).to_contain_text(matrix.symbol)
        expect(figure.locator("figcaption")).to_contain_text("×".join(map(str, matrix.shape)))
        expect(figure.locator("figcaption")).to_contain_text(matrix.formula.removeprefix(matrix.symbol))
    assert_shows(page, ANIMAL)


def test_a_typed_edit_changes_everything_downstream_and_ticks_the_task(lab):
    page = lab()
    edit(page, cell(page, "w_q", 1, 1), "0")
    edit(page, cell(page, "w_q", 1, 0), "3")
    expect(page.get_by_test_id("lab-task")).to_contain_text("Done")
    settled(page)
    assert_shows(page, with_cell(with_cell(ANIMAL, "w_q", 1, 1, 0), "w_q", 1, 0, 3))


def test_the_keyboard_alone_edits_undoes_and_redoes(lab):
    page = lab()
    cell(page, "w_q", 1, 1).focus()
    page.keyboard.press("ArrowLeft")
    assert focused(page) == "w_q 1 0"
    page.keyboard.type("3")
    page.keyboard.press("Enter")
    assert focused(page) == "w_q 2 0"
    page.keyboard.press("F2")
    page.keyboard.type("9")
    page.keyboard.press("Escape")
    expect(cell(page, "w_q", 2, 0)).to_have_text("0")
    page.keyboard.type("-1")
    page.keyboard.press("Tab")
    assert focused(page) == "w_q 2 1"
    page.keyboard.press("Shift+ArrowUp")
    expect(cell(page, "w_q", 2, 1)).to_have_text("0.05")
    settled(page)
    expect(cell(page, "w_q", 1, 0)).to_have_text("3")
    expect(cell(page, "w_q", 2, 0)).to_have_text("−1")
    for _ in range(3):
        page.keyboard.press("Control+z")
    settled(page)
    assert_shows(page, ANIMAL)
    page.keyboard.press("Control+Shift+z")
    settled(page)
    assert_shows(page, with_cell(ANIMAL, "w_q", 1, 0, 3))


def test_tab_reaches_every_control_and_every_matrix(lab):
    page = lab()
    page.get_by_test_id("lab-presets").focus()
    reached = set()
    for _ in range(130):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                f"() => {{ {ACTIVE} return e.dataset.testid || e.closest('[data-matrix]')?.dataset.matrix || '' }}"
            )
        )
    matrices = {
        "x",
        "w_q",
        "q",
        "w_k",
        "k",
        "w_v",
        "v",
        "scores:0",
        "scaled:0",
        "weights:0",
        "output:0",
        "w_o",
        "projected",
    }
    assert matrices <= reached
    assert {
        "lab-sizes",
        "lab-real",
        "lab-undo",
        "lab-random",
        "lab-copy",
        "lab-save",
        "lab-scale",
        "lab-causal",
    } - reached <= {"lab-undo"}
    assert {"lab-positions", "lab-softmax", "lab-temperature"} <= reached


def test_the_slider_is_reached_from_its_cell_and_left_for_it(lab):
    page = lab()
    cell(page, "w_q", 1, 0).focus()
    page.keyboard.press("Alt+ArrowDown")
    expect(page.get_by_test_id("lab-slider")).to_be_focused()
    page.keyboard.press("End")
    expect(cell(page, "w_q", 1, 0)).to_have_text("3")
    page.keyboard.press("Escape")
    assert focused(page) == "w_q 1 0"


def test_pointing_at_a_result_marks_what_made_it_and_shows_the_products(lab):
    page = lab()
    cell(page, "q", 5, 1).hover()
    expect(page.locator('[data-matrix="x"] td[data-mark]')).to_have_count(4)
    expect(page.locator('[data-matrix="w_q"] td[data-mark]')).to_have_count(4)
    line = page.get_by_test_id("lab-inspector")
    expect(line).to_contain_text("Q [it, 2] =2.00")
    expect(line).to_contain_text("0.20 · 0.00 + 1.00 · 2.00 + 0.00 · 0.00 + 0.00 · 0.00 = 2.00")
    cell(page, "scores:0", 5, 3).hover()
    expect(page.locator('[data-matrix="q"] td[data-mark]')).to_have_count(2)
    expect(page.locator('[data-matrix="k"] td[data-mark]')).to_have_count(2)


def test_dragging_and_the_slider_change_a_cell_and_make_one_step_to_undo(lab):
    page = lab()
    place = cell(page, "w_q", 1, 1)
    box = place.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for i in range(1, 9):
        page.mouse.move(x + 5 * i, y)
        page.wait_for_timeout(40)
    page.mouse.up()
    expect(place).to_have_text("2.5")  # 40 pixels: ten steps of 0.05
    settled(page)
    slider = page.get_by_test_id("lab-slider")
    slider.focus()
    slider.evaluate("one => { one.value = '-1'; one.dispatchEvent(new Event('input')); }")
    expect(place).to_have_text("−1")
    slider.evaluate(
        "one => { one.value = '-1.5'; one.dispatchEvent(new Event('input')); one.dispatchEvent(new Event('change')); }"
    )
    settled(page)
    assert_shows(page, with_cell(ANIMAL, "w_q", 1, 1, -1.5))
    page.get_by_test_id("lab-undo").click()
    page.get_by_test_id("lab-undo").click()
    settled(page)
    assert_shows(page, ANIMAL)
    expect(page.get_by_test_id("lab-undo")).to_be_disabled()


def test_fifty_quick_edits_are_undone_exactly(lab):
    page = lab()
    page.wait_for_url("**/lab?lab=*")  # every number of the state, to the last digit
    address = page.url
    cell(page, "w_q", 0, 0).focus()
    for i in range(50):  # as fast as Playwright types: none may get lost
        page.keyboard.type(f"{i + 1}")
        page.keyboard.press("Tab")
        if i % 8 == 7:
            cell(page, "w_q", 0, 0).focus()
    settled(page)
    expect(page.get_by_test_id("lab-undo")).to_be_enabled()
    for _ in range(49):
        page.keyboard.press("Control+z")
    settled(page)
    assert_shows(page, with_cell(ANIMAL, "w_q", 0, 0, 1))
    page.keyboard.press("Control+z")
    settled(page)
    assert_shows(page, ANIMAL)
    expect(page.get_by_test_id("lab-undo")).to_be_disabled()
    page.wait_for_url(address)
    for _ in range(50):
        page.keyboard.press("Control+Shift+z")
    settled(page)
    last = ANIMAL
    for i in range(50):
        row, column = divmod(i % 8, 2)
        last = with_cell(last, "w_q", row, column, i + 1)
    page.wait_for_url(re.compile(f"lab=animal.{to_link(last)}$"))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("nan", "is not a number"),
        ("inf", "is infinite"),
        ("∞", "is infinite"),
        ("1e300", "is too large"),
        ("", "The cell is empty"),
        ("two", "“two” is not a number"),
        ("<img src=x onerror=alert(1)>", "is not a number"),
    ],
)
def test_a_bad_number_is_explained_beside_its_cell_and_the_last_good_one_stays(lab, text, part):
    page = lab()
    edit(page, cell(page, "w_q", 1, 0), "3")
    settled(page)
    place = cell(page, "w_q", 2, 1)
    edit(page, place, text) if text else (place.click(), page.keyboard.press("Delete"), page.keyboard.press("Enter"))
    fault = page.get_by_test_id("lab-fault")
    expect(fault).to_contain_text(part)
    expect(fault).to_contain_text("0 is kept.")
    expect(place).to_have_text("0")
    expect(place).to_have_attribute("aria-invalid", "true")
    box, beside = place.bounding_box(), fault.bounding_box()
    assert box
    assert beside
    assert 0 <= beside["y"] - (box["y"] + box["height"]) < 20
    assert_shows(page, with_cell(ANIMAL, "w_q", 1, 0, 3))
    page.keyboard.press("Escape")
    expect(fault).to_be_hidden()


def test_a_word_with_nothing_to_look_at_is_explained(lab):
    page = lab()
    page.get_by_test_id("lab-causal").check()
    page.get_by_test_id("lab-padding").click()
    page.locator('[data-word="0"]').check()
    expect(page.get_by_role("status").filter(has_text="“the” would have nothing to look at")).to_be_visible()
    settled(page)
    expect(page.get_by_test_id("lab-padding")).to_have_text("padding: none")
    assert_shows(page, with_switch(ANIMAL, causal=True))
    page.get_by_test_id("lab-causal").uncheck()  # what was said is about the step before
    expect(page.get_by_role("status").filter(has_text="nothing to look at")).to_be_hidden()


def test_masked_is_hatched_and_not_the_colour_of_zero(lab):
    page = lab()
    page.get_by_test_id("lab-causal").check()
    settled(page)
    hidden = cell(page, "masked:0", 0, 3)
    expect(hidden).to_have_attribute("data-masked", "true")
    expect(hidden).to_have_text("−∞")
    assert "gradient" in hidden.evaluate("one => getComputedStyle(one).backgroundImage")
    assert "gradient" not in cell(page, "masked:0", 3, 0).evaluate("one => getComputedStyle(one).backgroundImage")


def test_a_switch_shows_its_consequence_beside_the_standard(lab):
    page = lab()
    page.get_by_test_id("lab-scale").uncheck()
    panel = page.get_by_test_id("lab-compare")
    expect(panel).to_contain_text("Without the division scores are 1.41 times as large")
    expect(panel.locator("[data-matrix=standard]")).to_be_visible()
    here, standard = (run(with_switch(ANIMAL, scale=on)).weights[0, 5, 3] for on in (False, True))
    for name, weight in (("yours", here), ("standard", standard)):
        shown = panel.locator(f'[data-matrix="{name}"] td[data-r="5"][data-c="3"]')
        expect(shown).to_have_text(f"{float(weight):.2f}")
    page.get_by_role("button", name="all standard").click()
    expect(panel).to_contain_text("Every switch is standard")


@pytest.mark.parametrize(("preset", "longest"), [("animal", 7), ("previous", 6), ("scaling", 8)])
def test_here_and_standard_stand_side_by_side(lab, preset, longest):
    page = lab(f"?lab={preset}.{to_link(with_switch(PRESETS[preset].state, causal=True))}")
    panel = page.get_by_test_id("lab-compare")
    here, there = (panel.locator(f'[data-matrix="{name}"] tbody').bounding_box() for name in ("yours", "standard"))
    assert here
    assert there
    assert here["y"] == pytest.approx(there["y"], abs=2)
    assert here["x"] + here["width"] < there["x"]
    assert panel.locator('[data-matrix="standard"] tbody tr').count() == longest


def test_the_difference_is_reached_from_the_switches_by_keyboard(lab):
    page = lab()
    expect(page.get_by_test_id("lab-see")).to_be_hidden()
    page.get_by_test_id("lab-softmax").select_option("hard max")
    expect(page.get_by_test_id("lab-see")).to_be_visible()
    page.get_by_test_id("lab-see").press("Enter")
    panel = page.get_by_test_id("lab-compare")
    expect(panel).to_be_focused()
    expect(panel.locator('[data-matrix="standard"]')).to_be_in_viewport(ratio=0.9)


def test_the_temperature_is_seen_while_its_slider_moves_and_is_one_step_to_undo(lab):
    page = lab()
    heat = page.get_by_test_id("lab-temperature")
    for place in ("9", "12", "14"):  # 1.5, 5, 10
        heat.evaluate("(one, value) => { one.value = value; one.dispatchEvent(new Event('input')); }", place)
    hot = with_switch(ANIMAL, temperature=10.0)
    expect(cell(page, "weights:0", 5, 3)).to_have_text(f"{float(run(hot).weights[0, 5, 3]):.2f}")
    expect(page.get_by_test_id("lab-undo")).to_be_disabled()
    heat.evaluate("one => one.dispatchEvent(new Event('change'))")
    settled(page)
    assert_shows(page, hot)
    page.get_by_test_id("lab-undo").click()
    settled(page)
    assert_shows(page, ANIMAL)
    expect(heat).to_have_value("8")
    expect(page.get_by_test_id("lab-undo")).to_be_disabled()


@pytest.mark.parametrize(("preset", "lines"), [("animal", 1), ("previous", 2)])
def test_maps_go_without_their_words_only_where_that_makes_one_line(lab, preset, lines):
    """Numbers such as −7.93 are wider than 0.40: six words of those take a second line, with all words there."""
    page = lab(f"?lab={preset}.{to_link(PRESETS[preset].state)}")
    maps = page.locator('[data-band="weights"] .lab-matrix:not([data-folded]) tbody')
    tops = sorted(maps.nth(i).bounding_box()["y"] for i in range(maps.count()))  # type: ignore[index]
    assert 1 + sum(after - before > 20 for before, after in pairwise(tops)) == lines
    word = page.locator('[data-band="weights"] [data-matrix="scaled:0"] tbody th').first.bounding_box()
    assert word
    assert (word["width"] > 20) == (lines > 1)


def test_a_tall_map_scrolls_in_its_own_frame(lab):
    """W_O of 64 rows; the result beside it must not be pages away."""
    page = lab(f"?lab=scaling.{to_link(PRESETS['scaling'].state)}")
    figure = page.locator('[data-band] [data-matrix="w_o"]')
    box = figure.bounding_box()
    assert box
    assert box["height"] < 420
    cell(page, "w_o", 0, 0).focus()
    page.keyboard.press("PageDown")
    assert focused(page) == "w_o 63 0"
    expect(cell(page, "w_o", 63, 0)).to_be_in_viewport()
    last, frame = cell(page, "w_o", 63, 0).bounding_box(), figure.bounding_box()
    assert last
    assert frame
    assert frame["y"] < last["y"] < frame["y"] + frame["height"]
    edit(page, cell(page, "w_o", 63, 0), "2.5")
    settled(page)
    assert_shows(page, with_cell(PRESETS["scaling"].state, "w_o", 63, 0, 2.5))


def test_a_result_of_many_columns_says_its_numbers_and_shows_them_when_asked(lab):
    """Its cells are too small for numbers: a screen reader hears them, an eye sees colours."""
    page = lab(f"?lab=scaling.{to_link(PRESETS['scaling'].state)}")
    edit(page, cell(page, "w_q", 1, 0), "2.5")
    settled(page)
    wanted = float(run(with_cell(PRESETS["scaling"].state, "w_q", 1, 0, 2.5)).of("output", 0).values[5, 63])
    said = f"{wanted:.2f}".replace("-", "−")
    place = cell(page, "output:0", 5, 63)
    expect(place).to_have_accessible_name(said)
    expect(place).to_have_text("")
    page.locator('[data-matrix="output:0"]').get_by_role("button").click()
    expect(place).to_have_text(said)
    expect(place).to_have_accessible_name(said)
    page.locator('[data-matrix="output:0"]').get_by_role("button").click()
    expect(place).to_have_text("")
    assert accessibility_faults(page) == []


def test_a_folded_matrix_shows_the_numbers_of_now_when_it_is_opened(lab):
    page = lab()
    edit(page, cell(page, "w_q", 1, 0), "2.5")
    settled(page)
    page.locator('[data-band] [data-matrix="masked:0"]').get_by_role("button").click()
    assert numbers(page, "masked:0") == numbers(page, "scaled:0")


def test_the_matrices_fade_only_when_an_answer_is_late(lab):
    """Streamlit's own fade, which paints them twice more for every edit, is off."""
    page = lab()
    view = page.get_by_test_id("lab")
    page.evaluate(LATE, 1500)
    view.evaluate(FADES)
    edit(page, cell(page, "w_q", 1, 0), "2.5")
    expect(view).to_have_attribute("aria-busy", "true")
    assert view.evaluate("one => one.fadedAfter") > 490  # half a second, by the page's own clock
    assert page.locator(".st-key-lab").evaluate("one => getComputedStyle(one).transitionProperty") == "none"
    settled(page)
    expect(view).not_to_have_attribute("aria-busy", "true")


def test_a_slider_brought_back_to_where_it_was_lets_the_next_cell_go(lab):
    """The browser tells no change then."""
    page = lab()
    cell(page, "w_q", 1, 1).focus()
    slider = page.get_by_test_id("lab-slider")
    for value in ("2.4", "2"):
        slider.evaluate("(one, value) => { one.value = value; one.dispatchEvent(new Event('input')); }", value)
    slider.evaluate("one => one.dispatchEvent(new Event('pointerup'))")
    cell(page, "w_k", 0, 1).focus()
    expect(slider).to_have_value("0")
    expect(page.get_by_test_id("lab-inspector").locator("output")).to_have_text("0")


def test_the_plane_follows_the_chosen_words(lab):
    page = lab()
    plane = page.get_by_test_id("lab-plane")
    expect(plane.get_by_test_id("lab-query of")).to_have_value("5")  # “it”: the longest query
    expect(plane.locator("dd").last).to_have_text("4.00")
    plane.get_by_test_id("lab-key of").select_option(label="animal")
    expect(plane.locator("dd").last).to_have_text("0.40")
    expect(plane.get_by_role("img")).to_have_attribute("aria-label", re.compile("Query it and key animal: .* degrees"))


def test_a_link_restores_everything_in_another_browser(lab):
    page = lab()
    edit(page, cell(page, "x", 5, 0), "0.75")
    settled(page)
    page.get_by_test_id("lab-causal").check()
    settled(page)
    page.get_by_test_id("lab-copy").click()
    expect(page.get_by_role("status").filter(has_text="Link copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    other = lab("?" + copied.partition("?")[2])
    assert_shows(other, with_switch(with_cell(ANIMAL, "x", 5, 0, 0.75), causal=True))
    expect(cell(other, "x", 5, 0)).to_have_text("0.75")
    expect(other.get_by_test_id("lab-causal")).to_be_checked()
    expect(other.get_by_test_id("lab-card")).to_contain_text("animal")


def test_the_browsers_back_and_forward_go_through_what_was_done(lab):
    """Every step has an address of its own; going back keeps what was undone and what can be done again."""
    page = lab()
    causal, scale = page.get_by_test_id("lab-causal"), page.get_by_test_id("lab-scale")
    steps = [page.url]
    for switch in (causal.check, scale.uncheck):
        switch()
        settled(page)
        expect(page).not_to_have_url(steps[-1])
        steps.append(page.url)

    def stands_at(step: int) -> None:
        expect(page).to_have_url(steps[step])
        expect(causal).to_be_checked(checked=step >= 1)
        expect(scale).to_be_checked(checked=step < 2)
        assert_shows(page, with_switch(ANIMAL, causal=step >= 1, scale=step < 2))

    page.go_back()
    stands_at(1)
    page.go_back()
    stands_at(0)
    page.go_forward()
    stands_at(1)
    page.go_forward()
    stands_at(2)
    page.go_back()
    stands_at(1)
    page.get_by_test_id("lab-undo").click()
    settled(page)
    stands_at(0)


def test_back_goes_past_the_address_by_which_the_lab_was_entered(visit: Callable[..., Visit]):
    """The bare one: were it written again, every Back from there would come back to it."""
    visitor = visit()
    visitor.allow("/_stcore")  # Streamlit looks for its server below the page's address first
    page, causal = visitor.page, visitor.page.get_by_test_id("lab-causal")
    page.goto("about")
    expect(page.get_by_role("heading", name="What a weight is", exact=True)).to_be_visible()
    page.goto("lab")
    addresses = [page.url]
    expect(page).not_to_have_url(addresses[-1])
    addresses.append(page.url)
    causal.check()
    settled(page)
    expect(page).not_to_have_url(addresses[-1])
    addresses.append(page.url)

    def stands_at(step: int) -> None:
        expect(page).to_have_url(addresses[step])
        expect(causal).to_be_checked(checked=step == 2)

    page.go_back()
    stands_at(1)
    page.go_back()
    at_rest(visitor)
    stands_at(0)
    for step in (1, 2):
        page.go_forward()
        stands_at(step)
    for step in (1, 0):
        page.go_back()
        stands_at(step)
    page.go_back()
    expect(page).to_have_url(re.compile("/about$"))


@pytest.mark.parametrize("text", ["animal." + to_link(ANIMAL)[:-8], "x" * 4_500, "<script>alert(1)</script>"])
def test_a_tampered_or_oversized_link_is_refused_with_a_sentence(lab, text):
    page = lab(f"?lab={text}")
    said = page.get_by_role("alert").filter(has_text="link to the Lab")
    expect(said).to_contain_text(re.compile(r"\."))
    assert_shows(page, ANIMAL)


def test_another_page_and_back_keeps_the_matrices(lab):
    page = lab()
    edit(page, cell(page, "w_q", 1, 0), "3")
    settled(page)
    page.get_by_role("link", name="What attention shows").click()
    expect(page.get_by_role("heading", name="What attention shows, and what it does not")).to_be_visible()
    page.get_by_role("link", name="Lab", exact=True).click()
    expect(cell(page, "w_q", 1, 0)).to_have_text("3")
    page.get_by_test_id("lab-undo").click()
    expect(cell(page, "w_q", 1, 0)).to_have_text("0")


def test_words_sizes_shuffle_random_and_reset(lab):
    page = lab()
    page.get_by_test_id("lab-sizes").click()
    words = page.get_by_test_id("lab-words")
    words.fill("<b>it</b> $x$ it")
    words.press("Enter")
    expect(page.locator('[data-matrix="x"] tbody th').first).to_have_text("<b>it</b>")
    words.fill("one two")
    words.press("Enter")
    expect(page.get_by_role("status").filter(has_text="The Lab takes 3 to 8 words; got 2.")).to_be_visible()
    page.get_by_test_id("lab-n_heads").select_option("2")
    expect(page.get_by_role("group", name="Head", exact=True).get_by_role("button")).to_have_count(2)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="head 2").click()
    expect(page.locator('[data-matrix="weights:1"]').first).to_be_visible()
    for name in ("lab-random", "lab-shuffle", "lab-reset"):
        page.get_by_test_id(name).click()
        settled(page)
    assert_shows(page, ANIMAL)
    page.get_by_test_id("lab-seed").fill("7")
    page.get_by_test_id("lab-random").click()
    settled(page)
    assert_shows(page, randomised(ANIMAL, 7))


def test_the_files_are_what_is_shown(lab, tmp_path: Path):
    page = lab()
    edit(page, cell(page, "w_q", 1, 0), "3")
    settled(page)

    def saved(name: str) -> bytes:
        page.get_by_test_id("lab-save").click()
        with page.expect_download() as download:
            page.locator(f'[data-file="{name}"]').click()
        file = tmp_path / download.value.suggested_filename
        download.value.save_as(file)
        return file.read_bytes()

    for name in ("numpy.py", "torch.py"):
        assert b"animal" in saved(name)
    assert saved("lab.xlsx")[:2] == b"PK"
    svg = saved("svg").decode()
    assert "<svg" in svg
    assert "animal" in svg
    assert Image.open(BytesIO(saved("png"))).width > 200


def test_a_real_head_is_copied_edited_and_taken_back(lab):
    page = lab()
    page.get_by_test_id("lab-real").click()
    page.get_by_test_id("lab-copy-real").click()
    expect(page.get_by_test_id("lab-card")).to_contain_text("layer")
    expect(cell(page, "q", 0, 0)).to_be_visible()
    page.locator('[data-matrix="q"] figcaption button').click()
    real = cell(page, "q", 0, 0).inner_text()
    edit(page, cell(page, "q", 0, 0), "7")
    expect(cell(page, "q", 0, 0)).to_have_attribute("data-changed", "true")
    expect(page.get_by_test_id("lab-card")).to_contain_text("1 cell changed")
    cell(page, "q", 0, 0).focus()
    page.get_by_test_id("lab-to-real").click()
    expect(cell(page, "q", 0, 0)).to_have_text(real)
    expect(page.get_by_test_id("lab-card")).to_contain_text("Nothing is changed yet")
    for row in (0, 1):
        edit(page, cell(page, "q", row, 2), "7")
    expect(page.get_by_test_id("lab-card")).to_contain_text("2 cells changed")
    page.get_by_test_id("lab-real").click()
    page.get_by_test_id("lab-all-real").click()
    expect(page.get_by_test_id("lab-card")).to_contain_text("Nothing is changed yet")
    expect(page.get_by_test_id("lab-plane")).not_to_contain_text(
        "Words & sizes"
    )  # a real head has the size that it has


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(lab, scheme):
    page = lab(color_scheme=scheme)
    assert accessibility_faults(page) == []
    page.get_by_test_id("lab-causal").check()
    page.get_by_test_id("lab-scale").uncheck()
    settled(page)
    edit(page, cell(page, "w_q", 1, 0), "two")
    expect(page.get_by_test_id("lab-fault")).to_be_visible()
    assert accessibility_faults(page) == []
    for name in ("lab-presets", "lab-sizes", "lab-save"):
        page.get_by_test_id(name).click()
        assert accessibility_faults(page) == [], name
        page.keyboard.press("Escape")


def test_a_phone_shows_and_edits_without_sideways_scrolling(lab):
    page = lab(viewport=PHONE, has_touch=True)
    for name in ("animal", "scaling", "previous", "two-heads"):
        page.get_by_test_id("lab-presets").click()
        page.locator(f'[data-preset="{name}"]').click()
        settled(page)
        page.wait_for_timeout(200)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, name
    place = cell(page, "w_v", 0, 0)
    place.tap()
    page.keyboard.press("Control+a")
    page.keyboard.type("2.5")
    page.keyboard.press("Enter")
    expect(place).to_have_text("2.5")


def test_large_type_reaches_the_lab_and_stays_on_other_pages(lab):
    page = lab()
    place = cell(page, "x", 0, 0)
    expect(place).to_have_css("font-size", "14px")
    page.get_by_role("button", name="Large type").click()
    expect(place).to_have_css("font-size", "18px")
    page.get_by_role("link", name="What attention shows").click()
    expect(page.get_by_role("heading", name="What attention shows, and what it does not")).to_be_visible()
    page.get_by_role("link", name="Lab", exact=True).click()
    expect(cell(page, "x", 0, 0)).to_have_css("font-size", "18px")


def test_nothing_is_smaller_than_fourteen_pixels(lab):
    page = lab()
    assert page.get_by_test_id("lab").evaluate(SMALL) == []
