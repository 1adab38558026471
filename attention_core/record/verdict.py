"""What a proof comes to, in words: checked, checked except …, cannot be checked because …, or what differs.

The only place where these words are made: the badge, Step by step, a notebook and `make reference` all print them. A
proof compares us with the model that ran; where that may not be the one that was saved, or where a step could not be
compared with anything, the answer is not plainly "checked".
"""

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from attention_core.formats.json_data import JsonObject
from attention_core.formats.shown import short_repr
from attention_core.record.projections import Projections
from attention_core.record.proof import Check, largest_difference, worst_by_name
from attention_core.record.record import Record

Answer = Literal["checked", "checked except", "cannot be checked", "differs"]
SIGNS: dict[Answer, str] = {"checked": "✓", "checked except": "◐", "cannot be checked": "○", "differs": "✗"}
LOADING = "what loading dropped or made up"
EDITED = "edited: no proof"
PLURAL = ("weights", "row sums")  # names of steps that are many


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a proof, with what it rests on."""

    answer: Answer
    sentence: str  # short: it stands on the picture
    reasons: tuple[str, ...]  # why it is not plainly "checked", each a sentence
    checks: tuple[Check, ...]

    __repr__ = short_repr

    @property
    def sign(self) -> str:
        """One character for the answer, so that colour is not the only sign."""
        return SIGNS[self.answer]

    @property
    def text(self) -> str:
        """Sign and sentence, in one line."""
        return f"{self.sign} {self.sentence}"

    @property
    def words(self) -> str:
        """Sign and what was checked, without the number: it stands on a picture, and `text` behind it."""
        if self.answer != "checked":
            return self.text
        return f"{self.sign} recomputed: same as the model’s"

    def __str__(self) -> str:
        return "\n".join((self.text, *(f"  {reason}" for reason in self.reasons)))

    def _repr_html_(self) -> str:
        reasons = "".join(f"<li>{html.escape(reason)}</li>" for reason in self.reasons)
        return f"<div><p>{html.escape(self.text)}</p>{f'<ul>{reasons}</ul>' if reasons else ''}</div>"

    def as_json(self) -> JsonObject:
        """What a page shows of it, but for its checks."""
        return {
            "answer": self.answer,
            "sign": self.sign,
            "words": self.words,
            "text": self.text,
            "reasons": list(self.reasons),
        }


def verdict_of(trace: Record, layer: int, head: int) -> Verdict:
    """What the proof of one head comes to."""
    return judge(trace, layer, trace.proof(layer, head))


def judge(trace: Record, layer: int, checks: Iterable[Check]) -> Verdict:
    """What these checks of one head of a layer come to."""
    checks = tuple(checks)
    one = trace.layers[layer]
    reasons = list(trace.reservations)
    if trace.edited and (one.edited or trace.opened):
        return Verdict("cannot be checked", EDITED, (*trace.edited, *reasons), checks)
    if not one.exact:
        why = _why_only_weights(trace)
        failed = _failed(checks)
        if failed is not None:
            return Verdict("differs", _difference(failed), (*reasons, why), checks)
        short = f"cannot be checked: {trace.only_weights}"
        return Verdict("cannot be checked", short, (why, *reasons), checks)
    short = [LOADING] if reasons else []
    for name, sentence in (*_unwitnessed(trace, layer), *_unobserved(trace, layer)):
        short.append(name)
        reasons.append(sentence)
    return _answer(short, tuple(reasons), checks)


def verdict_of_all(trace: Record, layer: int | None = None) -> Verdict:
    """What the proofs of all heads, of all layers or of one, come to together."""
    indices = range(len(trace.layers)) if layer is None else (layer,)
    found = [(i, verdict_of(trace, i, head)) for i in indices for head in range(trace.layers[i].n_heads)]
    checks = worst_by_name(check for _, verdict in found for check in verdict.checks)
    edited = [i for i in indices if trace.edited and (trace.layers[i].edited or trace.opened)]
    hidden = [i for i in indices if not trace.layers[i].exact or i in edited]
    failed = _failed(checks)
    reasons = tuple(dict.fromkeys(reason for _, verdict in found for reason in verdict.reasons))
    if trace.other_layers and layer is None:
        count = f"{len(trace.other_layers)} layer{'s' if len(trace.other_layers) > 1 else ''}"
        reasons = (*reasons, f"Of {count} no attention call could be observed: {', '.join(trace.other_layers)}.")
    if failed is None and hidden and len(hidden) == len(indices):
        return Verdict("cannot be checked", found[0][1].sentence, reasons, checks)
    short = [LOADING] if trace.reservations else []
    if edited:
        short.append("layers that were edited")
    if set(hidden) - set(edited):
        short.append("layers of which only weights were given" if trace.given else "layers that hide q and k")
    if trace.other_layers and layer is None:
        short.append("layers without an attention call")
    names = dict.fromkeys(
        name for i in indices if i not in hidden for name, _ in (*_unwitnessed(trace, i), *_unobserved(trace, i))
    )
    return _answer([*short, *names], reasons, checks)


def _why_only_weights(trace: Record) -> str:
    if trace.given:
        return "Weights only, given by you: without the q and k that made them, nothing could be recomputed."
    return f"{trace.only_weights}: its weights are its own, and nothing could be recomputed."


def reserved(trace: Record) -> str:
    """What stands on a picture that is not one head's and so has no proof of its own; empty where nothing has to."""
    said = [LOADING] if trace.reservations else []
    return f"except: {'; '.join([*said, *(['what was edited'] if trace.edited else [])])}" if trace.beside else ""


