"""Charts: numbers in, `go.Figure` out. No Streamlit here, and nothing is computed here.

Labels from outside are escaped: plotly reads a little HTML in every text. The figures that our own views draw name
their colours as variables of the page, "var(--c-ink)": the view puts in what these are in the theme of the moment
(assets/js/base/figure.js), and its own type.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float32
from numpy import ndarray

from attention_core.formats import wire
from attention_core.formats.json_data import Json, JsonMapping, JsonObject
from attention_core.grow.record import Run
from attention_core.grow.tasks import SCORES
from pages.shared.grow.packs import facts_of

_INK, _SOFT, _LINE = "var(--c-ink)", "var(--c-ink2)", "var(--c-line)"
_PAPER, _PANEL, _FOCUS = "var(--c-paper)", "var(--c-panel)", "var(--c-focus)"
_LOSS = "var(--g-loss)"
_OF_SCORES = ("var(--g-one)", "var(--g-two)", "var(--g-three)")  # by the place of a score among those of the run


@dataclass(frozen=True, slots=True)
class HeadNumbers:
    """One head in three numbers; None where it has none (a head that looks at nothing that is shown)."""

    layer: int  # index into the trace's layers
    head: int
    label: str  # "layer 3 · head 1"
    entropy: float | None  # bits, mean over queries
    reach: float | None  # tokens, mean over queries
    peak: float | None  # largest weight


def spread_against_reach(heads: Sequence[HeadNumbers], chosen: tuple[int, int] | None) -> go.Figure:
    """Every head as a point: how spread out it looks (bits) against how far (tokens); darker points are later layers.

    A point's `customdata` is [layer, head]. The chosen head has a ring.
    """
    shown = [head for head in heads if head.entropy is not None and head.reach is not None]
    figure = go.Figure(
        go.Scatter(
            x=[head.entropy for head in shown],
            y=[head.reach for head in shown],
            mode="markers+text",
            text=[f"{head.layer}.{head.head}" for head in shown],
            textposition="top center",
            textfont={"size": 11},
            customdata=[[head.layer, head.head] for head in shown],
            hovertext=[
                f"{html.escape(head.label, quote=False)}<br>{head.entropy:.2f} bits, {head.reach:.2f} tokens"
                for head in shown
            ],
            hoverinfo="text",
            marker={
                "size": [15 if (head.layer, head.head) == chosen else 9 for head in shown],
                "color": [head.layer for head in shown],
                "colorscale": "Purples",
                "cmin": -3,
                "line": {
                    "width": [3 if (head.layer, head.head) == chosen else 1 for head in shown],
                    "color": "#4a34c7",
                },
            },
        )
    )
    figure.update_layout(
        xaxis_title="spread of a row, mean, bits (0 = one key)",
        yaxis_title="reach: mean distance, tokens",
        height=460,
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        showlegend=False,
        dragmode="pan",
    )
    return figure


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """What an axis shows of every head: numbers with a name and a unit, NaN where a head has none."""

    title: str
    unit: str
    low: float
    high: float | None  # None: no fixed top, the axis ends at the largest value here
    values: Float32[ndarray, " head"]

    @property
    def range(self) -> tuple[float, float]:
        """Where the axis begins and ends."""
        if self.high is not None:
            return self.low, self.high
        most = float(np.nanmax(self.values)) if np.isfinite(self.values).any() else self.low
        return self.low, most if most > self.low else self.low + 1


def two_metrics(across: Quantity, up: Quantity) -> go.Figure:
    """Two numbers of every head against each other.

    Two traces: "no label" has every head in the order of the model, "labelled" has none yet. Labels belong to the model
    and come later than the numbers of a text; the view then moves the heads that carry one, and gives each its letter.
    """
    circles = {"symbol": "circle", "size": 9, "color": _PANEL, "line": {"width": 1.5, "color": _SOFT}}
    squares = {"symbol": "square", "size": 9, "color": _FOCUS, "line": {"width": 0}}
    letters = {"text": [], "textposition": "middle right", "textfont": {"color": _INK, "weight": 600}}
    every = {"x": across.values, "y": up.values, "mode": "markers", "marker": circles}
    none = {"x": [], "y": [], "mode": "markers+text", "marker": squares, **letters}
    return _figure(
        [
            {"name": "no label", **every, "cliponaxis": False},
            {"name": "labelled", **none, "cliponaxis": False},
        ],
        xaxis=_axis(across, "→"),
        yaxis=_axis(up, "↑"),
    )


def loss_curves(runs: Sequence[Run]) -> go.Figure:
    """Loss over the steps of training: of one run, or of two, the second dashed.

    Of the first run stand its marked moments as lines down the chart, and the loss of a guesser across it.
    """
    losses = [run.losses for run in runs]
    chance = runs[0].head.chance
    peak = max([chance, *(float(loss[np.isfinite(loss)].max(initial=0)) for loss in losses)])
    traces = [
        _curve(run, loss, _LOSS, name=_named(runs, run, "loss"), dashed=run is not runs[0])
        for run, loss in zip(runs, losses, strict=True)
    ]
    return _over_steps(runs, traces, top=peak * 1.08 or 1, title="loss, nats", level=(chance, f"chance {chance:.2f}"))


def score_curves(runs: Sequence[Run]) -> go.Figure:
    """Every head's scores over the steps of training: of one run, or of two, the second dashed.

    Of each score the curve of the head that is best at the end stands out; those of the first run's others are faint,
    one trace for all of them with gaps between.
    """
    traces = []
    for run in runs:
        second = run is not runs[0]
        for place, score in enumerate(run.head.scores):
            colour, (layer, head) = _OF_SCORES[place % len(_OF_SCORES)], run.best(score)
            curves = run.scores[score].reshape(len(run.saved), -1)
            best = layer * run.head.n_heads + head
            if not second and curves.shape[1] > 1:
                traces.append(_others(run, np.delete(curves, best, axis=1), colour))
            name = _named(runs, run, f"{SCORES[score].title}, layer {layer} head {head}")
            traces.append(_curve(run, curves[:, best], colour, name=name, dashed=second))
    return _over_steps(runs, traces, top=1, title="score, 0 to 1")


def effects_by_layer(
    effects: Sequence[tuple[int | None, int | None, float]], chance: float | None, unit: str
) -> go.Figure:
    """Effects of switching heads off, a row for each layer: layer, head and after − before, in `unit`.

    What chance does to the largest of them, either way from 0, is a band with its words; None: there is none. Points
    beyond it are full and carry their head's name, so that colour is never the only sign.
    """
    known = [(layer, head, x) for layer, head, x in effects if layer is not None]
    beyond = [one for one in known if chance is not None and abs(one[2]) > chance]
    inside = [one for one in known if one not in beyond]
    most = max([abs(x) for *_, x in known] + [chance or 0.0]) * 1.08 or 1.0
    circles = {"symbol": "circle", "size": 9, "color": _PANEL, "line": {"width": 1.5, "color": _SOFT}}
    squares = {"symbol": "square", "size": 10, "color": _FOCUS, "line": {"width": 0}}
    shapes: list[JsonObject] = [_line_across(0.0, "solid")]
    notes = []
    if chance is not None:
        band = {"type": "rect", "x0": -chance, "x1": chance, "y0": 0, "y1": 1, "yref": "y domain", "layer": "below"}
        shapes.append({**band, "fillcolor": _LINE, "opacity": 0.55, "line": {"width": 0}})
        place = {"x": 0, "y": 1, "yref": "y domain", "yanchor": "bottom", "showarrow": False}
        notes.append({"text": f"chance, up to {chance:.2g}", **place, "font": {"color": _SOFT}})
    layers = sorted({layer for layer, *_ in known})
    return _figure(
        [_effects("inside chance", inside, circles), _effects("beyond chance", beyond, squares, named=True)],
        xaxis={**_AXIS, "title": _title(f"what it does to be switched off, {unit} →"), "range": (-most, most)},
        yaxis={
            **_AXIS,
            "title": _title("layer"),
            "tickvals": layers,
            "range": (layers[-1] + 0.6, layers[0] - 0.6) if layers else (1, 0),
        },
        shapes=shapes,
        annotations=notes,
    )


def _effects(
    name: str, effects: Sequence[tuple[int, int | None, float]], marker: JsonMapping, *, named: bool = False
) -> JsonObject:
    text = {"text": [f"{layer}.{head}" for layer, head, _ in effects], "textposition": "top center"} if named else {}
    return {
        "name": name,
        "x": [x for *_, x in effects],
        "y": [layer for layer, *_ in effects],
        "mode": "markers+text" if named else "markers",
        "marker": marker,
        "textfont": {"color": _INK},
        "cliponaxis": False,
        **text,
    }


def _line_across(x: float, dash: str) -> JsonObject:
    line = {"color": _SOFT, "width": 1, "dash": dash}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "y domain", "line": line, "layer": "below"}


def figure_pack(**figures: go.Figure) -> bytes:
    """Figures as one pack: by name in its header, as plotly.js takes them, with plotly's own typed arrays."""
    return wire.pack({name: figure.to_plotly_json() for name, figure in figures.items()})


