"""Draw attention weights as SVG fit for print: one head's heatmap, or the atlas of all heads.

Labels and text are data: XML is escaped.
"""

import base64
import hashlib
import io
import textwrap
from collections.abc import Sequence
from functools import cached_property
from xml.sax.saxutils import quoteattr

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from attention_core.formats import palette, wire
from attention_core.formats.svg_text import n_columns_of, xml
from attention_core.reading.reading import Item

ROW_SENTENCE = "row looks at column; each row sums to 1"
RECT_LIMIT = 64  # cells a side up to which each cell is a shape of its own; beyond, all cells are one image
TRACE_FILE = "sightline-trace.safetensors"  # what a saved trace is called unless somebody calls it otherwise
LABEL_COLUMNS = 24  # columns of a monospaced label; longer ones end in …


def heatmap_svg(  # noqa: PLR0913 (public; eight options, each of them usually left out)
    weights: Float[Tensor, "query key"],
    queries: Sequence[Item],
    keys: Sequence[Item],
    *,
    allowed: Bool[Tensor, "query key"] | None = None,
    title: str,
    lines: Sequence[str] = (ROW_SENTENCE,),
    dark: bool = False,
    per_head_scale: bool = False,
    quantity: str = "weight",
    pin: tuple[int | None, int | None] = (None, None),
    borders: tuple[int | None, int | None] = (None, None),
) -> str:
    """One head as a picture for print: labels, axis titles, legend, masked cells hatched, NaN crossed out.

    Up to `RECT_LIMIT` tokens a side every cell is a shape with its value as a tooltip; beyond, the cells are one
    embedded image with a pixel per cell, labels are thinned, and lines say so. `lines` are printed under the title;
    `quantity` is what the legend calls the numbers. `pin` is the row, the column or the cell (row, column) that is
    framed, counted from 0; `borders` are the row and column before which a second sentence begins. None: there is none.
    """
    grid = _Grid(queries, keys)
    lines = (*lines, *grid.remarks)
    heading = _wrap(title, lines, grid.row_label_width + grid.width)
    left = 34 + grid.row_label_width + 8
    head_height = _heading_height(heading)
    top = head_height + 26 + grid.column_label_width * _SIN + 14
    right = max(24.0, grid.column_label_width * _COS + 8)

    masked = None if allowed is None else ~allowed.numpy(force=True)
    values = weights.float().numpy(force=True)
    scale = _scale(values, masked, per_head_scale)
    theme = _Theme(dark, _digest(values.tobytes(), (title, lines, dark)))
    parts = [
        *_opening(max(left + grid.width + right, 420.0), top + grid.height + 84, title, theme),
        *_heading(heading, theme),
        *_axis_names(left + grid.width / 2, head_height + 16.0, top + grid.height / 2, theme),
        *_labels(grid, left, top, theme),
        f'<g transform="translate({left:.2f} {top:.2f})">',
    ]
    if grid.as_shapes:
        parts += _cells(values, masked, scale, grid, theme)
    else:
        if masked is not None:
            parts.append(_hatched(0.0, 0.0, grid.width, grid.height, theme))
        codes = wire.encode_u1(_scaled(values, scale), masked)
        parts.append(_image(codes, 0.0, 0.0, grid.width, grid.height, theme))
    parts.append(
        f'<rect width="{grid.width:.2f}" height="{grid.height:.2f}" fill="none" stroke="{theme.line}" '
        f'stroke-width="1"/>'
    )
    parts += [*_borders(borders, grid, theme), *_pinned(pin, grid, theme), "</g>"]
    says = f"{quantity}, scaled to this head's maximum {scale:.4f}" if per_head_scale else quantity
    has_masked = masked is not None and bool(masked.any())
    has_nan = bool((~np.isfinite(values if masked is None else values[~masked])).any())
    parts += _legend(left, top + grid.height + 26, theme, says, scale, has_masked, has_nan)
    return "\n".join((*parts, "</svg>")) + "\n"


