"""Files: what is written is read back, and text stays data."""

import ast
import base64
import csv
import io
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attention_core import capture, save_trace
from attention_core.formats import palette, wire
from attention_core.pictures.csv_npz import weights_csv, weights_npz
from attention_core.pictures.heatmap_svg import LABEL_COLUMNS, RECT_LIMIT, ROW_SENTENCE, atlas_svg, heatmap_svg
from attention_core.pictures.script import script
from attention_core.reading.reading import Item, Reading
from tests.support import tiny

SVG = "{http://www.w3.org/2000/svg}"
NAN = float("nan")
HOSTILE = ("<script>alert(1)</script>", "\"&'", "a,b", "=1+1", "@x", "]]>", "שלום", "😀", "·the", "**b**", "\x0c\ud800")


def named(*texts: str) -> list[Item]:
    return [Item(text, (n,), False) for n, text in enumerate(texts)]


def random_weights(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(17)).softmax(dim=-1)


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def pixels_of(image: ET.Element) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(image.attrib["href"].removeprefix("data:image/png;base64,"))))


# CSV


def test_csv_of_a_case_worked_by_hand():
    text = weights_csv(
        torch.tensor([[0.25, 0.75]]), named("it"), [Item("the", (0,), False), Item("may", (3, 4), False)]
    )
    assert text == "query looks at key,the [0],may [3]\r\nit [0],0.25,0.75\r\n"


def test_csv_gives_every_float32_back_exactly():
    weights = random_weights(5, 7)
    rows = rows_of(weights_csv(weights, named(*"abcde"), named(*"abcdefg")))
    got = np.array([[float(cell) for cell in row[1:]] for row in rows[1:]], dtype=np.float32)
    np.testing.assert_array_equal(got, weights.numpy())


def test_csv_leaves_masked_cells_empty_and_names_nan():
    weights = torch.tensor([[0.0, 0.5], [NAN, 1.0]])
    allowed = torch.tensor([[True, False], [True, True]])
    rows = rows_of(weights_csv(weights, named("a", "b"), named("a", "b"), allowed))
    assert [row[1:] for row in rows[1:]] == [["0", ""], ["NaN", "1"]]


@pytest.mark.parametrize("text", ["=1+1", "＝1+1", "＋1", "－1", "＠SUM(A1)", " =1+1", "\u3000＝1", "\u00a0=1", "\t=1"])
def test_a_csv_label_is_no_formula_however_its_sign_is_written(text):
    """A spreadsheet takes a sign of full width for the usual one, and skips blanks."""
    rows = rows_of(weights_csv(torch.ones(1, 1), named(text), named(text)))
    assert rows[0][1] == rows[1][0] == f"'{text} [0]"


def test_csv_labels_are_quoted_and_never_formulas():
    labels = rows_of(weights_csv(random_weights(11, 11), named(*HOSTILE), named(*HOSTILE)))[0][1:]
    assert [label.removeprefix("'") for label in labels] == [f"{text} [{n}]" for n, text in enumerate(HOSTILE)]
    assert [label[0] for label in labels if label[0] in "'=+-@"] == ["'", "'"]


# NPZ


def test_npz_opens_without_pickle_and_holds_everything():
    weights = random_weights(3, 5)
    allowed = torch.ones(3, 5, dtype=torch.bool).tril()
    data = weights_npz(weights, named("a", "b", "😀"), named(*"vwxyz"), allowed=allowed, model="minilm", layer=2)
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["weights"], weights.numpy())
        np.testing.assert_array_equal(archive["allowed"], allowed.numpy())
        assert archive["query"].tolist() == ["a", "b", "😀"]
        assert archive["key_token"].tolist() == [0, 1, 2, 3, 4]
        assert (archive["model"].item(), archive["layer"].item()) == ("minilm", 2)


