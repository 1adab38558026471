"""A step and a mark over HTTP: what a browser sends is read with care, and no answer leaves before one is given."""

import json

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pages.shared.http.learning.routes import MOST_BYTES, learn_routes
from pages.shared.learn.library import lesson_of


@pytest.fixture(scope="module")
def client():
    return TestClient(Starlette(routes=learn_routes()))


def test_a_step_and_its_mark_are_of_the_same_text(client):
    step = client.post("/sightline/learn/step", json={"lesson": "words", "step": 0}).json()
    assert step["text"] == lesson_of("words").text
    assert "values" not in json.dumps(step)
    assert step["open"]["address"].startswith("?v=1&m=minilm&t=The+animal")
    animal = step["ask"]["words"].index("animal")
    marked = client.post("/sightline/learn/mark", json={"lesson": "words", "step": 0, "answer": animal}).json()
    assert marked["verdict"] == "right"
    assert marked["values"][animal] == max(marked["values"])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[", "Send"),
        (b"[]", "Send"),
        (b'{"lesson": "words"}', "A lesson has a name"),
        (b'{"lesson": "words", "step": true}', "A lesson has a name"),
        (b'{"lesson": "words", "step": 0, "own": 7}', "A lesson has a name"),
        (b'{"lesson": "no", "step": 0}', "There is no such lesson."),
        (b'{"lesson": "words", "step": 99}', "This lesson has the steps 1 to 6."),
        (b'{"lesson": "words", "step": -1}', "This lesson has the steps 1 to 6."),
        (json.dumps({"lesson": "words", "step": 0, "own": "a" * 1_001}).encode(), "at most 1,000 characters"),
        (b'{"lesson": "words", "step": 0, "answer": "animal"}', "Point at one of the words"),
        (b'{"lesson": "words", "step": 4, "answer": [1e999]}', "Draw a bar for each word"),
    ],
)
def test_what_is_no_question_is_refused_in_a_sentence(client, body, says):
    refused = client.post("/sightline/learn/mark", content=body)
    assert refused.status_code == 400
    assert says in refused.json()["error"]


def test_what_is_too_long_is_not_even_read(client):
    assert client.post("/sightline/learn/mark", content=b"x" * (MOST_BYTES + 1)).status_code == 413


def test_a_question_without_meaning_on_a_text_says_why_and_is_not_marked(client):
    asked = {"lesson": "words", "step": 0, "own": "Dogs"}
    assert client.post("/sightline/learn/step", json=asked).json()["ask"]["why_not"]
    refused = client.post("/sightline/learn/mark", json={**asked, "answer": 1})
    assert refused.status_code == 400
