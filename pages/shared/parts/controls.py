"""Controls that every page shares: which model, which text."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import streamlit as st

from attention_core.formats.json_data import JsonMapping, JsonObject
from attention_core.models.cards import CATALOGUE, DEFAULT, GROUPS, find_card, group_of
from pages.shared.address.view import View
from pages.shared.assets import ASSETS
from pages.shared.engine.choosing import engine
from pages.shared.engine.plain import Facts, Refused, TraceSummary
from pages.shared.parts import components, given, theme
from pages.shared.service.counting import page_key
from pages.shared.service.sources import Source
from pages.shared.session import state

if TYPE_CHECKING:
    from pages.shared.inside.of_streamlit import DeltaGenerator


def model_and_text(view: View) -> Callable[[], None]:
    """The bar on top: text box, model picker with facts, and a place to open a saved trace.

    Call what it returns when the page has run: the model's facts are known then, if the page had to load it.
    """
    left, right = st.columns([3.2, 1], gap="medium", vertical_alignment="top")
    with right:
        renew_facts = _model_picker(view)
    with left:
        if state.opened_file():
            _file_banner()
        else:
            _composer(view)
    for problem in state.problems():
        theme.say(problem, "warning")
    return renew_facts


def _composer(view: View) -> None:
    model = engine().loaded(view.model)
    facts = model.facts if model else None
    has_decoder = facts.encoder_decoder if facts else bool(view.target)  # a link's model may still have to be loaded
    if model and model.task:  # a classifier's decoder reads the text itself, and a pair is labelled as one
        has_decoder = False
    components.composer(
        {
            "text": view.text,
            "start": view.start,
            "pair": view.pair,
            "target": view.target,
            "seed": state.seed(),
            "count_url": f"sightline/count?{urlencode(_counting(view))}",
            "n": None,
            "limit": facts.context_length if facts else None,
            "model_name": facts.name if facts else _name(view.model),
            "examples": _gallery_in(view.model),
            "can_pair": not has_decoder and not view.chat,
            "can_target": has_decoder,
            "busy": False,
        },
        key="composer",
        on_text=_commit,
    )


def _counting(view: View) -> dict[str, str]:
    """What decides how many tokens a text makes, under the key of this page."""
    told = {"sl": view.source_language, "chat": "1" if view.chat else ""}
    return {"key": page_key(state.visitor()), "model": view.model} | {
        name: value for name, value in told.items() if value
    }


def _commit() -> None:
    committed = st.session_state["composer"].get("text") or {}
    text, pair = str(committed.get("text") or ""), str(committed.get("pair") or "")
    target = str(committed.get("target") or "")
    start = committed.get("start")
    if not isinstance(start, int) or not 0 < start < len(text) or not text[start:].strip():
        start = 0
    if not text.strip():
        return
    # An example of the gallery opens at the head and the token that it speaks of, in the model that it speaks of.
    example = next((one for one in gallery() if _texts_of(one) == (text, pair, target)), {})
    # One that names a model opens that model; the others stay in the one that is open.
    model = example.get("model") or state.view().model
    place = {name: example[name] for name in ("layer", "head") if name in example}
    if model != _model_of(example):
        place = {}
    if model != state.view().model:
        place |= _UNTOLD
    state.change(
        model=model,
        text=text,
        start=start,
        pair=pair,
        target=target,
        query=example.get("query") if "layer" in place else None,
        key=None,
        **place,
    )


def _model_picker(view: View) -> Callable[[], None]:
    settings = engine().settings
    cards = [card for card in CATALOGUE if card.bundled or settings.fetches(card.reference)]
    file = state.opened_file()
    options = [card.id for group in GROUPS for card in cards if card.group == group]
    listed = [name for name in settings.hub_only if settings.hub and find_card(name) is None]
    for other in (*listed, settings.model, view.model):
        if other not in options:
            options.append(other)
    shown = view.model
    if file:  # what is on the page is the file's model, not the one that read the text before
        options.insert(0, shown := _OF_FILE)
    trace = _file_trace() if file else None
    own = trace is not None and trace.given
    saved = f"{trace.facts.name} · {'no model' if own else 'saved trace'}" if trace else "A saved trace"
    if st.session_state.get("frame_model") != shown:
        st.session_state["frame_model"] = shown
    row = st.container(key="frame_picker", horizontal=True, gap="small", vertical_alignment="bottom")
    row.selectbox(
        "Model",
        options,
        format_func=lambda model: saved if model == _OF_FILE else option_label(model),
        key="frame_model",
        on_change=_choose_model,
        accept_new_options=True,
        disabled=own,
        help=given.PICKER if own else _what_can_be_typed(settings.hub, settings.folders),
    )
    about = "About this model; open a saved trace or your own matrices; large type"
    with row.popover("⋯", help=about, width="content"):
        if file:
            _facts_of_file()
        else:
            _facts(view.model)
        _open_trace()
        st.toggle("Large type, for a projector", key="frame_large")
    telling = st.empty()
    drawn = _telling(telling, view)
    place, before = st.empty(), _line_of_file() if file else _fact_line(view.model)

    def write(line: str) -> None:
        place.html(f"<p class='sl-factline'>{theme.escape(line)}</p>")

    def renew() -> None:
        now = before if file else _fact_line(state.view().model)
        if now != before:
            write(now)
        if not drawn:
            _telling(telling, state.view())

    write(before)
    return renew


def _what_can_be_typed(hub: bool, folders: bool) -> str:
    ways = ["a hub id such as openai-community/gpt2"] if hub else []
    ways += ["a folder of this machine"] if folders else []
    return f"A model from the list{', or type ' if ways else ''}{' or '.join(ways)}."


_UNTOLD: JsonObject = {"source_language": "", "target_language": "", "chat": False}  # another model has others


def _telling(place: "DeltaGenerator", view: View) -> bool:
    """What a model is told beside the text, where there is a choice; False while the model is not here yet."""
    model = engine().loaded(view.model)
    if model is None or state.opened_file():
        return False
    with place.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        if model.spoken is not None:
            asked = (view.source_language, view.target_language)
            names, told = list(model.spoken.codes), model.languages(*asked)
            _language("From", "source_language", names, told.source, "The language of the text")
            if model.facts.encoder_decoder:
                _language("To", "target_language", names, told.target, "The language that the decoder writes")
        if model.chat or view.chat:
            st.session_state["frame_chat"] = view.chat
            st.toggle(
                "Chat template",
                key="frame_chat",
                on_change=lambda: state.change(chat=st.session_state["frame_chat"], query=None, key=None),
                help="Read the text as what a user says: with the model's own marks for who speaks around it.",
            )
    return True


def _language(label: str, field: str, names: list[str], told: str | None, help_: str) -> None:
    """A select that changes one language of the view."""
    key = f"frame_{field}"
    st.session_state[key] = told
    st.selectbox(
        label,
        names,
        index=None if told is None else 0,  # one that is told cannot be taken away
        key=key,
        placeholder="none",
        on_change=lambda: state.change(**{field: st.session_state[key] or ""}, query=None, key=None),
        help=f"{help_}, by the tokenizer's own name. Its code is put beside the tokens.",
    )


def _choose_model() -> None:
    chosen = st.session_state["frame_model"]
    if chosen and chosen != _OF_FILE:
        card = find_card(chosen.strip())
        st.session_state["file"] = ""
        place = {"layer": View().layer, "head": View().head, "query": None, "key": None}
        state.change(model=card.id if card else chosen.strip(), **place, **_UNTOLD)


def _name(model: str) -> str:
    card = find_card(model)
    if card:
        return card.name
    return Path(model).name if model == engine().settings.model and Path(model).is_absolute() else model


def option_label(model: str) -> str:
    """What the picker's list shows: the name, and what it does or the group it stands in (the list has no headings)."""
    group, card = group_of(model), find_card(model)
    # The bundled ones are read in the closed picker, which is narrow; the window beside it has their full names.
    name = card.name.split(" (")[0] if card and card.bundled else _name(model)
    if Path(name).is_absolute():  # of a folder the picker shows the end, which tells it from others, not the beginning
        name = f"…/{Path(name).name}"
    if card and card.does:
        return f"{name} · {card.does}"
    return f"{name} · {_SHORT[group]}" if group else name