def test_npz_refuses_a_name_that_is_taken():
    with pytest.raises(ValueError, match="named 'key' already"):
        weights_npz(random_weights(1, 1), named("a"), named("a"), key="x")


# SVG


def test_the_heatmap_has_a_cell_per_weight_with_the_ramps_colour():
    weights = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.25, 0.25]])
    root = ET.fromstring(heatmap_svg(weights, named("a", "b"), named("x", "y", "z"), title="t"))
    cells = {cell.findtext(f"{SVG}title"): cell.attrib["fill"] for cell in root.iter(f"{SVG}rect") if len(cell)}
    assert len(cells) == 6
    assert cells["a looks at y: 1.0000"] == palette.RAMP_LIGHT[8]
    assert cells["a looks at x: 0.0000"] == palette.RAMP_LIGHT[0]
    assert cells["b looks at x: 0.5000"] == palette.RAMP_LIGHT[4]


def test_rows_go_down_and_columns_go_right():
    root = ET.fromstring(heatmap_svg(random_weights(2, 3), named("a", "b"), named("x", "y", "z"), title="t"))
    place = {
        (cell.findtext(f"{SVG}title") or "")[:12]: (float(cell.attrib["x"]), float(cell.attrib["y"]))
        for cell in root.iter(f"{SVG}rect")
        if len(cell)
    }
    (x, y), (right_x, right_y), (down_x, down_y) = (
        place[f"{c} looks at"[:10] + f" {k}"] for c, k in ("ax", "ay", "bx")
    )
    assert right_x > x and right_y == y
    assert down_y > y and down_x == x


def test_the_heatmap_names_axes_rows_and_what_the_colours_mean():
    svg = heatmap_svg(random_weights(2, 3), named("ab", "cd"), named("x", "y", "z"), title="Layer 2 · head 3")
    texts = [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]
    for expected in (
        "Layer 2 · head 3",
        ROW_SENTENCE,
        "key (is looked at) →",
        "← query (looks)",
        "ab",
        "z",
        "0",
        "0.5",
        "1",
    ):
        assert expected in texts
    assert palette.QUERY.light in svg and palette.KEY.light in svg
    dark = heatmap_svg(random_weights(2, 3), named("ab", "cd"), named("x", "y", "z"), title="t", dark=True)
    assert palette.QUERY.dark in dark and palette.PAPER.dark in dark and palette.PAPER.light not in dark


def test_masked_cells_are_hatched_and_nan_is_crossed_out_and_the_legend_says_so():
    weights = torch.tensor([[1.0, 0.0], [NAN, 0.5]])
    allowed = torch.tensor([[True, False], [True, True]])
    root = ET.fromstring(heatmap_svg(weights, named("a", "b"), named("x", "y"), allowed=allowed, title="t"))
    cells = {cell.findtext(f"{SVG}title"): cell.attrib["fill"] for cell in root.iter(f"{SVG}rect") if len(cell)}
    assert cells["a looks at y: masked: may not be read"].startswith("url(#m")
    assert "b looks at x: nan" in cells
    assert len(list(root.iter(f"{SVG}path"))) == 2  # the cell and the legend
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"masked: may not be read", "not a number"} <= set(texts)
    plain = heatmap_svg(torch.eye(2), named("a", "b"), named("x", "y"), title="t")
    assert "masked:" not in plain and "not a number" not in plain


def test_a_scale_per_head_says_so():
    weights = torch.tensor([[0.125, 0.25]])
    svg = heatmap_svg(weights, named("a"), named("x", "y"), title="t", per_head_scale=True)
    assert "scaled to this head's maximum 0.2500" in svg
    assert f'fill="{palette.RAMP_LIGHT[8]}"><title>a looks at y: 0.2500' in svg


