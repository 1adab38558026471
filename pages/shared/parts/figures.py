"""Charts: numbers in, `go.Figure` out. No Streamlit here, and nothing is computed here.

Labels from outside are escaped: plotly reads a little HTML in every text.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go


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
        xaxis_title="spread: mean entropy of a row, bits (0 = one key)",
        yaxis_title="reach: mean distance, tokens",
        height=460,
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        showlegend=False,
        dragmode="pan",
    )
    return figure
