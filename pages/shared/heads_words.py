"""Label cards in plain words: what a head is called, what that rests on, and why most heads are called nothing."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attention_core.labels import Evidence, Label, LabelCard


@cache
def _labels() -> "dict[str, Label]":
    from attention_core.labels import LABELS

    return {label.id: label for label in LABELS}


def card_in_words(card: "LabelCard") -> dict[str, Any]:
    """A card as the browser shows it: {"label", "title", "says", "rows": [[name, value], …], "why"}."""
    if not card.evidence:
        return {
            "label": None,
            "title": "",
            "says": "Unlabelled: no name could be tested for this head.",
            "rows": [],
            "why": "",
        }
    first = card.evidence[0]
    label = _labels()[first.label]
    if card.label is None:
        says = f"Unlabelled, the normal answer. Closest: {label.name}, but it does not pass."
    else:
        others = ", ".join(_labels()[other].name for other in card.labels[1:])
        says = label.meaning + (f" It also passes as: {others}." if others else "")
    return {
        "label": card.label,
        "title": "" if card.label is None else label.name,
        "says": says,
        "rows": _rows(first, label),
        "why": f"Score: {label.score} Chance: {label.null}",
    }


def _rows(evidence: "Evidence", label: "Label") -> list[list[str]]:
    """The three conditions with what was found, and the number of texts."""
    above = evidence.score - evidence.null
    return [
        ["score", f"{_sign(evidence.score >= label.least)} {_signed(evidence.score)}, needs {label.least:g}"],
        ["chance (null)", _signed(evidence.null)],
        ["above chance", f"{_signed(above)} ± {evidence.spread:.2f} over texts"],
        ["99 % surely above", f"{_sign(evidence.low > label.margin)} {_signed(evidence.low)}, needs {label.margin:g}"],
        ["of all attention", f"{_sign(evidence.weight >= label.floor)} {evidence.weight:.2f}, needs {label.floor:g}"],
        ["probe texts", f"n = {evidence.n}"],
    ]


def _sign(holds: bool) -> str:
    return "✓" if holds else "✗"


def _signed(number: float) -> str:
    return f"{number:.2f}".replace("-", "−")


def labels_in_words(cards: "Mapping[tuple[int, int], LabelCard]") -> str:
    """What the labels rest on, in one sentence for the whole model."""
    n = max((evidence.n for card in cards.values() for evidence in card.evidence), default=0)
    return f"Tested on {n} probe texts each, with the attention sink taken out." if n else ""
