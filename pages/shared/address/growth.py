"""What Grow a head shows, as short query parameters, read back with forgiveness.

The names of the parameters are none of those of `address.view`: both kinds of links open the same app. What a
link leaves out is as usual for its task. Whether a run with these settings exists is decided by the page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from attention_core.formats.fields import Field, Value, between, one_of, query, read, reported, shaped
from attention_core.formats.fields import to_params as params_of
from attention_core.formats.json_data import JsonMapping
from attention_core.grow.tasks import TASKS, RunSettings

MAX_SEED = 999_999
MAX_HEADS = 16
MAX_STEP = 1_000_000
POSITIONS = ("learned", "rotary", "none")
# Runs that are recorded and cannot be grown here: of the models that come with Sightline, with their usual settings.
MODELS = {"storyteller": (5, "rotary"), "gapfiller": (5, "rotary"), "dates": (4, "learned")}


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
    if task in MODELS:
        heads, positions = MODELS[task]
        return GrowView(task, seed=1, heads=heads, positions=positions)
    settings = RunSettings(task)
    return GrowView(task, settings.seed, settings.n_heads, settings.positions)


def to_params(view: GrowView) -> dict[str, str]:
    """The run's settings, and whatever else is not the default."""
    return params_of(view, FIELDS)


def from_params(params: Mapping[str, str]) -> tuple[GrowView, tuple[str, ...]]:
    """The view that the parameters stand for, and a sentence for each value that could not be used. Never raises."""
    values, sentences = read(params, FIELDS)
    return replace(usual(values.get("task", _DEFAULT.task)), **values), sentences


def link(view: GrowView) -> str:
    """`?task=…&seed=…` for `view`."""
    return query(to_params(view))


def from_report(report: JsonMapping, before: GrowView) -> GrowView:
    """The view that the browser reports (JSON); what it leaves out or what is no such value stays as it was."""
    return replace(before, **reported(report, FIELDS))


_PARSERS: dict[str, tuple[str, Callable[[str], Value]]] = {
    "task": ("the name of a task", one_of(*TASKS, *MODELS)),
    "seed": (f"a whole number from 0 to {MAX_SEED}", between(0, MAX_SEED)),
    "heads": (f"a whole number from 1 to {MAX_HEADS}", between(1, MAX_HEADS)),
    "positions": ("one of learned, rotary, none", one_of(*POSITIONS)),
    "at": ("a step of training", between(0, MAX_STEP)),
    "vs": ("the name of a recorded run", shaped(r"[a-z0-9-]{0,60}")),
    "layer": ("the number of a layer, from 0", between(0, 99)),
    "head": ("the number of a head, from 0", between(0, 99)),
}
FIELDS = {
    name: Field(
        parameter,
        *_PARSERS[name],
        called=f"“{parameter}”",
        instead="the usual one was used",
        default=getattr(_DEFAULT, name),
        always=name in _ALWAYS,
    )
    for name, parameter in PARAMETERS.items()
}
