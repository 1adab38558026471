"""The page Experiment through app.py, and its routes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from attention_core import EveryHead, SwitchOff, TokenVector, effect, lenses, load_model, sweep
from attention_core.formats import wire
from pages.shared.address.view import View
from pages.shared.experiment.examples import FIRST
from pages.shared.http import routes
from pages.shared.parts import figures
from pages.shared.service.service import service
from pages.shared.service.sources import Picture, Source
from tests.support.patience import PATIENCE
from tests.support.sayings import said_by

ROOT = Path(__file__).parents[3]
APP = str(ROOT / "app.py")
TEXT = "The animal was tired"
HEADS = json.dumps(EveryHead("mean").to_plain())
ASKED = json.dumps(TokenVector(2).to_plain())


@pytest.fixture
def app():
    return AppTest.from_file(APP, default_timeout=300)


ROUNDING = 1e-6  # the worker and the test compute with another number of threads, whose sums round differently


def view_data(app) -> dict:
    (proto,) = [c.proto for c in app.get("bidi_component") if c.proto.component_name == "sightline_experiment"]
    return json.loads(proto.json)


def opened(app, **params: str) -> dict:
    app.query_params.update(params)
    app.run()
    app.switch_page("pages/experiment.py").run()
    assert not app.exception and not said_by(app, "error")
    return view_data(app)


def test_it_opens_on_an_example_and_goes_back_to_the_text_before(app):
    data = opened(app)
    assert service().picture(data["key"]).source == Source(FIRST.model, FIRST.text)
    assert data["questions"][0]["id"] == "difference" and data["example"] and data["back"]
    assert app.session_state["experiment_before"].text == View().text


def test_a_text_that_was_chosen_stays(app):
    data = opened(app, v="1", m="minilm", t=TEXT, l="2", h="3")
    assert service().picture(data["key"]).source == Source("minilm", TEXT)
    assert not data["example"] and data["other"] == "Storyteller"
    assert (data["select"]["layer"], data["select"]["head"]) == (2, 3)


def test_the_address_decides_the_question_and_the_way_to_switch_off(app):
    data = opened(app, v="1", m="minilm", t=TEXT, ask=ASKED, off="zero")
    assert json.loads(data["select"]["question"]) == TokenVector(2).to_plain()
    assert data["select"]["fill"] == "zero"
    assert app.query_params["off"] == "zero"


@pytest.mark.parametrize("asked", ["{", "[]", '{"question": 3}', '{"question": "x", "token": [1]}', "x" * 2_000])
def test_a_question_in_a_link_that_is_none_is_told_and_left_out(app, asked):
    app.query_params.update({"v": "1", "m": "minilm", "t": TEXT, "ask": asked})
    app.run()
    assert any("question in this link" in one for one in said_by(app, "warning"))
    assert app.session_state["view"].question == ""


@pytest.fixture(scope="module")
def client():
    with TestClient(Starlette(routes=routes.routes())) as one:
        yield one


def key(text: str = TEXT) -> str:
    return service().key(Picture(Source("minilm", text)))


def until_it_ended(client, path: str, **params: str) -> dict:
    from time import monotonic, sleep

    end = monotonic() + PATIENCE
    while (told := client.get(path, params=params).json())["state"] == "working" and monotonic() < end:
        sleep(0.1)
    return told


def test_a_sweep_is_begun_looked_at_and_kept_for_all(client):
    path = f"/sightline/data/{key()}/experiment/sweep"
    params = {"of": HEADS, "question": ASKED, "page": "one"}
    assert client.get(path, params=params).json()["state"] == "none"
    begun = client.post(f"{path}/begin", params=params).json()
    assert begun["state"] == "working"
    told = until_it_ended(client, path, **params)
    own = sweep(load_model("minilm"), TEXT, EveryHead("mean"), TokenVector(2), draws=20)
    assert told["state"] == "ready" and own.chance is not None
    assert [one["difference"] for one in told["found"]["found"]] == pytest.approx(own.effects.tolist(), abs=ROUNDING)
    assert told["found"]["chance"]["largest"] == pytest.approx(own.chance.largest, abs=ROUNDING)
    assert client.post(f"{path}/begin", params=params | {"page": "two"}).json()["state"] == "ready"
    again = client.get(path, params=params | {"have": told["stage"]}).json()
    assert again["found"] is None and again["stage"] == told["stage"]
    strip = wire.unpack(client.get(f"{path}/strip", params=params).content)[0]["strip"]
    assert len(strip["data"][0]["x"]) + len(strip["data"][1]["x"]) == 72


def test_one_edit_is_measured_beside_its_chance(client):
    path = f"/sightline/data/{key()}/experiment/effect"
    off = SwitchOff(3, 1, "mean")
    params = {"of": json.dumps([off.to_plain()]), "question": ASKED, "page": "one"}
    client.post(f"{path}/begin", params=params)
    told = until_it_ended(client, path, **params)
    own = effect(load_model("minilm"), TEXT, off, TokenVector(2), draws=20)
    assert own.control is not None
    assert told["found"]["difference"] == pytest.approx(own.difference, abs=ROUNDING)
    assert told["found"]["level"] == pytest.approx(own.control.level, abs=ROUNDING)
    assert told["found"]["control"].split(":")[0] == own.control.says(own.difference).split(":")[0]


def test_a_row_is_looked_at_through_five_lenses(client):
    path = f"/sightline/data/{key()}/experiment/lenses"
    params = {"of": json.dumps({"layer": 3, "head": 1, "query": 3}), "page": "one"}
    client.post(f"{path}/begin", params=params)
    told = until_it_ended(client, path, **params)
    own = lenses(load_model("minilm"), TEXT, 3, 1, 3)
    assert told["state"] == "ready" and told["found"]["weight"] == pytest.approx(own.weight.tolist(), abs=ROUNDING)
    assert told["found"]["says"] == own.says
    for wrong in (
        {"layer": 3, "head": 1},
        {"layer": 3, "head": -1, "query": 3},
        {"layer": True, "head": 1, "query": 3},
    ):
        assert client.get(path, params={"of": json.dumps(wrong)}).status_code == 404


def test_one_that_cannot_be_done_says_why(client):
    path = f"/sightline/data/{key()}/experiment/effect"
    params = {"of": json.dumps([SwitchOff(9, 1).to_plain()]), "page": "one"}
    client.post(f"{path}/begin", params=params)
    told = until_it_ended(client, path, **params)
    assert told["state"] == "failed" and "layer" in told["says"]


@pytest.mark.parametrize("kind", ["sweep", "effect"])
def test_the_script_prints_the_same_numbers(client, kind, tmp_path):
    off = SwitchOff(3, 1, "mean")
    of = HEADS if kind == "sweep" else json.dumps([off.to_plain()])
    answer = client.get(f"/sightline/data/{key()}/experiment/{kind}/script.py", params={"of": of, "question": ASKED})
    (tmp_path / "script.py").write_text(answer.text, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    if kind == "sweep":
        own = sweep(load_model("minilm"), TEXT, EveryHead("mean"), TokenVector(2), draws=20)
        assert own.says(own.ranked[0]) in ran.stdout
    else:
        own = effect(load_model("minilm"), TEXT, off, TokenVector(2), draws=20)
        assert own.says in ran.stdout


@pytest.mark.parametrize(
    ("kind", "of", "question"),
    [
        ("dance", "[]", ""),
        ("sweep", "", ""),
        ("sweep", "[]", ""),
        ("effect", "{}", ""),
        ("effect", "[", ""),
        ("effect", "[]", "3"),
        ("effect", "[" * 20_500, ""),
    ],
)
def test_what_is_no_experiment_is_not_found(client, kind, of, question):
    answer = client.get(f"/sightline/data/{key()}/experiment/{kind}", params={"of": of, "question": question})
    assert answer.status_code == 404 and answer.json()["error"]


def test_a_text_that_is_not_known_is_gone(client):
    assert client.get("/sightline/data/0000/experiment/sweep", params={"of": HEADS}).status_code == 410


def test_the_strip_names_what_is_beyond_chance_and_no_other():
    figure = figures.effects_by_layer([(0, 0, -0.1), (0, 1, 7.3), (2, 4, -0.3)], 0.2, "nats")
    inside, beyond = figure.data
    assert list(inside.x) == [-0.1] and list(beyond.text) == ["0.1", "2.4"]
    band = next(shape for shape in figure.layout.shapes if shape.type == "rect")
    assert (band.x0, band.x1) == (-0.2, 0.2)
    unknown = figures.effects_by_layer([(0, 0, -0.1)], None, "nats")
    assert not unknown.data[1].x and all(shape.type == "line" for shape in unknown.layout.shapes)
