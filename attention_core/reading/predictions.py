"""What a fine-tuned model predicts: labels of a text, tags of its words, an answer in it, one of several choices.

Made of the numbers that the captured run itself ended with. Labels are a stranger's words: data, like tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formats.shown import short_repr
from attention_core.models.task_head import How, TaskHead
from attention_core.record.record import Record
from attention_core.text.tokens import Token, join_texts, second_sentence

N_ANSWERS = 5
LONGEST_ANSWER = 30  # tokens. Source: Devlin et al. 2018, run_squad.py, max_answer_length
_MEANING: dict[How, str] = {
    "one of them": "one of them holds: their probabilities sum to 1",
    "each by itself": "each holds or not by itself, with a probability of its own",
    "value": "as the head gives it: no probability",
}


@dataclass(frozen=True, slots=True)
class Label:
    """One label and what the head gives it."""

    id: int  # its place in the head
    text: str
    logit: float
    probability: float | None  # 0 to 1; None for a value


@dataclass(frozen=True, slots=True)
class Labels:
    """What a text (or a pair) is, to a model that labels texts; likeliest first."""

    labels: tuple[Label, ...]
    how: How
    logits: Float[Tensor, " label"] = field(repr=False, compare=False)  # in the head's own order

    __repr__ = short_repr

    @property
    def words(self) -> str:
        """How many labels there are, and what their probabilities mean, in a sentence."""
        noun = "value" if self.how == "value" else "label"
        return f"{len(self.labels)} {noun}{'s' if len(self.labels) > 1 else ''}; {_MEANING[self.how]}."

    def _repr_html_(self) -> str:
        return _table(
            ("label", "probability", "logit"), [(one.text, one.probability, one.logit) for one in self.labels]
        )


@dataclass(frozen=True, slots=True)
class Tag:
    """What a token is."""

    position: int  # index of the token
    text: str  # as shown
    word: int | None  # number of its word, where words are known
    best: tuple[Label, ...]  # likeliest first, at most 3

    __repr__ = short_repr


@dataclass(frozen=True, slots=True)
class Tags:
    """What each token of a text is, to a model that labels tokens; special ones left out."""

    tags: tuple[Tag, ...]
    names: tuple[str, ...]  # of all labels
    logits: Float[Tensor, "token label"] = field(repr=False, compare=False)  # of every token, special ones too

    __repr__ = short_repr

    @property
    def by_word(self) -> tuple[tuple[str, Tag], ...]:
        """Each word with the tag of its first piece, which is the one that such models are trained on.

        Source: Devlin et al. 2018, section 5.3.
        """
        words: list[list[Tag]] = []
        for tag in self.tags:
            if words and tag.word is not None and words[-1][0].word == tag.word:
                words[-1].append(tag)
            else:
                words.append([tag])
        return tuple((join_texts(tag.text for tag in word).strip(), word[0]) for word in words)

    @property
    def words(self) -> str:
        """How tags and words belong together, in a sentence."""
        return f"Each word has the tag of its first token, one of {len(self.names)}."

    def _repr_html_(self) -> str:
        rows = [(tag.text, tag.best[0].text, tag.best[0].probability, tag.best[0].logit) for tag in self.tags]
        return _table(("token", "tag", "probability", "logit"), rows)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the context that may be the answer."""

    first: int  # index of its first token
    last: int  # and of its last
    text: str
    probability: float  # that it begins there times that it ends there, each over all tokens


@dataclass(frozen=True, slots=True)
class Answer:
    """Where a model that answers questions finds the answer in the context; likeliest first."""

    spans: tuple[Span, ...]
    none: float  # probability that begin and end lie on the very first token: how such models say "no answer"
    logits: Float[Tensor, "2 token"] = field(repr=False, compare=False)  # of the begin and of the end

    __repr__ = short_repr

    @property
    def words(self) -> str:
        """How the two sentences were read and what a probability means, in two sentences."""
        return (
            f"The first sentence is the question, the second the context; answers of at most {LONGEST_ANSWER} tokens. "
            "A span's probability is that of its begin times that of its end, each over all tokens."
        )

    def _repr_html_(self) -> str:
        rows = [(span.text, span.probability) for span in self.spans]
        return _table(("answer", "probability"), [*rows, ("no answer (first token)", self.none)])


