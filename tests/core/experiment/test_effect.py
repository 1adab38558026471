"""Effects with their control, edited traces, and many edits over one shared model."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from attention_core import capture, load_trace
from attention_core.capturing.capture import prepare
from attention_core.experiment.asking import asked
from attention_core.experiment.edits import (
    KINDS,
    AddDirection,
    Break,
    CutLink,
    Edit,
    ExperimentError,
    Patch,
    ReplaceToken,
    Strengthen,
    SwitchOff,
    ZeroValue,
    edit_from_plain,
)
from attention_core.experiment.effect import effect, effect_slices, ratio
from attention_core.experiment.null import Stopped, added, change_in, evenly, largest_by_chance, percentile, turned
from attention_core.experiment.question import (
    QUESTIONS,
    Divergence,
    LogDifference,
    LogProb,
    Question,
    SentenceSimilarity,
    TokenVector,
    question_from_plain,
)
from attention_core.experiment.running import Runs
from attention_core.experiment.sweep import sweep
from attention_core.experiment.what import EveryHead, EveryLink, EveryToken, what_from_plain
from attention_core.models.loading import wrap_model
from tests.core.experiment.by_hand import OTHER
from tests.core.reading.test_readout import speaking
from tests.support.tiny import SENTENCE, family

EDITS: tuple[Edit, ...] = (
    SwitchOff(1, 2, texts=(OTHER,)),
    CutLink(0, None, 4, (1, 2), "weight", until=1),
    ReplaceToken(3),
    Break(1, 0, "temperature", temperature=0.5),
    ZeroValue(0, 1, 2),
    Patch(0, 1, "k", OTHER, ((1, 2), (3, 4))),
    Strengthen(0, 1, 2.0),
    AddDirection(1, SENTENCE, OTHER, 0.5),
)


def test_every_edit_is_the_same_again_from_json_and_edits_have_one_order():
    assert {type(edit) for edit in EDITS} == set(KINDS.values())
    for edit in EDITS:
        assert edit_from_plain(json.loads(json.dumps(edit.to_plain()))) == edit
    assert sorted(EDITS) == sorted(reversed(EDITS)) and len(set(EDITS)) == len(EDITS)
    with pytest.raises(ExperimentError, match="has no 'hat'"):
        edit_from_plain({"edit": "switch off", "layer": 0, "head": 1, "hat": 2})


def test_questions_and_sweeps_are_the_same_again_from_json():
    questions = [LogDifference(1, 2), SentenceSimilarity("it ran"), TokenVector(2), *(QUESTIONS["divergence"](),)]
    for question in questions:
        assert question_from_plain(json.loads(json.dumps(question.to_plain()))) == question
    for what in (EveryHead("zero"), EveryLink(0, 1, 2), EveryToken(7)):
        assert what_from_plain(json.loads(json.dumps(what.to_plain()))) == what


def test_an_empty_edit_has_the_effect_zero_and_a_ratio_of_nothing_is_undefined():
    found = effect(family("gemma2"), SENTENCE, (), TokenVector(3))
    assert found.difference == 0.0 and found.before == 1.0
    assert ratio(1.0, 0.0) is None and ratio(1.0, 1e-6) is None and ratio(1.0, -2.0) == -0.5


def test_an_effect_without_its_control_says_so():
    found = effect(family("bert"), SENTENCE, SwitchOff(0, 1, "zero"), draws=0)
    assert found.control is None and "Not compared with chance yet" in found.says
    beside = effect(family("bert"), SENTENCE, SwitchOff(0, 1, "zero"))
    assert beside.control is not None and len(beside.control.values) == 20
    assert beside.difference == found.difference and "what chance does" in beside.says


def test_an_effect_gives_the_turn_back_between_its_batches_and_can_be_stopped_there():
    runs, edits = Runs(prepare(family("bert"), SENTENCE)), (SwitchOff(0, 1, "zero"),)
    steps = list(effect_slices(runs, edits, draws=80))
    assert len(steps) > 1 and steps[-1] == (80, 80)
    stops = iter([False, True])
    with pytest.raises(Stopped):
        list(effect_slices(runs, edits, draws=80, stop=lambda: next(stops)))


def test_the_null_keeps_every_length_and_every_angle():
    change = torch.randn(7, 23)
    change[2] = 0
    for one in turned(change, 3, seed=1):
        torch.testing.assert_close(one @ one.T, change @ change.T, atol=1e-4, rtol=1e-4)
        assert float((one - change).abs().max()) > 0.1


def test_what_chance_does_worked_by_hand():
    """Of 20 draws the ⌈0.95 · 21⌉ = 20th smallest, of 99 the 95th; one more draw is above it once in 20 at most."""
    draws = torch.arange(1, 100, dtype=torch.float64)
    assert percentile(-draws[:20]) == 20 and percentile(draws) == 95 and percentile(draws[:19]) is None


def test_one_more_draw_is_beyond_chance_as_seldom_as_it_says():
    """10,000 times 20 draws and one more: above the 20 with 1 / 21, five standard deviations 0.011."""
    draws = torch.randn(10_000, 21, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    beyond = sum(abs(float(one[20])) > (percentile(one[:20]) or 0) for one in draws) / len(draws)
    assert abs(beyond - 1 / 21) < 0.011


def test_the_largest_by_chance_worked_by_hand():
    """Two that were tested, 20 draws: the largest of each draw is 20, or 30 in the last: that one is the 20th."""
    first, second = torch.full((20,), 20.0), torch.zeros(20)
    second[-1] = -30
    assert largest_by_chance(torch.stack([first, second])) == 30
    assert largest_by_chance(torch.stack([first, second])[:, :19]) is None


@pytest.mark.parametrize("question", [LogProb(), LogProb(3), Divergence(), TokenVector(4), LogDifference(3, 5)])
def test_a_null_undone_by_no_turn_at_all_is_the_effect_itself(question: Question):
    """−Δ written besides the edit is the unedited run, so that the effect is one of those that the null draws from."""
    runs = Runs(prepare(speaking("gpt2"), SENTENCE))
    edits = (SwitchOff(0, 1, "zero"),)
    asking = asked(question, runs)
    outcome = runs.run([(), edits], keep=frozenset((0,)))
    before, after = asking.read(outcome).values
    change = change_in(runs, outcome, 1, edits, 0)
    assert change is not None
    undone = runs.run([edits, edits], more=[(), (added(0, "written", -change),)])
    assert math.isclose(float(asking.from_bases(undone)), float(after - before), abs_tol=1e-5)
    assert abs(float(after - before)) > 1e-3


def test_links_of_about_the_same_weight_are_counted_and_too_few_are_said():
    control = effect(family("bert"), SENTENCE, CutLink(0, 1, 2, (3,)), TokenVector(2)).control
    assert control is not None and control.links is not None
    if len(control.links) < 20:
        assert "too few" in control.says(1.0)


def test_an_edited_trace_says_so_wherever_it_goes_and_claims_no_proof():
    trace = capture(family("bert"), SENTENCE, edits=(SwitchOff(0, 1, "zero"),))
    assert trace.verdict(0, 1).text == "○ edited: no proof" and trace.verdict(1, 1).answer == "checked"
    assert float(trace.exact(0).output[1].abs().max()) == 0.0
    said = "layer 0 head 1 switched off"
    assert said in trace.picture(0, 1)._repr_html_() and said in repr(trace)
    opened = load_trace(_bytes(trace))
    assert opened.edited == trace.edited and edit_from_plain(opened.edits[0]) == SwitchOff(0, 1, "zero")
    assert {opened.verdict(layer, 0).text for layer in (0, 1)} == {"○ edited: no proof"}
    with pytest.raises(ValueError):
        load_trace(_bytes(trace).replace(b'\\"version\\": 2', b'\\"version\\": 1'))


def _bytes(trace) -> bytes:
    from attention_core.record.file import trace_bytes

    return trace_bytes(trace)


def test_weights_that_were_edited_come_back_from_a_file():
    trace = capture(family("gpt2"), SENTENCE, edits=Break(1, 2, "uniform"))
    opened = load_trace(_bytes(trace))
    for head in range(3):
        torch.testing.assert_close(opened.weights(1, head), trace.weights(1, head))
    assert float(trace.weights(1, 2)[3, :4].std()) < 1e-6


def test_a_sweep_is_the_effect_of_each_and_can_be_stopped():
    model = family("llama")
    found = sweep(model, SENTENCE, EveryHead("zero"), TokenVector(4), draws=0)
    assert len(found.effects) == 12 and found.important is None
    for layer, head in ((0, 0), (1, 5)):
        one = effect(model, SENTENCE, SwitchOff(layer, head, "zero"), TokenVector(4), draws=0)
        assert math.isclose(found.of(layer, head), one.difference, abs_tol=1e-6)
    assert found.rank(found.ranked[0]) == 1
    with pytest.raises(Stopped):
        sweep(model, SENTENCE, EveryHead("zero"), TokenVector(4), stop=lambda: True)


def test_a_run_from_the_middle_is_the_whole_run():
    model = family("gpt2")
    late, whole = (Runs(prepare(model, SENTENCE), resume=resume) for resume in (True, False))
    assert late.resumes and not whole.resumes
    edits = [(), (SwitchOff(1, 1, "zero"),)]
    one, other = late.run(edits), whole.run(edits)
    assert one.begins == 1 and other.begins == 0
    assert one.hidden is not None and other.hidden is not None
    torch.testing.assert_close(one.hidden, other.hidden, atol=1e-6, rtol=1e-6)


def test_two_threads_with_different_edits_over_one_model_never_mix():
    model = family("gpt2")
    edits = (SwitchOff(0, 1, "zero"), Break(1, 2, "uniform"))
    runs = [Runs(prepare(model, SENTENCE)) for _ in edits]
    wanted = [one.run([(), (edit,)]).hidden for one, edit in zip(runs, edits, strict=True)]

    def mixed(which: int) -> int:
        n = 0
        for _ in range(200):
            found = runs[which].run([(), (edits[which],)]).hidden
            n += not (found is not None and wanted[which] is not None and torch.equal(found, wanted[which]))
        return n

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(mixed, range(2))) == [0, 0]


@pytest.mark.slow
def test_a_model_is_the_same_to_the_bit_after_a_thousand_edited_runs():
    model = family("gpt2")
    before = {name: tensor.clone() for name, tensor in model.model.state_dict().items()}
    modules = dict(model.model.named_modules())
    plain = capture(model, SENTENCE)
    runs = Runs(prepare(model, SENTENCE))
    for n in range(1000):
        runs.run([(), (Strengthen(n % 2, n % 3, n / 100),)])
    with pytest.raises(ExperimentError):
        runs.run([(), (CutLink(0, 0, 0, (0,)),)])
    with pytest.raises(Stopped):
        stops = iter([False, False, True])  # in the middle of its draws
        sweep(model, SENTENCE, EveryHead(), TokenVector(1), stop=lambda: next(stops))
    after = model.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert dict(model.model.named_modules()) == modules
    assert plain.ending is not None and plain.ending.hidden is not None
    again = capture(model, SENTENCE).ending
    assert again is not None and again.hidden is not None and torch.equal(plain.ending.hidden, again.hidden)


def test_a_model_whose_blocks_hand_keys_past_the_stream_is_run_whole():
    """Gemma 3n's last layers read keys of an earlier block: of one that is not run again there is one row."""
    from tests.commands.matrix.checking import build, model_class
    from tests.commands.matrix.shrinking import tiny_config
    from tests.support.tiny import tokenizer

    config = tiny_config("gemma3n_text")
    model = wrap_model(build(model_class(config, "gemma3n_text"), config), tokenizer(), name="gemma3n")
    runs = Runs(prepare(model, SENTENCE))
    found = runs.run([(), *((SwitchOff(5, head, "zero"),) for head in range(3))])
    assert not runs.resumes and found.begins == 0


