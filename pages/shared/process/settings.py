"""What the operator of a server can set, by environment variables with safe defaults."""

import os
from dataclasses import dataclass
from ipaddress import ip_address

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, checked; docs/deploy.md has the variables."""

    model: str  # opened first: a card's name, a hub id or a folder
    folders: bool  # may visitors open folders of this machine?
    hub: bool  # may visitors load models from the hub?
    trace_bytes: int  # of traces in memory
    shelf_bytes: int  # of traces on the disk, where those wait that made room in memory; 0: none do
    model_bytes: int
    picture_bytes: int
    threads: int  # torch threads of the one worker
    long_threads: int  # of the one that reads texts of thousands of tokens
    dtype: str = "float32"  # of every model: float32, bfloat16, float16, or "stored" as its files have it
    device: str = ""  # "cpu", "cuda" …; "" takes a GPU if there is one
    trainings: int = 1  # that run at a time on Grow a head; the others wait
    training_seconds: int = 120  # by the clock, the most that one may take
    training_lease: int = 15  # seconds after which a visitor who does not ask for his run has left
    training_niceness: int = 19  # how far below the server's own priority; 19 is the lowest
    offload: str = ""  # a folder for the parts of a model that fit into no memory; "" refuses such a model
    log: str = "plain"  # "json": one object a line, with every text read
    hub_token: str = ""  # whom the hub sees when it is asked for a visitor; "": nobody
    hub_bytes: int = 20_000 * MEGABYTE  # on the disk, of all models that were fetched
    hub_only: tuple[str, ...] = ()  # the hub models that visitors may load, by id; empty: any
    engine: str = "local"  # who computes: this process ("local"), or a reader process beside it ("process")
    hosts: tuple[str, ...] = ()  # names under which the server is reached, beside its own: "*.example.org" too

    def fetches(self, reference: str) -> bool:
        """May visitors load this model of the hub?"""
        return self.hub and (not self.hub_only or reference in self.hub_only)


def from_environment() -> Settings:
    """Read SIGHTLINE_* variables.

    Raises ValueError naming a variable that has no such value.
    """
    cores = os.cpu_count() or 1
    hub_only = _several("SIGHTLINE_HUB_ONLY")
    return Settings(
        model=os.environ.get("SIGHTLINE_MODEL") or "minilm",
        folders=os.environ.get("SIGHTLINE_FOLDERS", "0") == "1",
        hub=os.environ.get("SIGHTLINE_HUB") in (("1",) if _open_to_others() and not hub_only else ("1", "", None)),
        trace_bytes=_number("SIGHTLINE_TRACE_MB", 128) * MEGABYTE,
        shelf_bytes=_number("SIGHTLINE_DISK_MB", 2_000, least=0) * MEGABYTE,
        model_bytes=_number("SIGHTLINE_MODEL_MB", 4_000) * MEGABYTE,
        picture_bytes=_number("SIGHTLINE_PICTURE_MB", 64) * MEGABYTE,
        # One core stays free for the pages: with all of them, visitors who only click wait for those who type.
        threads=_number("SIGHTLINE_THREADS", max(1, cores - 1)),
        # All of them: seconds of work, shared by the system with whoever needs a core for a moment.
        long_threads=_number("SIGHTLINE_LONG_THREADS", cores),
        dtype=_one_of("SIGHTLINE_DTYPE", ("float32", "bfloat16", "float16", "stored")),
        device=os.environ.get("SIGHTLINE_DEVICE", ""),
        trainings=_number("SIGHTLINE_TRAININGS", 1),
        training_seconds=_number("SIGHTLINE_TRAINING_SECONDS", 120),
        training_lease=_number("SIGHTLINE_TRAINING_LEASE", 15),
        training_niceness=_number("SIGHTLINE_TRAINING_NICENESS", 19, least=0),
        offload=os.environ.get("SIGHTLINE_OFFLOAD", ""),
        log=_one_of("SIGHTLINE_LOG", ("plain", "json")),
        hub_token=os.environ.get("SIGHTLINE_HUB_TOKEN", ""),
        hub_bytes=_number("SIGHTLINE_HUB_MB", 20_000) * MEGABYTE,
        hub_only=hub_only,
        engine=_one_of("SIGHTLINE_ENGINE", ("local", "process")),
        hosts=_several("SIGHTLINE_HOSTS"),
    )


def _open_to_others() -> bool:
    """Does the server listen to more than this machine? Then strangers would choose what is fetched, and how much."""
    from streamlit import get_option  # a reader's process, which is given its settings, has none of Streamlit

    address = get_option("server.address")
    try:
        return not ip_address(address).is_loopback
    except ValueError:
        return address != "localhost"  # None: everywhere


def _number(name: str, default: int, *, least: int = 1) -> int:
    text = os.environ.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"{name} must be a whole number from {least}; got {text!r}")
    return int(text)


def _several(name: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in os.environ.get(name, "").split(","))))


def _one_of(name: str, values: tuple[str, ...]) -> str:
    """The variable's value; the first of the values where it is not set."""
    chosen = os.environ.get(name) or values[0]
    if chosen not in values:
        raise ValueError(f"{name} must be one of {', '.join(values)}; got {chosen!r}")
    return chosen
