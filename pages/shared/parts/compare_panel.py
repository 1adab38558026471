"""What stands around the pictures of Compare: what B is, waiting for it, and what the models say in both."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import streamlit as st

from attention_core.models.cards import CATALOGUE, find_card
from pages.shared.address.comparison import ComparedView
from pages.shared.address.view import View
from pages.shared.comparing import heads, session
from pages.shared.comparing.examples import examples, told_by
from pages.shared.engine.choosing import engine
from pages.shared.engine.plain import Refused, Said, TraceSummary
from pages.shared.parts import components, controls, theme
from pages.shared.parts.readout_words import panel_data
from pages.shared.parts.readouts import put_token
from pages.shared.service.sources import Picture, Source
from pages.shared.session import state

_SAME = "the same model as A"


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides, read. A side is a source (a text in a model, or a file), and a layer and head of it."""

    source_b: Source
    b: TraceSummary
    now: ComparedView
    key_a: str
    key_b: str
    names: tuple[str, str]  # of the models
    same_run: bool  # B is A's own run: only heads can differ
    said: tuple[str, ...]


def side_b(view: View, now: ComparedView) -> None:
    """B's text, model and files, under those of A."""
    with st.container(key="compare_examples", horizontal=True, gap="small", vertical_alignment="center"):
        st.html(
            "<p class='sl-said'>The text above is <b>A</b>, the one below <b>B</b>. Pairs to try:</p>", width="content"
        )
        for i, example in enumerate(examples()):
            st.button(
                example.title, key=f"compare_example_{i}", type="tertiary", on_click=session.show, args=(example,)
            )
    left, right = st.columns([3.2, 1], gap="medium", vertical_alignment="top")
    with left:
        if session.file():
            _file_banner()
        else:
            _texts(view, now)
    with right:
        _model(view, now)
    if says := told_by(view, now):
        theme.say(f"Look for: {says}")


def _texts(view: View, now: ComparedView) -> None:
    shown = now if now.text else ComparedView(text=view.text_read, pair=view.pair, target=view.target)
    fields = [("text", "B · text")]
    fields += [("pair", "B · second sentence")] if view.pair or now.pair else []
    fields += [("target", "B · decoder text")] if view.target or now.target else []
    for name, label in fields:
        key = f"compare_{name}"
        st.session_state[key] = getattr(shown, name)
        st.text_area(label, key=key, height=68, on_change=_take_texts, args=(view, [one for one, _ in fields]))


def _take_texts(view: View, names: list[str]) -> None:
    typed = {name: str(st.session_state.get(f"compare_{name}") or "") for name in names}
    mine = {"text": view.text_read, "pair": view.pair, "target": view.target}
    if not typed["text"].strip() or all(typed[name] == mine[name] for name in typed):
        typed = {"text": "", "pair": "", "target": ""}
    # Where B's text is another one the same head is compared, unless another was chosen before.
    first = st.session_state.get("compared_first") is not None
    heads_again: dict[str, None] = {"layer": None, "head": None} if first and typed["text"] else {}
    session.change(**typed, **heads_again, fixed="", query=None, key=None)


def _model(view: View, now: ComparedView) -> None:
    settings = engine().settings
    cards = [card.id for card in CATALOGUE if card.bundled or settings.fetches(card.reference)]
    options = [_SAME, *(name for name in dict.fromkeys((*cards, now.model)) if name and name != view.model)]
    shown = now.model if now.model and now.model != view.model else _SAME
    st.session_state["compare_model"] = shown
    row = st.container(key="compare_picker", horizontal=True, gap="small", vertical_alignment="bottom")
    row.selectbox(
        "B · model",
        options,
        key="compare_model",
        format_func=lambda name: name if name == _SAME else controls.option_label(name),
        on_change=_take_model,
        accept_new_options=True,
        disabled=bool(session.file()),
    )
    with row.popover("⋯", help="Open a saved trace or your own matrices as B", width="content"):
        _open_file()


def _take_model() -> None:
    chosen = str(st.session_state.get("compare_model") or _SAME).strip()
    card = find_card(chosen)
    name = "" if chosen == _SAME else card.id if card else chosen
    session.change(model=name, layer=None, head=None, query=None, key=None, fixed="")


def _open_file() -> None:
    upload = st.file_uploader(
        "Open a saved trace or your own matrices as B", type=["safetensors", "npz", "json"], key="compare_upload"
    )
    if upload is None or st.session_state.get("compare_upload_seen") == upload.file_id:
        return
    state.wait_for_engine(lambda _: None)
    st.session_state["compare_upload_seen"] = upload.file_id
    try:
        source = engine().open_file(upload.getvalue())
    except Refused as error:
        theme.say(str(error), "error")
        return
    session.show_file(source)
    st.rerun()


def _file_banner() -> None:
    trace = engine().known(Source("", "", file=session.file()))
    with st.container(key="compare_file", border=True):
        if trace is None:
            st.text("The opened trace file made room for others.")
        else:
            st.text(f"B is a file, of {trace.facts.name}:")
            st.code(trace.text[:2_000], language=None, wrap_lines=True)
        st.button("Back to B's text", key="compare_close_file", on_click=session.close_file)


