"""Handle unexpected errors: the visitor gets a sentence with a reference, the log the reference and the traceback.

An error's own message may quote what a visitor typed, so the log holds the kinds of the errors and where they were
raised, never their messages.
"""

import logging
import secrets
import traceback

import streamlit as st

from pages.shared.inside.of_streamlit import UNCAUGHT, UNREADABLE_FRAME

log = logging.getLogger("sightline.mishaps")

_SENTENCE = (
    "Something went wrong that should not have; what you typed is still here. Try once more. "
    "If it happens again, tell whoever runs this server the reference {}."
)


def record(error: BaseException) -> str:
    """Log an error nobody foresaw; the reference under which it stands in the log: eight hexadecimal digits."""
    reference = secrets.token_hex(4)
    log.error("unforeseen error, reference %s\n%s", reference, _without_messages(error))
    return reference


def sentence(error: BaseException) -> str:
    """Log an error nobody foresaw; what its visitor is told."""
    return _SENTENCE.format(record(error))


def on_script_error(error: Exception) -> bool:
    """Streamlit's hook for an error that a page, a callback or a fragment let through; True: we have shown it."""
    st.error(sentence(error))
    return True


def keep_streamlit_quiet() -> None:
    """Streamlit logs an uncaught error with its message before it asks our hook; our own record replaces that one."""
    logger = logging.getLogger(UNCAUGHT.logger)
    if _is_ours not in logger.filters:
        logger.addFilter(_is_ours)
    # A frame that is no message of Streamlit's gets a line and a closed connection; forty lines of Streamlit's own code
    # for each would let anybody fill the log.
    logger = logging.getLogger(UNREADABLE_FRAME.logger)
    if _in_one_line not in logger.filters:
        logger.addFilter(_in_one_line)


def _is_ours(entry: logging.LogRecord) -> bool:
    return not (entry.exc_info and entry.msg == UNCAUGHT.message)


def _in_one_line(entry: logging.LogRecord) -> bool:
    if entry.msg == UNREADABLE_FRAME.message:
        entry.exc_info = None
    return True


def _without_messages(error: BaseException) -> str:
    """The traceback of an error and of those that led to it, without any message: code and line numbers only."""
    told: list[str] = []
    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        frames = "".join(traceback.StackSummary.extract(traceback.walk_tb(step.__traceback__), limit=-40).format())
        kind = type(step)
        told.append(f"{frames}{kind.__module__}.{kind.__qualname__}".strip("\n"))
        step = step.__cause__ or (None if step.__suppress_context__ else step.__context__)
    return "\nraised while handling:\n".join(told)
