"""Save one picture of a trace as a file (SVG, CSV, NPZ, a script), and show pictures in a notebook."""

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from attention_core.formats import wire
from attention_core.pictures.csv_npz import weights_csv, weights_npz
from attention_core.pictures.head import (
    layers_shown,
    picture_blocks,
    place_of,
    rows_and_columns,
    second_begins,
    weights_of,
)
from attention_core.pictures.heatmap_svg import ROW_SENTENCE, atlas_svg, heatmap_svg
from attention_core.pictures.overview import overview
from attention_core.reading.reading import Item, Reading, describe
from attention_core.record.groups import HeadName, LayerName, groups, layer_name
from attention_core.record.record import Record
from attention_core.record.verdict import SIGNS, reserved, verdict_of, verdict_of_all

MOST_CELLS = 2_000_000  # of all attention matrices: up to here a notebook's picture proves every head, within a second


def name_of(trace: Record, layer: LayerName, head: HeadName) -> str:
    """What a picture shows, in words: "layer 2 · head 3 · MiniLM"."""
    where = layer_name(trace, layer) if isinstance(layer, int) else f"all {' '.join(layer.split(':')[1:])} layers"
    which = f"head {head}" if isinstance(head, int) else f"{head} over heads"
    return f"{where} · {which} · {trace.facts.name}"


def svg(
    trace: Record,
    reading: Reading,
    layer: LayerName,
    head: HeadName,
    *,
    per_head_scale: bool = False,
    dark: bool = False,
    pin: tuple[int | None, int | None] = (None, None),
) -> str:
    """The heatmap for print, or with `dark` for a dark screen.

    `pin`: the indices of the query and key tokens that are framed; one that is hidden, or that there is not, is left
    out.
    """
    weights, allowed = weights_of(trace, reading, layer, head)
    queries, keys = _rows_and_columns(trace, reading, layer)
    whole = reading.by_norm or (not _has_sink(trace, layer) and (trace.sums_to_one or reading.renormalise))
    sums_to_one = head != "max" and not (reading.hides and not reading.renormalise) and whole
    first = ROW_SENTENCE if sums_to_one else "row looks at column"
    return heatmap_svg(
        weights,
        queries,
        keys,
        allowed=allowed,
        title=name_of(trace, layer, head),
        lines=(first, *describe(reading), *_proof_lines(trace, layer, head)),
        dark=dark,
        per_head_scale=per_head_scale,
        quantity="share of ‖a·v·W_O‖" if reading.by_norm else "weight",
        pin=(place_of(queries, pin[0]), place_of(keys, pin[1])),
        borders=_borders(trace, layer, queries, keys),
    )


def _borders(
    trace: Record, layer: LayerName, queries: tuple[Item, ...], keys: tuple[Item, ...]
) -> tuple[int | None, int | None]:
    """Before which row and column a pair's second sentence begins."""
    begins, index = second_begins(trace), _first_layer(trace, layer)
    if begins is None:
        return None, None
    sides = ((trace.query_tokens(index), queries), (trace.key_tokens(index), keys))
    row, column = (
        next((place for place, item in enumerate(shown) if item.pieces[0] >= begins), None)
        if tokens is trace.source_tokens
        else None
        for tokens, shown in sides
    )
    return row, column


def _proof_lines(trace: Record, layer: LayerName, head: HeadName) -> tuple[str, ...]:
    """What the proof of this picture comes to: it travels with the picture."""
    if isinstance(layer, int) and isinstance(head, int):
        verdict = verdict_of(trace, layer, head)
        return (verdict.text, *trace.beside)
    return (f"{SIGNS['checked except']} {reserved(trace)}", *trace.beside) if trace.beside else ()


def csv(trace: Record, reading: Reading, layer: LayerName, head: HeadName) -> Iterator[str]:
    """Weights as a table, masked cells empty, some lines at a time: 4,096 tokens make 130 MB of text.

    Raises ValueError at once, not at the first lines, naming a layer or head that does not exist.
    """
    layers_shown(trace, layer, head)
    return _csv_lines(trace, reading, layer, head)


def _csv_lines(trace: Record, reading: Reading, layer: LayerName, head: HeadName) -> Iterator[str]:
    queries, keys = _rows_and_columns(trace, reading, layer)
    for block in picture_blocks(trace, reading, layer, head):
        rows = queries[block.start : block.start + block.weights.shape[1]]
        table = weights_csv(block.weights[0], rows, keys, block.allowed, trace.edited)
        yield table if block.start == 0 else table.split("\r\n", 1)[1]


def npz(trace: Record, reading: Reading, layer: LayerName, head: HeadName) -> bytes:
    """Weights as a NumPy archive with labels and where they come from."""
    weights, allowed = weights_of(trace, reading, layer, head)
    queries, keys = _rows_and_columns(trace, reading, layer)
    place = layers_shown(trace, layer, head)[0]
    return weights_npz(
        weights,
        queries,
        keys,
        query_ids=[token.id for token in trace.query_tokens(place)],
        key_ids=[token.id for token in trace.key_tokens(place)],
        allowed=allowed,
        model=trace.facts.name,
        text=trace.text,
        kind=trace.layers[place].kind,
        layer=layer,
        head=head,
        reading=list(describe(reading)) or [""],
        **({"edited": list(trace.edited)} if trace.edited else {}),
    )


