"""How long a fuzz target runs: a fixed number of repeatable examples, or new ones until its share of time is over."""

import os
import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

SECONDS = float(os.environ.get("SIGHTLINE_FUZZ_SECONDS") or 0)  # for all targets together; 0: the fixed examples
HANG = 5.0  # seconds of one thread's own time for one input
share = {"of": 1}  # among how many targets the time is divided; the conftest counts them


def fuzz(inputs: SearchStrategy[Any], examples: int) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    """Make a test of a function that takes one made-up input and asserts what must hold for all of them."""

    def decorate(target: Callable[[Any], None]) -> Callable[[], None]:
        def once(made_up: Any) -> None:
            begun = time.thread_time()
            target(made_up)
            took = time.thread_time() - begun
            assert took < HANG, f"one input took {took:.1f} s"

        options: dict[str, Any] = {
            "max_examples": examples,
            "deadline": None,
            "suppress_health_check": list(HealthCheck),
            "print_blob": True,
        }

        def test() -> None:
            if not SECONDS:
                settings(**options, derandomize=True)(given(inputs)(once))()
                return
            until = time.monotonic() + SECONDS / share["of"]
            while time.monotonic() < until:
                settings(**options, derandomize=False, database=None)(given(inputs)(once))()

        test.__name__, test.__doc__, test.__module__ = target.__name__, target.__doc__, target.__module__
        return test

    return decorate
