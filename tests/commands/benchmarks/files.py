"""Processor time of a first visit's static files: answered as we do, and as Starlette's own parts would.

Nothing is sent: what is counted is the work of the server's one event loop and its threads, for all files that
Streamlit's page names, in this process.
"""

import asyncio
import gzip
import re
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message
from streamlit import file_util

from pages.shared.http.static_files import COMPRESSIBLE, SMALLEST, HashedFiles, streamlit_files
from tests.commands.benchmarks.table import Row, ratio_of


def rows(rounds: int) -> list[Row]:
    return asyncio.run(_rows(rounds))


async def _rows(rounds: int) -> list[Row]:
    folder = Path(file_util.get_static_dir())
    page = (folder / "index.html").read_text(encoding="utf-8")
    known = streamlit_files()
    names = [name for found in re.findall(r'"\./static/([^"]+)"', page) if (name := f"/static/{found}") in known]
    with TemporaryDirectory() as built:
        _compress({name: known[name] for name in names}, Path(built))
        apps: dict[str, ASGIApp] = {
            "as we do: compressed once, from memory": HashedFiles(PlainTextResponse("not ours", 404), known),
            "Starlette's StaticFiles, not compressed": StaticFiles(directory=folder),
            "Starlette's StaticFiles, compressed at build": StaticFiles(directory=built),
            "Starlette's StaticFiles + GZipMiddleware": GZipMiddleware(StaticFiles(directory=folder), SMALLEST),
        }
        for _ in range(2):  # ours compresses behind the first visit; the others fill the disk cache
            for app in apps.values():
                await _visit(app, names)
            await asyncio.sleep(2)
        seen: dict[str, list[tuple[float, int]]] = {what: [] for what in apps}
        for _ in range(rounds):
            for what, app in apps.items():
                seen[what].append(await _visit(app, names))
    ours = [seconds for seconds, _ in next(iter(seen.values()))]
    found = []
    for what, visits in seen.items():
        seconds = [one for one, _ in visits]
        note = f"{median(seconds) * 1e3:.1f} ms of processor, {visits[0][1] / 1e6:.2f} MB"
        found.append(Row(f"{len(names)} static files, {what}", ratio_of(seconds, ours), "×", None, note))
    return found


def _compress(files: dict[str, Path], into: Path) -> None:
    for name, file in files.items():
        to = into / name.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        data = file.read_bytes()
        to.write_bytes(gzip.compress(data) if file.suffix in COMPRESSIBLE else data)


async def _visit(app: ASGIApp, names: list[str]) -> tuple[float, int]:
    """Seconds of processor, bytes of all bodies."""
    n_bytes = 0

    async def receive() -> Message:
        await asyncio.Event().wait()  # a visitor who says nothing more
        raise AssertionError

    async def send(message: Message) -> None:
        nonlocal n_bytes
        assert message.get("status", 200) == 200
        n_bytes += len(message.get("body", b""))

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "root_path": "", "query_string": b"", "server": ("localhost", 80), "client": ("localhost", 1),
        "headers": [(b"host", b"localhost"), (b"accept-encoding", b"gzip, deflate, br")],
    }  # fmt: skip
    began = time.process_time()
    for name in names:
        await app({**scope, "path": name, "raw_path": name.encode()}, receive, send)
    return time.process_time() - began, n_bytes
