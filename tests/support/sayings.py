"""What a page says in sentences (`theme.say`), as Streamlit's AppTest has it."""

import html
import re

from streamlit.testing.v1 import AppTest

_SAID = re.compile(r"<p class='sl-said sl-(\w+)'[^>]*>([^<]*)</p>")


def said_by(app: AppTest, *kinds: str) -> list[str]:
    """The sentences on a page, in their order: all, or those of these kinds ("note", "info", "warning", "error")."""
    found = (_SAID.fullmatch(element.proto.body) for element in app.get("html"))
    return [html.unescape(one[2]) for one in found if one and (not kinds or one[1] in kinds)]