@dataclass(frozen=True, slots=True)
class Choices:
    """Which of several continuations a model chooses; likeliest first."""

    labels: tuple[Label, ...]  # `id` is the number of the line
    logits: Float[Tensor, " choice"] = field(repr=False, compare=False)  # in the order of the lines

    __repr__ = short_repr

    @property
    def words(self) -> str:
        """How the choices were read, in a sentence."""
        return f"{len(self.labels)} choices, one a line of the second sentence; each is read with the text, alone."

    def _repr_html_(self) -> str:
        rows = [(one.text, one.probability, one.logit) for one in self.labels]
        return _table(("choice", "probability", "logit"), rows)


Prediction = Labels | Tags | Answer | Choices


def labelled(head: TaskHead, logits: Float[Tensor, " label"]) -> Labels:
    """The labels of a text with their probabilities."""
    names, how = head.labels, head.how
    return Labels(_labels(names, logits, how), how, logits)


def tagged(head: TaskHead, logits: Float[Tensor, "token label"], tokens: Sequence[Token]) -> Tags:
    """The tags of a text's tokens; `logits` has a row for each of them."""
    names = head.labels
    tags = [
        Tag(place, token.text, token.word, _labels(names, row, "one of them")[:3])
        for place, (token, row) in enumerate(zip(tokens, logits, strict=True))
        if not token.special
    ]
    return Tags(tuple(tags), names, logits)


def answered(
    trace: Record, start: Float[Tensor, " token"], end: Float[Tensor, " token"], n: int = N_ANSWERS
) -> Answer | None:
    """The likeliest spans of the context; None if no token of it was read."""
    tokens = trace.source_tokens
    context = second_sentence(tokens)
    if not context:
        return None
    begins, ends = start.double().softmax(dim=0), end.double().softmax(dim=0)
    from_, width = torch.tensor(context), min(LONGEST_ANSWER, len(context))
    padded = torch.cat([ends[from_], torch.zeros(width - 1, dtype=ends.dtype)])
    spans = begins[from_][:, None] * padded.unfold(0, width, 1)  # [token, tokens after it]
    best = spans.flatten().topk(min(n, spans.numel()))
    found = []
    for place, probability in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        first, last = place // width, place // width + place % width
        if last < len(context):
            a, b = context[first], context[last]
            found.append(Span(a, b, _between(trace, a, b), probability))
    return Answer(tuple(found), float(begins[0] * ends[0]), torch.stack((start, end)))


def chosen(lines: Sequence[str], logits: Float[Tensor, " choice"]) -> Choices:
    """The choices with their probabilities."""
    return Choices(_labels(tuple(lines), logits, "one of them"), logits)


def _labels(names: tuple[str, ...], logits: Float[Tensor, " label"], how: How) -> tuple[Label, ...]:
    values = logits.double()
    shares = values.softmax(dim=0) if how == "one of them" else values.sigmoid()
    order = values.argsort(descending=True, stable=True).tolist()
    return tuple(
        Label(
            i,
            names[i] if i < len(names) else f"LABEL_{i}",
            float(values[i]),
            None if how == "value" else float(shares[i]),
        )
        for i in order
    )


def _between(trace: Record, first: int, last: int) -> str:
    tokens, text = trace.source_tokens[first : last + 1], trace.pair or ""
    start, end = tokens[0].span[0], tokens[-1].span[1]
    if end > start and end <= len(text):
        return text[start:end].strip()
    return join_texts(token.text for token in tokens).strip()


def _table(head: tuple[str, ...], rows: Sequence[tuple[str | float | None, ...]]) -> str:
    def cell(value: str | float | None) -> str:
        return "–" if value is None else escape(value) if isinstance(value, str) else f"{value:.4f}"

    lines = "".join("<tr>" + "".join(f"<td>{cell(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{''.join(f'<th>{escape(one)}</th>' for one in head)}</tr></thead>{lines}</table>"
