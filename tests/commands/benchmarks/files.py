"""Processor time of a first visit's static files: answered as we do, and as Starlette's own parts would.

Nothing is sent: what is counted is the work of the server's one event loop and its threads, for all files that
Streamlit's page names, in this process. Then the bytes of our own modules and sheets that each page asks for.
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

from pages.shared.assets import ASSETS_URL, asset_files
from pages.shared.http.first_frame import FirstFrame
from pages.shared.http.static_files import COMPRESSIBLE, SMALLEST, HashedFiles, streamlit_files
from pages.shared.session.menu import MENU
from tests.commands.benchmarks.table import Row, ratio_of

SHEETS = {"explore/explorer.js": "explorer.css", "composer/composer.js": "composer.css"}  # others are their view's name


def rows(rounds: int) -> list[Row]:
    return asyncio.run(_rows(rounds)) + asyncio.run(_bytes_of_pages())


async def _bytes_of_pages() -> list[Row]:
    """What a first visit to each page fetches of ours, compressed: modules by its first frame's links, and sheets."""
    nobody, found = PlainTextResponse("not ours", 404), []
    for entry in MENU:
        page = await _answer(FirstFrame(nobody), f"/{entry.url_path}")
        modules = sorted(set(re.findall(rf"{ASSETS_URL}js/([\w/.-]+\.js)", page.decode())))
        sheets = [SHEETS.get(name, f"{Path(name).stem}.css") for name in (f"{view}.js" for view in entry.views)]
        names = [f"js/{name}" for name in modules] + [f"css/{name}" for name in sheets]
        known = asset_files()
        addresses = [address for name in names if (address := f"/{ASSETS_URL}{name}") in known]
        sizes: dict[bool, int] = {}
        for readable in (True, False):
            app = HashedFiles(nobody, {}, known, readable=readable)
            for address in addresses:
                await _answer(app, address)
            await asyncio.sleep(2)  # compressed behind the first visit
            sizes[readable] = sum([len(await _answer(app, address)) for address in addresses])
        note = f"{len(addresses)} files; as they are written {sizes[True] / 1e3:.0f} kB"
        found.append(Row(f"our own files of {entry.title}, compressed", sizes[False], "B", None, note))
    return found


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
    began, n_bytes = time.process_time(), 0
    for name in names:
        n_bytes += len(await _answer(app, name))
    return time.process_time() - began, n_bytes


async def _answer(app: ASGIApp, path: str) -> bytes:
    """The body of the answer to a browser's GET."""
    body = b""

    async def receive() -> Message:
        await asyncio.Event().wait()  # a visitor who says nothing more
        raise AssertionError

    async def send(message: Message) -> None:
        nonlocal body
        assert message.get("status", 200) == 200
        body += message.get("body", b"")

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "root_path": "", "query_string": b"", "server": ("localhost", 80), "client": ("localhost", 1),
        "headers": [(b"host", b"localhost"), (b"accept-encoding", b"gzip, deflate, br")],
        "path": path, "raw_path": path.encode(),
    }  # fmt: skip
    await app(scope, receive, send)
    return body
