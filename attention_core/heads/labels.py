"""What a head may be called: a label needs a score on many texts that beats a null by a margin; most heads have none.

    labelling = Labelling(model)
    for progress in labelling: ...   # one probe at a time, 0.1 s or less: stop when you like, go on when you like
    cards = labelling.cards()        # {(layer, head): LabelCard}
    cards[0, 2].label                # "previous"; None = unlabelled, a normal answer

Three things are asked of a head before it gets a label, each against another mistake:

- its mean score over the probes reaches `least`: it does this mostly, not a little more than others do;
- score − null lies above `margin` with 99 % confidence over the probes (t-test): it is not chance, nor a habit that
  the null has too;
- at least FLOOR of *all* its attention goes there, sinks counted: a head that rests on the first token is not named
  after the crumbs.

How scores and nulls are made is in `evidence`, what is read in `probes`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formats.shown import short_repr
from attention_core.heads.catalogue import MetricId
from attention_core.heads.evidence import LABEL_IDS, LabelId, Scored, score_repeat, score_text
from attention_core.heads.probes import Probe, probes
from attention_core.heads.running import Running, half_width
from attention_core.models.facts import LoadedModel

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
_IMPLIED: dict[LabelId, tuple[LabelId, ...]] = {"positional": ("previous", "next", "same")}  # says nothing new


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a head did in the test for one label."""

    label: LabelId
    score: float  # mean over probes
    null: float
    spread: float  # standard deviation over probes of score − null
    low: float  # confidence interval of score − null
    high: float
    weight: float  # mean weight on what is scored, sinks counted: the share of all attention that this is about
    n: int  # probes
    holds: bool

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
class LabelCard:
    """One head's names, with the evidence for and against."""

    layer: int  # index into trace.layers
    head: int
    labels: tuple[LabelId, ...]  # earned, those outside the sink first; () = unlabelled
    evidence: tuple[Evidence, ...]  # of every label that could be tested: those that hold, then the closest first

    __repr__ = short_repr

    @property
    def label(self) -> LabelId | None:
        """The name to show; None: unlabelled."""
        return self.labels[0] if self.labels else None

    @property
    def name(self) -> str:
        """The label as shown to a reader, or "unlabelled"."""
        return LABEL[self.label].name if self.label else "unlabelled"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long computation is; `doing` is a short sentence."""

    done: int
    total: int
    doing: str


class Tally:
    """Evidence from many probes, put together head by head."""

    def __init__(self, heads: tuple[tuple[int, int], ...]) -> None:
        self.heads = heads
        shape = (len(LABEL_IDS), len(heads))
        self.score, self.null, self.weight, self.difference = (Running(shape) for _ in range(4))

    def add(self, scored: Scored) -> None:
        """Count one probe. A label counts only for heads in which both its score and its null are known."""
        # A label counts where both are known.
        missing = scored.score.isnan() | scored.null.isnan()
        self.score.add(scored.score.masked_fill(missing, torch.nan))
        self.null.add(scored.null.masked_fill(missing, torch.nan))
        self.weight.add(scored.weight.masked_fill(missing, torch.nan))
        self.difference.add(scored.score - scored.null)

    def cards(self) -> dict[tuple[int, int], LabelCard]:
        """A card for every head, from what has been read so far."""
        sd = self.difference.sd
        half = half_width(sd, self.difference.n, CONFIDENCE)
        return {(layer, head): self._card(layer, head, row, sd, half) for row, (layer, head) in enumerate(self.heads)}

    def _card(
        self, layer: int, head: int, row: int, sd: Float[Tensor, "label row"], half: Float[Tensor, "label row"]
    ) -> LabelCard:
        found = []
        for i, label in enumerate(LABEL_IDS):
            n, difference = int(self.difference.n[i, row]), float(self.difference.mean[i, row])
            if n < 2:
                continue
            one = Evidence(
                label=label,
                score=float(self.score.mean[i, row]),
                null=float(self.null.mean[i, row]),
                spread=float(sd[i, row]),
                low=difference - float(half[i, row]),
                high=difference + float(half[i, row]),
                weight=float(self.weight.mean[i, row]),
                n=n,
                holds=False,
            )
            found.append(_judged(one))
        held = [one.label for one in found if one.holds]
        labels = tuple(label for label in held if not set(_IMPLIED.get(label, ())) & set(held))
        order = sorted(found, key=lambda one: (not one.holds, 0 if one.holds else one.short))
        return LabelCard(layer, head, labels, tuple(order))


class Labelling:
    """The names of a model's heads, one probe at a time: an iterator of Progress."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._probes: tuple[Probe, ...] = probes(model)
        self._done = 0
        self.tally: Tally | None = None

    def __repr__(self) -> str:
        name = self._model.facts.name[:80]
        read = f"{self._done} of {len(self._probes)} probes read"
        return f"Labelling of {name}: {read}\nGo on: for progress in labelling: … · .cards()"

    def __iter__(self) -> Iterator[Progress]:
        return self

    def __next__(self) -> Progress:
        """Read one more probe. Raises StopIteration when all have been read."""
        if self._done >= len(self._probes):
            raise StopIteration
        probe = self._probes[self._done]
        trace, control = probe.traces(self._model)
        if self.tally is None:
            self.tally = Tally(
                tuple((i, head) for i, layer in enumerate(trace.layers) for head in range(layer.n_heads))
            )
        is_text = probe.kind == "text"
        self.tally.add(score_text(trace, control) if is_text else score_repeat(trace, control, probe.period))
        self._done += 1
        doing = "texts" if is_text else f"random tokens that repeat after {probe.period}"
        return Progress(self._done, len(self._probes), f"Reading {doing}")

    def cards(self) -> dict[tuple[int, int], LabelCard]:
        """A card for every head. Empty if the model can read none of the probes.

        Raises ValueError before all probes were read: fewer would be weaker evidence under the same name.
        """
        if self._done < len(self._probes):
            raise ValueError(f"{len(self._probes) - self._done} of {len(self._probes)} probes have not been read yet")
        return {} if self.tally is None else self.tally.cards()


def label_heads(model: LoadedModel) -> dict[tuple[int, int], LabelCard]:
    """All cards of a model at once: MiniLM takes about 3 seconds."""
    labelling = Labelling(model)
    for _ in labelling:
        pass
    return labelling.cards()


def _judged(one: Evidence) -> Evidence:
    return replace(one, holds=one.n >= FEWEST_PROBES and one.short <= 0)
