"""What the figures were measured on."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import attention_core


def describe(chromium: str | None, threads: int, load: float) -> str:
    """Processor, memory, versions, and the load average when the first figure was taken."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "streamlit", "uvloop"))
    return "\n".join(
        [
            f"machine   {_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, {platform.system()} "
            f"{platform.release()}, load {load:.1f} at the start",
            f"versions  Python {platform.python_version()}, {packages}, {chromium or 'no browser'}",
            f"threads   torch {threads} (as in the app: one core stays free for the pages), float32",
        ]
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        return float("nan")


def release() -> str:
    """The version, and the commit that is checked out if there is one."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return f"{attention_core.__version__} ({done.stdout.strip() or 'no commit'})"
