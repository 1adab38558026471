"""The health answer: what an operator needs, and nothing that a visitor wrote."""

import json
import time

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import attention_core
from pages.shared.engine.local import LocalEngine
from pages.shared.http import health as module
from pages.shared.http.routes import routes
from pages.shared.process import spent
from pages.shared.process.settings import from_environment
from pages.shared.service.service import Service, service
from pages.shared.service.sources import Picture, Source

SECRET = "The squirrel hid seventeen walnuts."


@pytest.fixture(scope="module")
def client():
    service().start().result()
    with TestClient(Starlette(routes=routes())) as client:
        yield client


def test_health_names_the_model_the_queue_the_caches_and_the_memory(client):
    service().trace(Source("minilm", SECRET))
    answer = client.get("/sightline/health")
    told = answer.json()
    assert (told["ready"], told["model"], told["waiting"]) == (True, "loaded", 0)
    assert told["version"] == attention_core.__version__
    assert told["cache_bytes"]["traces"] > 100_000
    assert told["cache_bytes"]["models"] > 50_000_000
    assert 100e6 < told["rss_bytes"] < 50e9
    assert answer.headers["cache-control"] == "no-store"


def test_health_says_where_the_processor_goes(client):
    before = client.get("/sightline/health").json()["processor_s"]
    service().trace(Source("minilm", "A text that nobody has read before, to be read once."))
    after = client.get("/sightline/health").json()["processor_s"]
    assert after["pass"] > before.get("pass", 0.0)
    assert after["all"] > before["all"]


def test_what_a_place_within_another_takes_is_counted_once():
    def work(seconds: float) -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    before = spent.told()
    with spent.on("routes"):
        work(0.02)
        with spent.on("compression"):
            work(0.1)
    after = spent.told()
    took = {place: after[place] - before.get(place, 0.0) for place in ("routes", "compression")}
    assert took["compression"] >= 0.1 - 1e-9 > took["routes"] >= 0.02 - 1e-9


def test_health_holds_nothing_that_a_visitor_wrote(client):
    service().key(Picture(Source("minilm", SECRET)))
    service().trace(Source("minilm", SECRET))
    told = json.dumps(client.get("/sightline/health").json())
    assert not [word for word in SECRET.lower().strip(".").split()[1:] if word in told]


def test_a_server_that_has_not_loaded_its_model_is_alive_but_not_ready(client, monkeypatch):
    monkeypatch.setattr(module, "engine", lambda: LocalEngine(Service(from_environment())))
    assert client.get("/sightline/health").status_code == 200
    assert client.get("/sightline/health").json()["model"] == "loading"
    assert client.get("/sightline/health?ready=1").status_code == 503


def test_a_server_whose_start_failed_is_alive_but_not_ready(client, monkeypatch):
    broken = Service(from_environment())

    def fail() -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(broken, "_load_first", fail)
    assert isinstance(broken.start().exception(), OSError)
    monkeypatch.setattr(module, "engine", lambda: LocalEngine(broken))
    assert client.get("/sightline/health").json()["ready"] is False
    assert client.get("/sightline/health?ready=1").status_code == 503
