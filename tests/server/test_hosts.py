"""A server answers to addresses by number, to its own names and to those that its operator gives; nobody is asked."""

import asyncio
import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import websockets
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from pages.shared.http.hosts import KnownHosts
from tests.support.serving import serve


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells which origin reached it."""
    origin = dict(scope["headers"]).get(b"origin", b"none")
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": origin.decode()})
        await send({"type": "websocket.close", "code": 1000})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": origin})


def status_of(host: str, *names: str) -> int:
    return TestClient(KnownHosts(app, names)).get("/", headers={"host": host}).status_code


OWN = socket.gethostname().partition(".")[0]


@pytest.mark.parametrize(
    "host",
    ["localhost:8501", "LOCALHOST", "a.localhost", "127.0.0.1:8501", "192.168.0.7", "[::1]:8501", "[fe80::1%25eth0]:1"]
    + ["10.0.0.1.", OWN, f"{OWN}.local:8501"],
)
def test_a_number_and_the_machines_own_names_are_answered(host):
    assert status_of(host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8501",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "1.2.3",
        "a@127.0.0.1",
        "",
        ":80",
    ]
    + ["localhost:x", "127.0.0.1/..", "[::1", "0x7f000001.evil", "evil.example?localhost"],
)
def test_any_other_name_is_refused_with_what_to_do(host):
    answer = TestClient(KnownHosts(app)).get("/sightline/health", headers={"host": host})
    assert answer.status_code == 421
    assert "SIGHTLINE_HOSTS" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


def test_the_operator_names_hosts_whole_and_by_their_ending():
    names = ("Attention.Example.org", "*.school.example", "")
    assert status_of("attention.example.org:443", *names) == 200
    assert status_of("room3.school.example", *names) == 200
    assert status_of("school.example", *names) == 421
    assert status_of("xattention.example.org", *names) == 421
    assert status_of("anything.example", "*") == 200


def websocket(host: str, origin: str | None, *names: str) -> str:
    """The origin that the app saw."""
    headers = {"host": host} | ({} if origin is None else {"origin": origin})
    with TestClient(KnownHosts(app, names)).websocket_connect("/", headers=headers) as connection:
        return connection.receive_text()


def test_a_websocket_of_the_servers_own_page_passes_as_it_is():
    assert websocket("10.0.0.1:8501", "http://10.0.0.1:8501") == "http://10.0.0.1:8501"
    assert websocket("10.0.0.1:8501", None) == "none"  # no browser


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://10.0.0.1:9999", "http://10.0.0.1", "", "x"])
def test_a_websocket_of_another_sites_page_is_refused(origin):
    with pytest.raises(WebSocketDisconnect):
        websocket("10.0.0.1:8501", origin)


def test_behind_a_proxy_that_hides_the_name_the_named_page_passes_as_the_servers_own():
    named = "class.example.org"
    assert websocket("127.0.0.1:8501", f"https://{named}", named) == "http://127.0.0.1:8501"


def test_a_foreign_origin_never_reaches_the_app_over_http():
    client = TestClient(KnownHosts(app))
    assert client.get("/", headers={"host": "10.0.0.1", "origin": "http://evil.example"}).text == "none"
    assert client.get("/", headers={"host": "10.0.0.1", "origin": "http://10.0.0.1"}).text == "http://10.0.0.1"


# Notes every name that the process looks up and every address that it connects to.
LISTENER = """
import json, sys
def note(event, args):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto"):
        place = args[0] if "get" in event else args[1]
        with open({path!r}, "a") as out:
            out.write(json.dumps([event, repr(place)]) + "\\n")
sys.addaudithook(note)
"""


def test_a_running_server_asks_nobody_at_its_start_nor_for_foreign_pages(tmp_path: Path):
    asked = tmp_path / "asked"
    asked.touch()
    (tmp_path / "sitecustomize.py").write_text(LISTENER.format(path=str(asked)))

    async def knock(url: str, origin: str) -> int:
        try:
            async with websockets.connect(
                f"{url.replace('http', 'ws')}_stcore/stream", origin=websockets.Origin(origin)
            ):
                return 101
        except websockets.InvalidStatus as refused:
            return refused.response.status_code

    with serve(env={"PYTHONPATH": str(tmp_path)}, address="0.0.0.0") as server:
        for origin in ("http://evil.example", "http://10.1.2.3:8501", "https://attention.example.org"):
            assert asyncio.run(knock(server.url, origin)) == 403
            for path in ("_stcore/health", "_stcore/host-config", "sightline/health", ""):
                request = urllib.request.Request(server.url + path, headers={"Origin": origin})
                with urllib.request.urlopen(request, timeout=60) as answer:
                    assert "access-control-allow-origin" not in answer.headers
        with pytest.raises(urllib.error.HTTPError) as refused:
            request = urllib.request.Request(f"{server.url}sightline/health", headers={"Host": "evil.example"})
            urllib.request.urlopen(request, timeout=60)
        assert refused.value.code == 421
        refused.value.close()
    outside = [line for line in map(json.loads, asked.read_text().splitlines()) if not is_inside(line)]
    assert outside == []


def is_inside(line: list) -> bool:
    """Loopback, a socket in the file system, or the wildcard that a server listens at."""
    return any(place in line[1] for place in ("'127.0.0.1'", "'localhost'", "'::1'", "'0.0.0.0'", "'/"))
