"""What is asked of a run, as plain data like an edit; `asking` makes it ready for one text in one model."""

import json
from dataclasses import dataclass, fields
from typing import ClassVar

from attention_core.experiment.edits import ExperimentError
from attention_core.formats.json_data import Json, JsonObject


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