_SHORT = dict(zip(GROUPS, ("small", "encoder", "decoder", "enc-dec"), strict=True))  # the list is narrow


_OF_FILE = " of the opened trace file"  # in the picker's list, where names of models stand: no model is called so


def _file_trace() -> TraceSummary | None:
    return engine().known(Source("", "", file=state.opened_file()))


def _line_of_file() -> str:
    trace = _file_trace()
    if trace is None:
        return ""
    return given.line(trace) if trace.given else _line(trace.facts)


def _fact_line(name: str) -> str:
    model, card = engine().loaded(name), find_card(name)
    if model is None:
        return f"{card.size_mb:,} MB" if card else ""
    return _line(model.facts)


def _line(facts: Facts) -> str:
    return f"{_counted(facts.n_layers, 'layer')} × {_counted(facts.n_heads, 'head')}"


def _counted(n: int, what: str) -> str:
    """1 → "1 head", 12 → "12 heads"."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _in_millions(n: int, unit: str) -> str:
    """A number of parameters; one that would be "0.0 million" is written out."""
    return f"{n / 1e6:,.1f} {unit}" if n >= 50_000 else f"{n:,}"


def _facts(name: str) -> None:
    card = find_card(name)
    model = engine().loaded(name)
    rows: list[tuple[str, str]] = []
    if model:
        rows += [*_rows(model.facts), ("Computes in", model.computes)]
    elif card and card.context:
        rows.append(("Reads at most", f"{card.context:,} tokens"))
    if card:
        rows.append(("Group", card.group))
    rows.append(("Licence", _licence(card.licence if card else model.facts.licence if model else "not stated")))
    if card:
        rows += [
            ("Languages", card.languages),
            ("Weights", f"{card.size_mb:,} MB, " + ("bundled" if card.bundled else "fetched from the hub when chosen")),
            ("Good for", card.good_for),
        ]
    if model:  # what of the saved model is not in the one that runs, and touches no picture
        rows += [("When loaded", said) for said in model.report]
    _show_facts(_name(name), rows)


def _facts_of_file() -> None:
    trace = _file_trace()
    if trace is None:
        return
    if trace.given:
        _show_facts(trace.facts.name, given.rows(trace))
        return
    checks = ", ".join(trace.checks)
    _show_facts(
        trace.facts.name,
        [*_rows(trace.facts), ("Licence", _licence(trace.facts.licence)), ("The saved trace proves", checks)],
    )


def _rows(facts: Facts) -> list[tuple[str, str]]:
    grouped = f" ({_counted(facts.n_kv_heads, 'key/value head')})" if facts.n_kv_heads != facts.n_heads else ""
    return [
        ("Architecture", facts.architecture),
        ("Layers × heads", f"{_line(facts)}{grouped}"),
        ("d_model, d_head", f"{facts.d_model}, {facts.d_head}"),
        ("Parameters", _in_millions(facts.n_parameters, "million")),
        ("Reads at most", _reads_at_most(facts)),
    ]


def _licence(stated: str) -> str:
    return "licence not stated" if stated == "not stated" else stated


def _show_facts(title: str, rows: list[tuple[str, str]]) -> None:
    cells = "".join(f"<dt>{theme.escape(term)}</dt><dd>{theme.escape(fact)}</dd>" for term, fact in rows)
    st.html(f"<h2 class='sl-h'>{theme.escape(title)}</h2><dl class='sl-facts'>{cells}</dl>")


def _reads_at_most(facts: Facts) -> str:
    if not facts.context_length:
        return "no stated limit"
    tokens = f"{facts.context_length:,} tokens"
    other = facts.target_length if facts.target_length != facts.context_length else None
    return f"{tokens}; its decoder {other:,}" if other else tokens


def _open_trace() -> None:
    upload = st.file_uploader(
        "Open a saved trace or your own matrices",
        type=["safetensors", "npz", "json"],
        key="frame_trace",
        help="A file that was made with Save → Trace, or attention weights that you computed elsewhere, with their "
        "tokens: .npz, .safetensors or .json as docs/own-matrices.md describes them.",
    )
    if upload is None or st.session_state.get("frame_trace_seen") == upload.file_id:
        return
    doing = st.empty()
    state.wait_for_engine(lambda said: theme.say(said, "info", doing))
    doing.empty()
    st.session_state["frame_trace_seen"] = upload.file_id
    try:
        source: Source = engine().open_file(upload.getvalue())
    except Refused as error:
        theme.say(str(error), "error")
        return
    state.show_file(source)
    st.rerun()


def _file_banner() -> None:
    trace = _file_trace()
    with st.container(key="frame_file", border=True):
        if trace is None:  # the page says what to do
            st.text("The opened trace file made room for others.")
        elif trace.given:
            given.banner(trace)
        else:
            st.text(f"A saved trace of {trace.facts.name}:")
            st.code(trace.text[:2_000], language=None, wrap_lines=True)
        st.button("Back to the text box", key="frame_close_file", on_click=state.close_file)


@cache
def gallery() -> list[JsonObject]:
    """The example sentences, each with what to look for."""
    file = ASSETS / "examples" / "gallery.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []


def _gallery_in(model: str) -> list[JsonObject]:
    """The same sentences beside a model: what there is to see in another one says so."""
    return [
        one
        if _model_of(one) == model
        else {**one, "look_for": f"In {_name(_model_of(one)).split()[0]}: {one['look_for']}"}
        for one in gallery()
    ]


def _texts_of(example: JsonMapping) -> tuple[str, str, str]:
    return example["text"], example.get("pair") or "", example.get("target") or ""


def _model_of(example: JsonMapping) -> str:
    """The model in which what an example says was seen."""
    return example.get("model") or DEFAULT.id
