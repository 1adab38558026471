"""What is asked of a run: one number for each run of a batch, in double precision, from what the runs ended with.

A question is plain data, like an edit. `asked` makes it ready for one text in one model; the place that it looks at is
told from the unedited text and stays, so that every run is asked the same.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.capturing.capture import Prepared
from attention_core.experiment.edits import ExperimentError
from attention_core.experiment.running import Outcome, Runs
from attention_core.formats.json_data import Json, JsonObject
from attention_core.formats.shown import short_repr
from attention_core.models.facts import LoadedModel
from attention_core.models.sentence_encoder import SentenceEncoder, compared
from attention_core.reading.readout import Choice, choices_of, likeliest

TOP = 5


class Question:
    """One number of a run."""

    __slots__ = ()
    name: ClassVar[str]
    unit: ClassVar[str]

    def to_plain(self) -> JsonObject:
        """Names and numbers alone, as JSON takes them; `question_from_plain` makes the question again."""
        return {"question": self.name} | {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class LogProb(Question):
    """The log-probability of a token, in nats. `token` None is the one that the unedited run says.

    `position` None is the last token of a model that writes, and the first [MASK] of one that fills in. Not the
    probability: near 0 and 1 it hides heads that push against the answer.
    """

    name = "log-probability"
    unit = "nats"
    token: int | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class LogDifference(Question):
    """log P(token) − log P(other), in nats: which of two the model prefers, and by how much."""

    name = "difference of two log-probabilities"
    unit = "nats"
    token: int
    other: int
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Divergence(Question):
    """KL(before ‖ after) of the whole distribution, in nats: 0 before, above 0 for any change."""

    name = "divergence"
    unit = "nats"
    position: int | None = None


@dataclass(frozen=True, slots=True)
class OwnText(Question):
    """The mean log-probability of the text's own tokens from place `begin` on, each after those before it, in nats.

    For models that write. Its negative is the loss; over many tokens it depends less on which one is asked about.
    """

    name = "log-probability of the text"
    unit = "nats a token"
    begin: int = 1


@dataclass(frozen=True, slots=True)
class LabelScore(Question):
    """What a classifier gives a label: its log-probability in nats, or the value where it predicts one number.

    `label` None is the one that the unedited run gives.
    """

    name = "label"
    unit = "nats, or the head's own value"
    label: int | None = None


@dataclass(frozen=True, slots=True)
class SentenceSimilarity(Question):
    """How alike the text is to `other` for a sentence encoder, from −1 to 1. The other sentence is read unedited."""

    name = "similarity of two sentences"
    unit = "cosine, or the model's own comparison"
    other: str = ""


@dataclass(frozen=True, slots=True)
class TokenVector(Question):
    """The cosine between a token's last vector and the one that it has in the unedited run: 1 before."""

    name = "a token's own vector"
    unit = "cosine"
    position: int = 0


QUESTIONS: dict[str, type[Question]] = {
    kind.name: kind
    for kind in (LogProb, LogDifference, Divergence, OwnText, LabelScore, SentenceSimilarity, TokenVector)
}


def question_from_plain(plain: Json) -> Question:
    """The question that `to_plain` wrote. Raises ExperimentError naming what is not as it should be."""
    if not isinstance(plain, dict) or plain.get("question") not in QUESTIONS:
        raise ExperimentError(f"a question is one of {', '.join(QUESTIONS)}; got {json.dumps(plain, default=str)[:80]}")
    kind = QUESTIONS[plain["question"]]
    try:
        return kind(**{name: value for name, value in plain.items() if name != "question"})
    except TypeError as error:
        raise ExperimentError(f"“{kind.name}”: {str(error)[:120]}") from None


@dataclass(slots=True, eq=False)
class Answers:
    """What each run of a batch says: one number each, and where there are words the logits behind it."""

    values: Float[Tensor, " batch"]  # double precision
    logits: Float[Tensor, "batch d_vocab"] | None  # at the place that is asked about

    __repr__ = short_repr


@dataclass(slots=True, eq=False)
class Asking:
    """A question, ready for one text. Row 0 of every batch is the unedited run."""

    question: Question
    runs: Runs
    read: Callable[[Outcome], Answers]
    bases: Callable[[Outcome], Float[Tensor, " row"]] | None = None  # None: after and before are read alike

    __repr__ = short_repr

    def from_bases(self, outcome: Outcome) -> Float[Tensor, " row"]:
        """after − before, where row 0 is the run after an edit and every other row a run before it.

        A question that asks for what the unedited run says asks for what each of these says.
        """
        if self.bases is not None:
            return self.bases(outcome)
        values = self.read(outcome).values
        return values[0] - values[1:]

    def top(self, logits: Float[Tensor, " d_vocab"]) -> tuple[Choice, ...]:
        """The five likeliest tokens."""
        model = self.runs.model
        tokenizer = model.target_tokenizer if self.runs.prepared.decoder is not None else model.tokenizer
        return choices_of(tokenizer, likeliest(logits, TOP)[0])


