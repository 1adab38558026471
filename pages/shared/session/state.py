"""What a visitor is looking at, kept in one place and mirrored in the address.

The session owns one `View`. The browser reports its choices once they have settled; only this module writes the
address.
"""

import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace
from typing import TypeVar

import streamlit as st

from attention_core.formats.fields import Value, well_formed
from attention_core.formats.json_data import JsonMapping
from attention_core.models.cards import find_card
from pages.shared.address import bar as address
from pages.shared.address import growth
from pages.shared.address.growth import GrowView
from pages.shared.address.view import View, carried, clamp, clamp_telling, from_params, from_report, link, to_params
from pages.shared.engine.choosing import engine
from pages.shared.engine.opened import opened_files
from pages.shared.engine.plain import Refused, TraceSummary
from pages.shared.inside import of_streamlit
from pages.shared.service.keys import mark
from pages.shared.service.service import FRAME_FIRST_SECONDS
from pages.shared.service.sources import Source, picture_of
from pages.shared.session import news
from pages.shared.session.menu import MENU

Result = TypeVar("Result")

_TOLD = ("source_language", "target_language", "chat")  # what a model is told beside its texts
LONGEST_TEXT = 100_000  # characters of a text that are kept, as the text box has it; far fewer are read at a time
FIRST_QUERY = 10  # “it” in the default sentence: the first picture already points at something


def view() -> View:
    """The view of this visitor."""
    return st.session_state["view"] if "view" in st.session_state else open_view()


def open_view() -> View:
    """The view of this visitor, once a run; from the address when it is new there (first run, a link, Back)."""
    ours = address.read(address.VIEW)
    if news.comes(ours, "view") or "view" not in st.session_state:
        opened, problems = view_at(ours)
        _set(opened)
        st.session_state["problems"] = problems
        st.session_state["linked"] = bool(ours)  # somebody chose this view
        news.know(ours, "view")
        st.session_state["file"] = ""
    return st.session_state["view"]


def view_at(params: Mapping[str, str]) -> tuple[View, tuple[str, ...]]:
    """The view that an address gives to somebody new, and a sentence for each thing in it that cannot be read."""
    view, problems = from_params(params)
    if not params:
        first = engine().settings.model  # the operator's choice
        view = replace(view, query=FIRST_QUERY) if first == view.model else View(model=first, layer=0, head=0)
    return view, problems


def change(**values: Value) -> None:
    """Change the view from Python; the browser's views take it over."""
    after = replace(st.session_state["view"], **values)
    _set(after if "edits" in values else carried(st.session_state["view"], after))


def usual_again(view: View) -> bool:
    """Put the usual first sentence back if what stands there was made for another model; True if it was."""
    model, text, _ = st.session_state.get("first_text", ("", "", ""))
    if opened_file() or not text or view.text != text or view.model == model:
        return False
    del st.session_state["first_text"]
    change(text=View().text, target="", query=None, key=None)
    return True


def made_readable(view: View, trace: TraceSummary | None) -> bool:
    """Another first text if the usual one says nothing of this model; True if there is one.

    Either its card has one, or its tokenizer does not know the usual one.

    `trace` is what became of the usual one, None if nothing. What somebody typed stays.
    """
    if opened_file() or view.text != View().text or engine().loaded(view.model) is None:
        return False
    card = find_card(view.model)
    if card and card.first_text and st.session_state.get("first_text", ("",))[0] != card.id:  # once: it may be typed
        says = f"{card.name.split(' (')[0]} {card.does}: this is a text for it."
        st.session_state["first_text"] = (view.model, card.first_text, says)
        place = dict(zip(("layer", "head"), card.first_head, strict=True)) if card.first_head else {}
        change(text=card.first_text, target=card.first_target, start=0, query=None, key=None, **place)
        return True
    if trace is not None and trace.readable:
        return False
    found = engine().first_text(view.model)
    if not found.says:
        return False
    st.session_state["first_text"] = (view.model, found.text, found.says)
    change(text=found.text, start=0, query=None, key=None)
    return True


def about_text(view: View) -> tuple[str, ...]:
    """Why another text than the usual one is shown first, if one is."""
    model, text, says = st.session_state.get("first_text", ("", "", ""))
    return (says,) if says and (view.model, view.text) == (model, text) else ()


def renew() -> None:
    """The browser's numbers are gone: the rerun makes them again, and the browser must fetch them again."""
    _set(st.session_state["view"])


def take_report(key: str = "explorer") -> None:
    """Take over what the browser's view `key` reports and already shows. Unknown or bad values are left out."""
    _take(st.session_state[key].get("view"))


def last_report(key: str) -> JsonMapping | None:
    """What the browser's view `key` last reported, as it did; None if it has not."""
    return (st.session_state.get(key) or {}).get("view")


