"""What Grow a head shows, as short query parameters, read back with forgiveness.

The names of the parameters are none of those of `address.view`: both kinds of links open the same app. What a
link leaves out is as usual for its task. Whether a run with these settings exists is decided by the page.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import quote_plus

from attention_core.grow.tasks import TASKS, RunSettings

MAX_SEED = 999_999
MAX_HEADS = 16
MAX_STEP = 1_000_000
POSITIONS = ("learned", "rotary", "none")
STORYTELLER = "storyteller"  # a run that is recorded and cannot be grown here


@dataclass(frozen=True, slots=True)
class GrowView:
    """The settings of the run that is shown, where in it, and what it is compared with."""

    task: str = "repeated"
    seed: int = 1
    heads: int = 4  # in each layer
    positions: str = "rotary"  # how the model is told the order of its tokens: "learned", "rotary" or "none"
    at: int | None = None  # step of training; None is the last
    vs: str = ""  # the recorded run beside it, as its file is called; "" for none
    layer: int | None = None  # of the head that is shown large; None is the best
    head: int | None = None


PARAMETERS = {  # field → parameter; the order is the order in the link
    "task": "task",
    "seed": "seed",
    "heads": "heads",
    "positions": "positions",
    "at": "at",
    "vs": "vs",
    "layer": "layer",
    "head": "head",
}
_ALWAYS = ("task", "seed", "heads", "positions")
_DEFAULT = GrowView()


def usual(task: str) -> GrowView:
    """A task with the settings that are usual for it. Raises ValueError for an unknown task."""
    if task == STORYTELLER:
        return GrowView(STORYTELLER, seed=1, heads=5, positions="rotary")
    settings = RunSettings(task)
    return GrowView(task, settings.seed, settings.n_heads, settings.positions)


def to_params(view: GrowView) -> dict[str, str]:
    """The run's settings, and whatever else is not the default."""
    params = {}
    for field, name in PARAMETERS.items():
        value = getattr(view, field)
        if field in _ALWAYS or value != getattr(_DEFAULT, field):
            params[name] = str(value)
    return params


def from_params(params: Mapping[str, str]) -> tuple[GrowView, tuple[str, ...]]:
    """The view that the parameters stand for, and a sentence for each value that could not be used. Never raises."""
    values: dict[str, Any] = {}
    sentences = []
    for field, name in PARAMETERS.items():
        if name not in params:
            continue
        wanted, parse = _PARSERS[field]
        try:
            values[field] = parse(params[name])
        except ValueError:
            shown = "".join(c if c.isprintable() else "�" for c in params[name][:40])
            sentences.append(f"“{name}” in this link must be {wanted}, not “{shown}”; the usual one was used.")
    return replace(usual(values.get("task", _DEFAULT.task)), **values), tuple(sentences)


def link(view: GrowView) -> str:
    """`?task=…&seed=…` for `view`."""
    return "?" + "&".join(f"{name}={quote_plus(value)}" for name, value in to_params(view).items())


def from_report(report: Mapping[str, Any], before: GrowView) -> GrowView:
    """The view that the browser reports (JSON); what it leaves out or what is no such value stays as it was."""
    known = {name: value for name, value in asdict(before).items()}
    for field, (_, parse) in _PARSERS.items():
        if field not in report:
            continue
        value = report[field]
        if value is None and getattr(_DEFAULT, field) is None:
            known[field] = None
        elif isinstance(value, int | str):
            try:
                known[field] = parse(str(value))
            except ValueError:
                continue
    return GrowView(**known)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,7}", text) or not least <= int(text) <= most:
            raise ValueError
        return int(text)

    return parse


def _positions(text: str) -> str:
    if text not in POSITIONS:
        raise ValueError
    return text


def _task(text: str) -> str:
    if text not in (*TASKS, STORYTELLER):
        raise ValueError
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{0,60}", text):
        raise ValueError
    return text


_PARSERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "task": ("the name of a task", _task),
    "seed": (f"a whole number from 0 to {MAX_SEED}", _whole(0, MAX_SEED)),
    "heads": (f"a whole number from 1 to {MAX_HEADS}", _whole(1, MAX_HEADS)),
    "positions": ("one of learned, rotary, none", _positions),
    "at": ("a step of training", _whole(0, MAX_STEP)),
    "vs": ("the name of a recorded run", _name),
    "layer": ("the number of a layer, from 0", _whole(0, 99)),
    "head": ("the number of a head, from 0", _whole(0, 99)),
}
