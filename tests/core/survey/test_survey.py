"""A survey over a text: bounded windows, the same result after a kill, a table that opens in pandas."""

import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pandas
import pytest
import torch

from attention_core.capturing.encode import CaptureError
from attention_core.formats.memory import OUT_OF_MEMORY
from attention_core.heads.probes import TEXTS
from attention_core.heads.windows import Text, window_at
from attention_core.survey import __main__ as command_module
from attention_core.survey import survey as survey_module
from attention_core.survey.__main__ import main
from attention_core.survey.survey import Survey
from attention_core.survey.texts import holds_a_text_a_line, texts_at
from tests.support.random_models import random_model

ROOT = Path(__file__).resolve().parents[3]
CORPUS = " ".join(TEXTS * 2)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Tiny products: a second thread only waits for the first."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model():
    return random_model("gpt2", 3, 0.3, n_layers=2, n_heads=3)


def finished(survey: Survey) -> Survey:
    for _ in survey:
        pass
    return survey


def test_windows_lose_nothing_and_end_between_words(model):
    text = Text("corpus", data=(CORPUS + " naïve ☃ \xff").encode("latin-1", "replace") + b"\xff end")
    start, windows = 0, []
    while start < text.size:
        window = window_at(model, text, start, 41)
        assert window.end > start and len(model.encode(window.text)["input_ids"]) <= 41
        windows.append(window.text)
        start = window.end
    assert "".join(windows) == text.data.decode("utf-8", "replace")
    assert all(window[-1].isspace() for window in windows[:-1])


@pytest.mark.slow
def test_the_table_opens_in_pandas_from_csv_and_parquet_alike(model):
    table = finished(Survey(model, [Text("corpus", data=CORPUS.encode())], n_tokens=61)).table()
    csv, parquet = pandas.read_csv(io.BytesIO(table.to_csv())), pandas.read_parquet(io.BytesIO(table.to_parquet()))
    assert len(csv) == len(parquet) == len(table) and list(csv) == list(parquet)
    metrics = csv[csv.measure == "metric"]
    assert len(metrics) == 6 * 13 and metrics["n"].max() > 20
    assert (csv["mean"].fillna(-9) == parquet["mean"].fillna(-9)).all()
    assert csv[csv.id == "entropy"]["sd"].gt(0).all()


@pytest.mark.slow
def test_a_survey_that_was_stopped_goes_on_to_the_same_bytes(model, tmp_path: Path):
    texts = [Text("one", data=CORPUS.encode()), Text("two", data=TEXTS[0].encode())]
    whole = finished(Survey(model, texts, n_tokens=61)).table().to_csv()
    first = Survey(model, texts, tmp_path / "partial", n_tokens=61, every=3)
    while first.n_windows < 11:
        next(first)
    again = Survey(model, texts, tmp_path / "partial", n_tokens=61, every=3)
    assert 0 < again.n_windows <= first.n_windows
    assert finished(again).table().to_csv() == whole


@pytest.mark.slow
def test_a_checkpoint_of_another_survey_is_refused(model, tmp_path: Path):
    finished(Survey(model, [Text("one", data=CORPUS.encode())], tmp_path / "partial", n_tokens=61, every=1))
    with pytest.raises(ValueError, match="another survey"):
        Survey(model, [Text("one", data=b"x" + CORPUS.encode())], tmp_path / "partial", n_tokens=61)


@pytest.mark.parametrize("left", [b"", b"\x00" * 20, b"{}"])
def test_what_a_killed_survey_left_broken_is_said_in_a_sentence(model, tmp_path: Path, left: bytes):
    (tmp_path / "partial").write_bytes(left)
    with pytest.raises(ValueError, match="partial holds no survey that can go on .*: remove it first"):
        Survey(model, [Text("one", data=CORPUS.encode())], tmp_path / "partial", n_tokens=61)


