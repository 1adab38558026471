"""Prepare our CSS and JavaScript for sending: imported sheets are put into the one that imports them, comments go.

A view's sheet in `assets/css` imports `tokens.css`, `parts.css` and its own folder, so that a person finds a rule. Sent
like that, a view would wait for its parts one after another; this way each view asks for one sheet. The comments of our
modules are a fifth of what a visitor would wait for.
"""

import re
from functools import cache
from pathlib import Path

_IMPORT = re.compile(r'^@import "([\w/-]+\.css)";\n', re.MULTILINE)
_SHEETS_COMMENT = re.compile(r"/\*.*?\*/\n*", re.DOTALL)
# Only what has its lines for itself: within a line, `/**` may stand in a string.
_MODULES_COMMENT = re.compile(r"^[ \t]*/\*\*(?:(?!\*/).)*\*/[ \t]*$", re.DOTALL | re.MULTILINE)


def sent(file: Path) -> bytes:
    """What a browser gets for one of our files. A module's lines keep their numbers: an error names the right one.

    Raises OSError if a sheet that is imported cannot be read.
    """
    if file.suffix == ".css":
        return _SHEETS_COMMENT.sub("", _put_in(file)).encode()
    if file.suffix == ".js":
        text = file.read_text(encoding="utf-8")
        return _MODULES_COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text).encode()
    return file.read_bytes()


def _put_in(sheet: Path) -> str:
    return _IMPORT.sub(lambda found: _put_in(sheet.parent / found[1]), sheet.read_text(encoding="utf-8"))


@cache
def made_of(file: Path) -> tuple[Path, ...]:
    """The file and every sheet that it imports, as they were when it was first asked for."""
    names = _IMPORT.findall(file.read_text(encoding="utf-8")) if file.suffix == ".css" else ()
    return (file, *(part for name in names for part in made_of(file.parent / name)))