def test_slices_are_as_few_as_can_be_and_then_as_even():
    assert [evenly(12, 7), evenly(20, 7), evenly(21, 7), evenly(5, 7), evenly(1, 3), evenly(0, 3)] == [6, 7, 7, 5, 1, 1]


def test_small_models_are_swept_in_one_run_and_none_runs_what_it_need_not(monkeypatch: pytest.MonkeyPatch):
    """Two layers of a tiny GPT-2 fit one batch; of larger ones each layer begins at its own block."""
    begun: list[tuple[int, int]] = []
    own = Runs.run

    def counted(self: Runs, variants, **options):
        found = own(self, variants, **options)
        begun.append((found.begins, len(variants)))
        return found

    monkeypatch.setattr(Runs, "run", counted)
    small = sweep(family("gpt2"), SENTENCE, EveryHead("zero"), TokenVector(4), draws=0)
    assert begun == [(0, 7)]
    begun.clear()
    monkeypatch.setattr("attention_core.experiment.sweep.A_RUN", 0)
    apart = sweep(family("gpt2"), SENTENCE, EveryHead("zero"), TokenVector(4), draws=0)
    assert begun == [(0, 4), (1, 4)]
    torch.testing.assert_close(small.effects, apart.effects, atol=1e-6, rtol=0)
