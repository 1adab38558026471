"""The server's own log: one JSON object a line, with times and counts, and nothing that a visitor wrote.

`SIGHTLINE_LOG=json` turns it on. Without it Python's own handler prints warnings and errors as ever.
"""

import json
import logging
import time

_log = logging.getLogger("sightline")


class JsonLines(logging.Formatter):
    """{"time", "level", "event", …}: what `event` was given, or a message of ours as it is."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, with the time in UTC to the millisecond."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        told = {"time": when, "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps({**told, **getattr(record, "facts", {})}, ensure_ascii=False, allow_nan=False)


def begin(kind: str) -> None:
    """Write JSON lines to the standard error stream if `kind` is "json"; twice is once."""
    if kind != "json" or any(isinstance(handler.formatter, JsonLines) for handler in _log.handlers):
        return
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    _log.propagate = False


def event(name: str, **facts: float | int | bool) -> None:
    """Note that something happened. Facts are numbers: there is no place here for a text."""
    kept: dict[str, float | int | bool] = {
        key: round(value, 4) if isinstance(value, float) else value for key, value in facts.items()
    }
    _log.info(name, extra={"facts": kept})