def test_a_folder_is_read_in_the_order_of_names_and_an_empty_one_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="needs a text file"):
        texts_at(tmp_path)
    for name in ("b.txt", "a/c.txt", "image.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [text.name for text in texts_at(tmp_path)] == ["a/c.txt", "b.txt"]


@pytest.mark.slow
def test_a_window_without_tokens_is_left_out_and_the_others_are_read(model):
    blanks = Text("blanks", data=b" " * 400)
    survey = finished(Survey(model, [blanks, Text("corpus", data=CORPUS.encode())], n_tokens=61))
    assert survey.n_skipped >= 1
    assert survey.n_windows > 5


def test_a_window_that_cannot_be_captured_ends_the_survey_with_its_sentence(model, tmp_path, monkeypatch, capsys):
    """Not skipped as if it had too few tokens: the sentence on the screen would not be true."""

    def too_large(*_, **__):
        raise CaptureError(OUT_OF_MEMORY)

    corpus = tmp_path / "corpus.txt"
    corpus.write_text(CORPUS)
    monkeypatch.setattr(survey_module, "capture", too_large)
    monkeypatch.setattr(command_module, "load_model", lambda name: model)
    with pytest.raises(CaptureError, match="more memory"):
        finished(Survey(model, [Text("corpus", data=CORPUS.encode())], n_tokens=61))
    assert main(["tiny", str(corpus), "--out", str(tmp_path / "table.csv"), "--window", "61"]) == 1
    assert capsys.readouterr().err.endswith(f"\n{OUT_OF_MEMORY}\n")
    assert not (tmp_path / "table.csv").exists()


@pytest.mark.slow
@pytest.mark.timeout(1200)  # three processes, each of which imports torch
def test_four_megabytes_need_no_more_memory_than_a_few_windows_and_a_kill_changes_no_bit_of_the_table(tmp_path: Path):
    """500 windows of 8 kB: what the text holds, and what was seen in one window, would add up if it stayed."""
    folder, corpus = tmp_path / "model", tmp_path / "corpus.txt"
    model = random_model("gpt2", 3, 0.3, n_layers=2, n_heads=3, context_length=1024)
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    wide = "".join(word.ljust(150) for word in TEXTS[0].split())  # about 54 words a window
    corpus.write_text(f"{wide}\n" * (4_000_000 // len(wide) + 1))
    assert corpus.stat().st_size > 4_000_000

    def start(out: str) -> subprocess.Popen:
        command = [
            sys.executable,
            "-m",
            "attention_core.survey",
            str(folder),
            str(corpus),
            "--out",
            str(tmp_path / out),
        ]
        options = ["--window", "1024", "--every", "5", "--threads", "1"]
        return subprocess.Popen([*command, *options], cwd=ROOT, env={**os.environ, "HF_HUB_OFFLINE": "1"})

    def ended(process: subprocess.Popen) -> tuple[int, float]:
        """How it ended, and the most memory that it had, MB."""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, usage.ru_maxrss / 1e3

    killed = start("killed.csv")
    while not (tmp_path / "killed.csv.partial").is_file():
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    code, after_a_few = ended(killed)
    assert code == -signal.SIGKILL
    assert not (tmp_path / "killed.csv").exists()
    assert ended(start("killed.csv"))[0] == 0
    code, after_all = ended(start("whole.csv"))
    assert code == 0
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not (tmp_path / "killed.csv.partial").exists()
    assert after_all < after_a_few + 8  # MB; 0.6 when tried, and 51 when every trace was kept


SENTENCES = [f"{text.split('.')[0]}." for text in TEXTS]  # 16 lines of 60 to 110 characters


def of(content: str, **options) -> Text:
    return Text("file", data=content.encode(), **options)


def test_lines_are_never_joined_into_one_window(model):
    text = of("\n".join([*SENTENCES, "", "   ", SENTENCES[0]]), lines=True)
    start, windows = 0, []
    while start < text.size:
        window = window_at(model, text, start, 41)
        windows.append(window.text)
        start = window.end
    assert [window for window in windows if window.strip()] == [*SENTENCES, SENTENCES[0]]


def test_a_line_longer_than_a_window_is_read_in_several(model):
    long = " ".join(SENTENCES[:6])
    text = of(f"{long}\r\n{SENTENCES[0]}\n", lines=True)
    start, windows = 0, []
    while start < text.size:
        window = window_at(model, text, start, 41)
        windows.append(window.text)
        start = window.end
    assert "".join(windows[:-1]) == long
    assert windows[-1] == SENTENCES[0]


@pytest.mark.parametrize(
    ("content", "guess"),
    [
        ("\n".join(SENTENCES), True),
        ("\n".join(["CCO", "c1ccccc1", "CC(=O)O", "CN", "OCC", "CCCC", "N#N", "C=C"]), True),
        ("\n".join(textwrap.wrap(" ".join(TEXTS), 72)), False),
        ("\n\n".join(textwrap.fill(text, 72) for text in TEXTS), False),
        ("\n\n".join(SENTENCES), False),
        ("\n".join(SENTENCES[:7]), False),
        (" ".join(TEXTS), False),
        ("", False),
    ],
    ids=["sentences", "molecules", "wrapped", "paragraphs", "apart", "few", "one line", "nothing"],
)
def test_one_text_a_line_is_guessed_from_where_lines_end(content: str, guess: bool):
    assert holds_a_text_a_line(of(content)) is guess


def test_the_guess_is_noted_and_can_be_overruled(model, tmp_path, monkeypatch, capsys):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(SENTENCES))
    monkeypatch.setattr(command_module, "load_model", lambda name: model)
    arguments = ["tiny", str(corpus), "--out", str(tmp_path / "table.csv"), "--window", "61"]
    assert main(arguments) == 0
    said = capsys.readouterr().err
    assert "corpus.txt: one text per line, a guess from where its lines end" in said
    assert "from 16 windows" in said
    assert main([*arguments, "--no-lines"]) == 0
    said = capsys.readouterr().err
    assert "one text per line" not in said
    assert "from 16 windows" not in said
    assert "Labels rest on" in said


def test_a_checkpoint_of_lines_is_not_one_of_a_whole_text(model, tmp_path):
    finished(Survey(model, [of("\n".join(SENTENCES), lines=True)], tmp_path / "partial", n_tokens=61, every=1))
    with pytest.raises(ValueError, match="another survey"):
        Survey(model, [of("\n".join(SENTENCES))], tmp_path / "partial", n_tokens=61)
