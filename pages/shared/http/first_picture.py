"""The explorer's data inside the first answer, so that a text that is in memory is drawn before Streamlit has started.

Of a class that opens one link only the first visitor waits for the model. To all others the very first answer says
where the numbers lie, and the browser draws them while it still reads Streamlit's own files.

Only for texts that everybody knows, and for links that this process has marked: what it answers to a text that somebody
guesses must not tell whether another visitor has had it read.
"""

import hmac
import json
from collections.abc import Mapping

from attention_core.formats.json_data import JsonMapping, JsonObject
from pages.shared.address import bar
from pages.shared.address.view import View, link
from pages.shared.engine.choosing import engine
from pages.shared.parts import components
from pages.shared.parts.controls import gallery
from pages.shared.service.keys import mark
from pages.shared.service.sources import Source, picture_of
from pages.shared.session import state

LONGEST_TOKENS = 512  # a longer text's picture takes its time, and the page its own controls meanwhile


def data_of(params: Mapping[str, str]) -> JsonObject | None:
    """The explorer's data for the view at this address; None if there is anything to wait for.

    Asks nothing of the worker or the disk: it runs while every other visitor waits for the answer.
    """
    view, _ = state.view_at({name: value for name, value in params.items() if name in bar.VIEW})
    if view.edits:  # what says that it is edited stands in the page, which is not there yet
        return None
    picture = picture_of(view)
    if not _may_be_told(view, picture.source, params.get(bar.MARK, "")):
        return None
    trace = engine().known_at_once(picture.source)
    if trace is None or trace.n_tokens > LONGEST_TOKENS:
        return None
    view, _ = state.fitted(view, trace)
    data = components.explorer_data(view, trace, engine().key(picture_of(view)))
    return {**data, "mode": "full", "seed": 0, "link": link(view), "link_note": "", "first": True}


def _may_be_told(view: View, source: Source, shown: str) -> bool:
    """Is it a text of ours, or has the link a mark, which only who had the text read could copy?"""
    if view.text == View().text and not (view.pair or view.target):
        return True
    if any((view.text, view.pair, view.target) == (one["text"], one.get("pair") or "", "") for one in gallery()):
        return True
    return hmac.compare_digest(shown.encode(), mark("link", *source.told).encode())


def as_script(data: JsonMapping) -> str:
    """The data as an element of the page. What a link says is in it, so that nothing in it can end the element."""
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return f"<script type='application/json' id='sl-first-data'>{text}</script>"
