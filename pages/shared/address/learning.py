"""Where in a lesson somebody is, as short query parameters, read back with forgiveness.

The names of the parameters are none of those of `address.view` and `address.growth`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from attention_core.formats.fields import Field, Value, between, query, read, reported, shaped
from attention_core.formats.fields import to_params as params_of
from attention_core.formats.json_data import JsonMapping

LONGEST_OWN = 1_000  # characters of a learner's own sentence
MOST_STEPS = 30


@dataclass(frozen=True, slots=True)
class LearnView:
    """A lesson, a step of it, and the learner's own sentence."""

    lesson: str = ""  # its id; "" is the list of all
    part: int = 1  # its step, from 1
    own: str = ""  # "" for the lesson's own text


PARAMETERS = {"lesson": "lesson", "part": "part", "own": "own"}
_DEFAULT = LearnView()
_PARSERS: dict[str, tuple[str, Callable[[str], Value]]] = {
    "lesson": ("the name of a lesson", shaped(r"[a-z0-9-]{0,41}")),
    "part": (f"a whole number from 1 to {MOST_STEPS}", between(1, MOST_STEPS)),
    "own": (f"a sentence of at most {LONGEST_OWN:,} characters", shaped(rf"(?s:.{{0,{LONGEST_OWN}}})")),
}
FIELDS = {
    name: Field(
        parameter,
        *_PARSERS[name],
        called=f"“{parameter}”",
        instead="the usual one was used",
        default=getattr(_DEFAULT, name),
    )
    for name, parameter in PARAMETERS.items()
}


def to_params(view: LearnView) -> dict[str, str]:
    """Whatever is not the default."""
    return params_of(view, FIELDS)


def from_params(params: Mapping[str, str]) -> tuple[LearnView, tuple[str, ...]]:
    """The view that the parameters stand for, and a sentence for each value that could not be used. Never raises."""
    values, sentences = read(params, FIELDS)
    return replace(_DEFAULT, **values), sentences


def link(view: LearnView) -> str:
    """`?lesson=…&part=…` for `view`."""
    return query(to_params(view))


def from_report(report: JsonMapping, before: LearnView) -> LearnView:
    """The view that the browser reports (JSON); what it leaves out or what is no such value stays as it was."""
    return replace(before, **reported(report, FIELDS))
