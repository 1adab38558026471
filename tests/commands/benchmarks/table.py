"""One table of figures, each beside its target."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Row:
    """One figure. `target` is the most it may be, in the unit of `value`; None where nothing was promised."""

    what: str
    value: float
    unit: str
    target: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool | None:
        return None if self.target is None else self.value <= self.target


def number(value: float, unit: str) -> str:
    """Three significant figures, or none after the point from 100 on; bytes as kB or MB."""
    if unit == "B":
        value, unit = (value / 1e6, "MB") if value >= 1e6 else (value / 1e3, "kB")
    figures = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{figures} {unit}".replace(" ×", "×")


def show(rows: list[Row]) -> str:
    """The table as Markdown, which reads well in a terminal too."""
    cells = [("", "here", "at most", "holds", "")]
    for row in rows:
        target = "" if row.target is None else number(row.target, row.unit)
        holds = {None: "", True: "yes", False: "NO"}[row.holds]
        cells.append((row.what, number(row.value, row.unit), target, holds, row.note))
    widths = [max(len(line[i]) for line in cells) for i in range(5)]
    right = (False, True, True, False, False)

    def line(texts: tuple[str, ...]) -> str:
        padded = [t.rjust(w) if r else t.ljust(w) for t, w, r in zip(texts, widths, right, strict=True)]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)) + "|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def ratio_of(numerators: list[float], denominators: list[float]) -> float:
    """Median of the ratios of runs made side by side: what disturbs both disturbs neither."""
    return median(a / b for a, b in zip(numerators, denominators, strict=True))
