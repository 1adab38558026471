"""Get the trace that a page shows: progress while it is made, and the last one in its place if something fails."""

from dataclasses import replace

import streamlit as st

from pages.shared.address.view import View
from pages.shared.engine.choosing import engine
from pages.shared.engine.plain import TraceSummary
from pages.shared.parts import edited, theme
from pages.shared.service.sources import Source
from pages.shared.session import changes, state


def trace_of_page(view: View) -> tuple[View, TraceSummary]:
    """The trace that the visitor's view shows, with what was clamped or cut said on the page.

    Ends the page's run, with a sentence on it, if there is nothing to show.
    """
    message = st.empty()
    notes = st.container(key="notes")  # above the page's view, which keeps its place whatever is said here

    def say(doing: str) -> None:
        if state.shown():
            theme.say(doing, "info", message)
        else:
            message.html(f"<div class='sl-skeleton' role='status'>{theme.escape(doing)}</div>")

    if state.usual_again(view):
        st.rerun()  # the text box stands above the page: it shows the other text too
    trace, problem = state.trace_of(view, say)
    if state.made_readable(view, trace):
        st.rerun()
    message.empty()
    if trace is None and view.edits and not view.unedited:
        changes.leave_out(problem)
        st.rerun()
    if trace is None:
        theme.say(problem, "error")
        if not state.shown():
            st.stop()
        view = state.fall_back()
        trace, _ = state.trace_of(view, say)
        if trace is None:
            st.stop()
    view, clamped = state.fit(view, trace)
    for sentence in (*clamped, *_window(view), *_not_read(view, trace), *state.about_text(view), *trace.notes):
        theme.say(sentence, "note", notes)
    with notes:
        edited.banner(view, trace)
    return view, trace


def _window(view: View) -> tuple[str, ...]:
    if not view.start or state.opened_file():
        return ()
    begins = " ".join(view.text_read[:60].split())[:24].rstrip()
    return (f"Read from character {view.start + 1:,} of {len(view.text):,} on: “{begins}…”.",)


def _not_read(view: View, trace: TraceSummary) -> tuple[str, ...]:
    """What a link has for a model of another kind."""
    if state.opened_file():
        return ()
    name, said = trace.facts.name, []
    if view.target and not trace.facts.encoder_decoder:
        said.append(f"{name} has no decoder: the decoder text of this view is not read.")
    if view.pair and trace.pair is None and trace.facts.encoder_decoder:
        said.append(f"{name} reads one text: the second sentence of this view is not read.")
    return tuple(said)


def one_head(view: View, trace: TraceSummary, source: Source) -> tuple[View, str]:
    """The view with one layer, one head and one query, and a sentence if a mean or maximum had to give way.

    Without a chosen query the link from one word to another that is strongest in this head; where no word reads
    another, the last token that is not special: in a decoder it reads all others.
    """
    layer, head, said = view.layer, view.head, ""
    if isinstance(layer, str):
        layer = next((of[0] for name, of in trace.groups if name == layer), 0)
    if isinstance(head, str):
        said = f"The {'mean' if head == 'mean' else 'maximum'} over heads has no steps of its own; head 0 is followed."
        head = 0
    query = view.query
    tokens = trace.query_tokens(layer)
    key = view.key if view.key is not None and view.key < len(trace.key_tokens(layer)) else None
    if query is None or query >= len(tokens):
        if link := engine().strongest_link(source, layer, head):
            query, key = link
        else:
            query = max((i for i, token in enumerate(tokens) if not token.special), default=len(tokens) - 1)
    return replace(view, layer=layer, head=head, query=query, key=key), said
