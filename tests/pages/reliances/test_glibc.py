"""The C library: glibc's mallopt."""

import ctypes
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pages.shared.inside import of_glibc
from pages.shared.process.memory import KEPT_FREE_BYTES, LARGEST_ON_HEAP_BYTES

pytestmark = pytest.mark.reliance

ROOT = Path(__file__).resolve().parents[3]


# A block of 16 MB, before and after: is it a map of its own (1), which goes back to the system, or on a heap (0)?
BLOCK = f"""
import ctypes
from {of_glibc.__name__} import {of_glibc.keep_freed_memory.__name__} as keep

class Mallinfo2(ctypes.Structure):
    _fields_ = [(f"field{{i}}", ctypes.c_size_t) for i in range(10)]

c = ctypes.CDLL(None)
c.mallinfo2.restype, c.malloc.restype = Mallinfo2, ctypes.c_void_p
c.malloc.argtypes, c.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]

def maps():
    before, block = c.mallinfo2().field3, c.malloc(16_000_000)
    after = c.mallinfo2().field3
    c.free(block)
    return after - before

print(maps(), keep({KEPT_FREE_BYTES}, {LARGEST_ON_HEAP_BYTES}), maps())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="no glibc, or one that does not tell")
def test_glibc_keeps_what_is_freed_once_it_is_told_to():
    """`keep_freed_memory`, in a process of its own: this one keeps its rules."""
    done = subprocess.run([sys.executable, "-c", BLOCK], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "True", "0"]


def test_another_c_library_is_asked_nothing(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1.2"))
    monkeypatch.setattr(of_glibc.ctypes, "CDLL", lambda _: pytest.fail("it was asked"))
    assert not of_glibc.keep_freed_memory(1, 1)