def atlas_svg(
    layers: Sequence[NDArray[np.uint8]],
    *,
    labels: Sequence[str] | None = None,
    title: str = "",
    lines: Sequence[str] = (ROW_SENTENCE,),
    dark: bool = False,
    side: int = 56,
) -> str:
    """Every head at a glance: a row of small pictures per layer, a column per head.

    Each layer is an array [head row column] of `wire.encode_u1` codes; layers may differ in heads and in size. `labels`
    name the rows ("0", "1", … unless given), `side` is the size of a picture in pixels. Raises ValueError if there is
    no layer or not one label for each.
    """
    if not layers:
        raise ValueError("an atlas needs at least one layer; got none")
    labels = [str(n) for n in range(len(layers))] if labels is None else labels
    if len(labels) != len(layers):
        raise ValueError(f"an atlas needs one label per layer; got {len(labels)} for {len(layers)}")
    pitch = side + 5.0
    n_columns = max(len(layer) for layer in layers)
    left = 40.0 + max(n_columns_of(label) for label in labels) * _CHARACTER
    width = max(left + n_columns * pitch + 14, 300.0)
    heading = _wrap(title, lines, width - 28)
    head_height = _heading_height(heading)
    top = head_height + 42
    height = len(layers) * pitch
    theme = _Theme(dark, _digest(b"".join(layer.tobytes() for layer in layers), (title, dark)))
    step = 1 if pitch >= 3 * _CHARACTER else _label_step(pitch)
    parts = [
        *_opening(width, top + height + 66, title or "attention of every head", theme, fits=True),
        *_heading(heading, theme),
        f'<text x="{left}" y="{head_height + 14:.1f}" font-size="14" fill="{theme.ink_2}">head →</text>',
        f'<text transform="translate(18 {top + height / 2:.1f}) rotate(-90)" font-size="14" '
        f'text-anchor="middle" fill="{theme.ink_2}">← layer</text>',
        f'<g font-family={quoteattr(palette.MONO)} font-size="{_LABEL_SIZE}" fill="{theme.ink}">',
        *(
            f'<text x="{left + head * pitch + side / 2:.1f}" y="{top - 6:.1f}" text-anchor="middle">{head}</text>'
            for head in range(0, n_columns, step)
        ),
        *(
            f'<text x="{left - 8:.1f}" y="{top + n * pitch + side / 2 + 4:.1f}" text-anchor="end" '
            f'xml:space="preserve">{xml(label)}</text>'
            for n, label in enumerate(labels)
        ),
        "</g>",
    ]
    for n, layer in enumerate(layers):
        for head, codes in enumerate(layer):
            x, y = left + head * pitch, top + n * pitch
            parts.append(f"<g><title>{xml(f'layer {labels[n]}, head {head}')}</title>")
            if (codes == wire.U1_MASKED).any():
                parts.append(_hatched(x, y, side, side, theme))
            parts.append(_image(codes, x, y, float(side), float(side), theme) + "</g>")
    everything = np.concatenate([layer.ravel() for layer in layers])
    has_masked, has_nan = bool((everything == wire.U1_MASKED).any()), bool((everything == wire.U1_NAN).any())
    parts += _legend(left, top + height + 12, theme, "weight", 1.0, has_masked, has_nan)
    return "\n".join((*parts, "</svg>")) + "\n"


_LABEL_SIZE = 12  # pixels, monospaced
_CHARACTER = 7.3  # width of one column at that size; the widest of the fonts in the stack
_SIN, _COS = 0.87, 0.5  # key labels rise at 60°


class _Theme:
    """The palette's colours on one paper, and the name that tells this picture's definitions from another's."""

    def __init__(self, dark: bool, unique: str) -> None:
        self.unique, side = unique, int(dark)
        self.paper, self.ink, self.ink_2 = palette.PAPER[side], palette.INK[side], palette.INK_2[side]
        self.line, self.mask, self.nan = palette.LINE[side], palette.MASK[side], palette.NAN[side]
        self.query, self.key = palette.QUERY[side], palette.KEY[side]
        self.ramp = palette.RAMP_DARK if dark else palette.RAMP_LIGHT

    @cached_property
    def code_colours(self) -> list[int]:
        """Red, green and blue of each of the 256 codes of `wire.encode_u1`."""
        shades = (palette.colour(code / wire.U1_ONE, self.ramp) for code in range(wire.U1_ONE + 1))
        return [channel for colour in (*shades, self.nan, self.paper) for channel in palette.channels(colour)]