_LAYOUT = {
    "template": "none",
    "paper_bgcolor": _PAPER,
    "plot_bgcolor": _PAPER,
    "font": {"color": _SOFT},
    "margin": {"l": 56, "r": 14, "t": 36, "b": 46},  # at a type of 14 pixels; the view lets them grow with its type
    "showlegend": False,
    "hovermode": False,  # what is under the pointer is said by the view, in every part of it
    "dragmode": False,  # a finger scrolls the page; zooming is a button away
    "legend": {"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top", "font": {"color": _INK}},
    "modebar": {"bgcolor": _PAPER, "color": _SOFT, "activecolor": _FOCUS},
}
_AXIS = {
    "gridcolor": _LINE,
    "linecolor": _SOFT,
    "tickfont": {"color": _SOFT},
    "zeroline": False,
    "automargin": True,
    "showline": True,
    "ticks": "outside",
    "tickcolor": _LINE,
}


def _figure(traces: Sequence[JsonMapping], **layout: Json) -> go.Figure:
    """Made in one go: a figure that is put together part by part is checked as a whole at every part."""
    return go.Figure([{"type": "scatter", **trace} for trace in traces], layout={**_LAYOUT, **layout})


def _axis(of: Quantity, arrow: str) -> dict[str, object]:
    unit = f", {of.unit}" if of.unit else ""
    return {**_AXIS, "title": _title(f"{html.escape(of.title + unit, quote=False)} {arrow}"), "range": of.range}


