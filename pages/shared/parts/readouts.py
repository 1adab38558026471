"""The panel "What the model says": the next token, masked words, how alike two sentences are, what it predicts.

What is chosen or written becomes text, so the pictures above follow. Nothing here runs before the picture's numbers are
made; what the model says about a text is computed once for everybody.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import streamlit as st

from pages.shared.address.view import View
from pages.shared.engine.choosing import engine
from pages.shared.engine.plain import Refused, Said, SaidChoice, SaidLabel, TraceSummary, Written
from pages.shared.parts import components, given, theme
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
    if readout.kind == "next":
        left, right = st.columns([3, 2], gap="large")
        with left:
            tokens = trace.target_tokens or trace.source_tokens
            title = "The decoder's next token, after" if readout.of_decoder else "The next token, after"
            (place,) = readout.places
            _bars([_group(title, tokens[-1].text, 0, place.entropy, place.choices)], "add", readout.d_vocab)
        with right:
            _writing(view, source, of_decoder=readout.of_decoder)
    elif readout.kind == "masked":
        tokens = trace.source_tokens
        groups = [
            _group("Behind the mask after", tokens[fill.position - 1].text, which, fill.entropy, fill.choices)
            for which, fill in enumerate(readout.places)
        ]
        _bars(groups, "fill", readout.d_vocab)
    elif readout.kind == "similarity":
        compared = {"function": readout.function, "score": readout.score, "read": [list(one) for one in readout.read]}
        _show([], "add", 0, {"cosine": readout.cosine, "words": readout.words, **compared})
    elif readout.kind != "unsaid":
        _show([], "add", 0, None, _predicted(readout))
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


def _group(title: str, place: str, which: int, entropy: float, choices: Sequence[SaidChoice]) -> dict[str, Any]:
    shown = [{"id": choice.id, "t": choice.text, "p": choice.probability} for choice in choices]
    return {"title": title, "place": place, "which": which, "entropy": entropy, "choices": shown}


def _bars(groups: list[dict[str, Any]], act: str, d_vocab: int) -> None:
    _show(groups, act, d_vocab, None)


def _predicted(found: Said) -> dict[str, Any]:
    """A prediction as the browser's view takes it: rows of a text, a probability or none, and a number."""
    if found.kind == "tags":
        words = [{"t": word, "tag": tag.text, "p": tag.probability} for word, tag in found.tagged]
        rows = [{"t": tag.text, "best": list(map(_row, tag.best))} for tag in found.tags]
        return {"kind": "tags", "words": found.words, "tagged": words, "rows": rows}
    rows = list(map(_row, found.labels))
    none = {"none": found.none} if found.kind == "answer" else {}
    return {"kind": found.kind, "words": found.words, "rows": rows, **none}


def _row(label: SaidLabel) -> dict[str, Any]:
    return {"t": label.text, "p": label.probability, "v": label.logit}


def _show(
    groups: list[dict[str, Any]],
    act: str,
    d_vocab: int,
    similarity: dict[str, Any] | None,
    prediction: dict[str, Any] | None = None,
) -> None:
    data = {"groups": groups, "act": act, "d_vocab": d_vocab, "similarity": similarity, "prediction": prediction}
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
    if st.button(label, key="readout_write", width="stretch"):
        _write(view, source, int(n), sampled=how == _SAMPLED, seed=int(number), of_decoder=of_decoder)
    if of_decoder and view.target:
        st.button("Empty the decoder's text", key="readout_clear", on_click=state.change, kwargs={"target": ""})


def _write(view: View, source: Source, n: int, *, sampled: bool, seed: int, of_decoder: bool) -> None:
    place = st.empty()
    writing = engine().write(source, n, "sampled" if sampled else "greedy", seed, state.visitor())
    try:
        made = state.wait(writing.future, lambda: place.caption(f"Writing: {writing.progress().done} of {n} tokens …"))
    except Refused as error:
        place.empty()
        _say(str(error))
        return
    finally:
        writing.cancel()  # a visitor who does something else does not keep the worker busy
    st.session_state["readout_said"] = _sentences(made)
    _put(view, made.text, of_decoder=of_decoder, query=None, key=None)
    st.rerun()


def _sentences(made: Written) -> list[str]:
    n = made.n_added
    said = [f"{n} token{'' if n == 1 else 's'} written. {made.ended}".strip()]
    if not made.same_tokens:
        said.append(
            "The tokenizer cuts the whole text into other tokens than those written; the pictures show its own."
        )
    return said


def _take_token() -> None:
    """A token was clicked: put it at the end of the text, or in place of a mask."""
    chosen = st.session_state["readout_view"].get("chosen") or {}
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
