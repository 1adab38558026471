"""Experiments through the seam: what the core answers, as plain data; stopped and refused, in both engines."""

import math
from concurrent.futures import Future

import pytest

from attention_core import EveryHead, LogDifference, SwitchOff, effect, lenses, load_model, sweep
from attention_core.experiment.edits import CutLink
from pages.shared.engine.experiments import Doing, Experiments
from pages.shared.engine.plain import Refused
from pages.shared.service.service import service
from pages.shared.service.sources import Source
from tests.support.patience import PATIENCE

TEXT = "the cat sat on a mat"


def got(handle):
    """The answer to a job."""
    return (handle if isinstance(handle, Future) else handle.future).result(timeout=PATIENCE)


def test_an_effect_is_the_cores(engine, speakers):
    source, off = Source(speakers["gpt2"], TEXT), SwitchOff(1, 2, "zero")
    asked = LogDifference(5, 6)
    found = got(engine.effect(source, [off.to_plain()], asked.to_plain(), 20))
    own = effect(load_model(source.model), TEXT, off, asked, draws=20)
    assert own.control is not None
    assert (found.before, found.after) == (own.before, own.after)
    assert found.null == tuple(own.control.values.tolist()) and found.level == own.control.level
    assert found.control == own.control.says(own.difference)
    assert [one.text for one in found.top_after] == [one.text for one in own.top_after]
    assert found.words == (off.words,) and found.question == asked.to_plain()


def test_a_sweep_is_the_cores_with_chance_and_without(engine, speakers):
    source = Source(speakers["gpt2"], TEXT)
    own = sweep(load_model(source.model), TEXT, EveryHead(), draws=20)
    alone = got(engine.sweep(source, EveryHead().to_plain(), None, 0))
    assert [one.edits[0] for one in alone.found] == [edits[0].to_plain() for edits in own.variants]
    assert [one.difference for one in alone.found] == own.effects.tolist()
    assert alone.chance is None and alone.finished and alone.total == len(own.variants)
    compared = got(engine.sweep(source, EveryHead().to_plain(), None, 20))
    assert own.chance is not None and compared.chance is not None
    assert (compared.chance.largest, compared.chance.n) == (own.chance.largest, own.chance.n)
    assert (compared.before, compared.unit) == (own.before, own.question.unit)


def test_five_lenses_on_a_row_are_the_cores(engine, speakers):
    source = Source(speakers["gpt2"], TEXT)
    own = lenses(load_model(source.model), TEXT, 1, 2, 4)
    found = got(engine.lenses(source, 1, 2, 4))
    assert own.length is not None and own.signed is not None
    rows = (own.weight, own.length, own.signed, own.zeroed, own.cut)
    for lens, row in zip(("weight", "length", "signed", "zeroed", "cut"), rows, strict=True):
        assert getattr(found, lens) == tuple(None if x != x else x for x in row.tolist()), lens
    assert (found.says, found.missing) == (own.says, own.missing)
    assert found.top["weight"] == own.top("weight") and found.top["cut"] == own.top("cut")
    assert found.tokens == tuple(token.text for token in own.tokens)
    with pytest.raises(Refused, match="99"):
        got(engine.lenses(source, 1, 99, 4))
    with pytest.raises(Refused, match="up to 256 tokens"):
        got(engine.lenses(Source("minilm", "a word and " * 150), 1, 1, 4))


def test_a_sweep_counts_its_runs(engine, speakers):
    handle = engine.sweep(Source(speakers["gpt2"], TEXT), EveryHead().to_plain(), None, 20)
    swept = got(handle)
    far = handle.progress()
    assert far.done <= far.total and far.total in (0, 21 * swept.total)


def test_a_sweep_that_was_left_ends_and_says_that_it_is_not_whole(engine):
    source = Source("minilm", "The animal didn't cross the street because it was too tired.")
    got(engine.read(source))
    handle = engine.sweep(source, EveryHead().to_plain(), None, 2_000)
    handle.cancel()
    assert not got(handle).finished


class LeavesAfter(Doing):
    """Somebody who leaves once so many runs are done."""

    def __init__(self, runs: int) -> None:
        super().__init__("a visitor")
        self._runs = runs

    def tell(self, done: int, total: int) -> None:
        super().tell(done, total)
        if done >= self._runs:
            self.gone.set()


def test_a_sweep_that_was_stopped_keeps_what_was_done():
    """MiniLM has 12 heads in each of its 6 layers; of each layer the effects are made together."""
    source = Source("minilm", "The animal was tired")
    whole = Experiments(service()).sweep(source, EveryHead().to_plain(), None, 0, Doing(""))
    part = Experiments(service()).sweep(source, EveryHead().to_plain(), None, 0, LeavesAfter(24))
    assert len(whole.found) == 72 and whole.finished
    assert len(part.found) == 24 and not part.finished and part.total == 72
    assert part.found == whole.found[:24]


def test_an_effect_whose_control_was_stopped_is_told_without_it(engine, speakers):
    source = Source(speakers["gpt2"], TEXT)
    doing = LeavesAfter(0)
    found = Experiments(service()).effect(source, [SwitchOff(0, 1).to_plain()], None, 20, doing)
    assert not found.control and not found.null and not math.isnan(found.difference)


@pytest.mark.parametrize(
    ("edits", "says"),
    [
        ([SwitchOff(0, 99).to_plain()], "99"),
        ([{"edit": "dance"}], "an edit is one of"),
        ([CutLink(0, 1, 0, (0,)).to_plain()], "reads nothing but key 0"),
        ([{"edit": "switch off", "layer": 0, "head": "x"}], "head is a number"),
    ],
)
def test_what_cannot_be_edited_is_refused_in_a_sentence(engine, speakers, edits, says):
    with pytest.raises(Refused, match=says):
        got(engine.effect(Source(speakers["gpt2"], TEXT), edits, None, 0))


def test_what_cannot_be_asked_or_swept_is_refused_in_a_sentence(engine, speakers):
    source = Source(speakers["gpt2"], TEXT)
    with pytest.raises(Refused, match="a question is one of"):
        got(engine.effect(source, [], {"question": "why"}, 0))
    with pytest.raises(Refused, match="a sweep is over"):
        got(engine.sweep(source, {"sweep": "streets"}, None, 0))
    with pytest.raises(Refused, match="saved trace"):
        got(engine.sweep(Source("", "", file="0" * 64), EveryHead().to_plain(), None, 0))
    with pytest.raises(Refused):
        got(engine.sweep(Source("/no/such/folder", TEXT), EveryHead().to_plain(), None, 0))
