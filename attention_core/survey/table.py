"""The result of a survey as a table that opens in pandas: one row per head and metric, and per head and label.

| column | metric rows | label rows |
|---|---|---|
| n | windows in which the metric had a meaning | windows or probes in the test |
| mean, sd | of the metric over windows | of the score; sd of score − null |
| null | mean of what even attention scores | mean of what the score must beat |
| low, high | empty | confidence interval of score − null |
| weight | empty | mean weight on what is scored, sinks counted |
| labelled | empty | whether the head earned the label |
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Any

from attention_core.formats.shown import short_repr
from attention_core.heads.catalogue import METRICS
from attention_core.heads.labels import CONFIDENCE, Tally
from attention_core.heads.running import Running


@dataclass(frozen=True, slots=True)
class Row:
    """One row; None is an empty cell."""

    model: str
    kind: str  # "encoder self", "decoder self" or "cross"
    layer: int  # within its kind
    head: int
    measure: str  # "metric" or "label"
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
        }
        schema = pyarrow.schema([(field.name, types[field.type]) for field in fields(Row)])  # pyright: ignore
        columns: list[list[Any]] = [[getattr(row, name) for row in self.rows] for name in COLUMNS]
        table = pyarrow.Table.from_arrays(
            [pyarrow.array(column, part.type) for column, part in zip(columns, schema, strict=True)], schema=schema
        )
        written = io.BytesIO()
        pyarrow.parquet.write_table(table, written)
        return written.getvalue()


def survey_table(
    model: str, layer_facts: Sequence[Sequence[Any]], metrics: Running, even: Running, tally: Tally
) -> SurveyTable:
    """The table of what was added up; `layer_facts` are kind, index and number of heads of each layer."""
    cards = tally.cards()
    means, sds, evens = (each.tolist() for each in (metrics.average, metrics.sd, even.average))
    rows: list[Row] = []
    for place, (layer, head) in enumerate(tally.heads):
        kind, index, _ = layer_facts[layer]
        for i, metric in enumerate(METRICS):
            n = int(metrics.n[place, i])
            mean, sd, null = (_cell(each[place][i]) for each in (means, sds, evens))
            rows.append(Row(model, kind, index, head, "metric", metric.id, metric.unit, n, mean, sd, null))
        card = cards[layer, head]
        for one in sorted(card.evidence, key=lambda one: one.label):
            rows.append(
                Row(
                    model,
                    kind,
                    index,
                    head,
                    "label",
                    one.label,
                    "share of variance" if one.label == "positional" else "share of attention",
                    one.n,
                    one.score,
                    one.spread,
                    one.null,
                    one.low,
                    one.high,
                    one.weight,
                    one.label in card.labels,
                )
            )
    return SurveyTable(tuple(rows))


def _cell(value: float) -> float | None:
    return None if value != value else value
