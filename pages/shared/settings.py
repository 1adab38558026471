"""What the operator of a server can set, by environment variables with safe defaults."""

import os
from dataclasses import dataclass

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    model: str  # opened first: a card's name, a hub id or a folder
    folders: bool  # may visitors open folders of this machine?
    hub: bool  # may visitors load models from the hub?
    trace_bytes: int
    model_bytes: int
    picture_bytes: int
    threads: int  # torch threads of the one worker


def from_environment() -> Settings:
    """Read SIGHTLINE_* variables.

    Raises ValueError naming a variable that is not a number.
    """
    cores = os.cpu_count() or 1
    return Settings(
        model=os.environ.get("SIGHTLINE_MODEL") or "minilm",
        folders=os.environ.get("SIGHTLINE_FOLDERS", "0") == "1",
        hub=os.environ.get("SIGHTLINE_HUB", "1") == "1",
        trace_bytes=_number("SIGHTLINE_TRACE_MB", 512) * MEGABYTE,
        model_bytes=_number("SIGHTLINE_MODEL_MB", 4_000) * MEGABYTE,
        picture_bytes=_number("SIGHTLINE_PICTURE_MB", 256) * MEGABYTE,
        # One core stays free for the pages: with all of them, visitors who only click wait for those who type.
        threads=_number("SIGHTLINE_THREADS", max(1, cores - 1)),
    )


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{name} must be a whole number from 1; got {text!r}")
    return int(text)
