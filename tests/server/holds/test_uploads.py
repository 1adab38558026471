"""What visitors upload and open: bounded for each and in all, and freed soon after they have left."""

import asyncio

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from attention_core.record.file import trace_bytes
from pages.shared.http import uploads
from pages.shared.http.uploads import A_VISITOR, IN_ALL, BoundedUploads, Leaving
from pages.shared.inside import of_streamlit
from pages.shared.service.opened import opened_files
from pages.shared.service.service import service
from pages.shared.service.sources import Source


@pytest.fixture
def held(monkeypatch) -> dict[str, int]:
    """Bytes that the sessions hold, as the middleware is told."""
    held: dict[str, int] = {}
    monkeypatch.setattr(of_streamlit, "uploads_held", lambda: held)
    return held


def put(app: BoundedUploads, session: str, size: int | None) -> int:
    """The status of an upload; 204 where it is let through."""
    headers = [] if size is None else [(b"content-length", str(size).encode())]
    path = f"{of_streamlit.UPLOADS}/{session}/file"
    scope = {"type": "http", "method": "PUT", "path": path, "headers": headers, "query_string": b""}
    said = []

    async def send(message):
        said.append(message)

    asyncio.run(app(scope, lambda: None, send))
    return said[0]["status"]


async def through(scope, receive, send):
    await send({"type": "http.response.start", "status": 204})


def test_a_visitor_may_have_so_much_and_all_together_so_much(held):
    app = BoundedUploads(through)
    assert put(app, "ann", None) == 411
    assert put(app, "ann", A_VISITOR + 1) == 413
    held["ann"] = A_VISITOR - 10
    assert put(app, "ann", 11) == 413
    assert put(app, "ann", 10) == 204
    assert put(app, "bob", 11) == 204
    held.update({f"visitor {i}": A_VISITOR for i in range(IN_ALL // A_VISITOR)})
    assert put(app, "bob", 11) == 503


def test_what_is_still_on_its_way_counts_and_what_has_come_counts_once(held):
    answers = []

    async def slow(scope, receive, send):
        answers.append(put_while(app))
        await through(scope, receive, send)

    def put_while(app: BoundedUploads) -> bool:
        return app._coming["ann"] == A_VISITOR - 5

    app = BoundedUploads(slow)
    assert put(app, "ann", A_VISITOR - 5) == 204
    assert answers == [True]
    assert not app._coming


def test_what_a_visitor_had_uploaded_is_freed_once_he_has_left_for_a_while(monkeypatch):
    manager, here = MemoryUploadedFileManager("/upload"), {"ann", "bob"}
    monkeypatch.setattr(of_streamlit, "_uploads", lambda: manager)
    monkeypatch.setattr(of_streamlit, "connected", lambda session: session in here)
    for session in ("ann", "bob"):
        manager.add_file(session, UploadedFileRec("1", "a.txt", "text/plain", b"x" * 1_000))
    leaving = Leaving()
    leaving.look(0.0)
    here.remove("ann")
    leaving.look(5.0)
    leaving.look(5.0 + uploads.LEFT_SECONDS - 1)
    assert of_streamlit.uploads_held() == {"ann": 1_000, "bob": 1_000}
    here.add("ann")  # a blink of the network
    leaving.look(25.0)
    here.remove("ann")
    leaving.look(30.0)
    leaving.look(30.0 + uploads.LEFT_SECONDS)
    assert of_streamlit.uploads_held() == {"bob": 1_000}
    assert uploads.LEFT_SECONDS + 2 * uploads.LOOK_SECONDS <= 30


def test_an_opened_trace_goes_with_the_last_who_has_it_open(monkeypatch):
    monkeypatch.setattr(of_streamlit, "connected", lambda session: False)
    monkeypatch.setattr(of_streamlit, "uploads_held", lambda: {})
    texts = ("the cat sat", "the dog sat")
    first, second = (service().open_file(trace_bytes(service().trace(Source("minilm", text)))) for text in texts)
    opened_files().keep("ann", first)
    opened_files().keep("bob", first)
    opened_files().keep("ann", second)
    assert service().known_trace(first) is not None
    opened_files().keep("bob", second)
    assert service().known_trace(first) is None
    opened_files().leave(["ann"])
    assert service().known_trace(second) is not None
    leaving = Leaving()
    leaving.look(0.0)
    leaving.look(uploads.LEFT_SECONDS)
    assert service().known_trace(second) is None
    assert not opened_files().sessions
