"""Uploaded files: bounded for each visitor and in all, and gone soon after their visitor.

Streamlit takes any number of files from a page and keeps them, and what its session holds, for minutes after it has
left, in case that it comes back.
"""

import asyncio
import time
from collections import Counter

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from pages.shared.address.base import base
from pages.shared.engine.opened import opened_files
from pages.shared.inside import of_streamlit

MEGABYTE = 1_000_000
A_VISITOR = 2 * 67 * MEGABYTE  # two of the largest: the second is here before the first is taken away
IN_ALL = 4 * A_VISITOR
LEFT_SECONDS = 20.0  # after which whoever is not connected has left; a blink of the network is shorter
LOOK_SECONDS = 5.0

_TOO_MUCH = "These files are more than one visitor may have here at a time. Take one away first."
_FULL = "Others are uploading too much at the moment. Try again in a minute."


class BoundedUploads:
    """Refuses an upload whose length is not told (411), or that is too much for its visitor (413) or in all (503)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._coming: Counter[str] = Counter()  # bytes that are on their way, by session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: refuse, or count what comes and pass it on."""
        session = _session_of(scope)
        if session is None:
            await self.app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if not length.isdecimal():
            await PlainTextResponse("The length of the file is needed.", status_code=411)(scope, receive, send)
            return
        size = int(length[:15])
        held = of_streamlit.uploads_held()
        if held.get(session, 0) + self._coming[session] + size > A_VISITOR:
            await PlainTextResponse(_TOO_MUCH, status_code=413)(scope, receive, send)
            return
        if sum(held.values()) + self._coming.total() + size > IN_ALL:
            await PlainTextResponse(_FULL, status_code=503)(scope, receive, send)
            return
        self._coming[session] += size
        try:
            await self.app(scope, receive, send)
        finally:
            self._coming[session] -= size
            if not self._coming[session]:
                del self._coming[session]


def _session_of(scope: Scope) -> str | None:
    """The session for which something is uploaded; None for any other request."""
    if scope["type"] != "http" or scope["method"] != "PUT":
        return None
    below = f"{base()}{of_streamlit.UPLOADS}/"
    return scope["path"].removeprefix(below).partition("/")[0] if scope["path"].startswith(below) else None


class Leaving:
    """Frees what visitors who have left had uploaded or opened."""

    def __init__(self) -> None:
        self._missed: dict[str, float] = {}  # session → since when it is not connected

    def look(self, now: float) -> None:
        """Once: free what belongs to sessions that are not connected, and have not been for LEFT_SECONDS."""
        holding = {*of_streamlit.uploads_held(), *opened_files().sessions}
        away = {session for session in holding if not of_streamlit.connected(session)}
        self._missed = {session: self._missed.get(session, now) for session in away}
        left = [session for session, since in self._missed.items() if now - since >= LEFT_SECONDS]
        for session in left:
            of_streamlit.forget_uploads(session)
        opened_files().leave(left)

    async def keep_looking(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look(time.monotonic())
