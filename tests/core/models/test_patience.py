"""A tokenizer that takes for ever, or panics, gets a sentence; the next model and the next text are answered."""

import json
import shutil
import time
from concurrent.futures import Future
from pathlib import Path
from threading import Event

import pytest

from attention_core import ModelError, capture, load_model
from attention_core.models import patience
from attention_core.models.patience import Patience
from tests.support import tiny
from tests.support.patience import PATIENCE


@pytest.fixture
def folder(tmp_path) -> Path:
    tiny.bare("bert").save_pretrained(tmp_path / "tiny-bert")
    tiny.tokenizer().save_pretrained(tmp_path / "tiny-bert")
    return tmp_path / "tiny-bert"


def set_in_tokenizer(folder: Path, **values: object) -> None:
    file = folder / "tokenizer.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_replacement_that_grows_the_text_a_hundred_thousand_times_is_given_up(folder, monkeypatch):
    """Twenty million characters take a second or more: a fortieth of that is waited, so fast machines give up too."""
    good = load_model(str(shutil.copytree(folder, folder.parent / "good")))
    grow = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 100_000}
    set_in_tokenizer(folder, normalizer=grow)
    model = load_model(str(folder))
    with monkeypatch.context() as impatient:
        impatient.setattr(patience, "SECONDS", 0.025)
        with pytest.raises(ModelError, match="takes too long over this text"):
            capture(model, "a" * 200)
        with pytest.raises(ModelError, match="still busy with another text"):
            capture(model, "b")
    assert len(capture(good, "the cat sat").tokens) == 5


def test_a_pattern_that_backtracks_for_ever_gets_a_sentence(folder):
    split = {
        "type": "Split",
        "pattern": {"Regex": "^(([a-z])+.)+[A-Z]([a-z])+$"},
        "behavior": "Isolated",
        "invert": False,
    }
    set_in_tokenizer(folder, pre_tokenizer=split)
    model = load_model(str(folder))
    with pytest.raises(ModelError, match="fails on this text|takes too long"):
        capture(model, "a" * 5_000)


def test_a_job_that_was_late_and_is_done_makes_room_for_the_next(monkeypatch):
    monkeypatch.setattr(patience, "SECONDS", 0.1)
    one, goes_on = Patience(), Event()
    with pytest.raises(ModelError, match="takes too long"):
        one.run(goes_on.wait)
    with pytest.raises(ModelError, match="still busy"):
        one.run(lambda: 1)
    goes_on.set()
    monkeypatch.setattr(patience, "SECONDS", PATIENCE)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(0.01)
        try:
            assert one.run(lambda: 2) == 2
            return
        except ModelError:
            continue
    pytest.fail("the tokenizer stayed busy")


def test_a_job_that_ends_in_the_moment_it_is_given_up_does_not_keep_the_tokenizer_busy(monkeypatch):
    """Whoever asks whether the job is done gets its answer only after the job has ended and made room."""
    monkeypatch.setattr(patience, "SECONDS", 0.1)
    one, goes_on = Patience(), Event()
    ask = Future.done

    def slowly(future: Future) -> bool:
        answer = ask(future)
        goes_on.set()
        assert one._running.acquire(timeout=PATIENCE)
        one._running.release()
        return answer

    with monkeypatch.context() as interleaved:
        interleaved.setattr(Future, "done", slowly)
        with pytest.raises(ModelError, match="takes too long"):
            one.run(goes_on.wait)
    goes_on.set()
    assert one._running.acquire(timeout=PATIENCE)
    one._running.release()
    monkeypatch.setattr(patience, "SECONDS", PATIENCE)
    assert one.run(lambda: 2) == 2


def test_what_waits_for_a_busy_machine_is_not_late_and_what_computes_is(monkeypatch):
    """The first sleeps, as a thread does that gets no processor; the second uses one for as long."""
    monkeypatch.setattr(patience, "SECONDS", 0.3)
    one = Patience()
    assert one.run(lambda: time.sleep(0.9)) is None

    def computes() -> None:
        end = time.thread_time() + PATIENCE
        while time.thread_time() < end and not stop.is_set():
            pass

    stop = Event()
    with pytest.raises(ModelError, match="takes too long"):
        one.run(computes)
    stop.set()


def test_what_a_tokenizer_raises_is_raised():
    with pytest.raises(KeyError):
        Patience().run(lambda: {}["a"])
