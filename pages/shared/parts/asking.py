"""What the page Experiment stands on: an example to open with, what the model says, and what can be asked of it."""

from dataclasses import replace

import streamlit as st

from attention_core.formats.json_data import JsonObject
from pages.shared.address.view import View
from pages.shared.engine.choosing import engine
from pages.shared.engine.plain import TraceSummary
from pages.shared.experiment.examples import FIRST
from pages.shared.experiment.questions import proposals
from pages.shared.parts import given, theme
from pages.shared.parts.readout_words import who_says_next
from pages.shared.service.sources import picture_of
from pages.shared.session import changes, state

_BEFORE = "experiment_before"  # what was looked at before the example


def opens_on_example() -> bool:
    """Put the first example in the place of a text that nobody has chosen, once; True if it did.

    The usual first sentence is read by a model that says no word: there is little to ask about it.
    """
    view = state.view()
    if "experiment_seen" in st.session_state or state.opened_file():
        return False
    st.session_state["experiment_seen"] = True
    untouched = view.text == View().text and view.model == engine().settings.model
    if not untouched or st.session_state.get("linked"):
        return False
    st.session_state[_BEFORE] = view
    _open_first()
    return True


def stop_without_model(trace: TraceSummary) -> None:
    """End the page's run, with a sentence, where there is no model that could be run again."""
    if trace.given:
        given.off(given.EXPERIMENTS)
    elif state.opened_file():
        theme.say("A saved trace has no model that could be run again. Back to the text box, then ask.", "info")
    else:
        return
    st.stop()


def told(view: View, trace: TraceSummary) -> JsonObject:
    """What the browser's view is told: the questions that can be asked, and what stands around them."""
    source = picture_of(replace(view, edits="")).source
    readout = engine().known_readout(source)
    if readout is None:
        place = st.empty()
        say = state.only_news(place.caption)
        asked = engine().readout(source, state.visitor())
        readout = state.wait(asked.future, lambda: say("The model is asked …"))
        place.empty()
    model = engine().loaded(view.model)
    asks = [] if model is None else proposals(readout, trace, model, view.query)
    speaks = model is not None and bool(model.predicts) and not model.sentences
    other = None if speaks else who_says_next(view.model)
    example = view.text == FIRST.text and view.model == FIRST.model
    return {
        "questions": asks,
        "model": {"id": trace.facts.id, "name": trace.facts.name},
        "text": trace.text,
        "other": other["name"] if other else "",
        "example": FIRST.says if example else "",
        "back": example and _BEFORE in st.session_state,
        "n_tokens": trace.n_tokens,
    }


def take_wish() -> None:
    """Something was pressed: open the example, or go back to what was there before it."""
    asked = st.session_state["experiment"].get("wish") or {}
    wish = asked.get("name")
    if wish == "example":
        st.session_state[_BEFORE] = state.view()
        _open_first()
    elif wish == "keep":
        layer, head, how = asked.get("layer"), asked.get("head"), asked.get("fill")
        if type(layer) is int and type(head) is int and how in ("mean", "zero"):
            changes.add({"edit": "switch off", "layer": layer, "head": head, "how": how, "texts": []})
    elif wish == "back" and _BEFORE in st.session_state:
        before: View = st.session_state.pop(_BEFORE)
        state.change(
            model=before.model, text=before.text, layer=before.layer, head=before.head, query=before.query, question=""
        )


def _open_first() -> None:
    place = {"layer": FIRST.layer, "head": FIRST.head, "query": None, "key": None}
    state.change(model=FIRST.model, text=FIRST.text, start=0, pair="", target="", question="", **place)