def asked(question: Question | None, runs: Runs) -> Asking:
    """Make a question ready; None asks what suits the model: its word, its label, or how its sentence changes.

    Raises ExperimentError, with what would help, for a question that this model cannot answer.
    """
    question = question or usual(runs.model)
    if isinstance(question, OwnText):
        return Asking(question, runs, _text_reader(question, runs))
    if isinstance(question, LabelScore):
        return Asking(question, runs, *_label_reader(question, runs))
    if isinstance(question, SentenceSimilarity):
        return Asking(question, runs, _similarity_reader(question, runs))
    if isinstance(question, TokenVector):
        _require_place(question.position, runs.prepared)
        read = _vector_reader(question, runs.model)
        return Asking(question, runs, read, lambda outcome: read(outcome).values[1:] - 1.0)  # the same either way round
    if isinstance(question, LogProb | LogDifference | Divergence):
        return Asking(question, runs, *_word_reader(question, runs))
    raise ExperimentError(f"a question is one of {', '.join(kind.__name__ for kind in QUESTIONS.values())}")


def usual(model: LoadedModel) -> Question:
    """The question that suits a model."""
    if model.task is not None:
        return LabelScore()
    return LogProb() if model.head is not None and model.sentences is None else TokenVector(0)


Reader = Callable[[Outcome], Answers]
FromBases = Callable[[Outcome], Float[Tensor, " row"]]


def _word_reader(question: LogProb | LogDifference | Divergence, runs: Runs) -> tuple[Reader, FromBases | None]:
    model = runs.model
    if model.head is None:
        raise ExperimentError(
            f"{model.facts.name} has no language head, so it says no word. Ask for a token's own vector, or for the "
            "similarity of two sentences."
        )
    place = _place(question.position, runs)
    head = model.head
    chosen = [getattr(question, "token", None), getattr(question, "other", None)]

    def logits_of(outcome: Outcome) -> Float[Tensor, "batch d_vocab"]:
        hidden = _hidden(outcome, model)
        try:
            return head.logits(hidden[:, place]).double().cpu()
        except ValueError as error:
            raise ExperimentError(f"What {model.facts.name} says cannot be read: {error}.") from None

    def read(outcome: Outcome) -> Answers:
        logits = logits_of(outcome)
        logs = torch.log_softmax(logits, dim=-1)
        if isinstance(question, Divergence):
            return Answers(_divergence(logs[0], logs), logits)
        for token in chosen:
            if token is not None and not 0 <= token < logs.shape[1]:
                raise ExperimentError(f"token must be 0 … {logs.shape[1] - 1:,}; got {token}")
        if chosen[0] is None:  # the one that is said, and the same in every batch
            chosen[0] = int(logs[0].argmax())
        values = logs[:, chosen[0]]
        return Answers(values if chosen[1] is None else values - logs[:, chosen[1]], logits)

    def bases(outcome: Outcome) -> Tensor:
        logs = torch.log_softmax(logits_of(outcome), dim=-1)
        return _divergence(logs[1:], logs[0]) if isinstance(question, Divergence) else _of_said(logs)

    said = isinstance(question, LogProb) and question.token is None
    return read, bases if said or isinstance(question, Divergence) else None


def _of_said(logs: Float[Tensor, "batch choice"]) -> Float[Tensor, " row"]:
    """after − before of what each row after the first says, where that row is before and row 0 after."""
    said = logs[1:].argmax(dim=-1, keepdim=True)
    return logs[0][said[:, 0]] - logs[1:].gather(1, said)[:, 0]


def _text_reader(question: OwnText, runs: Runs) -> Callable[[Outcome], Answers]:
    model, head = runs.model, runs.model.head
    if head is None or head.predicts != "next token":
        raise ExperimentError(f"{model.facts.name} does not write a text from left to right.")
    ids = torch.tensor((runs.prepared.decoder or runs.prepared.source).ids)
    if not 1 <= question.begin < len(ids):
        raise ExperimentError(f"begin must be 1 … {len(ids) - 1}; got {question.begin}")

    def read(outcome: Outcome) -> Answers:
        hidden = _hidden(outcome, model)
        found = []
        for row in hidden:  # one at a time: logits of all tokens of all rows may be many
            logs = torch.log_softmax(head.logits(row[question.begin - 1 : -1]).double().cpu(), dim=-1)
            found.append(logs.gather(-1, ids[question.begin :, None]).mean())
        return Answers(torch.stack(found), None)

    return read


