"""What the server does beside the pages: warm the first model before the first visitor, send safe headers."""

import asyncio
import base64
import hashlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import get_option

from pages.shared.address.base import base
from pages.shared.assets import asset_files, plotly_file
from pages.shared.engine.choosing import engine
from pages.shared.http.draining import drain_at_the_end
from pages.shared.http.first_frame import FirstFrame
from pages.shared.http.hosts import KnownHosts, addresses_in_the_network
from pages.shared.http.static_files import HashedFiles, streamlit_files
from pages.shared.http.uploads import BoundedUploads, Leaving
from pages.shared.inside import of_streamlit
from pages.shared.process import logs, memory

# The first visitor is often already there (the browser that `make app` was started for), and his page asks for the
# model itself, as soon as it has its frame.
HEAD_START_SECONDS = 2.0
REQUEST_THREADS = 200


@asynccontextmanager
async def lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """Start loading the first model soon after the server accepts visitors."""

    _say_where()
    logs.begin(engine().settings.log)
    memory.collect_no_garbage()
    memory.keep_freed_memory()
    # Requests that wait for their turn at the worker: with the usual 40 threads others, which would not, wait for them.
    to_thread.current_default_thread_limiter().total_tokens = REQUEST_THREADS

    async def warm() -> None:
        # A reader's imports hold no lock of this process: it may begin at once.
        await asyncio.sleep(HEAD_START_SECONDS if engine().settings.engine == "local" else 0)
        engine().start()

    of_streamlit.keep_to_navigation()
    tasks = [asyncio.create_task(warm()), asyncio.create_task(Leaving().keep_looking())]
    usual = drain_at_the_end(asyncio.get_running_loop())
    try:
        yield
    finally:
        usual()
        for task in tasks:
            task.cancel()
        engine().close()
        # Only if somebody has grown a head: importing what that takes would hold up the start.
        if grown := sys.modules.get("pages.shared.grow.trainings"):
            grown.close()


def _say_where() -> None:
    """The addresses for a class, below Streamlit's line: it would ask a host on the internet for them."""
    if get_option("server.address") in ("0.0.0.0", "::", None):
        for address in addresses_in_the_network():
            sys.stdout.write(f"  In this network: http://{address}:{get_option('server.port')}{base()}\n")
        sys.stdout.flush()


def _inline_scripts() -> str:
    """The hashes of the scripts that stand in Streamlit's own page: these may run, no other inline script may."""
    scripts = of_streamlit.INLINE_SCRIPT.findall(of_streamlit.own_page())
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


# What a page may load and whom it may ask. Streamlit runs a component's code from a blob: address, reads its messages
# with a little WebAssembly and writes style elements of its own; nothing needs eval.
_POLICY = (
    f"default-src 'self'; script-src 'self' blob: 'wasm-unsafe-eval' {_inline_scripts()}; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; frame-src 'none'; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors "
)


# What a page of ours never asks a device for; another site's window that opened it cannot reach into it.
_NEVER_ASKED = "accelerometer camera display-capture geolocation gyroscope magnetometer microphone midi payment usb"
_SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", ", ".join(f"{feature}=()" for feature in _NEVER_ASKED.split()).encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class SafeHeaders:
    """Answers are taken as what they say they are, a page asks no other host, and no address of a view leaks to one.

    Another site may frame one picture (`?embed=true` at the explorer's own address), and nothing else.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: add the headers to every HTTP answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        policy = _POLICY + ("*" if _is_picture(scope) else "'self'")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    *_SAFE,
                    (b"content-security-policy", policy.encode("ascii")),
                ]
            await send(message)

        await self.app(scope, receive, with_headers)


def _is_picture(scope: Scope) -> bool:
    return b"embed=true" in scope["query_string"].split(b"&") and scope["path"].rstrip("/") == base()


class OnlyBytes:
    """A websocket frame of text, which Streamlit never sends, reaches it as bytes that it refuses with one line.

    It raises for text, and the log would get a hundred lines for each.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: pass on, with a text frame turned into one broken byte."""

        async def as_bytes() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and message.get("bytes") is None:
                return {"type": "websocket.receive", "bytes": b"\xff"}
            return message

        await self.app(scope, as_bytes if scope["type"] == "websocket" else receive, send)


def middleware() -> list[Middleware]:
    """What every request passes through, outermost first."""
    streamlits, ours = (
        {base() + name: file for name, file in files.items()}
        for files in ({**streamlit_files(), **plotly_file()}, asset_files())
    )
    return [
        Middleware(SafeHeaders),
        Middleware(KnownHosts, names=(*engine().settings.hosts, *get_option("server.allowedHosts"))),
        Middleware(OnlyBytes),
        Middleware(BoundedUploads),
        Middleware(FirstFrame),
        Middleware(HashedFiles, files=streamlits, ours=ours),
    ]
