"""What an answer is worth: right, nearly or not, in a sentence with the numbers.

    mark = marks.point(row, tokens, chosen=4)
    mark.verdict, mark.says      # "nearly", "Second largest: 0.21. Most goes to “animal”, 0.68."

Every kind of question has a function that marks one answer from numbers that were computed a moment ago, and, where an
answer can be meaningless on some texts, one that says why it is not asked there (`""`: it is). The tolerances are
constants with names; the sentence of a question states them. No praise, no blame, no stored answers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["right", "nearly", "no"]

TIE = 0.01  # weights this close are equally right
CLOSE = 0.05  # to the largest weight: nearly
RANKS = 3  # of the largest weights that are nearly right
SKETCH_RIGHT, SKETCH_NEAR = 0.2, 0.4  # total variation between two rows
NUMBER_RIGHT, NUMBER_NEAR = 0.02, 0.1  # of the number's size
SHARES_ADD_UP = 1e-6
FEWEST_WORDS = 3  # to point at: of two, half of all guesses are right
BEST = 5  # heads that are nearly right when one is looked for


@dataclass(frozen=True, slots=True)
class Mark:
    """An answer's worth, and why."""

    verdict: Verdict
    says: str  # one or two sentences with the numbers
    slip: str = ""  # the usual slip that the answer shows, by its name in the question; "" if none


@dataclass(frozen=True, slots=True)
class Slip:
    """A number that comes out when one thing is forgotten."""

    name: str
    value: float
    says: str  # what was forgotten, as a sentence


def point(row: Sequence[float], words: Sequence[str], chosen: int, *, among: Sequence[int] | None = None) -> Mark:
    """“Which word does it look at most?”: `chosen` is a place in `row`, a query's weights by key.

    `among` are the places that could be pointed at (specials may be left out, as the question states); None: all.
    Right is the largest weight and every one within TIE of it; nearly is one of the RANKS largest, or one within CLOSE
    of the largest. Raises ValueError where `chosen` cannot be pointed at.
    """
    places = range(len(row)) if among is None else among
    if chosen not in places:
        raise ValueError(f"place {chosen} cannot be pointed at: there are {list(places)}")
    ordered = sorted(places, key=lambda i: -row[i])
    top, weight = ordered[0], row[chosen]
    largest, rank = row[top], 1 + sum(row[i] > weight for i in places)
    most = f"Most goes to “{words[top]}”, {largest:.2f}."
    if largest - weight <= TIE:
        tied = [i for i in ordered if largest - row[i] <= TIE and i != chosen]
        also = f" So does “{words[tied[0]]}” with {row[tied[0]]:.2f}: within {TIE}." if tied else ""
        return Mark("right", f"“{words[chosen]}” gets the most: {weight:.2f}.{also}")
    place = _ORDINALS.get(rank, f"{rank}th largest")
    near = rank <= RANKS or largest - weight <= CLOSE
    return Mark("nearly" if near else "no", f"{place}: {weight:.2f}. {most}")


def why_not_point(row: Sequence[float], among: Sequence[int] | None = None) -> str:
    """Why nobody is asked to point: too few words, or weights so even that every word would be right."""
    weights = list(row) if among is None else [row[i] for i in among]
    if len(weights) < FEWEST_WORDS:
        return f"There are fewer than {FEWEST_WORDS} words to point at."
    if max(weights) - min(weights) <= TIE:
        return f"All weights lie within {TIE} of each other: there is no word that gets the most."
    return ""


def sketch(row: Sequence[float], words: Sequence[str], drawn: Sequence[float]) -> Mark:
    """“Draw the row”: `drawn` are the learner's shares, as many as there are keys and 1 in all.

    The distance is the total variation, half the sum of |drawn - row|: 0 to 1, the share that lies elsewhere.
    Raises ValueError for another length, negative shares, or a sum other than 1.
    """
    if len(drawn) != len(row):
        raise ValueError(f"{len(drawn)} bars were drawn for {len(row)} words")
    if min(drawn) < 0 or abs(sum(drawn) - 1) > SHARES_ADD_UP:
        raise ValueError(f"shares are 0 or more and 1 in all; these come to {sum(drawn):g}")
    apart = sum(abs(a - b) for a, b in zip(drawn, row, strict=True)) / 2
    worst = max(range(len(row)), key=lambda i: abs(drawn[i] - row[i]))
    verdict: Verdict = "right" if apart <= SKETCH_RIGHT else "nearly" if apart <= SKETCH_NEAR else "no"
    miss = f"Furthest off: “{words[worst]}”, drawn {drawn[worst]:.2f}, {row[worst]:.2f} in truth."
    return Mark(verdict, f"{apart:.0%} of the attention lies elsewhere.{'' if apart < 0.005 else ' ' + miss}")


def number(truth: float, typed: float, digits: int, slips: Sequence[Slip] = ()) -> Mark:
    """“Type the score”: within NUMBER_RIGHT, or half of the last of the `digits` decimals that were asked for.

    Nearly is within NUMBER_NEAR, or the number that one usual slip gives: the slip is named, for it is the lesson. A
    slip that gives the right number too is no slip.
    """
    if not math.isfinite(typed):
        raise ValueError("type a number, as 1.25 or -0.5")
    is_so = f"It is {truth:.{digits}f}."
    if _agree(typed, truth, digits):
        return Mark("right", is_so)
    for slip in slips:
        if _agree(typed, slip.value, digits) and not _agree(slip.value, truth, digits):
            return Mark("nearly", f"{slip.says} {is_so}", slip.name)
    near = abs(typed - truth) <= NUMBER_NEAR * abs(truth)
    return Mark("nearly" if near else "no", f"{typed:.{digits}f} is off by {abs(typed - truth):.{digits}f}. {is_so}")