def _divergence(
    base: Float[Tensor, "*#batch d_vocab"], rows: Float[Tensor, "*#batch d_vocab"]
) -> Float[Tensor, " batch"]:
    """Σ p · (log p − log q); words of probability 0 before add nothing."""
    terms = base.exp() * (base - rows)
    return torch.where(base == -torch.inf, 0.0, terms).sum(dim=-1)


def _place(position: int | None, runs: Runs) -> int:
    prepared, model = runs.prepared, runs.model
    side = prepared.decoder or prepared.source
    if position is not None:
        _require_place(position, prepared)
        return position
    assert model.head is not None
    if model.head.predicts == "next token":
        return len(side.ids) - 1
    masks = [i for i, one in enumerate(side.ids) if one == model.tokenizer.mask_token_id]
    if not masks:
        raise ExperimentError(
            f"{model.facts.name} fills in masked words: put {model.tokenizer.mask_token or 'a mask'} in place of one, "
            "or name a position."
        )
    return masks[0]


def _require_place(position: int, prepared: Prepared) -> None:
    n = len((prepared.decoder or prepared.source).ids)
    if not 0 <= position < n:
        raise ExperimentError(f"position must be 0 … {n - 1}; got {position}")


def _hidden(outcome: Outcome, model: LoadedModel) -> Float[Tensor, "batch token d_model"]:
    if outcome.hidden is None:
        raise ExperimentError(f"{model.facts.architecture} ends in something else than a vector for each token.")
    return outcome.hidden


def _label_reader(question: LabelScore, runs: Runs) -> tuple[Reader, FromBases | None]:
    model, chosen = runs.model, [question.label]
    task = model.task
    if task is None or task.task not in ("labels", "next sentence"):
        raise ExperimentError(f"{model.facts.name} is no classifier of whole texts, so it gives no label.")

    def logs_of(outcome: Outcome) -> Float[Tensor, "batch label"]:
        logits = outcome.said["logits"].double().cpu()
        logits = logits.reshape(logits.shape[0], -1)
        if task.how == "value":
            return logits
        return torch.log_softmax(logits, -1) if task.how == "one of them" else torch.nn.functional.logsigmoid(logits)

    def read(outcome: Outcome) -> Answers:
        logs = logs_of(outcome)
        if chosen[0] is None:
            chosen[0] = 0 if task.how == "value" else int(logs[0].argmax())
        if not 0 <= chosen[0] < logs.shape[1]:
            raise ExperimentError(f"label must be 0 … {logs.shape[1] - 1}; got {chosen[0]}")
        return Answers(logs[:, chosen[0]], None)

    said = question.label is None and task.how != "value"
    return read, (lambda outcome: _of_said(logs_of(outcome))) if said else None


def _similarity_reader(question: SentenceSimilarity, runs: Runs) -> Callable[[Outcome], Answers]:
    model = runs.model
    if not question.other:
        raise ExperimentError("The similarity of two sentences needs the other sentence: SentenceSimilarity(other=…).")
    encoder = model.sentences if model.sentences is not None and not model.sentences.problem else SentenceEncoder()
    other = runs.second(question.other).record.ending
    if other is None or other.hidden is None or runs.prepared.decoder is not None:
        raise ExperimentError(f"{model.facts.architecture} is not read as a sentence encoder here.")
    vector = encoder.vector(other.hidden.cpu())

    def read(outcome: Outcome) -> Answers:
        rows = [encoder.vector(row.cpu()) for row in _hidden(outcome, model)]
        values = [compared(encoder.function, row, vector) for row in rows]
        return Answers(torch.tensor(values, dtype=torch.float64), None)

    return read


def _vector_reader(question: TokenVector, model: LoadedModel) -> Callable[[Outcome], Answers]:
    def read(outcome: Outcome) -> Answers:
        vectors = _hidden(outcome, model)[:, question.position].double().cpu()
        same = (vectors == vectors[0]).all(dim=-1)
        cosines = torch.nn.functional.cosine_similarity(vectors, vectors[:1], dim=-1).clamp(-1.0, 1.0)
        return Answers(torch.where(same, 1.0, cosines), None)

    return read
