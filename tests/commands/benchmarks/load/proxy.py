"""nginx with the documented configuration (docs/deploy/nginx.conf) before servers on this machine."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.serving import ROOT, free_port

CONFIGURATION = ROOT / "docs" / "deploy" / "nginx.conf"
PORTS = ("127.0.0.1:8501", "127.0.0.1:8502")  # as the documented file has them
LISTEN = "listen 80;"


@contextmanager
def nginx(ports: list[int]) -> Iterator[str]:
    """Run nginx on a free port until the block ends; its address.

    Only ports and folders differ from the documented file. Raises RuntimeError if there is no nginx, or if it does not
    start.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise RuntimeError("nginx is needed (on Debian: sudo apt-get install nginx-light)")
    url = f"http://127.0.0.1:{(port := free_port())}/"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "nginx.conf"
        file.write_text(configuration(port, ports, folder))
        command = [program, "-e", f"{folder}/error.log", "-p", folder, "-c", str(file), "-g", "daemon off;"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        try:
            _wait(url, process)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)


def configuration(port: int, ports: list[int], folder: str) -> str:
    """The documented file with this port, these servers and this folder for what nginx writes."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    for documented, own in zip(PORTS, ports, strict=True):
        if documented not in text:
            raise RuntimeError(f"{CONFIGURATION.name} names no server {documented}")
        text = text.replace(documented, f"127.0.0.1:{own}")
    if LISTEN not in text:
        raise RuntimeError(f"{CONFIGURATION.name} has no line {LISTEN!r}")
    text = text.replace(LISTEN, f"listen 127.0.0.1:{port};")
    for place in ("/var/cache/nginx", "/var/log/nginx", "/run"):
        text = text.replace(place, folder)
    return text.replace("user www-data;\n", "user root;\n" if os.geteuid() == 0 else "")  # who may write there


def _wait(url: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url + "_stcore/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError("nginx did not answer within 20 s")
