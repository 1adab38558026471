"""Handle unexpected errors: the visitor gets a sentence with a reference, the log the reference and the traceback.

An error's own message may quote what a visitor typed, so the log holds the kinds of the errors and where they were
raised, never their messages. Each stands in one line, whoever logs it: who provokes an error does not fill the log.
"""

import logging
import os
import secrets
import sys
import threading
import traceback
from typing import Any

import streamlit as st

from attention_core.formats.memory import OUT_OF_MEMORY, is_out_of_memory
from pages.shared.inside.of_streamlit import UNCAUGHT

log = logging.getLogger("sightline.mishaps")
MOST_FRAMES = 20  # of one error: the innermost say where it was raised

_SENTENCE = (
    "Something went wrong that should not have; what you typed is still here. Try once more. "
    "If it happens again, tell whoever runs this server the reference {}."
)


def record(error: BaseException) -> str:
    """Log an error nobody foresaw; the reference under which it stands in the log: eight hexadecimal digits."""
    reference = secrets.token_hex(4)
    log.error("unforeseen error, reference %s: %s", reference, _without_messages(error))
    return reference


def sentence(error: BaseException) -> str:
    """Log an error nobody foresaw; what its visitor is told."""
    return _SENTENCE.format(record(error))


def in_words(error: Exception) -> str:
    """What somebody is told of an error: our own sentence as it is, and of any other no word of a library's."""
    if is_out_of_memory(error):
        return OUT_OF_MEMORY
    return str(error) if is_ours(error) else sentence(error)


def is_ours(error: Exception) -> bool:
    """Is it a refusal with a sentence for people, and not what a library raised?"""
    return isinstance(error, ValueError) and type(error).__module__.startswith("attention_core.")


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

    def __init__(self, before: Any) -> None:
        self._before = before

    def __call__(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        entry: logging.LogRecord = self._before(*arguments, **named)
        if entry.name == UNCAUGHT.logger and entry.msg == UNCAUGHT.message:
            return entry  # which the filter above drops
        error = entry.exc_info[1] if entry.exc_info else None
        said = entry.getMessage()
        if error is not None or "\n" in said:
            where = f": {_without_messages(error)}" if error is not None else ""
            entry.msg, entry.args = " ".join(said.split()) + where, ()
        entry.exc_info = entry.exc_text = entry.stack_info = None
        return entry


def _ended_a_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not issubclass(ended.exc_type, SystemExit):
        record(ended.exc_value)


def _without_messages(error: BaseException) -> str:
    """Where an error and those that led to it were raised, innermost first, without any message and in one line."""
    told: list[str] = []
    seen: set[int] = set()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        frames = traceback.StackSummary.extract(traceback.walk_tb(step.__traceback__), limit=-MOST_FRAMES)
        places = " < ".join(f"{_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in reversed(frames))
        kind = type(step)
        told.append(f"{kind.__module__}.{kind.__qualname__} at {places or 'no known place'}")
        step = step.__cause__ or (None if step.__suppress_context__ else step.__context__)
    return "; raised while handling ".join(told)


def _short(file: str) -> str:
    """A module's file as it is below the first folder of Python's path that holds it."""
    roots = [root for root in sys.path if root and file.startswith(root + os.sep)]
    return file[len(max(roots, key=len)) + 1 :] if roots else file
