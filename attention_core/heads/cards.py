"""What the tests say of a head: a name, "unlabelled", or "could not be tested, because …".

card = cards[0, 2]                    # a LabelCard, from `labelling`
card.answer                           # Answer.NAMED, Answer.UNLABELLED or Answer.UNTESTED
card.label, card.held("previous")     # "previous", (16, 64, 256): the lengths of text at which it holds
card.untested                         # what could not be tested, each with the reason
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.heads.evidence import LABEL_IDS, LabelId, Scored
from attention_core.heads.labels import CONFIDENCE, FEWEST_PROBES, IMPLIED, LABEL
from attention_core.heads.running import Running, half_width
from attention_core.record.record import Record


class Answer(Enum):
    """The three answers about a head."""

    NAMED = "named"
    UNLABELLED = "unlabelled"  # tested, and nothing held: the normal answer
    UNTESTED = "could not be tested"


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a head did in the test for one label at one length."""

    label: LabelId
    score: float  # mean over probes
    null: float
    spread: float  # standard deviation over probes of score − null
    low: float  # confidence interval of score − null
    high: float
    weight: float  # mean weight on what is scored, sinks counted: the share of all attention that this is about
    n: int  # probes
    holds: bool
    length: int  # tokens of the probes, about

    @property
    def short(self) -> float:
        """How far the weakest of the three conditions is from being met, as a share of it; 0 or less: all are met."""
        asked = LABEL[self.label]
        return max(
            (asked.least - self.score) / asked.least,
            (asked.margin - self.low) / asked.margin,
            (asked.floor - self.weight) / asked.floor,
        )


@dataclass(frozen=True, slots=True)
class Untested:
    """A test that could not be made."""

    label: LabelId
    because: str  # the end of a sentence: "could not be tested, because …"
    length: int | None  # at which it could not be made; None: at none


@dataclass(frozen=True, slots=True)
class LabelCard:
    """One head's names, with the evidence for and against, and what could not be tested."""

    layer: int  # index into trace.layers
    head: int
    labels: tuple[LabelId, ...]  # earned: those that hold at the most lengths first, then those outside the sink
    evidence: tuple[Evidence, ...]  # of every test that was made: those that hold, then the closest first
    untested: tuple[Untested, ...] = ()

    @property
    def answer(self) -> Answer:
        """Named if it earned a label; untested if there was no test at all."""
        if self.labels:
            return Answer.NAMED
        return Answer.UNLABELLED if self.evidence else Answer.UNTESTED

    @property
    def label(self) -> LabelId | None:
        """The name to show; None: it has none, and `answer` says whether it was tested."""
        return self.labels[0] if self.labels else None

    @property
    def name(self) -> str:
        """The label as shown to a reader; "unlabelled", or "could not be tested"."""
        return LABEL[self.label].name if self.label else self.answer.value

    @property
    def because(self) -> str:
        """Why a head without any test has none, as the end of a sentence; "" for any other."""
        if self.answer is not Answer.UNTESTED:
            return ""
        return "; ".join(dict.fromkeys(one.because for one in self.untested)) or "the model was given nothing to read"

    def tested(self, label: LabelId) -> tuple[int, ...]:
        """The lengths at which this label was tested, shortest first."""
        return tuple(sorted(one.length for one in self.evidence if one.label == label))

    def held(self, label: LabelId) -> tuple[int, ...]:
        """The lengths at which it held."""
        return tuple(sorted(one.length for one in self.evidence if one.label == label and one.holds))


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What of a layer decides which tests have a meaning in it."""

    kind: str  # "encoder self", "decoder self" or "cross"
    index: int  # within its kind
    n_heads: int
    causal: bool  # no query reads a key after it

    @classmethod
    def all_of(cls, trace: Record) -> "tuple[LayerFacts, ...]":
        """One for each layer of a trace, in the order of its calls."""
        return tuple(cls(layer.kind, layer.index, layer.n_heads, layer.causal) for layer in trace.layers)


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """What the probes of one length add up to."""

    score: Running
    null: Running
    weight: Running
    difference: Running

    @classmethod
    def none(cls, n_heads: int) -> "Moments":
        """Of no probe yet, with a place for every label and head."""
        return cls(*(Running((len(LABEL_IDS), n_heads)) for _ in range(4)))

    def add(self, scored: Scored) -> None:
        """Count one probe. A label counts only for heads in which both its score and its null are known."""
        missing = scored.score.isnan() | scored.null.isnan()
        self.score.add(scored.score.masked_fill(missing, torch.nan))
        self.null.add(scored.null.masked_fill(missing, torch.nan))
        self.weight.add(scored.weight.masked_fill(missing, torch.nan))
        self.difference.add(scored.score - scored.null)

    def evidence(
        self, label: LabelId, row: int, length: int, half: Float[Tensor, "label row"], sd: Float[Tensor, "label row"]
    ) -> Evidence | None:
        """One head's test; None for fewer than FEWEST_PROBES probes."""
        i = LABEL_IDS.index(label)
        n, difference = int(self.difference.n[i, row]), float(self.difference.mean[i, row])
        if n < FEWEST_PROBES:
            return None
        made = Evidence(
            label=label,
            score=float(self.score.mean[i, row]),
            null=float(self.null.mean[i, row]),
            spread=float(sd[i, row]),
            low=difference - float(half[i, row]),
            high=difference + float(half[i, row]),
            weight=float(self.weight.mean[i, row]),
            n=n,
            holds=False,
            length=length,
        )
        return replace(made, holds=made.short <= 0)


