"""One number for every head (layer, token, link): what each of many edits does alone, and which are beyond chance.

Edits of one layer go together as a batch, with the unedited run as its first row, in slices short enough for somebody
else's sentence to be read between them: `slices` gives the turn back after each.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.capturing.capture import prepare
from attention_core.experiment.asking import Asking, asked
from attention_core.experiment.edits import Edit, ExperimentError, ReplaceToken, SwitchOff, edits_of
from attention_core.experiment.null import (
    ENOUGH,
    change_in,
    drawn,
    in_slices,
    largest_by_chance,
    to_the_end,
    where_written,
)
from attention_core.experiment.question import Question
from attention_core.experiment.running import Outcome, Runs
from attention_core.experiment.what import What
from attention_core.formats.shown import short_repr
from attention_core.models.facts import LoadedModel

DRAWS = 20
A_RUN = 100_000_000  # multiply-adds that take as long as what a run costs besides, some milliseconds


@dataclass(frozen=True, slots=True, eq=False)
class Chance:
    """What chance does to everything that was tested, in the question's unit."""

    n: int  # null effects, of everything that was tested
    largest: float  # 95th percentile, over the draws, of the largest of as many null effects as were tested
    tested: int

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """The effect of each of many edits alone."""

    what: What | None  # None for edits that were listed
    question: Question
    variants: tuple[tuple[Edit, ...], ...]
    before: float  # in the question's unit
    effects: Float[Tensor, " variant"]  # after − before, double precision
    notes: tuple[str, ...]  # sentences: where edits were made, what was run whole
    chance: Chance | None  # None: not computed
    why_no_chance: str = ""

    __repr__ = short_repr

    def of(self, layer: int, head: int) -> float:
        """The effect of a head that was switched off. Raises ExperimentError if it was not among those tested."""
        return float(self.effects[self._index(layer, head)])

    def rank(self, variant: int) -> int:
        """The place of an effect among all of them by size, from 1. A rank, and nothing of chance."""
        return int((self.effects.abs() > self.effects[variant].abs()).sum()) + 1

    @property
    def ranked(self) -> tuple[int, ...]:
        """The numbers of the variants, the largest effect first."""
        return tuple(self.effects.abs().argsort(descending=True, stable=True).tolist())

    @property
    def important(self) -> tuple[int, ...] | None:
        """The variants beyond what chance does to the largest of all; None where that was not computed."""
        if self.chance is None:
            return None
        return tuple(i for i in self.ranked if abs(float(self.effects[i])) > self.chance.largest)

    def says(self, variant: int) -> str:
        """What may be said of one variant: its rank, and whether it is beyond chance."""
        by = f"{float(self.effects[variant]):+.3g} {self.question.unit}"
        place = f"{by}, rank {self.rank(variant)} of {len(self.effects)}"
        if self.chance is None:
            return f"{place}. {self.why_no_chance or 'Not compared with chance yet.'}"
        inside = abs(float(self.effects[variant])) <= self.chance.largest
        return (
            f"{place}: {'inside what chance does' if inside else 'important'}. In 95 % of cases the largest of "
            f"{self.chance.tested} changes of the same lengths in random directions is at most "
            f"{self.chance.largest:.3g} ({self.chance.n} drawn)."
        )

    def _index(self, layer: int, head: int) -> int:
        for i, edits in enumerate(self.variants):
            if len(edits) == 1 and isinstance(edits[0], SwitchOff) and (edits[0].layer, edits[0].head) == (layer, head):
                return i
        raise ExperimentError(f"layer {layer} head {head} was not among what was tested")


def sweep(
    model: LoadedModel,
    text: str,
    what: What | Sequence[Edit | Sequence[Edit]],
    question: Question | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    **texts: Any,  # what `prepare` takes beside the text, each of its own type
) -> Sweep:
    """What each of many edits does alone: `EveryHead()`, `EveryLayer()`, `EveryToken()`, `EveryLink(…)`, or a list.

    The other arguments are those of `effect`. The null takes `draws` times as many runs as there are edits; fewer than
    20 leave it out, and then nothing is called important. With 20 what is important is larger than the largest of
    them all; more find out more exactly where chance ends.

    Raises ExperimentError, Stopped, and what `capture` raises of the text.
    """
    runs = Runs(prepare(model, text, **texts))
    running = slices(runs, what, question, draws=draws, seed=seed, stop=stop)
    return to_the_end(running, progress)


