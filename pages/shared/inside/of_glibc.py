"""What we lean on in the C library: `mallopt`, whose numbers are glibc's own."""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def keep_freed_memory(kept_bytes: int, largest_bytes: int) -> bool:
    """Keep so much freed memory in each heap, and blocks up to `largest_bytes` there at all; True if glibc agreed.

    By its own rules glibc gives freed memory back to the system as soon as 128 kB of it lie at the end of a heap. With
    another C library nothing is asked and nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    c = ctypes.CDLL(None)
    return bool(c.mallopt(_M_MMAP_THRESHOLD, largest_bytes)) and bool(c.mallopt(_M_TRIM_THRESHOLD, kept_bytes))