def leave(key: str) -> None:
    """Open the page that the browser's view `key` asks for, with the choice that it reports in the same message.

    Two messages would be two runs: a busy server would read the second before the first one's choice was taken.
    """
    asked: JsonMapping = st.session_state[key].get("leave") or {}
    (_take_growth if key == "grow" else _take)(asked.get("view"))
    wanted = next((entry.script for entry in MENU if entry.url_path == asked.get("page")), "")
    st.session_state["wanted_page"] = wanted  # the next run opens it: a callback cannot


def _take(chosen: object) -> None:
    if isinstance(chosen, Mapping):
        st.session_state["view"] = from_report(chosen, st.session_state["view"])


def follow() -> None:
    """Switch to the page that was asked for, if one was."""
    if wanted := st.session_state.pop("wanted_page", ""):
        st.switch_page(wanted)


def keep_large(wanted: bool | None = None) -> None:
    """Remember the size of the type: Streamlit forgets a switch on pages that do not draw it. `wanted` changes it."""
    if wanted is None and "frame_large" in st.session_state:
        wanted = bool(st.session_state["frame_large"])
    st.session_state["large"] = st.session_state.get("large", False) if wanted is None else wanted
    st.session_state["frame_large"] = st.session_state["large"]


def seed() -> int:
    """Grows whenever Python changed the view: the browser then takes the view from the data."""
    return st.session_state["seed"]


def problems() -> tuple[str, ...]:
    """Sentences about the link that was opened, and about a text that is too long to be kept."""
    cut = f"A text of more than {LONGEST_TEXT:,} characters was cut there: no more is kept."
    return (*st.session_state.get("problems", ()), *([cut] if st.session_state.get("cut") else []))


def opened_file() -> str:
    """sha256 of the trace file this visitor opened, or ""."""
    return st.session_state.get("file", "")


def show_file(source: Source) -> None:
    """Look at an opened trace file."""
    st.session_state["file"] = source.file
    opened_files().keep(of_streamlit.session_id(), source)
    change(layer=0, head=0, query=None, key=None)


def close_file() -> None:
    """Back to the text."""
    st.session_state["file"] = ""
    opened_files().close(of_streamlit.session_id())
    change(layer=View().layer, head=View().head, query=None, key=None)


def source_of(view: View) -> Source:
    """What a view is read from: its text in its model, or the trace file that this visitor opened."""
    return picture_of(view, opened_file()).source


def visitor() -> str:
    """A name for this visitor that says nothing about him: turns at the worker are taken by it."""
    return st.session_state.setdefault("visitor", secrets.token_hex(8))


def shown() -> Source | None:
    """What this visitor was shown last, if anything."""
    return st.session_state.get("shown")


def fall_back() -> View:
    """Look again at what was shown before something failed; the text box keeps what was typed."""
    source = st.session_state["shown"]
    st.session_state["file"] = source.file
    before = st.session_state["view"]
    if not source.file:
        told = {name: getattr(source, name) for name in (*_TOLD, "edits")}
        texts = {"text": source.text, "start": 0, "pair": source.pair, "target": source.target}
        before = replace(before, model=source.model, **texts, **told)
    st.session_state["view"] = before
    return before


def trace_of(view: View, say: Callable[[str], None]) -> tuple[TraceSummary | None, str]:
    """The trace that a view shows, or None and a plain sentence why there is none.

    While it is waited for, `say` is given a sentence about what for, whenever that is another one.
    """
    say = only_news(say)
    source = source_of(view)
    if (known := engine().known(source)) is not None:
        st.session_state["shown"] = source
        return known, ""

    started = engine().start(pause=FRAME_FIRST_SECONDS)
    reading = engine().read(source, visitor())

    def while_waiting() -> None:
        far = reading.progress()
        ahead = far.ahead
        others = f"{ahead} other text{'s' if ahead > 1 else ''} first …" if ahead > 0 else "The model is reading …"
        say(far.doing or ("" if started.done() else "Starting the computing engine …") or others)

    try:
        trace = wait(reading.future, while_waiting)
    except Refused as error:
        return None, str(error)
    finally:
        reading.cancel()  # a visitor who typed something else, or left, no longer waits
    st.session_state["shown"] = source
    return trace, ""


def read_so_far(view: View, asked: int) -> tuple[TraceSummary | None, str]:
    """What `read` would give, if it is known already; else None and no sentence."""
    source = source_of(view)
    trace = engine().known(source)
    return trace, "" if trace else st.session_state.get("unread", {}).get((source, asked), "")


def read(view: View, asked: int) -> None:
    """Wait for the view's trace in silence. Why there is none is remembered for this source and this time of asking."""
    source = source_of(view)
    _, problem = trace_of(view, lambda _: None)
    st.session_state["unread"] = {(source, asked): problem}


def wait_for_engine(say: Callable[[str], object]) -> None:
    """Wait until the worker has imported torch, so that a page may import what needs it."""
    say = only_news(say)
    started = engine().start(pause=FRAME_FIRST_SECONDS)
    wait(started, lambda: say("Starting the computing engine …"))


