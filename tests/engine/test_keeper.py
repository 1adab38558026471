"""The reader's keeper, with readers that are a few lines: they end when they are told to."""

import sys

import pytest

from pages.shared.engine import keeper as module
from pages.shared.engine.keeper import Keeper
from pages.shared.engine.plain import Refused
from pages.shared.process.settings import from_environment

PATIENCE = 120

# What a reader does with each question, by its `op`; the settings come first, as to a real one.
READER = """
import os, socket, sys, msgspec
from pages.shared.engine import messages
line = messages.Line(socket.socket(fileno=int(sys.argv[1])))
line.receive()
line.send(messages.encode(messages.Told(0, event="listens")))
line.send(messages.encode(messages.Told(0, event="ready")))
try:
    while True:
        ask = messages.asked(line.receive()[0])
        if ask.op == "end":
            os.kill(os.getpid(), 9)
        if ask.op == "end once" and not os.path.exists(FILE):
            open(FILE, "w").close()
            os.kill(os.getpid(), 9)
        value = messages.raw(os.getpid() if ask.op == "who" else messages.read(ask.arguments, list))
        line.send(messages.encode(messages.Told(ask.id, value)))
except messages.Ended:
    os._exit(0)
"""


@pytest.fixture
def kept(monkeypatch, tmp_path):
    code = f"FILE = {str(tmp_path / 'ended')!r}\n{READER}"
    monkeypatch.setattr(module, "PROGRAM", (sys.executable, "-c", code))
    made = Keeper(from_environment, lambda event, value: None)
    yield made
    made.close()


def answer(asked):
    return asked.future.result(timeout=PATIENCE)


def test_what_a_reader_had_when_it_ended_is_asked_again(kept):
    first = answer(kept.ask("who", (), int))
    asked = kept.ask("end once", ("a text",), list)
    behind = [kept.ask("echo", (n,), list) for n in range(5)]
    assert answer(asked) == ["a text"]
    assert [answer(one) for one in behind] == [[n] for n in range(5)]
    assert answer(kept.ask("who", (), int)) != first
    assert kept.restarts == 1


def test_a_question_that_ends_every_reader_is_answered_with_a_sentence_and_the_next_one_as_ever(kept):
    with pytest.raises(Refused, match="ended 3 times over this"):
        answer(kept.ask("end", (), None))
    assert answer(kept.ask("echo", ("later",), list)) == ["later"]
    assert kept.restarts == 3


def test_an_answer_of_a_megabyte_and_a_question_of_one_come_whole(kept):
    text = "ä" * 1_000_000
    assert answer(kept.ask("echo", (text,), list)) == [text]


def test_what_is_cancelled_before_there_is_a_reader_is_not_asked(kept, monkeypatch):
    monkeypatch.setattr(module, "PROGRAM", (sys.executable, "-c", "import time; time.sleep(600)"))
    asked = kept.ask("echo", (1,), list)
    assert asked.progress().doing == module.STARTING
    asked.cancel()
    with pytest.raises(module.NoLongerWanted):
        answer(asked)


def test_closing_ends_the_reader_and_refuses_what_is_still_asked(kept):
    answer(kept.ask("who", (), int))
    process = kept._process
    kept.close()
    assert process.wait(timeout=PATIENCE) is not None
    with pytest.raises(Refused):
        answer(kept.ask("who", (), int))


def test_an_answer_of_another_kind_than_the_seam_says_is_the_askers_error_alone(kept):
    with pytest.raises(Exception, match="Expected `int`"):
        answer(kept.ask("echo", ("text",), int))
    assert answer(kept.ask("echo", (1,), list)) == [1]


def test_a_reader_that_never_starts_is_said_in_a_sentence(kept, monkeypatch):
    monkeypatch.setattr(module, "PROGRAM", (sys.executable, "-c", "raise SystemExit(1)"))
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    with pytest.raises(Refused, match="ended 3 times"):
        answer(kept.ask("who", (), int))