def _title(text: str) -> dict[str, object]:
    return {"text": text, "font": {"color": _INK}, "standoff": 8}


def _named(runs: Sequence[Run], run: Run, name: str) -> str:
    """In a picture of two runs each curve says of which it is."""
    return html.escape(name if len(runs) == 1 else f"{name} ({facts_of(run)['title']})", quote=False)


def _curve(run: Run, values: Float32[ndarray, " saved"], colour: str, *, name: str, dashed: bool) -> JsonObject:
    line = {"color": colour, "width": 2 if dashed else 2.25, "dash": "7px,4px" if dashed else "solid"}
    return {"name": name, "x": run.steps, "y": values, "mode": "lines", "line": line}


def _others(run: Run, curves: Float32[ndarray, "saved other"], colour: str) -> JsonObject:
    """The curves one after another, each with a gap behind it."""
    gapped = np.full((curves.shape[1], len(run.saved) + 1), np.nan, np.float32)
    gapped[:, :-1] = curves.T
    steps = np.tile(np.append(run.steps, run.steps[-1:]), curves.shape[1])
    line = {"color": colour, "width": 1}
    return {
        "name": "other heads",
        "x": steps,
        "y": gapped.ravel(),
        "mode": "lines",
        "line": line,
        "opacity": 0.3,
        "showlegend": False,
    }


def _over_steps(
    runs: Sequence[Run],
    traces: Sequence[JsonMapping],
    *,
    top: float,
    title: str,
    level: tuple[float, str] | None = None,
) -> go.Figure:
    """Curves over the whole of the longest run, with the first run's moments, and a level that is named."""
    last = max(max(run.head.n_steps, int(run.steps[-1])) for run in runs)
    scores = runs[0].head.scores
    shapes, notes = [], []
    for moment in facts_of(runs[0])["moments"]:
        name = moment["name"]
        colour = _OF_SCORES[scores.index(name) % len(_OF_SCORES)] if name in scores else _LOSS
        line = {"color": colour, "width": 1.5, "dash": "5px,4px"}
        step = {"x0": moment["step"], "x1": moment["step"], "y0": 0, "y1": 1, "yref": "y domain"}
        shapes.append({"type": "line", **step, "line": line, "opacity": 0.75, "layer": "below"})
    if level:
        value, says = level
        line = {"color": _SOFT, "width": 1.5, "dash": "dot"}
        shapes.append({"type": "line", "x0": 0, "x1": 1, "xref": "x domain", "y0": value, "y1": value, "line": line})
        place = {"x": 1, "xref": "x domain", "xanchor": "right", "y": value, "yref": "y", "yanchor": "bottom"}
        notes.append({"text": says, **place, "showarrow": False, "font": {"color": _SOFT}})
    return _figure(
        traces,
        xaxis={**_AXIS, "title": _title("training step →"), "range": (0, last), "tickformat": ",d", "showgrid": False},
        # Both charts of a run begin at the same place, whatever their numbers take.
        yaxis={**_AXIS, "title": _title(f"{title} ↑"), "range": (0, top), "automargin": False},
        shapes=shapes,
        annotations=notes,
    )
