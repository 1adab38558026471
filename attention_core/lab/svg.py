"""A matrix of the Lab as an SVG picture: every cell with its number, masked cells hatched, labels, formula, scale."""

import hashlib
import math
from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from attention_core.formats import palette
from attention_core.formats.svg_text import n_columns_of, xml
from attention_core.lab.run import LabMatrix

_CELL_WIDTH, _CELL_HEIGHT = 64.0, 34.0
_CHARACTER = 8.6  # width of one column of a monospaced face at 14 pixels


def matrix_svg(matrix: LabMatrix, *, dark: bool = False, note: str = "") -> str:
    """The picture's text.

    Weights that are shares are on the fixed scale from 0 to 1, all else from -m to m with 0 in the middle; m is the
    largest magnitude in the matrix, and the picture says it. `note` is printed under the formula.
    """
    scale = _Scale(matrix, dark)
    of_head = "" if matrix.head is None else f", head {matrix.head + 1}"
    title = f"{matrix.symbol}  {matrix.title}{of_head}  [{matrix.shape[0]} × {matrix.shape[1]}]"
    looks = "row looks at column" if matrix.column_axis == "word" else ""
    lines = [part for part in (matrix.formula, looks, note) if part]

    left = 28 + max(n_columns_of(label) for label in matrix.rows) * _CHARACTER
    lean = max(n_columns_of(label) for label in matrix.columns) * _CHARACTER
    turned = lean > _CELL_WIDTH - 8
    top = 44.0 + 22 * len(lines) + 20 + (lean * 0.87 if turned else 16)
    width = matrix.shape[1] * _CELL_WIDTH
    height = matrix.shape[0] * _CELL_HEIGHT
    heading = max(n_columns_of(title) * 9.6, *(n_columns_of(text) * 7.6 for text in (*lines, "")))
    total_width = max(left + width + (lean * 0.5 if turned else 0) + 24, heading + 32, left + 290.0)
    theme = _Theme(dark, hashlib.sha256(repr((title, lines, dark, matrix.values.tolist())).encode()).hexdigest()[:10])

    parts = [
        *_opening(total_width, top + height + 74, title, lines, theme),
        f'<g font-family={quoteattr(palette.MONO)} font-size="14" fill="{theme.ink}">',
    ]
    for i, label in enumerate(matrix.rows):
        y = top + (i + 0.5) * _CELL_HEIGHT + 5
        parts.append(f'<text x="{left - 8:.1f}" y="{y:.1f}" text-anchor="end">{xml(label)}</text>')
    for j, label in enumerate(matrix.columns):
        x = left + (j + 0.5) * _CELL_WIDTH
        at = f'transform="translate({x:.1f} {top - 8:.1f}) rotate(-60)"' if turned else f'x="{x:.1f}" y="{top - 8:.1f}"'
        parts.append(f'<text {at} text-anchor="{"start" if turned else "middle"}">{xml(label)}</text>')
    masked = None if matrix.masked is None else matrix.masked.tolist()
    for i, row in enumerate(matrix.values.tolist()):
        for j, value in enumerate(row):
            shown = None if masked is not None and masked[i][j] or math.isinf(value) else value
            parts += _cell(left + j * _CELL_WIDTH, top + i * _CELL_HEIGHT, shown, scale, theme)
    parts.append("</g>")
    parts += _legend(left, top + height + 20, scale, theme)
    if masked is not None:
        x, y = left + 200, top + height + 20
        parts += [
            f'<rect x="{x:.1f}" y="{y - 1:.1f}" width="14" height="14" fill="{theme.hatched}" stroke="{theme.line}"/>',
            f'<text x="{x + 20:.1f}" y="{y + 11:.1f}" font-size="14" fill="{theme.faint}">masked</text>',
        ]
    return "\n".join((*parts, "</svg>")) + "\n"


def cell_number(value: float) -> str:
    """A number as it fits a cell: two decimals, fewer before a large one, an exponent from 100,000 on."""
    if math.isinf(value):
        return "-∞" if value < 0 else "∞"
    size = abs(value)
    if size >= 1e5 or 0 < size < 0.005:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.2f}" if size < 100 else f"{value:.1f}" if size < 1000 else f"{value:.0f}"


