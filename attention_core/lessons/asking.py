"""A question of a lesson, asked of the text that the learner has: what can be answered, does it make sense, its mark.

    asked = ask(step.ask, trace)
    asked.why_not or asked.mark(4).says

An answer is computed when it is marked, from the tensors of the trace; nothing is kept beside them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from attention_core.heads.catalogue import METRICS
from attention_core.heads.scores import HeadScores, head_scores
from attention_core.lessons import marks
from attention_core.lessons.lesson import Asked as AnyQuestion
from attention_core.lessons.lesson import Figure, FindHead, Number, Order, Point, Sketch, Step, Which, figures_in
from attention_core.lessons.measuring import CannotAskError, measure, place_of, row_of, slip_values
from attention_core.record.record import Record

Answer = Any  # a place, a list of shares, a number, names: what the kind asks for, read where it is marked

_SLIPS = {
    "forgot-root": "That is q·k before it is divided by √d.",
    "row-for-column": "Row and column are exchanged: the query is the word that looks.",
    "no-exp": "Those are the scores as shares of their sum: softmax takes their exponentials first.",
    "forgot-mask": "That is the share if the mask hid nothing.",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question on a text."""

    kind: str
    words: tuple[str, ...]  # that the choices are named by: tokens of the row, names of figures, heads
    among: tuple[int, ...]  # places in `words` that can be chosen
    why_not: str  # a sentence; "" if it is asked
    mark: Callable[[Answer], marks.Mark]
    query: int | None = None  # whose row it is
    values: tuple[float, ...] = ()  # what is so: of each of `words`, of a sketch of each in `among`, or the one number


def ask(question: AnyQuestion, trace: Record) -> Asked:
    """The question on this text. A question that has no meaning on it says why, in `why_not`, and is not marked."""
    kind = question.__struct_config__.tag
    try:
        return _ASKS[type(question)](question, trace)
    except CannotAskError as why:
        return Asked(str(kind), (), (), str(why), _never)


def told(sentence: str, step: Step, trace: Record) -> str:
    """A sentence with the figures that it quotes, computed on this text.

    A figure without a meaning here reads “–”. Two decimals, none for whole numbers.
    """
    for name in figures_in(sentence):
        try:
            value = measure(step.figures[name], trace)
            said = f"{value:.0f}" if abs(value - round(value)) < 1e-4 else f"{value:.2f}"
        except CannotAskError:
            said = "–"
        sentence = sentence.replace(f"{{{name}}}", said)
    return sentence


def _point(question: Point, trace: Record) -> Asked:
    query, row, names, own = _row(question, trace)
    among = own if question.specials == "hidden" else tuple(range(len(names)))
    return Asked(
        "point",
        names,
        among,
        marks.why_not_point(row, among),
        partial(_mark_point, row, names, among),
        query,
        tuple(row),
    )


def _mark_point(row: Sequence[float], names: Sequence[str], among: Sequence[int], chosen: int) -> marks.Mark:
    return marks.point(row, names, chosen, among=among)


def _sketch(question: Sketch, trace: Record) -> Asked:
    query, row, names, own = _row(question, trace)
    among = own if question.specials == "hidden" else tuple(range(len(names)))
    shares = [row[i] for i in among]
    if not sum(shares):
        raise CannotAskError("Nothing of this row goes to words.")
    shares = [share / sum(shares) for share in shares]
    shown = [names[i] for i in among]
    why_not = "" if len(among) >= marks.FEWEST_WORDS else f"There are fewer than {marks.FEWEST_WORDS} words."
    return Asked("sketch", names, among, why_not, partial(marks.sketch, shares, shown), query, tuple(shares))


def _row(question: Point | Sketch, trace: Record) -> tuple[int, list[float], tuple[str, ...], tuple[int, ...]]:
    """The query's place, its weights, the keys' names, and the places of those that are read from the text."""
    query = place_of(question.query, trace, question.layer, question.head)
    row = row_of(trace, question.layer, question.head, query)
    if bool(row.isnan().any()):
        raise CannotAskError("The mask leaves this word nothing to look at.")
    keys = trace.key_tokens(question.layer)
    own = tuple(i for i, token in enumerate(keys) if not token.special)
    return query, row.tolist(), tuple(token.text for token in keys), own


def _number(question: Number, trace: Record) -> Asked:
    truth = measure(question.figure, trace)
    values = {name: slip_values(name, question.figure, trace) for name in question.slips}
    slips = [marks.Slip(name, value, _SLIPS[name]) for name, value in values.items() if value is not None]
    mark = partial(_mark_number, truth, question.digits, slips)
    return Asked("number", (), (), "", mark, values=(truth,))


def _mark_number(truth: float, digits: int, slips: Sequence[marks.Slip], typed: float) -> marks.Mark:
    return marks.number(truth, typed, digits, slips)


def _order(question: Order, trace: Record) -> Asked:
    values = _values(question.figures, trace)
    names, why_not = tuple(values), marks.why_not_order(values, question.noise)
    mark = partial(marks.order, values)
    return Asked("order", names, tuple(range(len(names))), why_not, mark, values=tuple(values.values()))


def _which(question: Which, trace: Record) -> Asked:
    values = _values(question.figures, trace)
    names, why_not = tuple(values), marks.why_not_which(values, question.noise)
    return Asked("which", names, (0, 1), why_not, partial(marks.which, values), values=tuple(values.values()))


def _values(figures: dict[str, Figure], trace: Record) -> dict[str, float]:
    return {name: measure(figure, trace) for name, figure in figures.items()}


def _find_head(question: FindHead, trace: Record) -> Asked:
    scores = head_scores(trace)
    values, null = _of_heads(scores, question.metric)
    names, why_not = tuple(values), marks.why_not_find(values, question.bound, null)
    mark = partial(marks.find_head, values, question.bound, null)
    return Asked("find-head", names, tuple(range(len(names))), why_not, mark, values=tuple(values.values()))


def _of_heads(scores: HeadScores, metric: str) -> tuple[dict[str, float], float]:
    """The metric of each head that has one, and the most that attention spread evenly has of it in any layer."""
    ids = [one.id for one in METRICS]
    if metric not in ids:
        raise CannotAskError(f"There is no metric “{metric}”.")
    column = ids.index(metric)
    found = zip(scores.heads, scores.values[:, column].tolist(), strict=True)
    even = scores.even[:, column]
    null = float(even[~even.isnan()].max()) if bool((~even.isnan()).any()) else 0.0
    values = {f"{layer}.{head}": value for (layer, head), value in found if value == value}
    if not values:
        raise CannotAskError("No head has this on this text.")
    return values, null


def _never(_: object) -> marks.Mark:
    raise CannotAskError("This is not asked here.")


# Any: each takes its own question.
_ASKS: dict[type, Callable[[Any, Record], Asked]] = {
    Point: _point,
    Sketch: _sketch,
    Number: _number,
    Order: _order,
    Which: _which,
    FindHead: _find_head,
}
