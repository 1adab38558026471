"""`make upgrade`: which pins have newer versions, and whether what we lean on inside libraries is still there in them.

Neither the pins nor the environment change. The newer packages go to a folder of their own, each without what it
depends on, and the tests marked `reliance` run with that folder before everything that is installed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = ("requirements.txt", "requirements-dev.txt")
FOLDER = ROOT / "build" / "upgrade"
# Newer versions of these are named and not tried.
HELD = {
    "torch": "its build (CPU, CUDA) is this machine's choice, and its kernels round differently from version to "
    "version: change it alone, and see what make test, make reference and make matrix say"
}
_PIN = re.compile(r"^([\w-]+)==([\w.]+)(?:; [^#]+)?\s+# (.+)$", re.MULTILINE)
_NO_TESTS = 5  # pytest's exit status


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a requirements file."""

    name: str
    version: str
    why: str


def pins(text: str) -> dict[str, Pin]:
    """The pins of a requirements file, by the name that pip compares."""
    return {key(name): Pin(name, version, why) for name, version, why in _PIN.findall(text)}


def key(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def newest(listed: str) -> dict[str, str]:
    """Newest versions by package, of what `pip list --outdated --format=json` printed."""
    return {key(one["name"]): one["latest_version"] for one in json.loads(listed)}


def tried(known: Mapping[str, Pin], newer: Mapping[str, str]) -> list[str]:
    """The newer packages that the tests run with, as pip is asked for them."""
    return [f"{pin.name}=={newer[name]}" for name, pin in known.items() if name in newer and name not in HELD]


def report(known: Mapping[str, Pin], newer: Mapping[str, str]) -> str:
    """A line for each pin with a newer version: what it is for, or why it stays."""
    found = [(pin, newer[name], HELD.get(name)) for name, pin in known.items() if name in newer]
    if not found:
        return f"All {len(known)} pins are the newest versions."
    wide = max(len(pin.name) for pin, _, _ in found)
    lines = [f"{len(found)} of {len(known)} pins have newer versions:"]
    for pin, version, held in found:
        lines.append(f"  {pin.name:{wide}}  {pin.version} → {version}  {'stays: ' + held if held else pin.why}")
    return "\n".join(lines)


def environment(folder: Path) -> dict[str, str]:
    """This process's environment, in which what lies in `folder` is imported before what is installed."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}


def main() -> int:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    known: dict[str, Pin] = {}
    for name in FILES:
        known |= pins((ROOT / name).read_text(encoding="utf-8"))
    asked = subprocess.run([*pip, "list", "--outdated", "--format=json"], capture_output=True, text=True, check=False)
    if asked.returncode:
        print(f"pip could not ask for newer versions:\n{asked.stderr}")
        return 1
    newer = newest(asked.stdout)
    print(report(known, newer))
    shutil.rmtree(FOLDER, ignore_errors=True)
    wanted = tried(known, newer)
    if wanted:
        print(f"\nWith these in {FOLDER.relative_to(ROOT)}, and nothing else changed:")
        done = subprocess.run([*pip, "install", "--quiet", "--no-deps", "--target", str(FOLDER), *wanted], check=False)
        if done.returncode:
            return 1
    command = [sys.executable, "-m", "pytest", "-m", "reliance", "-q"]
    status = subprocess.run(command, cwd=ROOT, env=environment(FOLDER), check=False).returncode
    print("No test is marked reliance." if status == _NO_TESTS else "A test that fails names what is no longer there.")
    return status


if __name__ == "__main__":
    sys.exit(main())
