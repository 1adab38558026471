"""HTTP as one browser speaks it: at most six connections to a host, kept open, answers read to their end.

Written by hand because the clients share the processor with the server that they measure: a request costs 0.1 ms here.
"""

import asyncio
import zlib

BROWSER_CONNECTIONS = 6
ACCEPTED = "gzip, deflate, br, zstd"  # what Chromium sends


class Refused(Exception):
    """An answer that a visitor would notice: not 200."""


class Http:
    """One visitor's connections to the server. Bodies are not decompressed unless asked: a browser's own work."""

    def __init__(self, host: str, port: int) -> None:
        self.address = (host, port)
        self.cookies: dict[str, str] = {}
        self.received = 0  # bytes of bodies on the wire
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._turns = asyncio.Semaphore(BROWSER_CONNECTIONS)

    async def get(self, path: str) -> bytes:
        return await self._ask("GET", path, b"")

    async def post(self, path: str, body: bytes) -> bytes:
        return await self._ask("POST", path, body)

    async def get_all(self, paths: list[str]) -> None:
        """As a page's files are fetched: all are asked for at once, six at a time."""
        await asyncio.gather(*(self.get(path) for path in paths))

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()
        self._free.clear()

    async def _ask(self, method: str, path: str, body: bytes) -> bytes:
        host = f"{self.address[0]}:{self.address[1]}"
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Accept-Encoding: {ACCEPTED}", "Accept: */*"]
        if self.cookies:
            lines.append(f"Cookie: {self.cookie}")
        if body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", f"Origin: http://{host}"]
        request = "\r\n".join([*lines, "", ""]).encode() + body
        async with self._turns:
            reused = bool(self._free)
            reader, writer = self._free.pop() if reused else await asyncio.open_connection(*self.address, limit=2**20)
            try:
                status, answer = await self._exchange(reader, writer, request)
            except (ConnectionError, asyncio.IncompleteReadError):
                writer.close()
                if not reused:
                    raise
                # A kept connection may be closed by the server at any time; browsers then ask once more.
                reader, writer = await asyncio.open_connection(*self.address, limit=2**20)
                status, answer = await self._exchange(reader, writer, request)
            except BaseException:
                writer.close()
                raise
            self._free.append((reader, writer))
        if status != 200:
            raise Refused(f"{status} for {path.split('?')[0]}")
        return answer

    async def _exchange(self, reader, writer, request: bytes) -> tuple[int, bytes]:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        headers: dict[str, str] = {}
        for line in filter(None, head[1:]):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
            if name.lower() == "set-cookie":
                name, _, value = value.strip().split(";")[0].partition("=")
                self.cookies[name] = value
        if headers.get("transfer-encoding") == "chunked":
            body = await _chunks(reader)
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.received += len(body)
        if headers.get("content-encoding") == "gzip" and headers.get("content-type", "").startswith("application/json"):
            body = zlib.decompress(body, wbits=31)
        return status, body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(parts)