def test_a_large_heatmap_is_one_image_with_the_exact_codes_and_says_so():
    n = RECT_LIMIT + 3
    weights, names = random_weights(n, n), named(*(f"w{i}" for i in range(n)))
    allowed = torch.ones(n, n, dtype=torch.bool).tril()
    root = ET.fromstring(heatmap_svg(weights, names, names, allowed=allowed, title="t"))
    (image,) = root.iter(f"{SVG}image")
    pixels = pixels_of(image)
    assert pixels.size == (n, n)
    np.testing.assert_array_equal(np.asarray(pixels), wire.encode_u1(weights.numpy(), ~allowed.numpy()))
    assert pixels.convert("RGBA").getpixel((n - 1, 0))[3] == 0  # masked: the hatch behind it shows
    assert f"{n} × {n} cells, one pixel each." in [text.text for text in root.iter(f"{SVG}text")]
    assert not [cell for cell in root.iter(f"{SVG}rect") if len(cell)]


def test_labels_are_thinned_before_they_touch_and_the_picture_says_so():
    n = 300
    names = named(*(f"w{i}" for i in range(n)))
    texts = [
        text.text
        for text in ET.fromstring(heatmap_svg(random_weights(n, n), names, names, title="t")).iter(f"{SVG}text")
    ]
    assert sum(bool(re.fullmatch(r"w\d+", text or "")) for text in texts) == 2 * 60  # 768 / 300 pixels a cell: one in 5
    assert "Labels thinned: one in 5 queries and one in 5 keys is named." in texts


def test_long_labels_and_titles_are_cut_and_broken():
    long = named("x" * 50, "字" * 50)
    texts = [
        t.text or ""
        for t in ET.fromstring(heatmap_svg(torch.eye(2), long, long, title="word " * 40)).iter(f"{SVG}text")
    ]
    assert "x" * (LABEL_COLUMNS - 1) + "…" in texts
    assert "字" * ((LABEL_COLUMNS - 1) // 2) + "…" in texts
    assert sum(text.startswith("word") for text in texts) > 1


def test_any_text_is_data_in_an_svg():
    svg = heatmap_svg(random_weights(11, 11), named(*HOSTILE), named(*HOSTILE), title=HOSTILE[0], lines=HOSTILE)
    root = ET.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {*HOSTILE[:-1], "\ufffd\ufffd"} <= set(texts)
    svg.encode("utf-8")


def test_no_picture_loads_anything_from_elsewhere():
    names = named(*(f"w{i}" for i in range(RECT_LIMIT + 3)))
    n = len(names)
    for svg in (heatmap_svg(random_weights(n, n), names, names, title="t"), atlas_svg([np.zeros((2, 3, 3), np.uint8)])):
        links = re.findall(r'(?:href|src)="([^"]{0,30})|url\(([^)]*)', svg)
        assert all(href.startswith("data:image/png") or url.startswith("#") for href, url in links)
        assert svg.count("http") == svg.count("http://www.w3.org/2000/svg")


def test_two_pictures_in_one_page_do_not_share_names():
    a, b = (heatmap_svg(random_weights(2, 2), named("a", "b"), named("a", "b"), title=title) for title in "ab")
    assert not set(re.findall(r'id="([^"]+)"', a)) & set(re.findall(r'id="([^"]+)"', b))


def test_the_atlas_has_a_picture_per_head_with_the_exact_codes():
    codes = [np.full((3, 5, 7), 11, np.uint8), np.full((2, 2, 2), wire.U1_MASKED, np.uint8)]
    codes[0][1, 4, 6] = 253
    root = ET.fromstring(atlas_svg(codes, labels=["0", "cross 0"], title="Model <b>"))
    images = list(root.iter(f"{SVG}image"))
    assert len(images) == 5
    np.testing.assert_array_equal(np.asarray(pixels_of(images[1])), codes[0][1])
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"Model <b>", ROW_SENTENCE, "head →", "← layer", "2", "cross 0", "masked: may not be read"} <= set(texts)
    assert "layer cross 0, head 1" in [title.text for title in root.iter(f"{SVG}title")]