class _Grid:
    """The cells of a heatmap in pixels, and those of their labels for which there is room."""

    def __init__(self, queries: Sequence[Item], keys: Sequence[Item]) -> None:
        self.queries, self.keys = queries, keys
        n_query, n_key = len(queries), len(keys)
        self.as_shapes = max(n_query, n_key) <= RECT_LIMIT
        self.cell_width, self.cell_height = _cell_side(n_key, self.as_shapes), _cell_side(n_query, self.as_shapes)
        self.width, self.height = n_key * self.cell_width, n_query * self.cell_height
        row_step, column_step = _label_step(self.cell_height), _label_step(self.cell_width)
        self.rows = [(i, _label(queries[i].text)) for i in range(0, n_query, row_step)]  # named queries, with indices
        self.columns = [(j, _label(keys[j].text)) for j in range(0, n_key, column_step)]
        self.row_label_width = max(n_columns_of(label) for _, label in self.rows) * _CHARACTER
        self.column_label_width = max(n_columns_of(label) for _, label in self.columns) * _CHARACTER
        self.remarks: list[str] = []  # what the picture leaves out
        if not self.as_shapes:
            self.remarks.append(f"{n_query} × {n_key} cells, one pixel each.")
        if max(row_step, column_step) > 1:
            self.remarks.append(f"Labels thinned: one in {row_step} queries and one in {column_step} keys is named.")


def _label(text: str) -> str:
    if n_columns_of(text) <= LABEL_COLUMNS:
        return text
    cut = text[: LABEL_COLUMNS - 1]
    while n_columns_of(cut) > LABEL_COLUMNS - 1:
        cut = cut[:-1]
    return cut + "…"


def _cell_side(n: int, as_shapes: bool) -> float:
    """Pixels of one of `n` cells along an axis: large enough for a label each, or all of them within 768."""
    return min(28.0, max(14.0, 560 / n) if as_shapes else 768 / n)


def _label_step(cell: float) -> int:
    """Every how many cells a label fits."""
    return max(1, int(np.ceil(_LABEL_SIZE / cell)))


def _wrap(title: str, lines: Sequence[str], width: float) -> list[tuple[str, int]]:
    """Title and lines broken to the width of the picture, each with its size in pixels."""
    wrapped = [(part, 16) for part in textwrap.wrap(title, max(40, int(width / 9)))]
    return wrapped + [(part, 13) for line in lines for part in textwrap.wrap(line, max(48, int(width / 7)))]


def _heading_height(heading: Sequence[tuple[str, int]]) -> int:
    return 14 + sum(size + 7 for _, size in heading)


def _heading(heading: Sequence[tuple[str, int]], theme: _Theme) -> list[str]:
    parts: list[str] = []
    y = 14.0
    for n, (line, size) in enumerate(heading):
        y += size + (0 if n == 0 else 7)
        weight, fill = ("600", theme.ink) if size == 16 else ("400", theme.ink_2)
        parts.append(
            f'<text x="14" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
            f'xml:space="preserve">{xml(line)}</text>'
        )
    return parts


def _digest(content: bytes, words: tuple[object, ...]) -> str:
    """The same for the same picture, so that a file can be compared; different ones can stand in one page."""
    return hashlib.sha256(content + repr(words).encode("utf-8", "replace")).hexdigest()[:10]


