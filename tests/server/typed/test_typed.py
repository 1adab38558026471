"""Numbers for a text that is still being typed: the same picture of it, and what keeps it from costing others."""

import asyncio
import json
import time
from threading import Event, Thread

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.types import Message

from attention_core import load_trace
from attention_core.record.file import trace_bytes
from pages.shared.http import typed_routes
from pages.shared.http.routes import routes
from pages.shared.service.service import service
from pages.shared.service.sources import Picture, Source

PAGE = "a1b2c3d4e5"


@pytest.fixture(scope="module")
def client():
    service().start().result()
    with TestClient(Starlette(routes=routes())) as client:
        yield client


def address(page: str = PAGE, **told) -> str:
    return f"/sightline/data/{service().key(Picture(Source('minilm', 'The cat sat.', **told)))}/typed/{page}"


@pytest.fixture
def held():
    """The worker, doing something else until this is set."""
    begun, let_go = Event(), Event()

    def wait():
        begun.set()
        let_go.wait(60)

    thread = Thread(target=service().work, args=(wait,))
    thread.start()
    begun.wait(60)
    yield let_go
    let_go.set()
    thread.join()


def test_the_key_is_that_of_the_same_picture_of_the_text_that_was_typed(client):
    picture = Picture(Source("minilm", "The cat sat."), hide_special=True, words=True)
    at = f"/sightline/data/{service().key(picture)}/typed/{PAGE}"
    answer = client.post(at, json={"text": "Dogs chase cats.", "layer": 2, "head": 3})
    assert answer.status_code == 200
    found = service().picture(answer.json()["key"])
    assert found == Picture(Source("minilm", "Dogs chase cats."), hide_special=True, words=True)
    assert answer.json()["can"]["hide_special"] is True
    assert service().trace_in_memory(found.source) is not None
    assert client.get(f"/sightline/data/{answer.json()['key']}/head/2/3").status_code == 200


def test_a_second_sentence_and_a_later_beginning_are_read_as_typed(client):
    answer = client.post(address(), json={"text": "One. Two.", "pair": "it slept", "start": 5})
    assert service().picture(answer.json()["key"]).source == Source("minilm", "Two.", pair="it slept")
    kept = client.post(address(pair="it slept"), json={"text": "One."})
    assert service().picture(kept.json()["key"]).source == Source("minilm", "One.", pair="it slept")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"text": 3}', 400),
        (b'{"text": "a", "pair": []}', 400),
        (b"[" * 30_000, 400),
        (b'{"text": " "}', 202),
        (b'{"text": "' + b"a" * typed_routes.MOST_BYTES + b'"}', 413),
        (b'{"text": "cats \\ud800", "start": "x", "layer": [], "head": -1}', 200),
    ],
)
def test_whatever_is_sent_is_answered_with_a_status_and_nothing_is_kept(client, body, status):
    answer = client.post(address(), content=body)
    assert answer.status_code == status
    assert status == 200 or answer.json()["error"]
    assert len(typed_routes.asking) == 0


@pytest.mark.parametrize("page", ["", "short", "a" * 41, "a b c d e f", "%2e%2e%2f%2e%2e%2f"])
def test_only_a_page_is_answered(client, page):
    assert client.post(address(page), json={"text": "a"}).status_code in (404, 405)


def test_a_key_that_nobody_was_given_is_gone(client):
    assert client.post(f"/sightline/data/{'0' * 40}/typed/{PAGE}", json={"text": "a"}).status_code == 410


def test_a_file_has_no_text_to_type_and_no_model_is_loaded(client):
    trace = service().trace(Source("minilm", "The cat sat."))
    data = trace_bytes(trace)
    assert load_trace(data).source_tokens
    for source in (service().open_file(data), Source("somebody/other", "a")):
        at = f"/sightline/data/{service().key(Picture(source))}/typed/{PAGE}"
        assert client.post(at, json={"text": "b"}).status_code == 202
    assert service().loaded("somebody/other") is None


def test_while_others_wait_it_is_refused_at_once(client, held):
    others = [Thread(target=service().work, args=(time.sleep, 0)) for _ in range(typed_routes.MOST_WAITING)]
    for other in others:
        other.start()
    while service().waiting <= typed_routes.MOST_WAITING:
        time.sleep(0.01)
    answer = client.post(address(), json={"text": "Nobody reads this."})
    held.set()
    assert answer.status_code == 202
    assert "Enter" in answer.json()["error"]
    assert service().trace_in_memory(Source("minilm", "Nobody reads this.")) is None
    for other in others:
        other.join()


def test_a_pages_next_text_cancels_the_one_before(client, held):
    answers = {}

    def ask(text):
        answers[text] = client.post(address(), json={"text": text})

    asks = []
    for n, text in enumerate(("The one before was typed.", "The next was typed.")):
        asks.append(Thread(target=ask, args=(text,)))
        asks[-1].start()
        while service().waiting < n + 2:
            time.sleep(0.01)
    held.set()
    for one in asks:
        one.join()
    assert [answers[text].status_code for text in answers] in ([202, 200], [200, 202])
    assert answers["The next was typed."].status_code == 200
    assert service().trace_in_memory(Source("minilm", "The one before was typed.")) is None


def test_what_nobody_waits_for_any_more_is_not_read(held):
    """The browser goes away while the text waits for its turn."""
    text = "Nobody waits for this one."
    told: list[Message] = [
        {"type": "http.request", "body": json.dumps({"text": text}).encode()},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        if not told:
            await asyncio.sleep(3600)
        return told.pop(0)

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [],
        "path": "",
        "query_string": b"",
        "path_params": {"key": address().split("/")[3], "page": PAGE},
    }

    async def ask():
        answer = asyncio.create_task(typed_routes.typed(Request(scope, receive)))
        while told or service().waiting < 2:
            await asyncio.sleep(0.01)
        held.set()
        return await answer

    assert asyncio.run(ask()).status_code == 202
    assert service().trace_in_memory(Source("minilm", text)) is None
    assert len(typed_routes.asking) == 0
