"""A Lab matrix as SVG: its numbers, masked cells, and text as data."""

from xml.etree import ElementTree

import pytest

from attention_core.lab.presets import PRESETS
from attention_core.lab.run import run
from attention_core.lab.state import Switches
from attention_core.lab.svg import cell_number, matrix_svg
from tests.support.lab_states import EVERY_SWITCH, random_state, real_state

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("dark", [False, True])
def test_every_matrix_of_every_state_can_be_drawn(dark: bool):
    states = [*(preset.state for preset in PRESETS.values()), *map(random_state, EVERY_SWITCH), real_state()]
    for state in states:
        for matrix in run(state).matrices:
            written = texts(matrix_svg(matrix, dark=dark))
            assert set(matrix.rows) | set(matrix.columns) <= set(written)
            assert matrix.formula in written or not matrix.formula


def test_a_cell_has_its_number_and_a_masked_one_has_none():
    found = run(random_state(Switches(causal=True))).of("weights", 1)
    svg = matrix_svg(found)
    written = texts(svg)
    assert all(f"{found.values[i, j]:.2f}" in written for i in range(5) for j in range(i + 1))
    cells = [e for e in ElementTree.fromstring(svg).iter(f"{SVG}rect") if e.find(f"{SVG}title") is not None]
    hatched = [cell for cell in cells if (cell.get("fill") or "").startswith("url(#")]
    assert (len(cells), len(hatched)) == (25, 10)
    assert "masked" in written and "row looks at column" in written


def test_words_are_data():
    words = ("<script>", "&amp;", '"', "]]>", "寿司🍣")
    written = texts(matrix_svg(run(random_state(words=words)).of("scores", 0), note="<b>"))
    assert {*words, "<b>"} <= set(written)


def test_the_scale_of_numbers_that_are_no_shares_is_said_and_has_0_in_the_middle():
    matrix = run(random_state()).of("x")
    top = f"{float(matrix.values.abs().max()):.4g}"
    assert texts(matrix_svg(matrix))[-3:] == [f"-{top}", "0", top]


def test_nothing_is_smaller_than_14_pixels_and_nothing_is_fetched():
    svg = matrix_svg(run(random_state()).of("weights", 0))
    sizes = [float(e.get("font-size", "14")) for e in ElementTree.fromstring(svg).iter()]
    assert min(sizes) >= 14
    assert "href" not in svg and "url(http" not in svg


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.00"), (-0.5, "-0.50"), (123.456, "123.5"), (12_345.6, "12346"), (1.5e9, "2e9"), (0.0012, "1e-3")],
)
def test_a_number_fits_its_cell(value: float, text: str):
    assert cell_number(value) == text