def _opening(width: float, height: float, title: str, theme: _Theme, *, fits: bool = False) -> list[str]:
    """The beginning of a picture, with what its parts refer to; `fits`: it shrinks where there is less room."""
    style = 'style="max-width:100%;height:auto" ' if fits else ""
    stops = "".join(
        f'<stop offset="{n / (len(theme.ramp) - 1):.4f}" stop-color="{stop}"/>' for n, stop in enumerate(theme.ramp)
    )
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.2f} {height:.2f}" {style}role="img" aria-labelledby="t{theme.unique}" '
        f"font-family={quoteattr(palette.UI)}>",
        f'<title id="t{theme.unique}">{xml(title)}</title>',
        f'<defs><linearGradient id="r{theme.unique}">{stops}</linearGradient>'
        f'<pattern id="m{theme.unique}" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><rect width="6" height="6" fill="{theme.paper}"/>'
        f'<line x1="0" y1="0" x2="0" y2="6" stroke="{theme.mask}" stroke-width="1.6"/></pattern></defs>',
        f'<rect width="100%" height="100%" fill="{theme.paper}"/>',
    ]


def _axis_names(x: float, above: float, y: float, theme: _Theme) -> list[str]:
    """Of the keys above the middle of the columns, of the queries beside the middle of the rows."""
    return [
        f'<text x="{x:.1f}" y="{above:.1f}" font-size="14" text-anchor="middle" '
        f'fill="{theme.key}">key (is looked at) →</text>',
        f'<text transform="translate(20 {y:.1f}) rotate(-90)" font-size="14" text-anchor="middle" '
        f'fill="{theme.query}">← query (looks)</text>',
    ]


def _labels(grid: _Grid, left: float, top: float, theme: _Theme) -> list[str]:
    """The names of queries beside their rows, and of keys above their columns, leaning."""
    parts = [f'<g font-family={quoteattr(palette.MONO)} font-size="{_LABEL_SIZE}" fill="{theme.ink}">']
    for i, label in grid.rows:
        y = top + (i + 0.5) * grid.cell_height + _LABEL_SIZE * 0.35
        parts.append(f'<text x="{left - 8:.1f}" y="{y:.1f}" text-anchor="end" xml:space="preserve">{xml(label)}</text>')
    for j, label in grid.columns:
        x = left + (j + 0.5) * grid.cell_width + 3
        parts.append(
            f'<text transform="translate({x:.1f} {top - 7:.1f}) rotate(-60)" xml:space="preserve">{xml(label)}</text>'
        )
    return [*parts, "</g>"]


def _hatched(x: float, y: float, width: float | int, height: float | int, theme: _Theme) -> str:
    """The sign of masked cells, under an image in which they are transparent."""
    fill = f"url(#m{theme.unique})"
    return f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="{fill}"/>'


def _scale(values: NDArray[np.float32], masked: NDArray[np.bool_] | None, per_head_scale: bool) -> float:
    """The weight that gets the ramp's last colour."""
    if not per_head_scale:
        return 1.0
    counted = np.isfinite(values) if masked is None else np.isfinite(values) & ~masked
    largest = float(values.max(initial=0.0, where=counted))
    return largest if largest > 0 else 1.0


