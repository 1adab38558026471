"""Handle unexpected errors: the visitor gets a sentence with a reference, the log the reference and the traceback."""

import logging

import streamlit as st

from pages.shared.inside.of_streamlit import UNCAUGHT, UNREADABLE_FRAME
from pages.shared.process.unforeseen import record

_SENTENCE = (
    "Something went wrong that should not have; what you typed is still here. Try once more. "
    "If it happens again, tell whoever runs this server the reference {}."
)


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
