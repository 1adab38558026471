"""What we lean on inside Streamlit: its own page and front end's files, its start, and what it writes into the log.

What its page looks like in the browser (`data-testid` and classes) is named in `assets/js/base/streamlit.js` and the
sheets `assets/css/page.css` and `assets/css/embedded.css`.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from streamlit import file_util, runtime
from streamlit.components.v2 import manifest_scanner
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

__all__ = [
    "FONT",
    "HEAD_ENDS",
    "HASHED",
    "INLINE_SCRIPT",
    "MODULES",
    "MODULE_BEGINS",
    "ROOT_BEGINS",
    "STYLE_SHEET",
    "TITLE",
    "UNCAUGHT",
    "UPLOADS",
    "DeltaGenerator",
    "LogLine",
    "connected",
    "forget_uploads",
    "front_end",
    "keep_to_navigation",
    "look_for_no_components",
    "own_page",
    "parts_of_first_page",
    "runs_a_script",
    "session_id",
    "uploads_held",
]

# `DeltaGenerator`: what a container is, for signatures alone. It is documented as `st.container()`'s result, not where
# it can be imported from.

# --- its start


def runs_a_script() -> bool:
    """Is this the run of a page's script, and not the server looking for its app in the same file?

    Without it `app.py` could not be both: routes and warm-up would need a file and a command of their own.
    """
    return runtime.exists()


def keep_to_navigation() -> None:
    """Say from the start that pages are told by `st.navigation`.

    Streamlit would take the folder pages/ for its older kind of pages until `st.navigation` has run once: a first
    visitor who opens a link to another page than the first would get that page without its frame.
    """
    PagesManager.uses_pages_directory = False


def look_for_no_components() -> None:
    """Keep Streamlit from reading what every installed package says of itself, in search of components.

    All of ours are in `assets`, and the search takes a third of the time until the first answer. Without this it is
    made, and finds nothing.
    """
    manifest_scanner.scan_component_manifests = lambda *_, **__: []


# --- its own page, which ours is made of

TITLE = "<title>Streamlit</title>"
HEAD_ENDS = "</head>"
ROOT_BEGINS = '<div id="root">'
MODULE_BEGINS = '<script type="module"'
STYLE_SHEET = re.compile(r"""<link\b[^>]*\brel="stylesheet"[^>]*>""")
MODULES = re.compile(r"""<script\b[^>]*\btype="module"[^>]*></script>|<link\b[^>]*\brel="modulepreload"[^>]*>""")
FONT = re.compile(r"""<link\b[^>]*\bas="font"[^>]*>""")
INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def front_end() -> Path:
    """The folder of the front end's files: `index.html`, and what has a hash in its name in `static`.

    Without it the first answer would be Streamlit's empty page, and its files would come uncompressed from the disk.
    """
    return Path(file_util.get_static_dir())


def own_page() -> str:
    """The page that Streamlit answers every address with. What ours replaces in it must be there once each."""
    return (front_end() / "index.html").read_text(encoding="utf-8")


# Streamlit's build: name.<hash>.js. A file without such a name is left to Streamlit.
HASHED = re.compile(r"\.[\w-]{8}\.(js|css|woff2?|ttf|svg|png|json|wasm)$")
# What the front end fetches only when the first page's script has run. A name that is no longer there is left out, and
# the browser fetches that part later, one wait more.
_PARTS = ("BidiComponent", "Selectbox", "Html", "Checkbox", "Button")


def parts_of_first_page() -> list[str]:
    """Names of the modules in `static/js` that draw the elements of our first page."""
    folder = front_end() / "static" / "js"
    return [file.name for part in _PARTS for file in sorted(folder.glob(f"{part}.*.js"))]


# --- what it keeps for its sessions

UPLOADS = "/_stcore/upload_file"  # below which a page puts its files: …/<session>/<file>


def session_id() -> str:
    """The session whose script runs here; "" where none does.

    Without it nobody knows whose the opened file is, and it stays until others make room.
    """
    context = get_script_run_ctx(suppress_warning=True)
    return context.session_id if context else ""


def connected(session: str) -> bool:
    """Has this session its websocket? Without it what visitors had uploaded stays for minutes after they left."""
    return runtime.exists() and runtime.get_instance().is_active_session(session)


def uploads_held() -> dict[str, int]:
    """Bytes of the uploaded files of each session. Without it a page could upload any number of files."""
    manager = _uploads()
    if manager is None:
        return {}
    held = list(manager.file_storage.items())
    return {session: sum(len(file.data) for file in list(files.values())) for session, files in held if files}


def forget_uploads(session: str) -> None:
    """Free the uploaded files of a session; to its page they are files that somebody has taken away."""
    if (manager := _uploads()) is not None:
        manager.remove_session_files(session)


def _uploads() -> MemoryUploadedFileManager | None:
    manager = runtime.get_instance().uploaded_file_mgr if runtime.exists() else None
    return manager if isinstance(manager, MemoryUploadedFileManager) else None


# --- what it writes into the log


@dataclass(frozen=True, slots=True)
class LogLine:
    """One kind of line of the log: who writes it, and its text before anything is put in."""

    logger: str
    message: str


# An uncaught error with its message, which may quote a visitor, before Streamlit asks our hook. Without the name it
# stands in the log beside our own record.
UNCAUGHT = LogLine("streamlit.error_util", "Uncaught app execution")
