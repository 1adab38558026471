"""Experiments on visitors' texts: edits, questions and sweeps come and go as plain data, a slice of runs each turn.

Between two slices somebody else's sentence is read. What was stopped keeps the runs that were done.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from threading import Event
from typing import TYPE_CHECKING, TypeVar

from pages.shared.engine.answers import ByChance, Effected, Lensed, Plain, Swept, Variant
from pages.shared.engine.plain import Progress, Refused, SaidChoice
from pages.shared.service.service import Service
from pages.shared.service.sources import Source
from pages.shared.service.told import texts_of, what_is_told

if TYPE_CHECKING:
    from torch import Tensor

    from attention_core.experiment.edits import Edit
    from attention_core.experiment.question import Question
    from attention_core.experiment.running import Runs
    from attention_core.experiment.sweep import Sweep
    from attention_core.models.facts import LoadedModel
    from attention_core.reading.readout import Choice

Result = TypeVar("Result")

SHORT_NAMES = ("weight", "length", "signed", "zeroed", "cut")  # of the lenses, in the core's order
MOST_KEYS = 256  # of a row through five lenses: each key takes two runs


class Doing:
    """One experiment on its way: how far it is, and whether anybody waits for it."""

    def __init__(self, visitor: str) -> None:
        self.visitor = visitor  # whose turns it takes
        self.gone = Event()
        self._far = Progress(doing="Waiting for the model …")

    def progress(self) -> Progress:
        """How many runs are done."""
        return self._far

    def tell(self, done: int, total: int) -> None:
        """So many runs of so many are done."""
        self._far = Progress(done=done, total=total)


class Experiments:
    """Those of one engine."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def sweep(self, source: Source, what: Plain, question: Plain | None, draws: int, doing: Doing) -> Swept:
        """What each of many edits does alone; see `Engine.sweep`."""
        from attention_core.experiment.null import Stopped
        from attention_core.experiment.sweep import slices
        from attention_core.experiment.what import what_from_plain

        with _refusing():
            runs, asked = self._runs(source), _question(question)
            turn = _Turn(self._service, source, runs.model, doing.visitor)
            variants = turn(lambda: what_from_plain(what).variants(runs))
            if not draws:
                return self._measured(runs, variants, asked, turn, doing)
            try:
                found = _driven(slices(runs, variants, asked, draws=draws, stop=doing.gone.is_set), turn, doing, 0, 0)
            except Stopped:
                return Swept(question or {}, "", float("nan"), (), total=len(variants), finished=False)
            return _swept([found], len(variants))

    def effect(
        self, source: Source, edits: Sequence[Plain], question: Plain | None, draws: int, doing: Doing
    ) -> Effected:
        """What some edits do together; see `Engine.effect`."""
        from attention_core.experiment.edits import edit_from_plain
        from attention_core.experiment.effect import effect_of, effect_slices
        from attention_core.experiment.null import Stopped

        with _refusing():
            made = tuple(map(edit_from_plain, edits))
            runs, asked = self._runs(source), _question(question)
            turn = _Turn(self._service, source, runs.model, doing.visitor)
            doing.tell(0, draws)
            try:
                found = _driven(
                    effect_slices(runs, made, asked, draws=draws, stop=doing.gone.is_set), turn, doing, 0, 0
                )
            except Stopped:
                found = turn(lambda: effect_of(runs, made, asked, 0))
            return Effected(
                question=found.question.to_plain(),
                unit=found.question.unit,
                words=tuple(edit.words for edit in made),
                before=found.before,
                after=found.after,
                top_before=_choices(found.top_before),
                top_after=_choices(found.top_after),
                notes=found.notes,
                null=() if found.control is None else tuple(found.control.values.tolist()),
                level=None if found.control is None else found.control.level,
                control="" if found.control is None else found.control.says(found.difference),
            )

    def lenses(self, source: Source, layer: int, head: int, query: int, doing: Doing) -> Lensed:
        """One row through five lenses; see `Engine.lenses`."""
        from attention_core.experiment.lenses import NAMES, lenses_of

        with _refusing():
            runs = self._runs(source)
            turn = _Turn(self._service, source, runs.model, doing.visitor)
            n_keys = turn(lambda: runs.record.layers[layer].n_key if layer < len(runs.record.layers) else 0)
            if n_keys > MOST_KEYS:
                raise Refused(f"Five lenses are for texts of up to {MOST_KEYS} tokens; this row has {n_keys:,} keys.")
            found = turn(lambda: lenses_of(runs, layer, head, query))
            rows = (found.weight, found.length, found.signed, found.zeroed, found.cut)
            weight, length, signed, zeroed, cut = map(_row, rows)
            assert weight is not None and zeroed is not None and cut is not None
            top = {short: found.top(name) for short, name in zip(SHORT_NAMES, NAMES, strict=True)}
            tokens = tuple(token.text for token in found.tokens)
            return Lensed(tokens, weight, length, signed, zeroed, cut, top, found.missing, found.says)

    def _measured(
        self,
        runs: "Runs",
        variants: "list[tuple[Edit, ...]]",
        asked: "Question | None",
        turn: "_Turn",
        doing: Doing,
    ) -> Swept:
        """Effects alone, a slice at a time, so that what was done stays when somebody stops it."""
        from attention_core.experiment.null import Stopped
        from attention_core.experiment.sweep import slices

        found: list[Sweep] = []
        done = 0
        for group in _in_slices(variants, turn(runs.rows_at_once) - 1):
            try:
                sweeping = slices(runs, group, asked, draws=0, stop=doing.gone.is_set)
                found.append(_driven(sweeping, turn, doing, done, len(variants)))
            except Stopped:
                break
            done += len(group)
        return _swept(found, len(variants))

    def _runs(self, source: Source) -> "Runs":
        from attention_core.capturing.capture import prepare
        from attention_core.experiment.running import Runs

        # What was changed in the run that is looked at is not changed here: every effect is that of its own edits.
        if source.file:
            raise Refused("A saved trace has no model that could be run again: write its text into the text box.")
        self._service.start().result()
        model = self._service.model(source.model)
        pair, target = texts_of(model, source)
        told = what_is_told(model, source)
        return Runs(self._service.work(lambda: prepare(model, source.text, pair, target, **told)))


