"""What a head may be called: a label needs a score on many texts that beats a null by a margin; most heads have none.

    labelling = Labelling(model)
    for progress in labelling: ...      # one short piece of work at a time: stop when you like
    cards = labelling.cards()           # {(layer, head): LabelCard}

The contract of this module; what each label asks for is in `LABELS`.
"""

from dataclasses import dataclass
from typing import Literal

from attention_core.metric_catalogue import MetricId

LabelId = Literal[
    "previous",
    "next",
    "same",
    "induction",
    "duplicate",
    "punctuation",
    "rare",
    "positional",
    "separator",
    "first",
]


@dataclass(frozen=True, slots=True)
class Label:
    """A name that a head can earn, and what it takes."""

    id: LabelId
    name: str  # "previous token"
    meaning: str  # one plain sentence about such a head
    score: str  # what is scored, one sentence
    null: str  # what it must beat, one sentence
    margin: float  # by how much: the lower end of the confidence interval of score − null must lie above
    floor: float  # and the mean weight that goes there, sinks counted, must be at least this
    metric: MetricId  # the metric that goes with it


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a head did in the test for one label."""

    label: LabelId
    score: float  # mean over texts
    null: float
    spread: float  # standard deviation over texts of score − null
    low: float  # confidence interval of score − null (CONFIDENCE, one t-test over texts)
    high: float
    weight: float  # mean weight on what is scored, sinks counted: the share of all attention that this is about
    n: int  # texts
    holds: bool


@dataclass(frozen=True, slots=True)
class LabelCard:
    """One head's names with the evidence for and against."""

    layer: int
    head: int
    labels: tuple[LabelId, ...]  # earned, the most specific first; () = unlabelled, a normal answer
    evidence: tuple[Evidence, ...]  # of every label that could be tested, those that hold first, then the closest

    @property
    def label(self) -> LabelId | None:
        """The name to show; None: unlabelled."""
        return self.labels[0] if self.labels else None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long computation is; `doing` is a short sentence."""

    done: int
    total: int
    doing: str
