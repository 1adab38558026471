"""Handle unexpected errors: the visitor gets a sentence with a reference, the log the reference and the traceback.

An error's own message may quote what a visitor typed, so the log holds the kinds of the errors and where they were
raised, never their messages. Each stands in one line, whoever logs it: who provokes an error does not fill the log.
"""

import logging
import threading
from collections.abc import Callable

import streamlit as st

from pages.shared.inside.of_streamlit import UNCAUGHT
from pages.shared.process.unforeseen import in_words as in_words
from pages.shared.process.unforeseen import is_ours as is_ours
from pages.shared.process.unforeseen import record as record
from pages.shared.process.unforeseen import sentence as sentence
from pages.shared.process.unforeseen import where


def on_script_error(error: Exception) -> bool:
    """Streamlit's hook for an error that a page, a callback or a fragment let through; True: we have shown it."""
    st.error(sentence(error))
    return True


def keep_streamlit_quiet() -> None:
    """Streamlit logs an uncaught error with its message before it asks our hook; our own record replaces that one.

    What Streamlit, uvicorn and others log beside it gets one line each, and so does an error that ends a thread.
    """
    logger = logging.getLogger(UNCAUGHT.logger)
    if _is_ours not in logger.filters:
        logger.addFilter(_is_ours)
    if not isinstance(logging.getLogRecordFactory(), _InOneLine):
        logging.setLogRecordFactory(_InOneLine(logging.getLogRecordFactory()))
    threading.excepthook = _ended_a_thread


def _is_ours(entry: logging.LogRecord) -> bool:
    return not (entry.exc_info and entry.msg == UNCAUGHT.message)


class _InOneLine:
    """Makes log records whose text has no line breaks, and where an error was raised instead of its traceback.

    In the factory and not in a handler: Streamlit's loggers, uvicorn's and Python's own have handlers of their own, and
    an exception in an answer that has begun would fill a hundred lines with the code of three libraries.
    """

    def __init__(self, before: Callable[..., logging.LogRecord]) -> None:
        self._before = before

    def __call__(self, *arguments: object, **named: object) -> logging.LogRecord:
        entry = self._before(*arguments, **named)
        if entry.name == UNCAUGHT.logger and entry.msg == UNCAUGHT.message:
            return entry  # which the filter above drops
        error = entry.exc_info[1] if entry.exc_info else None
        said = entry.getMessage()
        if error is not None or "\n" in said:
            place = f": {where(error)}" if error is not None else ""
            entry.msg, entry.args = " ".join(said.split()) + place, ()
        entry.exc_info = entry.exc_text = entry.stack_info = None
        return entry


def _ended_a_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not issubclass(ended.exc_type, SystemExit):
        record(ended.exc_value)
