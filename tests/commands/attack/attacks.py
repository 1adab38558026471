"""The attacks, each a program of its own: bounded in time, over loopback, against the server that is named.

python -m tests.commands.attack.attacks NAME PLAN.json
"""

import asyncio
import json
import random
import resource
import sys
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import websockets
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.commands.benchmarks.load.recording import Recording
from tests.commands.benchmarks.load.visitor import Visitor
from tests.server.test_bad_requests import GARBAGE, HTTP

HANDSHAKE = (
    "GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: streamlit\r\n"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom to attack, for how long, and what an attacker knows who has opened one page."""

    host: str
    port: int
    seconds: float
    key: str  # of a picture
    recording: str  # of a visit, as JSON

    @property
    def address(self) -> str:
        """What stands in `Host`."""
        return f"{self.host}:{self.port}"


async def foreign_origins(plan: Plan) -> None:
    """Another site's pages ask for websockets, forty at a time."""
    await _many(plan, 40, lambda n: _raw(plan, HANDSHAKE.format(host=plan.address) + "Origin: http://evil.example\r\n"))


async def foreign_names(plan: Plan) -> None:
    """Names that point here: every address, by names that are not ours."""
    await _many(plan, 40, lambda n: _raw(plan, f"GET /sightline/health HTTP/1.1\r\nHost: evil{n}.example\r\n"))


async def counts_without_page(plan: Plan) -> None:
    """Thirty connections ask for the tokens of texts of 200 kB."""
    body = json.dumps({"text": "supercalifragilistic " * 9_000}).encode()
    head = _post(plan, "/sightline/count?model=minilm", len(body))
    await _many(plan, 30, lambda n: _raw(plan, head, body))


async def counts_with_page(plan: Plan) -> None:
    """A page of ours, and thirty connections that count under its key."""
    visitor, reading = await _opened(plan, 0)
    body = json.dumps({"text": "supercalifragilistic " * 9_000}).encode()
    head = _post(plan, f"/{visitor.count_url}", len(body))
    await _many(plan, 30, lambda n: _raw(plan, head, body))
    await _close(visitor, reading)


async def files_that_are_not_there(plan: Plan) -> None:
    """Tables of layers and heads that the model has not."""
    names = ("weights.csv", "weights.npz", "heatmap.svg")
    await _many(plan, 40, lambda n: _get(plan, f"/sightline/data/{plan.key}/export/{n % 50 + 6}/99/{names[n % 3]}"))


async def saves(plan: Plan) -> None:
    """A class that saves everything at once: tables, archives, pictures and the trace of one text."""
    files = [f"{n // 12 % 6}/{n % 12}/{name}" for n in range(72) for name in ("weights.csv", "weights.npz")]
    files += ["trace.safetensors", *(f"{n % 6}/{n % 12}/heatmap.svg" for n in range(20))]
    await _many(plan, 60, lambda n: _get(plan, f"/sightline/data/{plan.key}/export/{files[n % len(files)]}"))


async def bad_requests(plan: Plan) -> None:
    """What no browser sends: broken addresses, bodies and websocket frames."""

    async def one(n: int) -> None:
        if n % 5 == 4:
            with suppress(websockets.WebSocketException, OSError):
                async with websockets.connect(f"ws://{plan.address}/_stcore/stream", close_timeout=1) as socket:
                    await socket.send(GARBAGE[n // 5 % len(GARBAGE)])
                    await asyncio.sleep(0.02)
            return
        path, method, body = HTTP[n % len(HTTP)]
        head = f"{method} /{path} HTTP/1.1\r\nHost: {plan.address}\r\nContent-Length: {len(body or b'')}\r\n"
        await _raw(plan, head, body or b"")

    await _many(plan, 20, one)


async def guessed_texts(plan: Plan) -> None:
    """First frames of texts that somebody may have had read."""
    query = urllib.parse.urlencode({"v": 1, "m": "minilm", "l": 0, "h": 0})
    await _many(plan, 20, lambda n: _get(plan, f"/?{query}&t=guess+{n}"))


async def slow_clients(plan: Plan) -> None:
    """Two hundred connections that send a request a byte every two seconds."""

    async def slow(n: int) -> None:
        reader, writer = await asyncio.open_connection(plan.host, plan.port)
        try:
            for byte in f"GET /sightline/health?{n} HTTP/1.1\r\nHost: {plan.address}\r\nX-Slow: {'x' * 1_000}":
                writer.write(byte.encode())
                await writer.drain()
                await asyncio.sleep(2)
        finally:
            writer.close()

    await _many(plan, 200, slow)


async def idle_websockets(plan: Plan) -> None:
    """A thousand websockets that never say a word."""
    open_ones: list[Any] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(plan.seconds):
            for _ in range(1_000):
                with suppress(websockets.WebSocketException, OSError):
                    open_ones.append(
                        await websockets.connect(f"ws://{plan.address}/_stcore/stream", ping_interval=None)
                    )
            await asyncio.sleep(plan.seconds)
    for socket in open_ones:
        socket.transport.abort()


async def uploads(plan: Plan) -> None:
    """One page uploads files of 20 MB for as long as it may."""
    visitor, reading = await _opened(plan, 0)
    form = (
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\n\r\n'
        + b"\0" * 20_000_000
        + b"\r\n--x--\r\n"
    )
    token = visitor.http.cookies.get("_streamlit_xsrf", "")

    def head(n: int) -> str:
        path = f"/_stcore/upload_file/{visitor.session}/{n}"
        told = f"Cookie: {visitor.http.cookie}\r\nX-Xsrftoken: {token}\r\nOrigin: http://{plan.address}\r\n"
        kind = f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(form)}\r\n"
        return f"PUT {path} HTTP/1.1\r\nHost: {plan.address}\r\n{told}{kind}"

    await _many(plan, 4, lambda n: _raw(plan, head(n), form))
    await _close(visitor, reading)


async def long_texts(plan: Plan) -> None:
    """Ten pages that have a text of a hundred thousand characters read, another one each time."""

    async def one(n: int) -> None:
        visitor, reading = await _opened(plan, n)
        while True:
            await visitor.commit(f"{n} {random.random()} " + "word " * 19_000)
            await asyncio.sleep(0.5)

    await _many(plan, 10, one)


async def abandoned_reruns(plan: Plan) -> None:
    """Ten pages that commit another text before the last one has been read, twenty times a second."""

    async def one(n: int) -> None:
        visitor, reading = await _opened(plan, n)
        while True:
            await visitor.commit(f"a text of {n} that nobody waits for {random.random()}")
            await asyncio.sleep(0.05)

    await _many(plan, 10, one)


ATTACKS: dict[str, Callable[[Plan], Awaitable[None]]] = {
    attack.__name__.replace("_", " "): attack
    for attack in (
        foreign_origins,
        foreign_names,
        counts_without_page,
        counts_with_page,
        files_that_are_not_there,
        saves,
        bad_requests,
        guessed_texts,
        slow_clients,
        idle_websockets,
        uploads,
        long_texts,
        abandoned_reruns,
    )
}


class Attacker(Visitor):
    """A page of ours in the attacker's hands."""

    async def open(self) -> asyncio.Task:
        """As a browser opens it; the task that reads its websocket."""
        return await self._open()

    async def commit(self, text: str) -> None:
        """Send a text, and wait for nothing."""
        self.text = text[:2_000]  # what stands in the address
        texts = {"text": text, "pair": "", "target": "", "nonce": random.randrange(10**9)}
        self.widgets["-composer"] = json.dumps({"text": texts})
        await self._send(self.recording.text)

    async def close(self) -> None:
        """Leave without a word."""
        if self._socket is not None:
            await self._socket.close()
        self.http.close()

    def heard(self, message: ForwardMsg) -> None:
        """Note the session's name: uploads need it."""
        if message.WhichOneof("type") == "new_session":
            self.session = message.new_session.initialize.session_id


async def _opened(plan: Plan, n: int) -> tuple[Attacker, asyncio.Task]:
    visitor = Attacker(Recording.from_json(plan.recording), plan.host, plan.port, n)
    return visitor, await visitor.open()


async def _close(visitor: Attacker, reading: asyncio.Task) -> None:
    reading.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await reading
    await visitor.close()


async def _many(plan: Plan, n: int, one: Callable[[int], Awaitable[None]]) -> None:
    """`n` at a time, over and over until the time is up; what the server refuses is no news here."""
    until, count = time.monotonic() + plan.seconds, iter(range(10**9))

    async def again(numbers: Iterator[int]) -> None:
        while time.monotonic() < until:
            with suppress(OSError, EOFError, ValueError, websockets.WebSocketException, RuntimeError):
                await asyncio.wait_for(one(next(numbers)), max(0.1, until - time.monotonic()))

    with suppress(TimeoutError):
        async with asyncio.timeout(plan.seconds + 1):
            await asyncio.gather(*(_patient(again(count)) for _ in range(n)))


async def _patient(job: Awaitable[None]) -> None:
    with suppress(TimeoutError):
        await job


def _post(plan: Plan, path: str, size: int) -> str:
    kind = "Content-Type: application/json"
    return f"POST {path} HTTP/1.1\r\nHost: {plan.address}\r\n{kind}\r\nContent-Length: {size}\r\n"


async def _get(plan: Plan, path: str) -> None:
    await _raw(plan, f"GET {path} HTTP/1.1\r\nHost: {plan.address}\r\n")


async def _raw(plan: Plan, head: str, body: bytes = b"") -> None:
    """One request on a connection of its own; its answer is read and thrown away."""
    reader, writer = await asyncio.open_connection(plan.host, plan.port)
    try:
        writer.write(f"{head}Connection: close\r\n\r\n".encode("latin-1") + body)
        await writer.drain()
        while await reader.read(2**18):
            pass
    finally:
        writer.close()


def main() -> int:
    """Run the attack that is named by the first argument with the plan in the file of the second."""
    name, file = sys.argv[1:]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    plan = Plan(**json.loads(Path(file).read_text(encoding="utf-8")))
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    asyncio.run(ATTACKS[name](plan))
    return 0


if __name__ == "__main__":
    sys.exit(main())
