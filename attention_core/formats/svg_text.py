"""Text in an SVG picture: escaped as XML wants it, and its width in columns of a monospaced face."""

import re
import unicodedata
from xml.sax.saxutils import escape


def xml(text: str) -> str:
    """Text inside an element; what XML 1.0 cannot hold becomes U+FFFD."""
    return escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))


def n_columns_of(text: str) -> int:
    """Columns that `text` takes in a monospaced face."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