def slices(
    runs: Runs,
    what: What | Sequence[Edit | Sequence[Edit]],
    question: Question | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[tuple[int, int], None, Sweep]:
    """A sweep, batch by batch: yields how many runs are done and how many there are, and returns the whole."""
    variants = what.variants(runs) if isinstance(what, What) else [edits_of(one) for one in what]
    if not variants:
        raise ExperimentError("There is nothing to go through: no head, token or link that can be edited.")
    doing = _Sweeping(runs, variants, asked(question, runs), draws, seed, stop)
    yield from doing.measure()
    chance = yield from doing.draw()
    return Sweep(
        what if isinstance(what, What) else None,
        doing.asking.question,
        tuple(variants),
        doing.before,
        doing.effects,
        tuple(runs.compiler.said) if runs.model.exact else (),
        chance,
        doing.why,
    )


@dataclass(eq=False)
class _Sweeping:
    """A sweep while it goes on."""

    runs: Runs
    variants: Sequence[tuple[Edit, ...]]
    asking: Asking
    draws: int
    seed: int
    stop: Callable[[], bool]
    before: float = float("nan")
    why: str = ""  # there is no null: a sentence
    done: int = 0
    effects: Float[Tensor, " variant"] = field(init=False)
    layers: list[int] = field(init=False)  # of each variant the one that it edits, or -1
    changes: list[Tensor | None] = field(init=False)  # of each variant what is written otherwise

    def __post_init__(self) -> None:
        self.effects = torch.zeros(len(self.variants), dtype=torch.float64)
        self.changes = [None] * len(self.variants)
        places = [where_written(edits) for edits in self.variants]
        self.layers = [-1 if layer is None else layer for layer, _ in places]
        if self.draws:
            few = f"{self.draws} draws are too few to say what chance does: {ENOUGH} are enough." * (
                self.draws < ENOUGH
            )
            self.why = few or next((reason for layer, reason in places if layer is None), "")

    @property
    def with_null(self) -> bool:
        return self.draws > 0 and not self.why

    @property
    def total(self) -> int:
        return len(self.variants) * (1 + self.draws * self.with_null)

    def measure(self) -> Generator[tuple[int, int], None, None]:
        for group in self._groups():
            own = [self.variants[i] for i in group]
            keep = frozenset(self.layers[i] for i in group) if self.with_null else frozenset()

            def seen(start: int, outcome: Outcome, before: float, group: list[int] = group) -> None:
                self._seen(group[start:], outcome, before)

            start = 0
            for size, values in in_slices(self.runs, self.asking, own, self.stop, keep, seen):
                self.effects[group[start : start + size]] = values
                start, self.done = start + size, self.done + size
                yield self.done, self.total

    def draw(self) -> Generator[tuple[int, int], None, Chance | None]:
        if not self.with_null:
            return None
        if any(change is None for change in self.changes):
            self.why = "W_O was not observed in every layer, so how much is written is not known: there is no null."
            return None
        effects = torch.zeros(len(self.variants), self.draws, dtype=torch.float64)
        for i, change in enumerate(self.changes):
            assert change is not None
            edits, layer, start = self.variants[i], self.layers[i], 0
            for size, values in drawn(
                self.runs, self.asking, edits, layer, change, self.draws, self.seed + i, self.stop
            ):
                effects[i, start : start + size] = values
                start, self.done = start + size, self.done + size
                yield self.done, self.total
        # Each with its own nulls: one pool of a layer's would mix short changes among those of a head that writes much,
        # and call it important too often.
        largest = largest_by_chance(effects)
        return None if largest is None else Chance(effects.numel(), largest, len(self.variants))

    def _seen(self, group: Sequence[int], outcome: Outcome, before: float) -> None:
        """Keep what a batch's first row says, and what each of the others writes otherwise."""
        self.before = before
        if self.with_null:
            for row, i in enumerate(group[: outcome.n_rows - 1], 1):
                self.changes[i] = change_in(self.runs, outcome, row, self.variants[i], self.layers[i])

    def _groups(self) -> list[list[int]]:
        """Variants that begin at the same layer go together; those of the words first.

        Those of the next layer go along where that costs less than one more run.
        """
        first: dict[int, list[int]] = {}
        for i, edits in enumerate(self.variants):
            layers = [layer for edit in edits for layer in edit.layers]
            words = any(isinstance(edit, ReplaceToken) for edit in edits)
            first.setdefault(-1 if words or not layers else min(layers), []).append(i)
        groups: list[list[int]] = []
        begins = -1
        for layer in sorted(first):
            own = first[layer]
            fits = bool(groups) and len(groups[-1]) + len(own) < self.runs.rows_at_once()
            if begins >= 0 and fits and len(own) * self.runs.work_between(begins, layer) <= A_RUN:
                groups[-1] += own
            else:
                groups.append(own)
                begins = layer
        return groups
