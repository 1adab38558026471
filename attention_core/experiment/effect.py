"""What an edit does to what the model says: before, after, their difference, and a control beside it.

Before and after are rows of one batch; the layers that are edited are computed by the same formula in both. So an empty
edit has the effect 0, exactly, and what is measured is the edit and no other kernel, length or precision.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from attention_core.capturing.capture import prepare
from attention_core.experiment.asking import asked
from attention_core.experiment.edits import Edit, edits_of
from attention_core.experiment.null import Null, null_slices, to_the_end
from attention_core.experiment.question import Question
from attention_core.experiment.running import Runs
from attention_core.formats.shown import short_repr
from attention_core.models.facts import LoadedModel
from attention_core.reading.readout import Choice

DRAWS = 20
NEAR_ZERO = 1e-4  # nats or cosines: a base below is no number to divide by; float32 runs differ by a tenth of it


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """One answer before and after some edits."""

    edits: tuple[Edit, ...]
    question: Question
    before: float  # in the question's unit
    after: float
    top_before: tuple[Choice, ...]  # the five likeliest tokens, where the model says words
    top_after: tuple[Choice, ...]
    notes: tuple[str, ...]  # sentences: where the edits were made, what else they touch
    control: Null | None  # None: not computed

    __repr__ = short_repr

    @property
    def difference(self) -> float:
        """after − before."""
        return self.after - self.before

    @property
    def share(self) -> float | None:
        """The difference as a share of |before|; None, undefined, where before is near 0."""
        return ratio(self.difference, abs(self.before))

    @property
    def says(self) -> str:
        """What may be said of it, in a sentence: never without its control."""
        by = f"{self.question.name} {self.before:.4g} → {self.after:.4g} ({self.difference:+.3g} {self.question.unit})"
        if self.control is None:
            return f"{by}. Not compared with chance yet: whether this is much cannot be said."
        return f"{by}. {self.control.says(self.difference)}"


def ratio(numerator: float, denominator: float) -> float | None:
    """A quotient, or None, undefined, where the denominator is near 0 (or no number)."""
    return numerator / denominator if abs(denominator) >= NEAR_ZERO else None


def effect(
    model: LoadedModel,
    text: str,
    edits: Edit | tuple[Edit, ...] | list[Edit],
    question: Question | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    **texts: Any,  # what `prepare` takes beside the text, each of its own type
) -> Effect:
    """Run a text with and without some edits, side by side, and answer a question of both.

    `question` None asks what suits the model (`question.usual`). The control is what the same edit does to `draws` runs
    in which what it changes of the layer's writing has the same lengths in random directions, drawn from `seed`; 0
    leaves it out, and the effect says so. `progress` is told how many runs are done and how many there are; `stop` is
    asked between batches.
    `texts` are `pair`, `target`, the languages and `chat`, as in `capture`.

    Raises ExperimentError, a plain sentence, for an edit or a question that cannot be carried out here, Stopped if
    `stop` said so, and what `capture` raises of the text.
    """
    return effect_of(Runs(prepare(model, text, **texts)), edits_of(edits), question, draws, seed, progress, stop)


def effect_of(  # noqa: PLR0913 (the whole of an experiment; all but the first two have a usual value)
    runs: Runs,
    edits: tuple[Edit, ...],
    question: Question | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Effect:
    """`effect` of a text that was prepared, whose runs are remembered from one effect to the next."""
    running = effect_slices(runs, edits, question, draws=draws, seed=seed, stop=stop)
    return to_the_end(running, progress)


def effect_slices(
    runs: Runs,
    edits: tuple[Edit, ...],
    question: Question | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[tuple[int, int], None, Effect]:
    """An effect, batch by batch, so that somebody else's sentence can be read between them; see `sweep.slices`."""
    asking = asked(question, runs)
    answers = asking.read(runs.run([(), edits]))
    control = (yield from null_slices(runs, edits, asking, draws, seed, stop)) if draws else None
    logits = answers.logits
    return Effect(
        edits=edits,
        question=asking.question,
        before=float(answers.values[0]),
        after=float(answers.values[1]),
        top_before=() if logits is None else asking.top(logits[0]),
        top_after=() if logits is None else asking.top(logits[1]),
        notes=tuple(runs.compiler.said) if runs.model.exact else (),
        control=control,
    )
