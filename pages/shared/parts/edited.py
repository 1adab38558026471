"""What stands over an edited run on every page: what was changed, each to be taken back, before and after, and what the
model says of it; and, under the explorer, what can be changed at the chosen place."""

from dataclasses import replace

import streamlit as st

from pages.shared.address.edits import MOST, plain_edits
from pages.shared.address.view import View
from pages.shared.engine.answers import Effected
from pages.shared.engine.choosing import engine
from pages.shared.engine.plain import Refused, Said, TraceSummary
from pages.shared.parts import theme
from pages.shared.parts.readout_words import Line, line_of
from pages.shared.service.bounded import BoundedCache
from pages.shared.service.sources import Source, picture_of
from pages.shared.session import changes, state

EFFECTS_BYTES = 1_000_000  # hundreds of effects of changes, of models that say no word
_effects: BoundedCache[Effected] = BoundedCache(EFFECTS_BYTES, lambda effect: effect.nbytes)
_SHOWS = ("changed run", "run before")


def banner(view: View, trace: TraceSummary) -> None:
    """Say that the run is edited, and how; nothing where it is not."""
    if state.opened_file():
        if trace.edited:
            theme.say("This trace is of an edited run. " + " ".join(trace.edited), "note")
        return
    if not view.edits:
        return
    made = plain_edits(view.edits)
    edited, before = _sources(view)
    known = engine().known(edited) if view.unedited else trace
    words = known.edited if known else ()
    with st.container(key="edited", border=True):
        left, right = st.columns([3, 2], vertical_alignment="center")
        n = len(made)
        left.html(
            f"<p class='sl-edited' role='status'><strong>Edited run:</strong> {n} change{'' if n == 1 else 's'}. "
            "Where it was changed, nothing is proved.</p>"
        )
        st.session_state["edited_shows"] = _SHOWS[view.unedited]
        right.segmented_control(
            "Show",
            _SHOWS,
            key="edited_shows",
            on_change=lambda: state.change(unedited=st.session_state["edited_shows"] == _SHOWS[1]),
            required=True,
            label_visibility="collapsed",
            width="stretch",
        )
        for i in range(n):
            said = words[i].removeprefix("Edited: ") if i < len(words) else str(made[i]["edit"])
            chip, back = st.columns([5, 1], vertical_alignment="center")
            chip.html(f"<p class='sl-change'>{theme.escape(said)}</p>")
            back.button(
                "Take back",
                key=f"edited_back_{i}",
                on_click=changes.take_back,
                args=(i,),
                help=f"Change {i + 1}",
                width="stretch",
            )
        for note in words[n:]:
            theme.say(note, "note")
        _says(view, edited, before)
        one, all_, _ = st.columns([1, 1, 3])
        one.button("Undo", key="edited_undo", on_click=changes.undo, disabled=not changes.can_undo(), width="stretch")
        all_.button("Undo all", key="edited_undo_all", on_click=changes.undo_all, width="stretch")


def offers(view: View, trace: TraceSummary) -> None:
    """What can be changed at the chosen head and cell, one click each."""
    if state.opened_file() or not all(layer.exact for layer in trace.layers):
        return  # no model, or one whose heads cannot be told apart while it runs
    with st.container(key="offers"):
        st.html("<h2 class='sl-h'>Change the run here</h2>")
        if isinstance(view.layer, str) or isinstance(view.head, str):
            theme.say("Choose one head: a mean or maximum over heads cannot be changed.", "note")
            return
        layer, head = view.layer, view.head
        label = f"{trace.layers[layer].label}, head {head}"
        place = _link(view, trace)
        theme.say(f"At {label}{place}:", "note")
        full = len(plain_edits(view.edits)) >= MOST
        off, cut, ahead, _ = st.columns([1.2, 1.2, 1.2, 1.4])
        off.button(
            "Switch this head off",
            key="offer_off",
            on_click=changes.add,
            args=({"edit": "switch off", "layer": layer, "head": head, "how": "mean", "texts": []},),
            disabled=full,
            width="stretch",
            help="What it gives is set to its mean over this text.",
        )
        cut.button(
            "Cut this link",
            key="offer_cut",
            on_click=changes.add,
            args=(
                {"edit": "cut a link", "layer": layer, "head": head, "query": view.query, "keys": [view.key]}
                | {"how": "score", "until": None},
            ),
            disabled=full or view.query is None or view.key is None,
            width="stretch",
            help="The score becomes −∞, and the row is renormalised. Pin a cell of the picture to choose a link.",
        )
        if trace.layers[layer].kind == "decoder self":
            ahead.button(
                "Let it look ahead",
                key="offer_ahead",
                on_click=changes.add,
                args=(
                    {"edit": "break it", "layer": layer, "head": head, "rule": "no mask"}
                    | {"temperature": None, "other": None},
                ),
                disabled=full,
                width="stretch",
                help="Without its mask every token may read later ones too.",
            )
        if view.edits:
            edited, before = _sources(view)
            _says(view, edited, before)


def _link(view: View, trace: TraceSummary) -> str:
    if view.query is None or view.key is None or not isinstance(view.layer, int):
        return ""
    queries, keys = trace.query_tokens(view.layer), trace.key_tokens(view.layer)
    return f", “{queries[view.query].text}” → “{keys[view.key].text}”"


def _sources(view: View) -> tuple[Source, Source]:
    """The edited run and the one before."""
    return picture_of(replace(view, unedited=False)).source, picture_of(replace(view, edits="")).source


def _says(view: View, edited: Source, before: Source) -> None:
    """What the model says before and after, in a line each; of one that says no word, how its answer moved."""
    try:
        lines = _lines(view, edited, before)
    except Refused as error:
        theme.say(str(error), "note")
        return
    for name, line in lines:
        said = "".join(
            f"<code>{theme.escape(part['t'])}</code>" if isinstance(part, dict) else theme.escape(part) for part in line
        )
        st.html(f"<p class='sl-factline' role='status'>{name}: {said}</p>")


def _lines(view: View, edited: Source, before: Source) -> list[tuple[str, Line]]:
    first, then = _said(before), _said(edited)
    if first.kind != "unsaid" and then.kind != "unsaid":
        traces = engine().known(before), engine().known(edited)
        return [
            (name, line_of(said, trace))
            for name, said, trace in zip(("Before", "Now"), (first, then), traces, strict=True)
            if trace is not None
        ]
    found = _effects.peek(edited)
    if found is None:
        asked = engine().effect(before, plain_edits(view.edits), None, 0, state.visitor())
        try:
            found = state.wait(asked.future, _touch)
        finally:
            asked.cancel()
        _effects.put(edited, found)
    line: Line = [f"{found.question['question']}: {found.before:.4g} before, {found.after:.4g} now ({found.unit})"]
    return [("The model says no word here", line)]


def _said(source: Source) -> Said:
    known = engine().known_readout(source)
    return known if known is not None else state.wait(engine().readout(source, state.visitor()).future, _touch)


def _touch() -> None:
    """A place where Streamlit can stop this run."""
    st.session_state.get("view")
