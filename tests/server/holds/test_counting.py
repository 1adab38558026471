"""Counting tokens while somebody types: for open pages alone, in turn, by the beginning of what is too long."""

import asyncio
from threading import Event

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient

from attention_core import capture
from pages.shared.http import counting as route
from pages.shared.http.routes import routes
from pages.shared.service import counting
from pages.shared.service.counting import page_key, visitor_of
from pages.shared.service.service import service

TEXT = "The cat sat on the mat."


@pytest.fixture(scope="module")
def client():
    service().start().result()
    with TestClient(Starlette(routes=routes())) as client:
        yield client


@pytest.fixture(scope="module")
def address():
    return f"/sightline/count?key={page_key('ann')}&model=minilm"


def test_tokens_are_counted_while_typing(client, address):
    answer = client.post(address, json={"text": TEXT, "pair": ""})
    assert answer.json() == {"n": 9, "limit": 512, "cut_from": None, "specials": 2, "more": False}
    long = client.post(address, json={"text": "cat " * 600}).json()
    assert (long["n"], long["cut_from"], long["more"]) == (602, 510 * 4 - 1, False)


@pytest.mark.parametrize("key", ["", "ann", "ann.0123456789abcdef0123", "\udcff.x", "ann." + "é" * 20])
def test_a_key_that_this_process_did_not_give_is_none(client, key):
    assert visitor_of(key) is None
    assert visitor_of(page_key("ann")) == "ann"
    assert client.post("/sightline/count?model=minilm", json={"text": TEXT}).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not json", 400),
        (b"[1]", 400),
        (b"{}", 400),
        (b"null", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"text": ' + b"9" * 5_000 + b"}", 400),
        (b'{"text": "' + b"x" * 300_000 + b'"}', 413),
    ],
)
def test_a_bad_question_is_refused(client, address, body, status):
    assert client.post(address, content=body).status_code == status


@pytest.mark.parametrize("asked", ["&sl=xx", "&chat=1", "&sl=xx&chat=1"])
def test_what_a_model_cannot_be_told_is_not_told_when_tokens_are_counted(client, address, asked):
    """A link may ask for a language or a template that there is not: the picture does without, so does the count."""
    answer = client.post(f"{address}{asked}", json={"text": TEXT, "pair": ""})
    assert (answer.status_code, answer.json().get("n")) == (200, 9)


def test_counting_never_loads_a_model(client):
    answer = client.post(f"/sightline/count?key={page_key('ann')}&model=gpt2", json={"text": TEXT})
    assert answer.json()["n"] is None
    assert service().loaded("gpt2") is None


def test_a_text_far_over_the_limit_is_counted_by_its_beginning(client, address, monkeypatch):
    """The tokenizer sees 16 characters for each token that the model reads, whatever is sent; the cut is the same."""
    from attention_core.capturing import encode

    seen = []
    real = encode.count_tokens
    monkeypatch.setattr(
        encode, "count_tokens", lambda model, text, *rest, **told: seen.append(text) or real(model, text, *rest, **told)
    )
    whole = "cat " * 40_000
    answer = client.post(address, json={"text": whole}).json()
    assert (answer["n"], answer["cut_from"], answer["more"]) == (
        2_050,
        510 * 4 - 1,
        True,
    )  # 8,192 characters, 2,048 cats
    assert [len(text) for text in seen] == [512 * 16 - 1]
    trace = capture(service().model("minilm"), whole)
    assert trace.source_tokens[-2].span[1] == answer["cut_from"]


@pytest.mark.parametrize("text", ["x" * 100_000, "x" * 60 + " " * 20_000 + "x"])
def test_what_the_beginning_does_not_tell_is_not_told(client, address, text):
    """One word without end, of which a part may make more tokens than the whole; a few words and then blanks."""
    answer = client.post(address, json={"text": text}).json()
    assert (answer["n"], answer["limit"]) == (None, 512)


def test_who_hangs_up_is_not_counted_for(monkeypatch):
    """The one turn is taken by somebody else; the asker goes before it is his."""
    service().start().result()
    taken, free, counted = Event(), Event(), []
    turns = counting._turns()
    turns.submit(lambda: (taken.set(), free.wait(60)), "bob")
    assert taken.wait(60)
    monkeypatch.setattr(counting, "_count", lambda source: counted.append(source))
    body = iter([{"type": "http.request", "body": b'{"text": "a"}', "more_body": False}, {"type": "http.disconnect"}])

    async def receive():
        return next(body)

    async def ask() -> int:
        query = f"key={page_key('ann')}&model=minilm".encode()
        request = Request({"type": "http", "method": "POST", "query_string": query, "headers": []}, receive)
        asking = asyncio.ensure_future(route.count(request))
        while turns.waiting < 2:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        free.set()
        return (await asking).status_code

    assert asyncio.run(ask()) == 204
    assert not counted