class _Theme:
    """The palette's colours on one paper, and the name that tells this picture's definitions from another's."""

    def __init__(self, dark: bool, unique: str) -> None:
        side = int(dark)
        self.paper, self.ink, self.faint = palette.PAPER[side], palette.INK[side], palette.INK_2[side]
        self.line, self.mask = palette.LINE[side], palette.MASK[side]
        self.unique, self.hatched = unique, f"url(#m{unique})"


class _Scale:
    """Which colour a number gets: shares from 0 to 1, all else from -top to top with 0 in the middle."""

    def __init__(self, matrix: LabMatrix, dark: bool) -> None:
        finite = [value for row in matrix.values.tolist() for value in row if math.isfinite(value)]
        self.shares = matrix.name == "weights" and all(0 <= value <= 1 for value in finite)
        self.top = 1.0 if self.shares else max((abs(value) for value in finite), default=0.0) or 1.0
        light_and_dark = (
            (palette.RAMP_LIGHT, palette.RAMP_DARK)
            if self.shares
            else (palette.DIVERGING_LIGHT, palette.DIVERGING_DARK)
        )
        self.ramp = light_and_dark[dark]
        self.ends = ("0", "0.5", "1") if self.shares else (f"{-self.top:.4g}", "0", f"{self.top:.4g}")

    def colour(self, value: float) -> str:
        return palette.colour(value if self.shares else (value / self.top + 1) / 2, self.ramp)


def _opening(width: float, height: float, title: str, lines: Sequence[str], theme: _Theme) -> list[str]:
    """The beginning of the picture, with its title, the lines under it, and the sign of masked cells."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" role="img" aria-labelledby="t{theme.unique}" '
        f"font-family={quoteattr(palette.UI)}>",
        f'<title id="t{theme.unique}">{xml(title)}</title>',
        f'<defs><pattern id="m{theme.unique}" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="6" height="6" fill="{theme.paper}"/>'
        f'<line x1="0" y1="0" x2="0" y2="6" stroke="{theme.mask}" stroke-width="1.6"/></pattern></defs>',
        f'<rect width="100%" height="100%" fill="{theme.paper}"/>',
        f'<text x="16" y="30" font-size="17" font-weight="600" fill="{theme.ink}" xml:space="preserve">'
        f"{xml(title)}</text>",
        *(
            f'<text x="16" y="{54 + 22 * n}" font-size="14" fill="{theme.faint}">{xml(text)}</text>'
            for n, text in enumerate(lines)
        ),
    ]


def _cell(x: float, y: float, value: float | None, scale: _Scale, theme: _Theme) -> list[str]:
    """A number on its colour; None is masked."""
    fill = theme.hatched if value is None else scale.colour(value)
    said = "masked" if value is None else f"{value:.6g}"
    parts = [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_CELL_WIDTH:g}" height="{_CELL_HEIGHT:g}" fill="{fill}" '
        f'stroke="{theme.line}" stroke-width="1"><title>{said}</title></rect>'
    ]
    if value is not None:
        text = f"{value:.2f}" if scale.shares else cell_number(value)
        ink = max((palette.INK.light, palette.INK.dark), key=lambda colour: palette.contrast(colour, fill))
        parts.append(
            f'<text x="{x + _CELL_WIDTH / 2:.1f}" y="{y + _CELL_HEIGHT / 2 + 5:.1f}" text-anchor="middle" '
            f'fill="{ink}">{text}</text>'
        )
    return parts


def _legend(x: float, y: float, scale: _Scale, theme: _Theme) -> list[str]:
    """The colours from end to end, and what they stand for."""
    step = 180 / len(scale.ramp)
    parts = [
        f'<rect x="{x + n * step:.1f}" y="{y:.1f}" width="{step:.1f}" height="12" fill="{colour}"/>'
        for n, colour in enumerate(scale.ramp)
    ]
    parts += [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="180" height="12" fill="none" stroke="{theme.line}"/>',
        *(
            f'<text x="{x + at:.1f}" y="{y + 30:.1f}" font-size="14" text-anchor="middle" fill="{theme.faint}">'
            f"{text}</text>"
            for at, text in zip((0, 90, 180), scale.ends, strict=True)
        ),
    ]
    return parts
