"""What is measured of a head: each metric's definition, range, unit and source, as the page shows them. No torch here.

A metric is a mean over queries. "Weight on …" is a row's weight, as the model computed it, on the keys named; a query
that has no such key does not count, and a token's look at itself counts for *same token* alone. NaN (in JSON: null)
means that the metric has no meaning here: cross-attention has no previous token, a text may have no punctuation.
"""

from dataclasses import dataclass
from typing import Literal

MetricId = Literal[
    "previous",
    "next",
    "same",
    "first",
    "separator",
    "punctuation",
    "induction",
    "duplicate",
    "positional",
    "rare",
    "entropy",
    "reach",
    "diagonal",
]


@dataclass(frozen=True, slots=True)
class Metric:
    """One number that describes a head on a text."""

    id: MetricId
    name: str  # "Previous token"
    definition: str  # one sentence
    low: float  # smallest value
    high: float | None  # largest value; None: grows with the text
    unit: str  # "share of attention", "bits" …
    more: str  # what a higher value means, as the end of "higher: …"
    source: str  # paper, with the place in it
    cross: bool = False  # has a meaning in cross-attention, where queries and keys are different tokens

    @property
    def range(self) -> str:
        """ "0 to 1", or "0 or more"."""
        return f"{self.low:g} or more" if self.high is None else f"{self.low:g} to {self.high:g}"


_SHARE = "share of attention"
_CLARK = "Clark et al. 2019"

METRICS: tuple[Metric, ...] = (
    Metric(
        "previous",
        "Previous token",
        "Weight on the token before the query, averaged over the queries that have one.",
        0.0,
        1.0,
        _SHARE,
        "reads one token back",
        f"{_CLARK}, section 3.1",
    ),
    Metric(
        "next",
        "Next token",
        "Weight on the token after the query, averaged over the queries that may read one; causal models have none.",
        0.0,
        1.0,
        _SHARE,
        "reads one token ahead",
        f"{_CLARK}, section 3.1",
    ),
    Metric(
        "same",
        "Same token",
        "Weight on the query's own position, averaged over all queries.",
        0.0,
        1.0,
        _SHARE,
        "keeps to itself",
        f"{_CLARK}, section 3.1",
    ),
    Metric(
        "first",
        "First token (sink)",
        "Weight on the first token of the input, averaged over the queries that may read it; in self-attention "
        "without the first token's own.",
        0.0,
        1.0,
        _SHARE,
        "rests on the first token, whatever it is",
        "Xiao et al. 2024, section 3.1 (attention sink)",
        cross=True,
    ),
    Metric(
        "separator",
        "Separator",
        "Weight on the special tokens after the first one ([SEP], </s>), averaged over the queries that may read one.",
        0.0,
        1.0,
        _SHARE,
        "rests on separators",
        f"{_CLARK}, section 3.2",
        cross=True,
    ),
    Metric(
        "punctuation",
        "Punctuation",
        "Weight on tokens made of punctuation alone, averaged over the queries that may read one.",
        0.0,
        1.0,
        _SHARE,
        "reads commas and full stops",
        f"{_CLARK}, section 3.2",
        cross=True,
    ),
    Metric(
        "induction",
        "Induction",
        "Weight on the tokens that followed earlier occurrences of the query's token, averaged over the queries that "
        "have any (a key that is the query itself left out).",
        0.0,
        1.0,
        _SHARE,
        "looks at what came next the last time",
        "Olsson et al. 2022, “prefix matching score”",
    ),
    Metric(
        "duplicate",
        "Duplicate token",
        "Weight on the other occurrences of the query's token, averaged over the queries that may read one.",
        0.0,
        1.0,
        _SHARE,
        "looks at the same word elsewhere",
        "Wang et al. 2023, section 3 (duplicate token heads)",
    ),
    Metric(
        "positional",
        "Positional",
        "Share of the variance of the weights that distance alone explains: R² of each weight by the mean weight at "
        "its distance, adjusted for the number of distances, which puts chance at 0 (so it may lie a little below).",
        0.0,
        1.0,
        "share of variance",
        "where it looks depends on distance, not on words",
        "Theil 1961, adjusted R², with one mean per signed distance (Vig & Belinkov 2019 look at such means)",
    ),
    Metric(
        "rare",
        "Rare words",
        "Weight on the rarest tenth of the text's tokens, averaged over the queries that may read one. Rarity is the "
        "token's number in the vocabulary, which most tokenizers give in order of frequency: an approximation.",
        0.0,
        1.0,
        _SHARE,
        "picks out unusual words",
        "Voita et al. 2019, section 5.3 (rare words)",
        cross=True,
    ),
    Metric(
        "entropy",
        "Spread",
        "Entropy of a query's attention, averaged over queries: 0 bits is one key, 1 bit two equal keys, n bits 2ⁿ.",
        0.0,
        None,
        "bits",
        "spreads its attention wide",
        "Shannon 1948, theorem 2; of heads: Clark et al. 2019, section 3.3",
        cross=True,
    ),
    Metric(
        "reach",
        "Reach",
        "Mean distance in tokens between a query and what it looks at, averaged over queries.",
        0.0,
        None,
        "tokens",
        "looks far away",
        "Vig & Belinkov 2019, equation 2, per query",
    ),
    Metric(
        "diagonal",
        "Diagonal",
        "Correlation of the query's place with the key's place when pairs are drawn in proportion to their weights: "
        "1 is a straight line from the first pair of tokens to the last, 0 none.",
        -1.0,
        1.0,
        "correlation",
        "moves along the text with the query",
        "Pearson 1895, weighted by attention; the idea of diagonality: Zhang et al. 2021",
        cross=True,
    ),
)

METRIC: dict[MetricId, Metric] = {metric.id: metric for metric in METRICS}