Make = Callable[["Record", Reading, LayerName, HeadName], str | bytes | Iterator[str]]

# Name in the address → media type and maker.
EXPORTS: dict[str, tuple[str, Make]] = {
    "heatmap.svg": ("image/svg+xml", svg),
    "weights.csv": ("text/csv", csv),
    "weights.npz": ("application/octet-stream", npz),
}


@dataclass(frozen=True, slots=True, eq=False)
class HeadPicture:
    """One head's heatmap, shown by a notebook as the app shows it."""

    trace: Record
    layer: LayerName
    head: HeadName

    def __repr__(self) -> str:
        return (
            f"HeadPicture of {name_of(self.trace, self.layer, self.head)[:200]}\n"
            "Go on: a notebook shows it · ._repr_html_() is the picture as HTML"
        )

    def _repr_html_(self) -> str:
        return on_both_papers(lambda dark: svg(self.trace, Reading(), self.layer, self.head, dark=dark))


def atlas_html(trace: Record) -> str:
    """Every head at a glance, one SVG per stack and kind of attention."""
    header, arrays = wire.unpack(overview(trace, Reading()))
    pictures = []
    for group in groups(trace):
        thumbnails = []
        for index in group.layers:
            place = header["layers"][index]
            size = place["n_heads"] * place["rows"] * place["cols"]
            codes = arrays["heads"][place["offset"] : place["offset"] + size]
            if codes.dtype != np.uint8:
                codes = wire.encode_u1(*wire.decode_u2(codes))
            thumbnails.append(codes.reshape(place["n_heads"], place["rows"], place["cols"]))
        title = f"{trace.facts.name}: {group.stack} {group.kind} attention, {len(trace.source_tokens)} tokens"
        pictures.append(on_both_papers(partial(_atlas, thumbnails, title)))
    return "\n".join(("<div>", *pictures, _verdict_html(trace), "</div>"))


def _atlas(thumbnails: list[NDArray[np.uint8]], title: str, dark: bool) -> str:
    return atlas_svg(thumbnails, title=title, dark=dark)


# A notebook says itself whether it is dark (JupyterLab, VS Code, Colab); one that does not goes by the machine. Without
# this style, where a notebook is not trusted, the light picture alone stands there.
_PAPERS = (
    "<style>.sl-dark { display: none } .sl-light svg, .sl-dark svg { max-width: 100%; height: auto }\n"
    "@media (prefers-color-scheme: dark) { .sl-light { display: none } .sl-dark { display: block !important } }\n"
    '[data-jp-theme-light="true"] .sl-light, [data-vscode-theme-kind="vscode-light"] .sl-light, '
    'html[theme="light"] .sl-light { display: block }\n'
    '[data-jp-theme-light="true"] .sl-dark, [data-vscode-theme-kind="vscode-light"] .sl-dark, '
    'html[theme="light"] .sl-dark { display: none !important }\n'
    '[data-jp-theme-light="false"] .sl-light, [data-vscode-theme-kind="vscode-dark"] .sl-light, '
    'html[theme="dark"] .sl-light { display: none }\n'
    '[data-jp-theme-light="false"] .sl-dark, [data-vscode-theme-kind="vscode-dark"] .sl-dark, '
    'html[theme="dark"] .sl-dark { display: block !important }</style>'
)


def on_both_papers(draw: Callable[[bool], str]) -> str:
    """A picture for a notebook: drawn light and dark, and the one shown that the notebook's theme asks for."""
    light, dark = (
        f'<div class="sl-light">{draw(False)}</div>',
        f'<div class="sl-dark" style="display:none">{draw(True)}</div>',
    )
    return f"<div>{_PAPERS}{light}{dark}</div>"


def _verdict_html(trace: Record) -> str:
    """What the proofs of all heads come to; of a long text, where they would take long, how to ask for them."""
    cells = sum(layer.n_heads * layer.n_query * layer.n_key for layer in trace.layers)
    if cells <= MOST_CELLS:
        return verdict_of_all(trace)._repr_html_()
    lines = ("Not proven here: trace.verdict() proves every head, trace.verdict(layer, head) one.", *trace.beside)
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _rows_and_columns(trace: Record, reading: Reading, layer: LayerName) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    return rows_and_columns(trace, reading, _first_layer(trace, layer))


def _first_layer(trace: Record, layer: LayerName) -> int:
    return layer if isinstance(layer, int) else next(g.layers[0] for g in groups(trace) if g.name == layer)


def _has_sink(trace: Record, layer: LayerName) -> bool:
    layers = [layer] if isinstance(layer, int) else range(len(trace.layers))
    return any(getattr(trace.layers[index], "sink_logit", None) is not None for index in layers)
