"""The atlas as numbers: a chart and a table of all heads, made on request (plotly weighs 4.7 MB in the browser)."""

import gzip

import streamlit as st

from attention_core.formats import wire
from attention_core.formats.json_data import JsonObject
from pages.shared.address.view import View
from pages.shared.engine.choosing import engine
from pages.shared.service.sources import Picture
from pages.shared.session import state


def all_heads(view: View, picture: Picture) -> None:
    """A switch, and behind it the chart and the table. Choosing a point shows that head above."""
    if not st.toggle("All heads in numbers", key="explore_numbers"):
        return
    from pages.shared.parts.figures import HeadNumbers, spread_against_reach

    header = _atlas_header(picture)
    summary = header["summary"]
    heads = [
        HeadNumbers(
            layer=layer,
            head=head,
            label=f"{place['stack']} {place['kind']}, layer {place['index']} · head {head}",
            entropy=summary["entropy"][layer][head],
            reach=summary["reach"][layer][head],
            peak=summary["peak"][layer][head],
        )
        for layer, place in enumerate(header["layers"])
        for head in range(place["n_heads"])
    ]
    chosen = (view.layer, view.head) if isinstance(view.layer, int) and isinstance(view.head, int) else None
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.plotly_chart(
            spread_against_reach(heads, chosen),
            key="explore_scatter",
            on_select=_choose,
            selection_mode="points",
            config={"displayModeBar": False, "scrollZoom": True},
        )
    with right:
        st.dataframe(
            {
                "layer": [head.layer for head in heads],
                "head": [head.head for head in heads],
                "spread, bits": [head.entropy for head in heads],
                "reach, tokens": [head.reach for head in heads],
                "largest weight": [head.peak for head in heads],
            },
            key="explore_table",
            height=460,
            hide_index=True,
        )


def _choose() -> None:
    points: list[JsonObject] = st.session_state["explore_scatter"]["selection"]["points"]
    if points:
        layer, head = points[0]["customdata"]
        state.change(layer=int(layer), head=int(head))


def _atlas_header(picture: Picture) -> JsonObject:
    return wire.unpack(gzip.decompress(engine().pack(picture, ("overview",))))[0]