def _agree(a: float, b: float, digits: int) -> bool:
    return abs(a - b) <= max(NUMBER_RIGHT * abs(b), 0.5 * 10**-digits + 1e-9)


def order(values: Mapping[str, float], given: Sequence[str]) -> Mark:
    """“Order these from the smallest to the largest”: `values` by name, `given` the names as they were laid.

    Kendall's distance, the number of pairs that stand the wrong way round: 0 is right, 1 (one swap of neighbours) is
    nearly. Raises ValueError unless every name is given once.
    """
    if sorted(given) != sorted(values):
        raise ValueError(f"each of {', '.join(values)} has one place")
    wrong = [(a, b) for i, a in enumerate(given) for b in given[i + 1 :] if values[a] > values[b]]
    so = ", ".join(f"{name} {values[name]:.2f}" for name in sorted(values, key=lambda name: values[name]))
    if not wrong:
        return Mark("right", f"So it is: {so}.")
    pairs = "One pair stands" if len(wrong) == 1 else f"{len(wrong)} pairs stand"
    a, b = wrong[0]
    return Mark(
        "nearly" if len(wrong) == 1 else "no", f"{pairs} the wrong way round, “{a}” and “{b}” first. It is {so}."
    )


def why_not_order(values: Mapping[str, float], noise: float) -> str:
    """Why these are not asked to be ordered: two of them differ by no more than `noise`."""
    ordered = sorted(values, key=lambda name: values[name])
    for a, b in zip(ordered, ordered[1:], strict=False):
        if values[b] - values[a] <= noise:
            return f"“{a}” and “{b}” are within {noise:g} of each other: their order says nothing."
    return ""


def which(values: Mapping[str, float], chosen: str) -> Mark:
    """“Which of the two has more?”: `values` are two numbers by name."""
    (a, b), larger = values, max(values, key=lambda name: values[name])
    if chosen not in values:
        raise ValueError(f"choose “{a}” or “{b}”")
    return Mark("right" if chosen == larger else "no", f"“{a}”: {values[a]:.2f}; “{b}”: {values[b]:.2f}.")


def why_not_which(values: Mapping[str, float], noise: float) -> str:
    """Why the two are not compared: the gap is inside the noise."""
    (a, b) = values
    if abs(values[a] - values[b]) <= noise:
        return f"“{a}” and “{b}” are within {noise:g} of each other: neither has more."
    return ""


def find_head(scores: Mapping[str, float], bound: float, null: float, chosen: str) -> Mark:
    """“Find a head that …”: `scores` by the head's name, at least `bound`, and above the largest by chance, `null`.

    Nearly is one of the BEST largest scores. It says how many heads there are.
    """
    if chosen not in scores:
        raise ValueError(f"there is no head {chosen}")
    least = max(bound, null)
    good = [head for head in scores if scores[head] >= bound and scores[head] > null]
    best = sorted(scores, key=lambda head: -scores[head])[:BEST]
    there = f"{len(good)} of {len(scores)} heads reach {least:.2f}"
    if chosen in good:
        return Mark("right", f"Head {chosen}: {scores[chosen]:.2f}. {there}.")
    lead = f"; the highest is {best[0]} with {scores[best[0]]:.2f}"
    return Mark("nearly" if chosen in best else "no", f"Head {chosen}: {scores[chosen]:.2f}. {there}{lead}.")


def why_not_find(scores: Mapping[str, float], bound: float, null: float) -> str:
    """Why no such head is looked for: this text shows none, or every head is one."""
    good = sum(score >= bound and score > null for score in scores.values())
    if not good:
        return f"No head reaches {max(bound, null):.2f} on this text."
    return "Every head does it on this text: there is nothing to find." if good == len(scores) else ""


def changes(
    before: Mapping[str, float], after: Mapping[str, float], chosen: str, direction: Literal["up", "down"]
) -> Mark:
    """“What changes most, and which way?”: the same quantities by name before and after the model was run again.

    Right is the name that moved furthest with its direction; nearly is the direction of a name that moved less.
    """
    if chosen not in before or before.keys() != after.keys():
        raise ValueError(f"choose one of {', '.join(before)}")
    moved = {name: after[name] - before[name] for name in before}
    most = max(moved, key=lambda name: abs(moved[name]))
    went = f"“{most}” moves most, from {before[most]:.2f} to {after[most]:.2f}."
    way = direction == ("up" if moved[chosen] > 0 else "down") and moved[chosen] != 0
    if not way:
        return Mark("no", f"“{chosen}” goes from {before[chosen]:.2f} to {after[chosen]:.2f}. {went}")
    furthest = abs(moved[most]) - abs(moved[chosen]) <= TIE * abs(moved[most])
    return Mark("right" if furthest else "nearly", went)


def why_not_changes(before: Mapping[str, float], after: Mapping[str, float], noise: float) -> str:
    """Why nobody is asked: nothing moved further than `noise`, the size of a change without a cause."""
    moved = max((abs(after[name] - before[name]) for name in before), default=0.0)
    return "" if moved > noise else f"Nothing moves by more than {noise:g} on this text."


def make_so(value: float, bound: float, what: str, *, at_least: bool = True) -> Mark:
    """“Change it until …”: the condition's own quantity, read from the tensors. Says how far it is."""
    done = value >= bound if at_least else value <= bound
    asked = f"{'at least' if at_least else 'at most'} {bound:g}"
    return Mark("right" if done else "no", f"{what}: {value:.2f}; {asked} was asked for.")


_ORDINALS = {1: "Largest", 2: "Second largest", 3: "Third largest"}
