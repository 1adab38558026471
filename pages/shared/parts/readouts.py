"""The panel "What the model says": the next token, masked words, how alike two sentences are, what it predicts.

What is chosen or written becomes text, so the pictures above follow. Nothing here runs before the picture's numbers are
made; what the model says about a text is computed once for everybody.
"""

from concurrent.futures import Future

import streamlit as st

from attention_core.formats.json_data import JsonMapping, JsonObject
from pages.shared.address.view import View
from pages.shared.engine.choosing import engine
from pages.shared.engine.plain import Refused, Said, TraceSummary, Written
from pages.shared.parts import components, given, theme
from pages.shared.parts.readout_words import panel_data, who_says_next
from pages.shared.service.sources import Source, picture_of
from pages.shared.session import state

MOST_TOKENS = 60  # at a time: the worker serves everybody
EXAMPLE_PAIR = "The creature was too exhausted to get to the other side of the road."
_GREEDY, _SAMPLED = "the likeliest", "drawn at random"


def panel(view: View, trace: TraceSummary, *, after: "Future[None] | None") -> None:
    """Draw the panel under the explorer; `after` is done when the picture's numbers are there."""
    if trace.given:
        given.off(given.SAYS)
    if state.opened_file():
        return  # a trace from a file comes without its model
    source = picture_of(view).source
    with st.container(key="readout"):
        st.html("<h2 class='sl-h'>What the model says</h2>")
        place = st.empty()
        readout = engine().known_readout(source)
        if readout is None:
            say = state.only_news(place.caption)
            if after is not None:
                state.wait(after, lambda: say("The model is asked …"))
            asked = engine().readout(source, state.visitor())
            readout = state.wait(asked.future, lambda: say("The model is asked …"))
        place.empty()
        _draw(view, trace, source, readout)
        for sentence in st.session_state.pop("readout_said", ()):
            _say(sentence)


def _draw(view: View, trace: TraceSummary, source: Source, readout: Said) -> None:
    data = panel_data(readout, trace)
    if readout.kind == "next":
        left, right = st.columns([3, 2], gap="large")
        with left:
            _show(data)
        with right:
            _writing(view, source, of_decoder=readout.of_decoder)
    elif data is not None:
        _show(data)
    elif readout.mask:
        _say(readout.words)
        st.button("Mask a word of this text", key="readout_mask", on_click=_mask_word, args=(trace, readout.mask))
    else:
        _say(readout.words)
        model = engine().loaded(view.model)
        compares = model is not None and not model.task and (model.sentences or _encodes(trace))
        if trace.pair is None and compares:
            st.button("Try it with a second sentence", key="readout_pair", on_click=_add_pair)


def _encodes(trace: TraceSummary) -> bool:
    return all(layer.kind == "encoder self" for layer in trace.layers)


def _say(sentence: str) -> None:
    st.html(f"<p class='sl-factline' role='status'>{theme.escape(sentence)}</p>")


def _show(data: JsonObject | None) -> None:
    if data is not None:
        components.readout(data, key="readout_view", on_chosen=_take_token)


def _writing(view: View, source: Source, *, of_decoder: bool) -> None:
    """Controls for letting the model write, and the writing itself."""
    how = st.segmented_control(
        "Each token", [_GREEDY, _SAMPLED], default=_GREEDY, key="readout_how", required=True, width="stretch"
    )
    amount, seed = st.columns(2)
    n = amount.number_input("Tokens, at most", 1, MOST_TOKENS, 30 if of_decoder else 10, key="readout_n")
    number = seed.number_input(
        "Seed",
        0,
        2**31 - 1,
        0,
        key="readout_seed",
        disabled=how != _SAMPLED,
        help="The same seed draws the same tokens again.",
    )
    label = "Let the model write it" if of_decoder else "Continue the text"
    wanted = st.session_state.pop("wanted_writing", False)  # on the first screen's line
    if st.button(label, key="readout_write", width="stretch") or wanted:
        _write(view, source, int(n), sampled=how == _SAMPLED, seed=int(number), of_decoder=of_decoder)
    if of_decoder and view.target:
        st.button("Empty the decoder's text", key="readout_clear", on_click=state.change, kwargs={"target": ""})


