"""Whatever leaves an edited trace says what was edited, and claims no proof: files, scripts, tables and pictures."""

import csv as csv_reader
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attention_core import Trace, capture, load_trace
from attention_core.experiment.edits import Break, Edit, ReplaceToken, Strengthen, SwitchOff
from attention_core.heads.scores import head_scores
from attention_core.pictures.files import csv, npz, svg
from attention_core.pictures.script import script
from attention_core.reading.reading import Reading
from attention_core.record.file import trace_bytes
from tests.support.tiny import SENTENCE, WORDS, family

EDITS: tuple[Edit, ...] = (SwitchOff(0, 1, "zero"), Strengthen(1, 2, 2.0))
SAID = ("layer 0 head 1 switched off", "layer 1 head 2: what it gives × 2")


@pytest.fixture(scope="module")
def trace() -> Trace:
    return capture(family("bert"), SENTENCE, edits=EDITS)


@pytest.mark.parametrize(("layer", "head"), [(0, 1), (0, 0), (1, "mean"), ("all:encoder:self", "max")])
def test_pictures_and_tables_of_any_head_say_what_was_edited(trace: Trace, layer, head):
    picture = svg(trace, Reading(), layer, head)
    (first, *_) = csv_reader.reader(io.StringIO("".join(csv(trace, Reading(), layer, head)), newline=""))
    archive = np.load(io.BytesIO(npz(trace, Reading(), layer, head)))
    for words in SAID:
        assert words in picture and words in first[0] and any(words in said for said in archive["edited"].tolist())
    assert len(first) == 1 + 12  # the sentence stands in one cell
    assert "✓" not in picture


def test_a_head_that_was_not_edited_says_what_was_and_one_without_edits_says_nothing():
    plain = capture(family("bert"), SENTENCE)
    assert "edited" not in svg(plain, Reading(), 0, 1) and "edited" not in "".join(csv(plain, Reading(), 0, 1))
    assert "edited" not in np.load(io.BytesIO(npz(plain, Reading(), 0, 1)))


def test_all_heads_in_one_archive_and_the_table_of_their_metrics_say_it_too(trace: Trace):
    file = io.BytesIO()
    trace.save_npz(file)
    assert np.load(io.BytesIO(file.getvalue()))["edited"].tolist() == list(trace.edited)
    assert head_scores(trace).to_pandas().attrs["edited"] == list(trace.edited)
    assert not head_scores(capture(family("bert"), SENTENCE)).to_pandas().attrs


def test_a_notebook_shows_what_was_edited_beside_the_atlas_and_in_the_ledger(trace: Trace):
    for shown in (trace._repr_html_(), repr(trace), trace.ledger(0, 1, 3)._repr_html_()):
        assert SAID[0] in shown
    assert trace.ledger(0, 1, 3).judged.answer == "cannot be checked"
    broken = capture(family("gpt2"), SENTENCE, edits=Break(1, 2, "uniform"))
    assert not broken.ledger(1, 2, 5).faults  # the edited weights are not the softmax's; that is no fault


def test_a_trace_file_of_an_edited_run_claims_no_proof_of_any_layer(trace: Trace, tmp_path: Path):
    trace.save(tmp_path / "edited.safetensors")
    opened = load_trace(tmp_path / "edited.safetensors")
    assert opened.edited == trace.edited and opened.edits == trace.edits
    for layer in (0, 1):
        for head in range(3):
            assert opened.verdict(layer, head).text == "○ edited: no proof"
    assert opened.verdict().answer == "cannot be checked"
    assert "○ edited: no proof" in svg(opened, Reading(), 1, 0)


@pytest.mark.parametrize("gone", ["edited", "edits"])
def test_a_file_whose_edits_were_taken_out_is_not_opened(trace: Trace, gone: str):
    """The words for a reader and the edits as data go together: neither can be dropped from a file."""
    data = trace_bytes(trace)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    (key,) = [key for key, value in header["__metadata__"].items() if '"edits"' in value]
    about = json.loads(header["__metadata__"][key])
    about[gone] = []
    header["__metadata__"][key] = json.dumps(about)
    made = json.dumps(header).encode()
    with pytest.raises(ValueError):
        load_trace(len(made).to_bytes(8, "little") + made + data[8 + length :])


def test_a_replaced_word_is_said_though_no_layer_was_edited():
    trace = capture(family("bert"), SENTENCE, edits=ReplaceToken(3, WORDS.index("dog")))
    assert "token 3 replaced by token number" in svg(trace, Reading(), 0, 1)
    assert {load_trace(trace_bytes(trace)).verdict(layer, 0).text for layer in (0, 1)} == {"○ edited: no proof"}


@pytest.mark.parametrize("from_file", [False, True])
def test_the_script_makes_the_edited_run_again_and_proves_nothing(trace: Trace, tmp_path: Path, from_file: bool):
    family("bert").model.save_pretrained(tmp_path / "model")
    family("bert").tokenizer.save_pretrained(tmp_path / "model")
    trace.save(tmp_path / "trace.safetensors")
    code = script(
        str(tmp_path / "model"),
        SENTENCE,
        layer=0,
        head=1,
        query=4,
        reading=Reading(),
        file=str(tmp_path / "trace.safetensors") if from_file else None,
        edits=trace.edits,
    )
    (tmp_path / "script.py").write_text(code)
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, cwd=root, env=_with(root)
    )
    assert done.returncode == 0, done.stderr
    assert (
        all(words in done.stdout for words in SAID) and "no proof" in done.stdout and "checks hold" not in done.stdout
    )
    row = [float(line.rsplit(" ", 1)[1]) for line in done.stdout.splitlines() if " looks at " in line]
    assert np.allclose(row, trace.weights(0, 1)[4].tolist(), atol=1e-4)


def _with(root: Path) -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(root)}