def test_an_atlas_needs_layers_and_a_label_for_each():
    with pytest.raises(ValueError, match="got none"):
        atlas_svg([])
    with pytest.raises(ValueError, match="got 1 for 2"):
        atlas_svg([np.zeros((1, 2, 2), np.uint8)] * 2, labels=["a"])


# script


ASKED = [
    {"layer": 2, "head": 1},
    {"layer": 2, "head": 1, "query": 8, "reading": Reading(hide_special=True, renormalise=True)},
    {"layer": "all:encoder:self", "head": "max", "pair": "second", "target": "third", "reading": Reading(words=True)},
    {"model": "a'b\"c", "text": '""")\nimport os # {x} \\ \u202e\ud800', "layer": 1, "head": "mean"},
]


@pytest.mark.parametrize("asked", ASKED)
def test_the_script_is_short_python_that_holds_the_texts_as_literals(asked):
    model, text = asked.get("model", "/models/mine"), asked.get("text", "The animal was tired")
    given = {name: asked.get(name, "") for name in ("pair", "target")}
    rest = {name: value for name, value in asked.items() if name not in ("model", "text", *given)}
    source = script(model, text, **{"reading": Reading(), **rest}, given=given)
    tree = ast.parse(source)
    literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {one for one in (model, text, asked.get("pair"), asked.get("target")) if one} <= literals
    assert len(source.splitlines()) <= 25
    assert {type(node).__name__ for node in tree.body} <= {"Expr", "ImportFrom", "Assign", "For", "If", "Assert"}
    assert "\u202e" not in source and "\ud800" not in source
    assert f"load_model({model!r})" in source


def run_of(source, folder):
    """What the script prints, run as a visitor runs it beside his files."""
    (folder / "view.py").write_text(source, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "view.py"], cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_the_script_of_an_opened_trace_opens_the_file_and_says_what_is_masked(tmp_path):
    """A causal row: what it may read has its weight, the future is called masked, and not a weight of 0."""
    trace = capture(tiny.family("gpt2"), "the cat sat on")
    save_trace(trace, tmp_path / "mine.safetensors")
    source = script("", "", layer=1, head=2, query=2, reading=Reading(), file="mine.safetensors")
    assert "load_model" not in source
    printed = run_of(source, tmp_path)
    tokens, row = [token.text for token in trace.tokens], trace.weights(1, 2)[2].tolist()
    assert printed[:6] == [
        f"{tokens[2]} looks at {token}: {f'{weight:.4f}' if n <= 2 else 'masked'}"
        for n, (token, weight) in enumerate(zip(tokens, row, strict=True))
    ]
    assert printed[6].startswith("5 checks hold")  # q, k, v, output, W_O


@pytest.mark.slow
def test_the_script_says_that_a_query_is_hidden_and_prints_no_other_row(tmp_path):
    """[CLS] is the first token: with special tokens hidden it has no row. A word's piece has its word's row."""
    trace = capture(tiny.family("bert"), "the cat sat")
    save_trace(trace, tmp_path / "sightline-trace.safetensors")
    asked = {"layer": 0, "head": 0, "query": 0, "reading": Reading(hide_special=True)}
    printed = run_of(script("", "", **asked, file="sightline-trace.safetensors"), tmp_path)
    assert printed[0] == "Token 0 is hidden in this view: it has no row."
    assert not any("looks at" in line for line in printed)


@pytest.mark.slow
def test_the_script_of_a_text_runs_as_it_stands(tmp_path):
    """The bundled model; a mean over heads, where no row is chosen, and one token's row."""
    asked = {"layer": "all:encoder:self", "head": "mean", "query": 2, "reading": Reading()}
    printed = run_of(script("minilm", "the cat sat", **asked), tmp_path)
    assert [line.split(": ")[0] for line in printed[:5]] == [
        f"cat looks at {key}" for key in ("[CLS]", "the", "cat", "sat", "[SEP]")
    ]