def source_now() -> Source:
    """What the visitor's view shows, read by now. Raises ValueError with a sentence if it cannot be read."""
    trace, problem = trace_of(view(), lambda _: None)
    if trace is None:
        raise ValueError(problem)
    return source_of(view())


def fit(view: View, trace: TraceSummary) -> tuple[View, tuple[str, ...]]:
    """The session's view, as `fitted` makes it, and a sentence for each change."""
    becomes, sentences = fitted(view, trace, from_file=bool(opened_file()))
    if becomes != view:
        _set(becomes)
    return becomes, sentences


def fitted(view: View, trace: TraceSummary, *, from_file: bool = False) -> tuple[View, tuple[str, ...]]:
    """The view with a layer, head and tokens that this trace has, and a sentence for each change.

    The trace of a file does not come from the view's text: its languages are not the view's.
    """
    layers = [(layer.n_heads, layer.n_query, layer.n_key) for layer in trace.layers]
    sizes = {name: layers[of[0]][1:] for name, of in trace.groups}
    becomes, sentences = clamp(view, layers, sizes)
    if not from_file:
        told = trace.source_language, trace.target_language
        becomes, more = clamp_telling(becomes, *told, chat=trace.chat)
        sentences = (*sentences, *more)
    if reason := trace.cannot_hide(special=becomes.hide_special, first=becomes.hide_first):
        becomes = replace(becomes, hide_special=False, hide_first=False)
        sentences = (*sentences, reason)
    if becomes.by_norm and trace.no_norms:
        becomes = replace(becomes, by_norm=False)
        sentences = (*sentences, f"The weights are shown, not what they move: {trace.no_norms}.")
    return becomes, sentences


def write_address(view: View) -> str | None:
    """Put the view into the address; the link, or None if it cannot be one (text too long, trace from a file).

    The link that is copied has this process's mark: whoever opens it is shown a text that is in memory at once.
    """
    made = None if opened_file() else link(view)
    if made:
        made += f"&{address.MARK}={mark('link', *picture_of(view).source.told)}"
    params = to_params(view) if made else {}
    news.write(params, "view")
    return made


def open_growth() -> tuple[GrowView, tuple[str, ...]]:
    """What Grow a head shows to this visitor, and sentences about the link that was opened."""
    ours = address.read(address.GROWTH)
    if news.comes(ours, "growth") or "growth" not in st.session_state:
        st.session_state["growth"], st.session_state["growth_problems"] = growth.from_params(ours)
        st.session_state["growth_seed"] = st.session_state.get("growth_seed", 0) + 1
        news.know(ours, "growth")
    return st.session_state["growth"], st.session_state["growth_problems"]


def growth_seed() -> int:
    """Grows whenever Python changed what Grow a head shows: the browser then takes it from the data."""
    return st.session_state["growth_seed"]


def take_growth(key: str = "grow") -> None:
    """Take over what the browser's view reports and already shows."""
    _take_growth(st.session_state[key].get("view"))


def _take_growth(report: object) -> None:
    if isinstance(report, Mapping):
        st.session_state["growth"] = growth.from_report(report, st.session_state["growth"])


def write_growth_address(view: GrowView) -> str:
    """Put the run's settings and the step into the address; the link."""
    params = growth.to_params(view)
    news.write(params, "growth")
    return growth.link(view)


def wait(future: "Future[Result]", while_waiting: Callable[[], object]) -> Result:
    """Wait for a job; after 0.3 s call `while_waiting`, soon four times a second, later once.

    More seldom with time: in a crowd that waits, telling it so would be what it waits for.

    Streamlit stops this thread inside `while_waiting`, which must touch it, if the visitor asks for something else or
    leaves.
    """
    try:
        return future.result(timeout=0.3)
    except NotYet:
        pass
    pause = 0.25
    while True:
        while_waiting()
        try:
            return future.result(timeout=pause)
        except NotYet:
            pause = min(1.5 * pause, 1.0)


def only_news(say: Callable[[str], object]) -> Callable[[str], None]:
    """`say`, without what was said last: in a crowd that waits, every message is one more that it waits for."""
    said = ""

    def news(sentence: str) -> None:
        nonlocal said
        if sentence == said:
            st.session_state.get("view")  # any touch of Streamlit is a place where it can stop this run
        else:
            said = sentence
            say(sentence)

    return news


def _set(view: View) -> None:
    # Protobuf takes no others.
    texts = {name: well_formed(getattr(view, name)[:LONGEST_TEXT]) for name in ("text", "pair", "target")}
    st.session_state["cut"] = any(len(getattr(view, name)) > LONGEST_TEXT for name in texts)
    st.session_state["view"] = replace(view, **texts)
    st.session_state["seed"] = st.session_state.get("seed", 0) + 1
