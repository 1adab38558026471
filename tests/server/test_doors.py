"""Streamlit's own doors, tried from outside on a running server: other sites' pages get nothing in."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import websockets

from tests.support.serving import Server, serve


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


def status_of(address: str, method: str = "GET", body: bytes | None = None, **headers: str) -> int:
    request = urllib.request.Request(address, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_websocket_of_another_site_is_refused(server):
    async def connect() -> None:
        address = server.url.replace("http", "ws") + "_stcore/stream"
        async with websockets.connect(address, origin=websockets.Origin("http://evil.example")):
            pass

    with pytest.raises(websockets.InvalidStatus) as refused:
        asyncio.run(connect())
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_an_upload_without_its_token_is_refused(server, method):
    assert status_of(f"{server.url}_stcore/upload_file/some-session/some-file", method, b"x") == 403


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("sightline/data/0123/overview", "GET", {410}),
        ("sightline/data/" + "a" * 5_000 + "/overview", "GET", {410}),
        ("sightline/data/0/line/0/0/query/" + "9" * 5_000, "GET", {200, 404}),
        ("sightline/data/0/tile/0/0/99999999999999999999/0", "GET", {200, 404}),
        ("sightline/data/0/head/-1/" + "9" * 5_000, "GET", {410}),
        ("sightline/data/0/export/0/0/..%2f..%2fapp.py", "GET", {400, 404, 410}),
        ("sightline/data/0/overview", "POST", {405}),
        ("sightline/count?model=minilm", "DELETE", {405}),
    ],
)
def test_a_wrong_request_is_answered_with_less_than_500(server, path, method, statuses):
    assert status_of(server.url + path, method) in statuses


@pytest.mark.parametrize("key", ["", "&key=0123456789abcdef.0123456789abcdef0123", "&key=%ff.", "&key=" + "a" * 5_000])
def test_who_has_no_page_counts_no_tokens(server, key):
    assert status_of(f"{server.url}sightline/count?model=minilm{key}", "POST", b'{"text": "a"}') == 403


def test_a_question_of_20_mb_is_refused(server):
    try:
        assert status_of(f"{server.url}sightline/count", "POST", b"x" * 20_000_000) == 403
    except urllib.error.URLError as error:  # the server hung up before all of it was sent
        assert isinstance(error.reason, ConnectionError)


def test_after_all_that_the_server_lives_and_its_log_has_no_traceback(server):
    assert status_of(f"{server.url}_stcore/health") == 200
    assert "Traceback" not in server.log.read_text(errors="replace")
