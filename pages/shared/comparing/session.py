"""What a visitor compares with his view, which is A: kept in one place and mirrored in the address beside the view."""

from collections.abc import Mapping
from dataclasses import replace

import streamlit as st

from attention_core.formats.fields import LINK_LIMIT, query, well_formed
from attention_core.formats.json_data import Json
from pages.shared.address import bar
from pages.shared.address.comparison import ComparedView, from_params, from_report, to_params
from pages.shared.address.view import View
from pages.shared.address.view import to_params as params_of_view
from pages.shared.comparing.examples import Example, first_of
from pages.shared.engine.opened import opened_files
from pages.shared.engine.plain import TraceSummary
from pages.shared.inside import of_streamlit
from pages.shared.service.sources import Source
from pages.shared.session import news, state


def compared() -> ComparedView:
    """What B is, once a run; from the address when it is new there."""
    ours = bar.read(bar.COMPARED)
    if news.comes(ours, "compared"):
        st.session_state["compared"], st.session_state["compared_problems"] = from_params(ours)
        st.session_state["compared_first"] = None
        news.know(ours, "compared")
        st.session_state["compared_file"] = ""
        _changed()
    view = state.view()
    about = (view.model, view.text)
    first = st.session_state.get("compared_first", ("", ""))
    # Nobody has said what B is: another text of A has another B of its own.
    if "compared" not in st.session_state or (first is not None and first != about and not file()):
        st.session_state["compared"] = first_of(view)
        st.session_state["compared_first"] = about
        _changed()
    return st.session_state["compared"]


def problems() -> tuple[str, ...]:
    """Sentences about the link that was opened."""
    return st.session_state.get("compared_problems", ())


def seed() -> int:
    """Grows whenever Python changed what is compared: the browser then takes it from the data."""
    return state.seed() + st.session_state.get("compared_seed", 0)


def change(**values: Json) -> None:
    """Change what B is from Python."""
    before = st.session_state.get("compared") or ComparedView()
    texts = {
        name: well_formed(values[name][: state.LONGEST_TEXT]) for name in ("text", "pair", "target") if name in values
    }
    st.session_state["compared"] = replace(before, **{**values, **texts})
    st.session_state["compared_first"] = None
    _changed()


def show(example: Example) -> None:
    """Put an example on both sides."""
    untold = {"source_language": "", "target_language": "", "chat": False}
    if state.opened_file():
        state.close_file()
    close_file()
    place = {"start": 0, "pair": "", "target": "", "query": None, "key": None}
    state.change(**{**untold, **place, **example.view})
    st.session_state["compared"] = ComparedView(**example.compared)
    st.session_state["compared_first"] = None
    _changed()


def file() -> str:
    """sha256 of the trace file that is B, or ""."""
    return st.session_state.get("compared_file", "")


def show_file(source: Source) -> None:
    """An opened trace file is B."""
    st.session_state["compared_file"] = source.file
    opened_files().keep(of_streamlit.session_id(), source, beside=True)
    change(layer=None, head=None, query=None, key=None, fixed="")


def close_file() -> None:
    """B is a text again."""
    if file():
        st.session_state["compared_file"] = ""
        opened_files().close(of_streamlit.session_id(), beside=True)
        _changed()


def source_of(view: View, now: ComparedView, a: TraceSummary) -> Source:
    """What B is read from. Where A is a file B may read its text: a recorded run beside one's own."""
    if file():
        return Source("", "", file=file())
    mine = state.source_of(view)
    if mine.file and not now.text and not now.model and (now.layer is not None or now.head is not None):
        return mine  # two heads of the file's run
    model = now.model or view.model
    told = (view.source_language, view.target_language, view.chat) if model == view.model else ("", "", False)
    if now.text:
        return Source(model, now.text, now.pair, now.target, *told)
    if mine.file:
        return Source(model, a.text, a.pair or "", a.target or "", *told)
    return Source(model, mine.text, mine.pair, mine.target, *told)


def take_report(key: str = "compare") -> None:
    """Take over what the browser's view reports and already shows, of both sides."""
    report = st.session_state[key].get("view")
    state.take_report(key)
    if isinstance(report, Mapping):
        st.session_state["compared"] = from_report(report, st.session_state["compared"])
        st.session_state["compared_first"] = None


def fit(now: ComparedView, b: TraceSummary) -> tuple[ComparedView, tuple[str, ...]]:
    """`now` with a layer, head and tokens that B has, and a sentence for each change."""
    said, becomes = [], now
    view = state.view()
    layer = now.layer if now.layer is not None else view.layer if isinstance(view.layer, int) else 0
    if layer >= len(b.layers):
        said.append(f"B has no layer {layer}; its last one, layer {len(b.layers) - 1}, is shown.")
        layer = len(b.layers) - 1
        becomes = replace(becomes, layer=layer)
    n_heads = b.layers[layer].n_heads
    head = now.head if now.head is not None else view.head
    if isinstance(head, int) and head >= n_heads:
        said.append(f"B has no head {head} in layer {layer}; its last one, head {n_heads - 1}, is shown.")
        becomes = replace(becomes, layer=layer, head=n_heads - 1)
    for name, tokens in (("query", b.query_tokens(layer)), ("key", b.key_tokens(layer))):
        at = getattr(becomes, name)
        if at is not None and at >= len(tokens):
            said.append(f"B has no {name} token {at} among its {len(tokens)}; none is selected.")
            becomes = replace(becomes, **{name: None})
    if becomes != now:
        st.session_state["compared"] = becomes
        _changed()
    return becomes, tuple(said)


def write_address(view: View, now: ComparedView) -> str | None:
    """Put both sides into the address; the link, or None if it cannot be one (texts too long, a file)."""
    ours, theirs = params_of_view(view), to_params(now)
    made = query({**ours, **theirs})
    if state.opened_file() or file() or len(made) > LINK_LIMIT + 1:
        made, ours, theirs = None, {}, {}
    news.write(theirs, "compared", beside={"view": ours})
    return made


def _changed() -> None:
    st.session_state["compared_seed"] = st.session_state.get("compared_seed", 0) + 1
