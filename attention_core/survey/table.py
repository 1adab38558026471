"""The result of a survey as a table that opens in pandas: rows for metrics, for labels, and one answer for each head.

| column | metric rows | label rows | answer rows |
|---|---|---|---|
| id | the metric | the label | the name that the head earned, or empty |
| length | empty | tokens of the texts of this test | empty |
| n | windows in which the metric had a meaning | windows or probes in the test | empty (0) |
| mean, sd | of the metric over windows | of the score; sd of score − null | empty |
| null | mean of what even attention scores | mean of what the score must beat | empty |
| low, high | empty | confidence interval of score − null | empty |
| weight | empty | mean weight on what is scored, sinks counted | empty |
| labelled | empty | whether it holds at this length; empty: not tested | whether it has a name; empty: not tested |
| because | empty | why it could not be tested | why nothing could be |
"""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, fields
from functools import partial
from typing import TYPE_CHECKING

from attention_core.formats.shown import short_repr
from attention_core.heads.cards import Answer, LabelCard, Tally
from attention_core.heads.catalogue import METRICS
from attention_core.heads.evidence import LabelId
from attention_core.heads.labels import CONFIDENCE
from attention_core.heads.running import Running


@dataclass(frozen=True, slots=True)
class Row:
    """One row; None is an empty cell."""

    model: str
    kind: str  # "encoder self", "decoder self" or "cross"
    layer: int  # within its kind
    head: int
    measure: str  # "metric", "label" or "answer"
    id: str
    unit: str
    n: int
    mean: float | None
    sd: float | None
    null: float | None
    low: float | None = None
    high: float | None = None
    weight: float | None = None
    labelled: bool | None = None
    length: int | None = None
    because: str | None = None


if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = tuple(field.name for field in fields(Row))


@dataclass(frozen=True, slots=True)
class SurveyTable:
    """The rows of a survey, in the order of heads, metrics and labels."""

    rows: tuple[Row, ...]
    confidence: float = CONFIDENCE

    __repr__ = short_repr

    def __len__(self) -> int:
        return len(self.rows)

    def to_csv(self) -> bytes:
        """UTF-8 with a header; numbers in full, so that nothing is lost."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(["" if value is None else value for value in astuple(row)] for row in self.rows)
        return text.getvalue().encode()

    def to_pandas(self) -> "DataFrame":
        """The same rows and columns as a pandas table; empty cells are NaN, in `labelled` None."""
        import pandas

        return pandas.DataFrame([astuple(row) for row in self.rows], columns=list(COLUMNS))

    def to_parquet(self) -> bytes:
        """The table as a Parquet file: the same rows and columns as `to_csv`, with types."""
        import pyarrow
        import pyarrow.parquet

        types = {
            str: pyarrow.string(),
            int: pyarrow.int64(),
            float | None: pyarrow.float64(),
            bool | None: pyarrow.bool_(),
            int | None: pyarrow.int64(),
            str | None: pyarrow.string(),
        }
        schema = pyarrow.schema([(field.name, types[field.type]) for field in fields(Row)])  # pyright: ignore
        columns: list[list[object]] = [[getattr(row, name) for row in self.rows] for name in COLUMNS]
        table = pyarrow.Table.from_arrays(
            [pyarrow.array(column, part.type) for column, part in zip(columns, schema, strict=True)], schema=schema
        )
        written = io.BytesIO()
        pyarrow.parquet.write_table(table, written)
        return written.getvalue()


def survey_table(
    model: str, tally: Tally, cards: Mapping[tuple[int, int], LabelCard], metrics: Running, even: Running
) -> SurveyTable:
    """The table of what was added up: of each head its metrics, the tests of its labels, and its answer."""
    means, sds, evens = (each.tolist() for each in (metrics.average, metrics.sd, even.average))
    rows: list[Row] = []
    for place, (layer, head) in enumerate(tally.heads):
        facts = tally.layers[layer]
        of_head = partial(Row, model, facts.kind, facts.index, head)
        for i, metric in enumerate(METRICS):
            n = int(metrics.n[place, i])
            mean, sd, null = (_cell(each[place][i]) for each in (means, sds, evens))
            rows.append(of_head("metric", metric.id, metric.unit, n, mean, sd, null))
        rows += _tests(of_head, cards[layer, head])
        rows.append(_answer(of_head, cards[layer, head]))
    return SurveyTable(tuple(rows))


def _tests(of_head: Callable[..., Row], card: LabelCard) -> list[Row]:
    """One row for each label and length, those that could not be tested too."""
    made = [
        of_head(
            "label",
            one.label,
            _unit(one.label),
            one.n,
            one.score,
            one.spread,
            one.null,
            one.low,
            one.high,
            one.weight,
            one.holds,
            one.length,
        )
        for one in card.evidence
    ]
    made += [
        of_head(
            "label",
            one.label,
            _unit(one.label),
            0,
            None,
            None,
            None,
            length=one.length,
            because=one.because,
        )
        for one in card.untested
    ]
    return sorted(made, key=lambda row: (row.id, row.length or 0))


def _answer(of_head: Callable[..., Row], card: LabelCard) -> Row:
    labelled = {Answer.NAMED: True, Answer.UNLABELLED: False, Answer.UNTESTED: None}[card.answer]
    because = card.because or None
    return of_head("answer", card.label or "", "", 0, None, None, None, labelled=labelled, because=because)


def _unit(label: LabelId) -> str:
    return "share of variance" if label == "positional" else "share of attention"


def _cell(value: float) -> float | None:
    return None if value != value else value
