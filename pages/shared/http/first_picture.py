"""The explorer's data inside the first answer, so that a text that is in memory is drawn before Streamlit has started.

Of a class that opens one link only the first visitor waits for the model. To all others the very first answer says
where the numbers lie, and the browser draws them while it still reads Streamlit's own files.
"""

import json
from collections.abc import Mapping
from typing import Any

from pages.shared.address import bar
from pages.shared.engine.choosing import engine
from pages.shared.parts import components
from pages.shared.service.sources import picture_of
from pages.shared.session import state

LONGEST_TOKENS = 512  # a longer text's picture takes its time, and the page its own controls meanwhile
LONGEST_SHOWN = 1_000  # characters in the place of the text box


def data_of(params: Mapping[str, str]) -> dict[str, Any] | None:
    """The explorer's data for the view at this address, with its text; None if there is anything to wait for.

    Asks nothing of the worker or the disk: it runs while every other visitor waits for the answer.
    """
    view, _ = state.view_at({name: value for name, value in params.items() if name in bar.VIEW})
    picture = picture_of(view)
    trace = engine().known_at_once(picture.source)
    if trace is None or trace.n_tokens > LONGEST_TOKENS:
        return None
    view, _ = state.fitted(view, trace)
    data = components.explorer_data(view, trace, engine().key(picture_of(view)))
    seen = {"first": True, "text": view.text[:LONGEST_SHOWN]}
    return {**data, "mode": "full", "seed": 0, "link": None, "link_note": "", **seen}


def as_script(data: Mapping[str, Any]) -> str:
    """The data as an element of the page. What a link says is in it, so that nothing in it can end the element."""
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return f"<script type='application/json' id='sl-first-data'>{text}</script>"