@dataclass(frozen=True, slots=True)
class _Turn:
    """Runs one piece of an experiment in a turn of its own."""

    service: Service
    source: Source
    model: "LoadedModel"
    visitor: str

    def __call__(self, job: Callable[[], Result]) -> Result:
        """What the job gives. Raises Refused once the model has made room for others."""
        if self.service.loaded(self.source.model) is not self.model:
            raise Refused("The experiment ended: its model made room for others. Start it again.")
        return self.service.work_on(self.model, self.source, job, self.visitor)


@contextmanager
def _refusing() -> Iterator[None]:
    """What the core says of a text, a model, an edit or a question is for the visitor."""
    from attention_core import ModelError
    from attention_core.capturing.encode import CaptureError

    try:
        yield
    except (ModelError, CaptureError) as error:
        raise Refused(str(error)) from None


def _driven(
    slices: "Generator[tuple[int, int], None, Result]",
    turn: "_Turn",
    doing: Doing,
    before: int,
    total: int,
) -> Result:
    """An experiment to its end, a slice each turn, after `before` runs of `total` (0: it knows itself)."""

    def step() -> "tuple[int, int] | Result":
        try:
            return next(slices)
        except StopIteration as ended:  # not past a turn: a future takes no such exception
            return ended.value

    while True:
        found = turn(step)
        if not isinstance(found, tuple):
            return found
        doing.tell(before + found[0], total or found[1])


def _in_slices(variants: "list[tuple[Edit, ...]]", at_once: int) -> "Iterator[list[tuple[Edit, ...]]]":
    """Variants that begin at the same layer go together, as many as one batch takes."""
    for _, group in groupby(variants, key=lambda edits: min((n for edit in edits for n in edit.layers), default=-1)):
        own = list(group)
        for start in range(0, len(own), at_once):
            yield own[start : start + at_once]


def _swept(parts: "list[Sweep]", total: int) -> Swept:
    if not parts:
        return Swept({}, "", float("nan"), (), total=total, finished=False)
    found = tuple(
        Variant(tuple(edit.to_plain() for edit in edits), "; ".join(edit.words for edit in edits), difference)
        for part in parts
        for edits, difference in zip(part.variants, part.effects.tolist(), strict=True)
    )
    first, chance = parts[0], parts[0].chance
    return Swept(
        question=first.question.to_plain(),
        unit=first.question.unit,
        before=first.before,
        found=found,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        chance=None if chance is None else ByChance(chance.n, chance.largest, chance.tested),
        why_no_chance=first.why_no_chance,
        total=total,
        finished=len(found) == total,
    )


def _row(values: "Tensor | None") -> tuple[float | None, ...] | None:
    return None if values is None else tuple(x if math.isfinite(x) else None for x in values.tolist())


def _question(plain: Plain | None) -> "Question | None":
    from attention_core.experiment.question import question_from_plain

    return None if plain is None else question_from_plain(plain)


def _choices(choices: "tuple[Choice, ...]") -> tuple[SaidChoice, ...]:
    return tuple(SaidChoice(choice.id, choice.text, choice.probability) for choice in choices)
