"""Prepare our CSS and JavaScript for sending: imported sheets are put into the one that imports them, comments go.

A view's sheet in `assets/css` imports `tokens.css`, `parts.css` and its own folder, so that a person finds a rule. Sent
like that, a view would wait for its parts one after another; this way each view asks for one sheet. The comments of our
modules are a fifth of what a visitor would wait for; blanks, line ends and the names of local variables, which the
minifier takes too, are a third of the rest.
"""

import logging
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

_log = logging.getLogger("sightline")
_MINIFIED = {".css": "text/css", ".js": "text/javascript"}  # as the minifier names them
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


def minified(file: Path, text: bytes) -> bytes:
    """The same module or sheet (`text`, what `sent` gives for `file`) without what only people read.

    What a module exports keeps its name. Another kind of file, and one that the minifier cannot read, comes back as it
    is; the log has a sentence about that.
    """
    minify = _minifier() if file.suffix in _MINIFIED else None
    if minify is None:
        return text
    try:
        return minify(_MINIFIED[file.suffix], text.decode()).encode()
    except ValueError as error:  # MinifyError is one
        _log.warning("%s is sent as it is written: it could not be minified (%s)", file.name, error)
        return text


@cache
def _minifier() -> Callable[[str, str], str] | None:
    try:
        import minify  # where it is used: it brings a runtime of its own, which the first answer does not wait for
    except (ImportError, OSError) as error:  # no wheel for this machine, or its library does not load here
        _log.warning("modules and sheets are sent as they are written, a third larger: no minifier here (%s)", error)
        return None
    return minify.string


def _put_in(sheet: Path) -> str:
    return _IMPORT.sub(lambda found: _put_in(sheet.parent / found[1]), sheet.read_text(encoding="utf-8"))


@cache
def made_of(file: Path) -> tuple[Path, ...]:
    """The file and every sheet that it imports, as they were when it was first asked for."""
    names = _IMPORT.findall(file.read_text(encoding="utf-8")) if file.suffix == ".css" else ()
    return (file, *(part for name in names for part in made_of(file.parent / name)))
