"""Files of a picture: CSV, NPZ, SVG, and the script that makes the picture again."""

import csv
import io
import runpy
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from attention_core import capture, load_model
from attention_core.pictures.files import EXPORTS, atlas_html
from attention_core.pictures.script import script
from attention_core.reading.reading import Reading
from attention_core.record import groups
from tests.support import tiny


@pytest.fixture(scope="module")
def trace():
    return capture(tiny.family("llama"), tiny.SENTENCE)


def test_the_csv_reads_back_as_the_weights(trace, monkeypatch):
    monkeypatch.setattr(groups, "CELLS_PER_BLOCK", 12 * 5)  # blocks of five rows
    rows = list(csv.reader(io.StringIO("".join(EXPORTS["weights.csv"][1](trace, Reading(), 0, 1)))))
    assert len(rows) == 13
    assert rows[1][0] == "[CLS] [0]"
    cells = np.array([[float(cell or "nan") for cell in row[1:]] for row in rows[1:]])
    weights = trace.weights(0, 1).numpy()
    allowed = np.tri(12, dtype=bool)
    np.testing.assert_allclose(cells[allowed], weights[allowed], atol=1e-6)  # sums of blocks, in another order
    assert np.isnan(cells[~allowed]).all()


def test_the_npz_reads_back_as_the_weights(trace):
    archive = np.load(io.BytesIO(EXPORTS["weights.npz"][1](trace, Reading(), 0, 1)), allow_pickle=False)
    np.testing.assert_array_equal(archive["weights"], trace.weights(0, 1).numpy())
    assert archive["query"][1] == "the"
    assert str(archive["head"]) == "1"


@pytest.mark.parametrize(("head", "sentence"), [(1, "each row sums to 1"), ("max", "row looks at column")])
def test_the_svg_is_xml_that_says_what_it_shows(trace, head, sentence):
    picture = EXPORTS["heatmap.svg"][1](trace, Reading(), 0, head)
    text = "".join(ElementTree.fromstring(picture).itertext())  # noqa: S314 - our own output
    assert sentence in text
    assert ("each row sums to 1" in text) == (head == 1)


def test_a_notebook_shows_the_atlas_and_a_head(trace):
    ElementTree.fromstring(atlas_html(trace))  # noqa: S314
    assert trace._repr_html_() == atlas_html(trace)
    assert "head 1" in trace.picture(0, 1)._repr_html_()


TIRED = "The animal didn't cross the street because it was too tired"


@pytest.mark.parametrize(
    ("text", "asked", "reading"),
    [
        (TIRED, {"layer": 2, "head": 1}, Reading()),
        (TIRED, {"layer": 2, "head": 1, "query": 9}, Reading(hide_special=True, renormalise=True)),
        (TIRED, {"layer": "all:encoder:self", "head": "mean"}, Reading(words=True)),
        ('a "quoted" \\ text\n""" # $x$', {"layer": 2, "head": "max", "given": {"pair": "second"}}, Reading()),
    ],
)
def test_the_script_of_a_picture_runs_and_prints_its_numbers(text, asked, reading, tmp_path, capsys):
    file = tmp_path / "view.py"
    file.write_text(script("minilm", text, **asked, reading=reading), encoding="utf-8")
    ran = runpy.run_path(str(file))
    printed = capsys.readouterr().out
    assert "checks hold" in printed
    model = load_model("minilm")
    trace = capture(model, text, **asked.get("given", {}))
    assert torch.equal(ran["trace"].layers[2].q, trace.layers[2].q)
