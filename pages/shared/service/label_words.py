"""Label cards in plain words: what a head is called, what that rests on, and why most heads are called nothing."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from attention_core.formats.json_data import JsonObject

if TYPE_CHECKING:
    from attention_core.heads.cards import Evidence, LabelCard, Untested
    from attention_core.heads.labels import Label


@cache
def _labels() -> "dict[str, Label]":
    from attention_core.heads.labels import LABELS

    return {label.id: label for label in LABELS}


def card_in_words(card: "LabelCard") -> JsonObject:
    """A card as the browser shows it.

    {"answer": "named", "unlabelled" or "untested", "label", "title", "at", "says", "rows": [[name, value], …], "why",
    "untested": what could not be tested, in sentences}; `at` are the lengths of text at which the label holds, in
    words, or "" where it holds at all that were tested.
    """
    from attention_core.heads.cards import Answer

    answer = card.answer
    told: JsonObject = {
        "answer": answer.name.lower(),
        "label": card.label,
        "title": "",
        "at": "",
        "rows": [],
        "why": "",
        "untested": _untested(card.untested) if answer is not Answer.UNTESTED else "",
    }
    if answer is Answer.UNTESTED:
        return told | {"says": f"Could not be tested, because {card.because}."}
    shown = _shown(card)
    label = _labels()[shown.label]
    told |= {"rows": _rows(shown, label), "why": f"Score: {label.score} Chance: {label.null}"}
    if card.label is None:
        return told | {"says": f"Unlabelled, the normal answer. Closest: {label.name}, but it does not pass."}
    others = ", ".join(f"{_labels()[other].name}{_at(card, other)}" for other in card.labels[1:])
    held = f"Holds {_held(card, card.label)}." + (f" It also passes as: {others}." if others else "")
    return told | {"title": label.name, "at": _at(card, card.label).strip(), "says": f"{label.meaning} {held}"}


def labels_in_words(rests_on: str, n_passes: int) -> str:
    """What the labels rest on and what that took, in one sentence for the whole model."""
    return f"Tested on {rests_on}, with the attention sink taken out: {n_passes:,} forward passes."


def _shown(card: "LabelCard") -> "Evidence":
    """The test that the card shows: of its label the longest texts at which it holds, else the closest."""
    held = [one for one in card.evidence if one.label == card.label and one.holds]
    return max(held, key=lambda one: one.length) if held else card.evidence[0]


def _held(card: "LabelCard", label: str) -> str:
    """ "at 16 and 64 tokens, not at 256" """
    held, tested = card.held(label), card.tested(label)  # pyright: ignore[reportArgumentType]
    missed = [length for length in tested if length not in held]
    return f"at {_numbers(held)} tokens" + (f", not at {_numbers(missed)}" if missed else "")


def _at(card: "LabelCard", label: str) -> str:
    """ " at 16 tokens"; "" if it holds wherever it was tested."""
    held, tested = card.held(label), card.tested(label)  # pyright: ignore[reportArgumentType]
    return "" if held == tested else f" at {_numbers(held)} tokens"


def _numbers(lengths: Sequence[int]) -> str:
    *before, last = map(str, lengths)
    return f"{', '.join(before)} and {last}" if before else last


def _untested(missing: "Iterable[Untested]") -> str:
    """One sentence for each reason, with the labels that it keeps from being tested."""
    by_reason: dict[tuple[str, int | None], list[str]] = {}
    for one in missing:
        by_reason.setdefault((one.because, one.length), []).append(_labels()[one.label].name)
    said = []
    for (because, length), names in by_reason.items():
        at = "" if length is None else f" at {length} tokens"
        said.append(f"Could not be tested{at}: {', '.join(names)}, because {because}.")
    return " ".join(said)


def _rows(evidence: "Evidence", label: "Label") -> list[list[str]]:
    """The three conditions with what was found, and the number and length of texts."""
    return [
        ["score", _compared(evidence.score, label.least)],
        ["chance (null)", _signed(evidence.null)],
        ["score − chance", f"{_signed(evidence.score - evidence.null)} ± {evidence.spread:.2f}"],
        ["99 % surely over", _compared(evidence.low, label.margin)],
        ["of all attention", _compared(evidence.weight, label.floor)],
        ["probe texts", f"n = {evidence.n}, of {evidence.length} tokens"],
    ]


def _compared(found: float, needed: float) -> str:
    """What was found against what is needed: more decimals where two would hide the difference."""
    digits = 2 if f"{found:.2f}" != f"{needed:.2f}" else 4
    return f"{'✓' if found >= needed else '✗'} {_signed(found, digits)} {'≥' if found >= needed else '<'} {needed:g}"


def _signed(number: float, digits: int = 2) -> str:
    return f"{number:.{digits}f}".replace("-", "−")


def cards_in_words(cards: "Mapping[tuple[int, int], LabelCard]") -> dict[str, JsonObject]:
    """All cards of a model: {"3.1": …}."""
    return {f"{card.layer}.{card.head}": card_in_words(card) for card in cards.values()}
