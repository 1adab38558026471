"""The names that a head can earn, with what each takes: a score on many texts that beats a null by a margin.

Three things are asked of a head before it gets a label, each against another mistake:

- its mean score over the probes reaches `least`: it does this mostly, not a little more than others do;
- score − null lies above `margin` with 99 % confidence over the probes (t-test): it is not chance, nor a habit that
  the null has too;
- at least FLOOR of *all* its attention goes there, sinks counted: a head that rests on the first token is not named
  after the crumbs.

All three must be met at one length of text; a label says at which lengths they are. How scores and nulls are made is in
`evidence`, what is read in `probes`, what comes of it in `cards`.
"""

from dataclasses import dataclass

from attention_core.heads.catalogue import MetricId
from attention_core.heads.evidence import LabelId

CONFIDENCE = 0.99
FLOOR = 0.1  # of all attention
FEWEST_PROBES = 8


@dataclass(frozen=True, slots=True)
class Label:
    """A name that a head can earn, and what it takes."""

    id: LabelId
    name: str  # "previous token"
    meaning: str  # one plain sentence about such a head
    score: str  # what is scored, one sentence
    null: str  # what it must beat, one sentence
    least: float  # the mean score must reach this
    margin: float  # score − null must lie above this with CONFIDENCE
    floor: float  # and the mean weight that goes there, sinks counted, must reach this
    metric: MetricId  # the metric that goes with it


_OTHER_PLACE = "The best of the other distances up to 8 tokens, on the same text."
_OTHER_TOKENS = "The same cells when the text's tokens are shuffled, so that other tokens stand there."
_NO_REPEAT = "The same cells in as many random tokens without a repeat."

LABELS: tuple[Label, ...] = (
    Label(
        "induction",
        "induction",
        "Finds the last time this token was there and looks at what came next.",
        "Random tokens read twice: share of the attention outside the sink on the token after the earlier occurrence.",
        _NO_REPEAT,
        0.3,
        0.1,
        FLOOR,
        "induction",
    ),
    Label(
        "duplicate",
        "duplicate token",
        "Looks at the same token elsewhere in the text.",
        "Random tokens read twice: share of the attention outside the sink on the earlier occurrence.",
        _NO_REPEAT,
        0.3,
        0.1,
        FLOOR,
        "duplicate",
    ),
    Label(
        "previous",
        "previous token",
        "Looks at the token just before.",
        "Share of the attention outside the sink on the token before.",
        _OTHER_PLACE,
        0.4,
        0.2,
        FLOOR,
        "previous",
    ),
    Label(
        "next",
        "next token",
        "Looks at the token just after.",
        "Share of the attention outside the sink on the token after.",
        _OTHER_PLACE,
        0.4,
        0.2,
        FLOOR,
        "next",
    ),
    Label(
        "same",
        "same token",
        "Looks at the token itself.",
        "Share of the attention outside the sink on the query's own position.",
        _OTHER_PLACE,
        0.4,
        0.2,
        FLOOR,
        "same",
    ),
    Label(
        "punctuation",
        "punctuation",
        "Looks at commas, full stops and their like.",
        "Share of the attention outside the sink on other tokens that are punctuation.",
        _OTHER_TOKENS,
        0.3,
        0.1,
        FLOOR,
        "punctuation",
    ),
    Label(
        "rare",
        "rare words",
        "Looks at the most unusual words of the text.",
        "Share of the attention outside the sink on the rarest tenth of the tokens.",
        _OTHER_TOKENS,
        0.3,
        0.1,
        FLOOR,
        "rare",
    ),
    Label(
        "positional",
        "positional",
        "Looks at a certain distance or neighbourhood, whatever stands there.",
        "Share of the variance outside the sink that distance alone explains (adjusted R²).",
        "The same when each row's weights are shuffled among the keys that it may read.",
        0.5,
        0.3,
        2 * FLOOR,
        "positional",
    ),
    Label(
        "separator",
        "separator",
        "Rests on the separators.",
        "Mean weight on the special tokens after the first one.",
        "The most-read place in the text.",
        0.4,
        0.3,
        FLOOR,
        "separator",
    ),
    Label(
        "first",
        "first token (sink)",
        "Rests on the first token, whatever the text says.",
        "Mean weight on the first token.",
        "The most-read place in the text.",
        0.4,
        0.3,
        FLOOR,
        "first",
    ),
)
LABEL: dict[LabelId, Label] = {label.id: label for label in LABELS}
IMPLIED: dict[LabelId, tuple[LabelId, ...]] = {"positional": ("previous", "next", "same")}  # says nothing new