def _write(view: View, source: Source, n: int, *, sampled: bool, seed: int, of_decoder: bool) -> None:
    doing = st.empty()
    writing = engine().write(source, n, "sampled" if sampled else "greedy", seed, state.visitor())
    try:
        made = state.wait(writing.future, lambda: doing.caption(f"Writing: {writing.progress().done} of {n} tokens …"))
    except Refused as error:
        doing.empty()
        _say(str(error))
        return
    finally:
        writing.cancel()  # a visitor who does something else does not keep the worker busy
    sentences = _sentences(made)
    st.session_state["readout_said"] = sentences
    # What is pinned stays, as long as all tokens before keep their places.
    place: dict[str, None] = {} if made.same_tokens else {"query": None, "key": None}
    _put(view, made.text, of_decoder=of_decoder, **place)
    shown = {"tokens": list(made.added), "says": " ".join(sentences)}
    after = state.view()
    st.session_state["readout_written"] = (after.target if of_decoder else after.text, shown)
    st.rerun()


def _sentences(made: Written) -> list[str]:
    n = len(made.added)
    said = [f"{n} token{'' if n == 1 else 's'} written. {made.ended}".strip()]
    if not made.same_tokens:
        said.append(
            "The tokenizer cuts the whole text into other tokens than those written; the pictures show its own."
        )
    return said


def _take_token() -> None:
    """A token was clicked: put it at the end of the text, or in place of a mask."""
    _put_chosen(st.session_state["readout_view"].get("chosen") or {})


def take_wish() -> None:
    """Something was pressed on the first screen's line: a token, a mask, the other model, or that the model goes on."""
    wish = st.session_state["explorer"].get("says") or {}
    name, view = wish.get("name"), state.view()
    if name == "choose":
        _put_chosen(wish)
    elif name == "write":
        st.session_state["wanted_writing"] = True
    elif name == "mask":
        _mask_now(view)
    elif name == "model" and (other := who_says_next(view.model)):
        untold = {"source_language": "", "target_language": "", "chat": False}  # another model has others
        state.change(model=other["model"], layer=0, head=0, query=None, key=None, **untold)


def written(view: View) -> JsonObject | None:
    """What the model has just written into this text: its tokens as shown, and a sentence."""
    text, shown = st.session_state.get("readout_written", ("", None))
    return shown if text in (view.text, view.target) else None


def _mask_now(view: View) -> None:
    source = picture_of(view, state.opened_file()).source
    said, trace = engine().known_readout(source), engine().known(source)
    if said is not None and trace is not None and said.mask:
        _mask_word(trace, said.mask)


def _put_chosen(chosen: JsonMapping) -> None:
    view: View = state.view()
    if engine().loaded(view.model) is None or not isinstance(chosen.get("id"), int):
        return
    put_token(view, chosen["id"], int(chosen.get("which") or 0))


def put_token(view: View, token: int, which: int) -> None:
    """Change the view's text by one chosen token."""
    model = engine().loaded(view.model)
    if model is None or not model.predicts:
        return
    try:
        made = engine().put_token(picture_of(view).source, token, which)
    except Refused as error:
        st.session_state["readout_said"] = [str(error)]
        return
    if not made.same_tokens:
        st.session_state["readout_said"] = _sentences(made)[1:]
    if made.into == "pair":
        state.change(pair=made.text)
    else:
        _put(view, made.text, of_decoder=made.into == "target")


def _put(view: View, text: str, *, of_decoder: bool = False, **values: None) -> None:
    """Make `text` the decoder's, or what is read of the view's text: what stands before its window stays.

    A chat that was continued holds its template as text.
    """
    written = {"target": text} if of_decoder else {"text": view.text[: view.start] + text, "chat": False}
    state.change(**written, **values)


def _mask_word(trace: TraceSummary, mask: str) -> None:
    """Put a mask in place of the chosen word, or of the last one."""
    view = state.view()
    tokens = [token for token in trace.source_tokens if token.word is not None and token.span[1] > token.span[0]]
    chosen = (
        [token for token in trace.source_tokens[view.query : view.query + 1] if token in tokens]
        if view.query is not None
        else []
    )
    words = [token for token in tokens if any(character.isalnum() for character in token.text)]
    if not (chosen or words):
        return
    word = (chosen or words)[-1].word
    spans = [token.span for token in tokens if token.word == word]
    start, end = min(span[0] for span in spans), max(span[1] for span in spans)
    while trace.text[start : start + 1].isspace():  # byte-level pieces hold the blank before them
        start += 1
    _put(view, f"{trace.text[:start]}{mask}{trace.text[end:]}")


def _add_pair() -> None:
    state.change(pair=EXAMPLE_PAIR, query=None, key=None)