# Why a label is given no probes of a length, as the end of a sentence; None in place of the length: of any.
Limits = Mapping[tuple[LabelId, int | None], str]


class Tally:
    """Evidence from many probes, put together head by head and length by length."""

    def __init__(self, layers: Sequence[LayerFacts], lengths: Sequence[int]) -> None:
        self.layers, self.lengths = tuple(layers), tuple(lengths)
        self.heads = tuple((i, head) for i, layer in enumerate(layers) for head in range(layer.n_heads))
        self.moments = {length: Moments.none(len(self.heads)) for length in lengths}

    def add(self, scored: Scored, length: int) -> None:
        """Count one probe of this length."""
        self.moments[length].add(scored)

    def cards(self, limits: Limits | None = None) -> dict[tuple[int, int], LabelCard]:
        """A card for every head, from what has been read so far; `limits` are reasons for tests without probes."""
        sds = {length: moments.difference.sd for length, moments in self.moments.items()}
        halves = {
            length: half_width(sds[length], moments.difference.n, CONFIDENCE)
            for length, moments in self.moments.items()
        }
        return {
            (layer, head): self._card(layer, head, row, sds, halves, limits or {})
            for row, (layer, head) in enumerate(self.heads)
        }

    def _card(
        self,
        layer: int,
        head: int,
        row: int,
        sds: Mapping[int, Float[Tensor, "label row"]],
        halves: Mapping[int, Float[Tensor, "label row"]],
        limits: Limits,
    ) -> LabelCard:
        found: list[Evidence] = []
        untested: list[Untested] = []
        for label in LABEL_IDS:
            missing: list[Untested] = []
            for length, moments in self.moments.items():
                made = moments.evidence(label, row, length, halves[length], sds[length])
                if made is not None:
                    found.append(made)
                    continue
                n = int(moments.difference.n[LABEL_IDS.index(label), row])
                because = _why(label, self.layers[layer], limits.get((label, length), ""), n)
                missing.append(Untested(label, because, length))
            if not self.lengths:
                untested.append(
                    Untested(label, _why(label, self.layers[layer], limits.get((label, None), ""), 0), None)
                )
            if len({one.because for one in missing}) == 1 and len(missing) == len(self.moments):
                missing = [replace(missing[0], length=None)]
            untested += missing
        held = {label: sum(one.holds for one in found if one.label == label) for label in LABEL_IDS}
        labels: list[LabelId] = [
            label for label in LABEL_IDS if held[label] and not any(held[more] for more in IMPLIED.get(label, ()))
        ]
        labels.sort(key=lambda label: -held[label])
        order = sorted(found, key=lambda one: (not one.holds, 0 if one.holds else one.short))
        return LabelCard(layer, head, tuple(labels), tuple(order), tuple(untested))


_PLACES: tuple[LabelId, ...] = ("induction", "duplicate", "previous", "next", "same", "positional")
_NOTHING: dict[LabelId, str] = {
    "separator": "the tokenizer puts no special token after the first that enough tokens may read",
    "punctuation": "the texts hold no punctuation with other tokens to compare it with",
    "rare": "the texts hold no rare tokens with others to compare them with",
    "first": "too few tokens may read the first one",
}


def _why(label: LabelId, layer: LayerFacts, limit: str, n: int) -> str:
    """Why a label was not tested, as the end of a sentence."""
    if layer.kind == "cross" and label in _PLACES:
        return "in cross-attention the token that looks and the one looked at stand in different texts"
    if label == "next" and layer.causal:
        return "no token may read the one after it"
    if limit:
        return limit
    if n:
        return f"only {n} of {FEWEST_PROBES} texts that are needed could be compared"
    return _NOTHING.get(label, "no text had a place to compare")
