"""Files with a hash in their names, answered from memory: compressed once, kept by the browser for ever.

A first visit asks for about a hundred of them. Streamlit reads each from disk in a thread and sends it uncompressed,
82 ms of processor and 2.9 MB a visitor; from here they are a dictionary's values, a third of the bytes.
"""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from starlette.types import ASGIApp, Receive, Scope, Send

from pages.shared.http.sent_files import made_of, sent
from pages.shared.inside.of_streamlit import HASHED, front_end
from pages.shared.process import spent
from pages.shared.service.bounded import BoundedCache

KEPT_BYTES = 32 * 1_000_000  # all of Streamlit's and our own files and plotly.js, compressed, are 10 MB
SMALLEST = 300  # bytes; below, compression saves nothing
COMPRESSIBLE = {".js", ".css", ".json", ".svg", ".ttf", ".wasm", ".html"}
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".woff2": "font/woff2"}


@dataclass(frozen=True, slots=True)
class _Body:
    data: bytes
    tag: bytes  # the ETag, quotes included
    compressed: bool
    final: bool = True  # False: a smaller one is being made


def streamlit_files() -> dict[str, Path]:
    """Streamlit's own files whose names change with their content, by address."""
    folder = front_end() / "static"
    files = (file for file in folder.rglob("*") if file.is_file() and HASHED.search(file.name))
    return {f"/static/{file.relative_to(folder).as_posix()}": file for file in files}


class HashedFiles:
    """Answers GET and HEAD for `files` (address → file) and for `ours`; everything else goes on to the app.

    Of ours goes what `sent_files` makes of them. Only what is in the mappings is ever read, so an address cannot lead
    out of them. What is not compressed yet is sent as it is and compressed in the background, so that the very first
    visitor does not wait for it.
    """

    def __init__(self, app: ASGIApp, files: Mapping[str, Path], ours: Mapping[str, Path] | None = None) -> None:
        self.app = app
        self._files = {**files, **(ours or {})}
        self._ours = frozenset((ours or {}).values())
        self._plain: BoundedCache[_Body] = BoundedCache(KEPT_BYTES, lambda body: len(body.data))
        self._gzipped: BoundedCache[_Body] = BoundedCache(KEPT_BYTES, lambda body: len(body.data))
        self._compressor = ThreadPoolExecutor(1, thread_name_prefix="compress")
        self._begun: set[tuple[Path, int]] = set()
        self._lock = Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: answer GET and HEAD of a known file from memory, or pass the request on."""
        file = self._files.get(scope["path"]) if scope["type"] == "http" else None
        asked = {} if file is None else dict(scope["headers"])
        if file is None or scope["method"] not in ("GET", "HEAD") or b"range" in asked:
            return await self.app(scope, receive, send)
        try:
            with spent.on("page load"):
                body = self._body(file, gzipped=b"gzip" in asked.get(b"accept-encoding", b""))
        except OSError:  # a file that went away with an update while this server runs
            return await self.app(scope, receive, send)
        headers = [
            # What will soon come compressed is not to be kept: a proxy would hand it to everybody.
            (b"cache-control", b"public, max-age=31536000, immutable" if body.final else b"no-cache"),
            (b"vary", b"Accept-Encoding"),
            (b"etag", body.tag),
        ]
        if body.tag in asked.get(b"if-none-match", b""):
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            return await send({"type": "http.response.body", "body": b""})
        headers += [
            (b"content-type", _type(file).encode()),
            (b"content-length", str(len(body.data)).encode()),
        ]
        if body.compressed:
            headers.append((b"content-encoding", b"gzip"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body.data if scope["method"] == "GET" else b""})

    def _body(self, file: Path, *, gzipped: bool) -> _Body:
        # A developer's change is seen at the next reload.
        version = max(part.stat().st_mtime_ns for part in (made_of(file) if file in self._ours else (file,)))
        compressible = gzipped and file.suffix in COMPRESSIBLE
        if compressible:
            if (body := self._gzipped.peek((file, version))) is not None:
                return body
            self._compress_later(file, version)
        # Read on the event loop: 1 to 500 kB from the disk cache, once (plotly.js: 4.8 MB, 10 ms).
        body = self._plain.get((file, version), lambda: self._read(file))
        return replace(body, final=False) if compressible else body

    def _compress_later(self, file: Path, version: int) -> None:
        with self._lock:
            if (file, version) in self._begun:
                return
            self._begun.add((file, version))
        self._compressor.submit(self._try_to_compress, file, version)

    def _try_to_compress(self, file: Path, version: int) -> None:
        try:
            self._compress(file, version)
        except (OSError, MemoryError):  # whoever asks for the file next tries again
            with self._lock:
                self._begun.discard((file, version))

    def _compress(self, file: Path, version: int) -> None:
        plain = self._read(file)
        data = gzip.compress(plain.data, compresslevel=9, mtime=0)
        smaller = len(plain.data) >= SMALLEST and len(data) < len(plain.data)
        tag = plain.tag[:-1] + b'-gzip"'  # another body needs another tag
        self._gzipped.put((file, version), _Body(data, tag, True) if smaller else plain)

    def _read(self, file: Path) -> _Body:
        data = sent(file) if file in self._ours else file.read_bytes()
        return _Body(data, b'"' + hashlib.sha256(data).hexdigest()[:20].encode() + b'"', False)


def _type(file: Path) -> str:
    return _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
