"""What the server does beside the pages: warm the first model before the first visitor, send safe headers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime.pages_manager import PagesManager

from pages.shared import grow_trainings
from pages.shared.service import service

# The first visitor is often already there (the browser that `make app` was started for), and his page asks for the
# model itself, as soon as it has its frame.
HEAD_START_SECONDS = 2.0


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Start loading the first model soon after the server accepts visitors."""

    async def warm() -> None:
        await asyncio.sleep(HEAD_START_SECONDS)
        service().start()

    # Streamlit would take the folder pages/ for its older kind of pages until `st.navigation` has run once: a first
    # visitor who opens a link to another page than the first would get that page without its frame.
    PagesManager.uses_pages_directory = False
    task = asyncio.create_task(warm())
    try:
        yield
    finally:
        task.cancel()
        grow_trainings.close()


class SafeHeaders:
    """Answers are taken as what they say they are, and no address of a view leaks to another site."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"same-origin"),
                ]
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


def middleware() -> list[Middleware]:
    return [Middleware(SafeHeaders)]
