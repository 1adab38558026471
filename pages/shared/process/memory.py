"""Tune this process's memory: Python's garbage collector while the server starts, then the C library's allocator."""

import gc

from pages.shared.inside import of_glibc

KEPT_FREE_BYTES = 64 * 1024 * 1024  # of each heap; the worker that reads texts has one of its own
LARGEST_ON_HEAP_BYTES = 32 * 1024 * 1024  # what is larger goes back to the system at once; glibc allows no more


def collect_no_garbage() -> None:
    """Until `started`: importing makes 600,000 objects that stay, and the collector would walk them again and again."""
    gc.disable()


def started() -> None:
    """What is loaded now stays, so the collector need not look at it either (80 to 280 ms each time)."""
    gc.freeze()
    gc.enable()


def keep_freed_memory() -> None:
    """Let the next text use the pages of the last one. Only where the C library is glibc; elsewhere nothing changes.

    Without it every text's tensors are new pages, which the system fills with zeros one by one: 5 to 8 % of reading 512
    tokens.
    """
    of_glibc.keep_freed_memory(KEPT_FREE_BYTES, LARGEST_ON_HEAP_BYTES)
