"""Look up the installed packages in the database of known faults: `make audit`.

`pip-audit` is fetched into a folder of its own, so that it changes nothing of what it looks at. Where it or its
database cannot be reached, that is said, and it is no fault.
"""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

TOOL = "pip-audit>=2.7,<3"
FOLDER = Path(__file__).resolve().parents[2] / "build" / "audit"
PATIENCE = 90  # seconds, for each of the two


def main() -> int:
    """0 if nothing is known or nothing could be looked up, 1 for a known fault; what it comes to is printed."""
    fetched = _run(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--retries",
        "0",
        "--timeout",
        "5",
        "--target",
        str(FOLDER),
        TOOL,
    )
    if fetched.returncode:
        return _say("Known faults were not looked up: pip-audit cannot be fetched here.", 0)
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from pip_audit._cli import audit; audit()"
    installed = sysconfig.get_paths()["purelib"]
    looked = _run(sys.executable, "-I", "-c", code, str(FOLDER), "--path", installed, "--format", "json")
    words, status = judged(looked.stdout)
    return _say(words, status)


def judged(answer: str) -> tuple[str, int]:
    """What pip-audit's answer (JSON) comes to, in words, and the exit status."""
    try:
        packages = json.loads(answer)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return "Known faults were not looked up: the database does not answer here.", 0
    looked_up = [one for one in packages if "skip_reason" not in one]
    found = [
        f"{one['name']} {one['version']}: {fault['id']}, mended in {_versions(fault['fix_versions'])}"
        for one in looked_up
        for fault in one["vulns"]
    ]
    said = f"{len(looked_up)} packages looked up, {len(found)} known fault{'' if len(found) == 1 else 's'}."
    return "\n".join([said, *found]), 1 if found else 0


def _versions(names: list[str]) -> str:
    return ", ".join(names) or "no version yet"


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "")


def _say(words: str, status: int) -> int:
    sys.stdout.write(words + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
