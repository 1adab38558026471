"""Questions are read once a batch, and a token that the model says is one however it was asked for."""

import pytest
import torch

from attention_core.capturing.capture import prepare
from attention_core.experiment.asking import asked
from attention_core.experiment.edits import SwitchOff
from attention_core.experiment.effect import effect
from attention_core.experiment.question import LogDifference, LogProb, OwnText, Question
from attention_core.experiment.running import Runs
from attention_core.experiment.sweep import sweep
from attention_core.experiment.what import EveryHead
from attention_core.models.language_head import LanguageHead
from tests.core.reading.test_readout import speaking
from tests.support.tiny import SENTENCE


def test_naming_the_token_that_is_said_leaves_effect_and_control_as_they_are():
    """Any change makes the likeliest token less likely: a null about one fixed token would be too small."""
    model, off = speaking("gpt2"), SwitchOff(0, 1, "zero")
    open_, said = effect(model, SENTENCE, off, LogProb()), _said(speaking("gpt2"))
    named = effect(model, SENTENCE, off, LogProb(said[0]))
    assert open_.control is not None and named.control is not None
    assert named.difference == open_.difference
    assert torch.equal(named.control.values, open_.control.values)
    other = effect(model, SENTENCE, off, LogProb(said[3])).control
    assert other is not None and not torch.equal(other.values, open_.control.values)


def _said(model) -> list[int]:
    """The tokens, the likeliest first."""
    asking = asked(LogProb(), Runs(prepare(model, SENTENCE)))
    logits = asking.read(asking.runs.run([()])).logits
    assert logits is not None
    return logits[0].argsort(descending=True).tolist()


def test_two_tokens_of_which_one_or_both_are_said_worked_by_hand(monkeypatch: pytest.MonkeyPatch):
    """Three runs: after an edit, and two that might have been before it. A token that the unedited run says stands for
    what each of them says, or says first beside the other one; a token that it does not say is the same in all."""
    runs = Runs(prepare(speaking("gpt2"), SENTENCE))
    first, second, third, fourth, *_ = _said(runs.model)
    logits = torch.randn(3, 19, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    logs = torch.log_softmax(logits, -1)
    ranked = logs[1:].argsort(dim=-1, descending=True).tolist()
    but = [next(token for token in row if token != third) for row in ranked]
    cases = [
        (LogDifference(first, second), [(row[0], row[1]) for row in ranked]),
        (LogDifference(second, first), [(row[1], row[0]) for row in ranked]),
        (LogDifference(first, third), [(token, third) for token in but]),
        (LogDifference(third, first), [(third, token) for token in but]),
        (LogDifference(third, fourth), [(third, fourth)] * 2),
    ]
    outcome = runs.run([()])
    for question, pairs in cases:
        asking = asked(question, runs)
        asking.read(outcome)
        with monkeypatch.context() as patched:
            patched.setattr(LanguageHead, "logits", lambda _, __: logits)
            found = asking.from_bases(outcome)
        wanted = [(logs[0, a] - logs[0, b]) - (row[a] - row[b]) for row, (a, b) in zip(logs[1:], pairs, strict=True)]
        torch.testing.assert_close(found, torch.stack(wanted), msg=str(question))


@pytest.mark.parametrize("question", [LogProb(), OwnText(1)])
def test_the_vocabulary_is_read_once_a_slice(monkeypatch: pytest.MonkeyPatch, question: Question):
    n_read, own = [0], LanguageHead.logits

    def counted(self: LanguageHead, hidden: torch.Tensor) -> torch.Tensor:
        n_read[0] += 1
        return own(self, hidden)

    monkeypatch.setattr(LanguageHead, "logits", counted)
    steps: list[int] = []
    sweep(speaking("gpt2"), SENTENCE, EveryHead("zero"), question, draws=0, progress=lambda done, _: steps.append(done))
    assert n_read[0] == len(steps)


def test_the_text_s_own_words_are_read_as_one_after_the_other():
    model = speaking("gpt2")
    runs = Runs(prepare(model, SENTENCE))
    outcome = runs.run([(), (SwitchOff(0, 1, "zero"),)])
    ids = torch.tensor(runs.prepared.source.ids)
    found = asked(OwnText(3), runs).read(outcome).values
    assert model.head is not None and outcome.hidden is not None
    for row, value in zip(outcome.hidden, found, strict=True):
        logs = torch.log_softmax(model.head.logits(row[2:-1]).double(), -1)
        wanted = torch.stack([logs[i, token] for i, token in enumerate(ids[3:].tolist())]).mean()
        assert abs(float(wanted - value)) < 1e-6


def test_runs_that_end_alike_say_the_same_to_the_bit():
    """In a batch of many rows a product may round a row otherwise than its twin."""
    runs = Runs(prepare(speaking("gpt2"), SENTENCE))
    for question in (LogProb(), OwnText(1)):
        asking = asked(question, runs)
        values = asking.read(runs.run([(), *([(SwitchOff(0, 1, "zero"),), ()] * 9)])).values
        assert len(set(values[::2].tolist())) == 1 and values[0] != values[1]
