"""One number for each run of a batch, in double precision, from what the runs ended with.

The place that a question looks at is told from the unedited text and stays, so that every run is asked the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attention_core.capturing.capture import Prepared
from attention_core.experiment.edits import ExperimentError
from attention_core.experiment.question import (
    QUESTIONS,
    Divergence,
    LabelScore,
    LogDifference,
    LogProb,
    OwnText,
    Question,
    SentenceSimilarity,
    TokenVector,
)
from attention_core.experiment.running import Outcome, Runs
from attention_core.formats.shown import short_repr
from attention_core.models.facts import LoadedModel
from attention_core.models.sentence_encoder import SentenceEncoder, compared
from attention_core.reading.readout import Choice, choices_of, likeliest

TOP = 5
ROWS_OF_LOGITS = 512  # tokens whose logits are held at once: of 200,000 words that is a gigabyte in double precision


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
    reader: Callable[[Outcome], Answers]
    bases: Callable[[Outcome], Float[Tensor, " row"]] | None = None  # None: after and before are read alike

    __repr__ = short_repr

    def read(self, outcome: Outcome) -> Answers:
        """What each run of a batch says; runs that ended alike to the bit say the same to the bit."""
        answers = self.reader(outcome)
        same = outcome.as_the_first()
        answers.values[same] = answers.values[0].clone()
        return answers

    def from_bases(self, outcome: Outcome) -> Float[Tensor, " row"]:
        """after − before, where row 0 is the run after an edit and every other row a run before it.

        A question about what the unedited run says asks for what each of these says. The unedited run was read before.
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


def _word_reader(question: LogProb | LogDifference | Divergence, runs: Runs) -> tuple[Reader, FromBases]:
    model = runs.model
    if model.head is None:
        raise ExperimentError(
            f"{model.facts.name} has no language head, so it says no word. Ask for a token's own vector, or for the "
            "similarity of two sentences."
        )
    head, place = model.head, _place(question.position, runs)
    tokens = [getattr(question, "token", None), getattr(question, "other", None)]
    said: list[int] = []  # the two tokens that the unedited run says first: known once it was read

    def logs_of(outcome: Outcome) -> tuple[Float[Tensor, "batch d_vocab"], Float[Tensor, "batch d_vocab"]]:
        hidden = _hidden(outcome, model)
        try:
            logits = head.logits(hidden[:, place]).double().cpu()
        except ValueError as error:
            raise ExperimentError(f"What {model.facts.name} says cannot be read: {error}.") from None
        for token in tokens:
            if token is not None and not 0 <= token < logits.shape[1]:
                raise ExperimentError(f"token must be 0 … {logits.shape[1] - 1:,}; got {token}")
        return logits, torch.log_softmax(logits, dim=-1)

    def read(outcome: Outcome) -> Answers:
        logits, logs = logs_of(outcome)
        if isinstance(question, Divergence):
            return Answers(_divergence(logs[0], logs), logits)
        if not said:  # the same in every batch
            said.extend(logs[0].topk(2).indices.tolist())
        token, other = said[0] if tokens[0] is None else tokens[0], tokens[1]
        values = logs[:, token]
        return Answers(values if other is None else values - logs[:, other], logits)

    def bases(outcome: Outcome) -> Tensor:
        _, logs = logs_of(outcome)
        if isinstance(question, Divergence):
            return _divergence(logs[1:], logs[0])
        token, other = _asked_of_each(logs[1:], tokens, said)
        found = _of_each(logs, token)
        return found if other is None else found - _of_each(logs, other)

    return read, bases


def _asked_of_each(
    logs: Float[Tensor, "row d_vocab"], tokens: Sequence[int | None], said: Sequence[int]
) -> tuple[Int[Tensor, " row"], Int[Tensor, " row"] | None]:
    """The tokens that are asked about in each of many runs that might have been the unedited one.

    A token that the unedited run says, named or not, stands for what each of them says: it was chosen because it was
    the likeliest, and any change of that run makes it less likely. A token that it does not say is the same in all.
    """
    first, second = tokens
    fixed = torch.full((len(logs),), -1 if first is None else first)
    own = first is None or first == said[0]
    if second is None:
        return (logs.argmax(dim=-1) if own else fixed), None
    if {first, second} == set(said):
        ranked = logs.topk(2).indices
        return (ranked[:, 0], ranked[:, 1]) if own else (ranked[:, 1], ranked[:, 0])
    against = torch.full((len(logs),), second)
    if own:
        return _likeliest_but(logs, second), against
    return fixed, (_likeliest_but(logs, int(fixed[0])) if second == said[0] else against)


def _likeliest_but(logs: Float[Tensor, "row d_vocab"], token: int) -> Int[Tensor, " row"]:
    others = logs.clone()
    others[:, token] = -torch.inf
    return others.argmax(dim=-1)


def _of_each(logs: Float[Tensor, "batch choice"], chosen: Int[Tensor, " row"]) -> Float[Tensor, " row"]:
    """after − before of one choice in each row after the first: that row is before, and row 0 after."""
    return logs[0][chosen] - logs[1:].gather(1, chosen[:, None])[:, 0]


def _text_reader(question: OwnText, runs: Runs) -> Callable[[Outcome], Answers]:
    model, head = runs.model, runs.model.head
    if head is None or head.predicts != "next token":
        raise ExperimentError(f"{model.facts.name} does not write a text from left to right.")
    ids = torch.tensor((runs.prepared.decoder or runs.prepared.source).ids)
    if not 1 <= question.begin < len(ids):
        raise ExperimentError(f"begin must be 1 … {len(ids) - 1}; got {question.begin}")

    asked_for = ids[question.begin :, None].to(model.device)

    def read(outcome: Outcome) -> Answers:
        hidden = _hidden(outcome, model)[:, question.begin - 1 : -1]
        at_once, found = max(1, ROWS_OF_LOGITS // hidden.shape[1]), []
        for rows in hidden.split(at_once):
            logits = head.logits(rows.flatten(0, 1)).double().unflatten(0, rows.shape[:2])
            own = logits.gather(-1, asked_for.expand(len(rows), -1, -1))[..., 0]
            found.append((own - logits.logsumexp(dim=-1)).mean(dim=-1).cpu())
        return Answers(torch.cat(found), None)

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
    mask = model.tokenizer.mask_token_id  # asked once: the tokenizer looks it up each time
    masks = [i for i, one in enumerate(side.ids) if one == mask]
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


def _label_reader(question: LabelScore, runs: Runs) -> tuple[Reader, FromBases]:
    model, task = runs.model, runs.model.task
    said: list[int] = []  # the label that the unedited run gives
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
        if not said:
            said.append(0 if task.how == "value" else int(logs[0].argmax()))
        label = said[0] if question.label is None else question.label
        if not 0 <= label < logs.shape[1]:
            raise ExperimentError(f"label must be 0 … {logs.shape[1] - 1}; got {label}")
        return Answers(logs[:, label], None)

    def bases(outcome: Outcome) -> Tensor:
        """What the unedited run says, named or not, stands for what each of these says; see `_asked_of_each`."""
        logs = logs_of(outcome)
        given = said[0] if question.label is None else question.label
        own = given == said[0] and task.how != "value"
        return _of_each(logs, logs[1:].argmax(dim=-1) if own else torch.full((len(logs) - 1,), given))

    return read, bases


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