def _answer(short: list[str], reasons: tuple[str, ...], checks: tuple[Check, ...]) -> Verdict:
    failed = _failed(checks)
    if failed is not None:
        return Verdict("differs", _difference(failed), reasons, checks)
    if reasons:
        return Verdict("checked except", f"checked, except: {'; '.join(short)}", reasons, checks)
    return Verdict("checked", f"checked: matches the model to {brief(largest_difference(checks))}", (), checks)


def _failed(checks: Iterable[Check]) -> Check | None:
    return next((check for check in checks if not check.holds), None)


def _difference(check: Check) -> str:
    many = check.name in PLURAL
    if check.difference != check.difference or abs(check.difference) == float("inf"):
        return f"{check.name} {'are not numbers' if many else 'is not a number'}"
    differs = "differ" if many else "differs"
    return f"{check.name} {differs} by {brief(check.difference)} (tolerance {brief(check.tolerance)})"


def _unwitnessed(trace: Record, layer: int) -> list[tuple[str, str]]:
    """Short name and sentence, where the model's own weights are not here to be compared with."""
    if getattr(trace.layers[layer], "witness", None) is not None:
        return []
    if not trace.opened:
        why = "weights: the model has no plain attention function of its own that computes them a second time."
        return [("weights, which the model does not compute a second time", why)]
    maps = getattr(trace.layers[layer], "projections", None) or Projections()
    carried = ["output", *(name for name in ("q", "k", "v") if getattr(maps, name) is not None)]
    carried += ["W_O"] if maps.o is not None else []
    checks = " and ".join([", ".join(carried[:-1]), carried[-1]]) if len(carried) > 1 else carried[0]
    sentence = (
        f"This trace was opened from a file: it carries the check{'s' if len(carried) > 1 else ''} of {checks}. The "
        "weights are compared with what the model itself computes, and only where the model is: choose it for that too."
    )
    return [("weights, which only the model can confirm", sentence)]


def _unobserved(trace: Record, layer: int) -> list[tuple[str, str]]:
    """Short names and sentences of the linear maps that could not be seen."""
    maps = getattr(trace.layers[layer], "projections", None)
    if maps is None and trace.given:
        why = "Recomputed from the q, k and v that you gave; where those come from, and W_O, was not given."
        return [("what made q, k and v, and W_O, which were not given", why)]
    if maps is None:
        where = "were not saved with this trace" if trace.opened else "were not observed"
        short = "q, k, v, W_O not saved" if trace.opened else "q, k, v, W_O not observed"
        return [(short, f"q, k, v, W_O: the linear maps around attention {where}.")]
    if not maps.missing:
        return []
    names = ", ".join(reason.split(":", 1)[0] for reason in maps.missing)
    sentences = " ".join(f"{reason}." for reason in maps.missing)
    return [(f"{names} not observed", sentences)]


def brief(difference: float) -> str:
    """A difference as short as it is honest: 4.1e-7 → "4e-7", 0.0203 → "0.02"."""
    if difference != difference:
        return "not a number"
    if difference == 0:
        return "0"
    return f"{difference:.2g}" if abs(difference) >= 1e-3 else f"{difference:.0e}".replace("e-0", "e-")
