"""A matrix of the Lab as an SVG picture: every cell with its number, masked cells hatched, labels, formula, scale."""

import hashlib
import math
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
    side = int(dark)
    paper, ink, faint, line = (colour[side] for colour in (palette.PAPER, palette.INK, palette.INK_2, palette.LINE))
    finite = [value for row in matrix.values.tolist() for value in row if math.isfinite(value)]
    shares = matrix.name == "weights" and all(0 <= value <= 1 for value in finite)
    top = 1.0 if shares else max((abs(value) for value in finite), default=0.0) or 1.0
    of_head = "" if matrix.head is None else f", head {matrix.head + 1}"
    title = f"{matrix.symbol}  {matrix.title}{of_head}  [{matrix.shape[0]} × {matrix.shape[1]}]"
    looks = "row looks at column" if matrix.column_axis == "word" else ""
    lines = [part for part in (matrix.formula, looks, note) if part]

    left = 28 + max(n_columns_of(label) for label in matrix.rows) * _CHARACTER
    lean = max(n_columns_of(label) for label in matrix.columns) * _CHARACTER
    turned = lean > _CELL_WIDTH - 8
    above = 20 + (lean * 0.87 if turned else 16)
    head = 44.0 + 22 * len(lines)
    width = matrix.shape[1] * _CELL_WIDTH
    height = matrix.shape[0] * _CELL_HEIGHT
    heading = max(n_columns_of(title) * 9.6, *(n_columns_of(text) * 7.6 for text in (*lines, "")))
    total_width = max(left + width + (lean * 0.5 if turned else 0) + 24, heading + 32, left + 290.0)
    total_height = head + above + height + 74
    unique = hashlib.sha256(repr((title, lines, dark, matrix.values.tolist())).encode()).hexdigest()[:10]

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total_width:.0f}" height="{total_height:.0f}" '
        f'viewBox="0 0 {total_width:.1f} {total_height:.1f}" role="img" aria-labelledby="t{unique}" '
        f"font-family={quoteattr(palette.UI)}>",
        f'<title id="t{unique}">{xml(title)}</title>',
        f'<defs><pattern id="m{unique}" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="6" height="6" fill="{paper}"/>'
        f'<line x1="0" y1="0" x2="0" y2="6" stroke="{palette.MASK[side]}" stroke-width="1.6"/></pattern></defs>',
        f'<rect width="100%" height="100%" fill="{paper}"/>',
        f'<text x="16" y="30" font-size="17" font-weight="600" fill="{ink}" xml:space="preserve">{xml(title)}</text>',
    ]
    parts += [
        f'<text x="16" y="{54 + 22 * n}" font-size="14" fill="{faint}">{xml(text)}</text>'
        for n, text in enumerate(lines)
    ]
    parts.append(f'<g font-family={quoteattr(palette.MONO)} font-size="14" fill="{ink}">')
    y0 = head + above
    for i, label in enumerate(matrix.rows):
        y = y0 + (i + 0.5) * _CELL_HEIGHT + 5
        parts.append(f'<text x="{left - 8:.1f}" y="{y:.1f}" text-anchor="end">{xml(label)}</text>')
    for j, label in enumerate(matrix.columns):
        x = left + (j + 0.5) * _CELL_WIDTH
        at = f'transform="translate({x:.1f} {y0 - 8:.1f}) rotate(-60)"' if turned else f'x="{x:.1f}" y="{y0 - 8:.1f}"'
        parts.append(f'<text {at} text-anchor="{"start" if turned else "middle"}">{xml(label)}</text>')
    masked = None if matrix.masked is None else matrix.masked.tolist()
    for i, row in enumerate(matrix.values.tolist()):
        for j, value in enumerate(row):
            hidden = masked is not None and masked[i][j]
            parts += _cell(
                left + j * _CELL_WIDTH, y0 + i * _CELL_HEIGHT, value, hidden, shares, top, dark, unique, line
            )
    parts.append("</g>")
    parts += _scale(left, y0 + height + 20, shares, top, dark, faint, line)
    if masked is not None:
        x, y = left + 200, y0 + height + 20
        parts += [
            f'<rect x="{x:.1f}" y="{y - 1:.1f}" width="14" height="14" fill="url(#m{unique})" stroke="{line}"/>',
            f'<text x="{x + 20:.1f}" y="{y + 11:.1f}" font-size="14" fill="{faint}">masked</text>',
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


def _cell(
    x: float, y: float, value: float, hidden: bool, shares: bool, top: float, dark: bool, unique: str, line: str
) -> list[str]:
    if hidden or math.isinf(value):
        fill, text, ink = f"url(#m{unique})", "", ""
    else:
        ramp = _ramp(shares, dark)
        fill = palette.colour(value if shares else (value / top + 1) / 2, ramp)
        text = f"{value:.2f}" if shares else cell_number(value)
        ink = max((palette.INK.light, palette.INK.dark), key=lambda colour: palette.contrast(colour, fill))
    said = "masked" if not text else f"{value:.6g}"
    parts = [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_CELL_WIDTH:g}" height="{_CELL_HEIGHT:g}" fill="{fill}" '
        f'stroke="{line}" stroke-width="1"><title>{said}</title></rect>'
    ]
    if text:
        parts.append(
            f'<text x="{x + _CELL_WIDTH / 2:.1f}" y="{y + _CELL_HEIGHT / 2 + 5:.1f}" text-anchor="middle" '
            f'fill="{ink}">{text}</text>'
        )
    return parts


def _scale(x: float, y: float, shares: bool, top: float, dark: bool, faint: str, line: str) -> list[str]:
    """The colours from end to end, and what they stand for."""
    ramp = _ramp(shares, dark)
    step = 180 / len(ramp)
    parts = [
        f'<rect x="{x + n * step:.1f}" y="{y:.1f}" width="{step:.1f}" height="12" fill="{colour}"/>'
        for n, colour in enumerate(ramp)
    ]
    ends = ("0", "0.5", "1") if shares else (f"{-top:.4g}", "0", f"{top:.4g}")
    parts += [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="180" height="12" fill="none" stroke="{line}"/>',
        *(
            f'<text x="{x + at:.1f}" y="{y + 30:.1f}" font-size="14" text-anchor="middle" fill="{faint}">{text}</text>'
            for at, text in zip((0, 90, 180), ends, strict=True)
        ),
    ]
    return parts


def _ramp(shares: bool, dark: bool) -> tuple[str, ...]:
    if shares:
        return palette.RAMP_DARK if dark else palette.RAMP_LIGHT
    return palette.DIVERGING_DARK if dark else palette.DIVERGING_LIGHT