def one_layer(view: View, a: TraceSummary) -> View:
    """The view with one layer: of a mean over all layers, the first of them."""
    if isinstance(view.layer, int):
        return view
    layer = next((of[0] for name, of in a.groups if name == view.layer), 0)
    theme.say(f"All layers together have no difference of their own; layer {layer} is compared.")
    return replace(view, layer=layer)


def read_b(view: View, a: TraceSummary, now: ComparedView) -> Sides:
    """Read B beside A. Ends the page's run, with a sentence on it, where there is nothing to compare."""
    place = st.empty()

    def say(doing: str) -> None:
        theme.say(f"B: {doing}", "info", place)

    mine = state.source_of(view)
    source = session.source_of(view, now, a)
    b, problem = _trace(source, mine, say)
    place.empty()
    if b is not None and bool(a.target_tokens) != bool(b.target_tokens):
        has = "A" if a.target_tokens else "B"
        problem = f"Only {has} has a decoder’s text: the two have no rows in common. Choose another model for B."
    if problem or b is None:
        theme.say(problem, "error")
        before = st.session_state.get("compared_shown")
        if before is None or before[0] != mine or session.file():
            st.stop()
        _, source, now = before  # what was compared before; the boxes keep what was typed
        b, _ = _trace(source, mine, say)
        if b is None:
            st.stop()
    now, said = session.fit(now, b)
    key_a, key_b = engine().key(Picture(mine)), engine().key(Picture(source))
    if now.layer is None and heads.shapes(a) != heads.shapes(b) and isinstance(view.layer, int):
        layer, head = heads.closest(Picture(mine), Picture(source), view.layer, view.head, now.pairs)
        now = replace(now, layer=layer, head=head)
        said = (*said, f"B has other heads: layer {layer} · head {head} looks most like the one chosen in A.")
    if view.hide_special or view.hide_first or view.words or view.by_norm:
        said = (*said, "All tokens and the weights as they are: what Explore hides or regroups is compared too.")
    st.session_state["compared_shown"] = (mine, source, now)
    return Sides(source, b, now, key_a, key_b, (a.facts.name, b.facts.name), source == mine, said)


def _trace(source: Source, mine: Source, say: Callable[[str], None]) -> tuple[TraceSummary | None, str]:
    """The trace of B, or None and a sentence why there is none; A's model stays."""
    if (known := engine().known(source)) is not None:
        return known, ""
    say = state.only_news(say)
    try:
        if source.model and mine.model and source.model != mine.model:
            bringing = engine().bring(source.model, mine.model, state.visitor())
            try:
                state.wait(bringing.future, lambda: say(bringing.progress().doing or "The model is loaded …"))
            finally:
                bringing.cancel()
        reading = engine().read(source, state.visitor())
        try:
            return state.wait(reading.future, lambda: say(reading.progress().doing or "The model is reading …")), ""
        finally:
            reading.cancel()
    except Refused as error:
        return None, str(error)


def readouts(view: View, a: TraceSummary, sides: Sides) -> None:
    """What the model says in A and in B, beside each other."""
    mine = state.source_of(view)
    if mine.file and sides.source_b.file:
        return
    with st.container(key="readout"):
        st.html("<h2 class='sl-h'>What the model says in both</h2>")
        for column, name, source, trace in zip(
            st.columns(2, gap="large"), ("A", "B"), (mine, sides.source_b), (a, sides.b), strict=True
        ):
            with column:
                st.html(f"<h3 class='sl-h'>{name}</h3>")
                _one_readout(name, source, trace)


def _one_readout(name: str, source: Source, trace: TraceSummary) -> None:
    if source.file:
        theme.say("A file comes without its model, which says nothing here.")
        return
    said = engine().known_readout(source)
    if said is None:
        place = st.empty()
        asked = engine().readout(source, state.visitor())
        said = state.wait(asked.future, lambda: place.caption("The model is asked …"))
        place.empty()
    data = panel_data(said, trace)
    if data is None:
        theme.say(said.words)
        return
    key = f"compare_says_{name.lower()}"
    components.readout(data, key=key, on_chosen=lambda: _take_token(name, key, source, said))


def _take_token(name: str, key: str, source: Source, said: Said) -> None:
    """A token was clicked: it goes into the text of its side."""
    chosen = st.session_state[key].get("chosen") or {}
    if not isinstance(chosen.get("id"), int) or said.kind not in ("next", "masked"):
        return
    which = int(chosen.get("which") or 0)
    if name == "A":
        put_token(state.view(), chosen["id"], which)
        return
    try:
        written = engine().put_token(source, chosen["id"], which)
    except Refused:
        return  # the model has gone meanwhile: the next run says so
    texts = {"text": source.text, "pair": source.pair, "target": source.target, written.into: written.text}
    session.change(**texts, query=None, key=None)
