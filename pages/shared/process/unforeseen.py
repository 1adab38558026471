"""Note an error that nobody foresaw: the visitor gets a sentence with a reference, the log the reference and the place.

An error's own message may quote what a visitor typed, so the log holds the kinds of the errors and where they were
raised, never their messages. Light: the reader's process, which has no pages, notes its errors here too.
"""

import logging
import os
import secrets
import sys
import traceback

from attention_core.formats.memory import OUT_OF_MEMORY, is_out_of_memory

log = logging.getLogger("sightline.mishaps")
MOST_FRAMES = 20  # of one error: the innermost say where it was raised

_SENTENCE = (
    "Something went wrong that should not have; what you typed is still here. Try once more. "
    "If it happens again, tell whoever runs this server the reference {}."
)


class Unforeseen(Exception):
    """An error in the reader's process that stands in its log under a reference."""

    def __init__(self, reference: str) -> None:
        super().__init__(reference)
        self.reference = reference


def record(error: BaseException) -> str:
    """Log an error nobody foresaw; the reference under which it stands in the log: eight hexadecimal digits."""
    if isinstance(error, Unforeseen):
        return error.reference
    reference = secrets.token_hex(4)
    log.error("unforeseen error, reference %s: %s", reference, where(error))
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
    return isinstance(error, ValueError) and type(error).__module__.startswith(
        ("attention_core.", "pages.shared.engine.")
    )


def where(error: BaseException) -> str:
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
