"""Note an error that nobody foresaw: the log has its place and a reference, and none of its messages.

An error's own message may quote what a visitor typed, so the log holds the kinds of the errors and where they were
raised, never their messages.
"""

import logging
import secrets
import traceback

log = logging.getLogger("sightline.mishaps")


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
    log.error("unforeseen error, reference %s\n%s", reference, _without_messages(error))
    return reference


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
