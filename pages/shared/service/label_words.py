"""Label cards in plain words: what a head is called, what that rests on, and why most heads are called nothing."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attention_core.heads.labels import Evidence, Label, LabelCard


@cache
def _labels() -> "dict[str, Label]":
    from attention_core.heads.labels import LABELS

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
    first = next((one for one in card.evidence if one.label == card.label), card.evidence[0])
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
    return [
        ["score", _compared(evidence.score, label.least)],
        ["chance (null)", _signed(evidence.null)],
        ["score − chance", f"{_signed(evidence.score - evidence.null)} ± {evidence.spread:.2f}"],
        ["99 % surely over", _compared(evidence.low, label.margin)],
        ["of all attention", _compared(evidence.weight, label.floor)],
        ["probe texts", f"n = {evidence.n}"],
    ]


def _compared(found: float, needed: float) -> str:
    """What was found against what is needed: more decimals where two would hide the difference."""
    digits = 2 if f"{found:.2f}" != f"{needed:.2f}" else 4
    return f"{'✓' if found >= needed else '✗'} {_signed(found, digits)} {'≥' if found >= needed else '<'} {needed:g}"


def _signed(number: float, digits: int = 2) -> str:
    return f"{number:.{digits}f}".replace("-", "−")


def labels_in_words(cards: "Mapping[tuple[int, int], LabelCard]") -> str:
    """What the labels rest on, in one sentence for the whole model."""
    n = max((evidence.n for card in cards.values() for evidence in card.evidence), default=0)
    return f"Tested on {n} probe texts each, with the attention sink taken out." if n else ""