def _scaled(values: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    return values if scale == 1 else values / np.float32(scale)


def _cells(
    values: NDArray[np.float32],
    masked: NDArray[np.bool_] | None,
    scale: float,
    grid: _Grid,
    theme: _Theme,
) -> list[str]:
    """One shape per cell, with its value as a tooltip."""
    width, height = grid.cell_width, grid.cell_height
    parts = ['<g shape-rendering="crispEdges">']
    for i, query in enumerate(grid.queries):
        for j, key in enumerate(grid.keys):
            weight = float(values[i, j])
            finite = bool(np.isfinite(weight))
            if masked is not None and masked[i, j]:
                fill, said = f"url(#m{theme.unique})", "masked: may not be read"
            elif finite:
                fill, said = palette.colour(weight / scale, theme.ramp), f"{weight:.4f}"
            else:
                fill, said = theme.paper, str(weight)
            x, y = j * width, i * height
            parts.append(
                f'<rect x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" fill="{fill}">'
                f"<title>{xml(f'{query.text} looks at {key.text}: {said}')}</title></rect>"
            )
            if not finite and not (masked is not None and masked[i, j]):
                parts.append(_cross(x + (width - height) / 2, y, height, theme))
    return [*parts, "</g>"]


def _borders(borders: tuple[int | None, int | None], grid: _Grid, theme: _Theme) -> list[str]:
    """Lines before the row and the column with which a second sentence begins."""
    row, column = borders
    at = [] if row is None else [f"M0 {row * grid.cell_height:.2f}H{grid.width:.2f}"]
    at += [] if column is None else [f"M{column * grid.cell_width:.2f} 0V{grid.height:.2f}"]
    path = f'<path class="border" d="{"".join(at)}" stroke="{theme.ink_2}" stroke-width="1.5" stroke-dasharray="5 3"/>'
    return [path] if at else []


def _pinned(pin: tuple[int | None, int | None], grid: _Grid, theme: _Theme) -> list[str]:
    """Frames around the pinned row, column and cell, as on the page."""
    row, column = pin
    y, x = (row or 0) * grid.cell_height, (column or 0) * grid.cell_width
    frames: list[tuple[str, float, float, float, float, str]] = []
    if row is not None:
        frames.append(("pinned query", 0.0, y, grid.width, grid.cell_height, theme.query))
    if column is not None:
        frames.append(("pinned key", x, 0.0, grid.cell_width, grid.height, theme.key))
    if row is not None and column is not None:
        frames.append(("pinned cell", x, y, grid.cell_width, grid.cell_height, theme.ink))
    return [
        f'<rect class="{name}" x="{left:.2f}" y="{top:.2f}" width="{width:.2f}" height="{height:.2f}" fill="none" '
        f'stroke="{colour}" stroke-width="2"/>'
        for name, left, top, width, height, colour in frames
    ]


def _cross(x: float, y: float, side: float, theme: _Theme) -> str:
    """The sign of NaN and ±∞."""
    a, b = 0.25 * side, 0.75 * side
    return (
        f'<path d="M{x + a:.2f} {y + a:.2f}L{x + b:.2f} {y + b:.2f}M{x + b:.2f} {y + a:.2f}L{x + a:.2f} {y + b:.2f}" '
        f'stroke="{theme.nan}" stroke-width="1.6"/>'
    )


def _image(codes: NDArray[np.uint8], x: float, y: float, width: float, height: float, theme: _Theme) -> str:
    """Weight codes as an embedded PNG, one pixel per cell; masked cells are transparent."""
    from PIL import Image  # only here: a page that draws nothing need not wait for it

    image = Image.fromarray(np.ascontiguousarray(codes))
    image.putpalette(theme.code_colours)
    file = io.BytesIO()
    image.save(file, "PNG", transparency=wire.U1_MASKED)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return (
        f'<image x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" preserveAspectRatio="none" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )


def _legend(x: float, y: float, theme: _Theme, says: str, scale: float, has_masked: bool, has_nan: bool) -> list[str]:
    """The ramp from 0 to `scale`, what it `says`, and the signs of what is on no scale."""
    width = 160.0
    ends = (("0", "start", 0), (f"{scale / 2:.3g}", "middle", width / 2), (f"{scale:.3g}", "end", width))
    ramp, mask = f"url(#r{theme.unique})", f"url(#m{theme.unique})"
    parts = [
        f'<g transform="translate({x:.2f} {y:.2f})" font-size="12" fill="{theme.ink_2}">',
        f'<rect width="{width}" height="10" fill="{ramp}" stroke="{theme.line}" stroke-width="0.5"/>',
        *(f'<text x="{at}" y="24" text-anchor="{anchor}">{text}</text>' for text, anchor, at in ends),
        f'<text x="0" y="41">{says}</text>',
    ]
    at = width + 20.0
    if has_masked:
        parts.append(f'<rect x="{at}" y="-1" width="12" height="12" fill="{mask}" stroke="{theme.line}"/>')
        parts.append(f'<text x="{at + 18}" y="9">masked: may not be read</text>')
    if has_nan:
        parts.append(f'<g transform="translate(0 17)">{_cross(at, -1.0, 12.0, theme)}</g>')
        parts.append(f'<text x="{at + 18}" y="26">not a number</text>')
    return [*parts, "</g>"]
