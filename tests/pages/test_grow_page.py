"""Grow a head on the server's side: links, what the browser gets, the routes of a visitor's own run."""

import base64
import gzip
import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from attention_core.formats import wire
from attention_core.grow.record import Run, RunHead, SavedStep, load_run, square
from attention_core.grow.tasks import TASKS, RunSettings
from attention_core.grow.trainings import Limits, Trainings
from pages.shared.address import growth
from pages.shared.address.growth import GrowView
from pages.shared.grow import library, packs, trainings
from pages.shared.http.grow_routes import grow_routes
from tests.support.sayings import said_by

APP = str(Path(__file__).parents[2] / "app.py")
A_MEGABYTE = 1_000_000


def toy_run(losses=(2.0, 2.0, 0.2, 0.1, 0.1, 0.1), settings: RunSettings | None = None) -> Run:
    """2 layers × 3 heads over 5 tokens; one head's score passes half at the third save."""
    head = RunHead(
        settings=settings or RunSettings("repeated", seed=7, n_heads=1),
        title="toy",
        tokens=("a", "b", "a", "b", "c"),
        scored=(False, False, False, True, False),
        n_layers=2,
        n_heads=3,
        n_steps=100,
        chance=math.log(3),
        scores=("previous", "induction"),
        even=(0.3, 0.2),
        targets=(((1, 0),), ((3, 2), (4, 3))),
        n_parameters=11,
    )
    saved = []
    for at, loss in enumerate(losses):
        scores = np.full((2, 2, 3), 0.1, dtype=np.float32)
        scores[0, 1, 2] = 0.9 if at >= 2 else 0.2
        maps = np.tril(np.arange(25).reshape(5, 5) + at).astype(np.uint8)
        maps[np.triu_indices(5, 1)] = wire.U1_MASKED
        saved.append(SavedStep(at * 20, at * 1.5, loss, 0.5, scores, np.broadcast_to(maps, (2, 3, 5, 5)).copy()))
    return Run(head, tuple(saved))


# --- links


def test_a_view_survives_the_way_through_a_link():
    view = GrowView("sorting", seed=7, heads=2, positions="none", at=340, vs="sorting-seed1-4heads", layer=1, head=0)
    assert growth.from_params(growth.to_params(view)) == (view, ())


def test_a_link_always_has_the_settings_and_says_nothing_else_that_is_usual():
    assert growth.link(GrowView()) == "?task=repeated&seed=1&heads=4&positions=rotary"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", "-1"),
        ("seed", "1e3"),
        ("heads", "99"),
        ("positions", "sinus"),
        ("at", "x"),
        ("task", "<b>"),
        ("vs", "../x"),
    ],
)
def test_what_a_link_cannot_mean_is_named_and_replaced(name, value):
    view, sentences = growth.from_params({name: value})
    assert view == GrowView()
    assert len(sentences) == 1 and name in sentences[0]


def test_no_parameter_is_one_of_the_explorers():
    """Both kinds of links are read by one app: a shared name would make one of them mean the other."""
    from pages.shared.address.view import PARAMETERS

    assert not set(growth.PARAMETERS.values()) & {"v", *PARAMETERS.values()}


def test_a_report_of_the_browser_changes_only_what_it_may():
    before = GrowView(at=20, layer=1, head=2)
    report = {"task": "copying", "seed": "3; drop", "at": None, "layer": 0, "head": True, "other": 1, "vs": 5.5}
    assert growth.from_report(report, before) == replace(before, task="copying", at=None, layer=0)


# --- what the browser gets


def test_a_pack_has_the_runs_numbers_from_the_asked_save_on():
    run = toy_run()
    meta, arrays = wire.unpack(packs.run_pack(run, first=2, status={"state": "running"}))
    assert meta["first"] == 2 and meta["status"] == {"state": "running"}
    assert arrays["steps"].tolist() == [40, 60, 80, 100]
    assert arrays["loss"].tolist() == pytest.approx([0.2, 0.1, 0.1, 0.1])
    np.testing.assert_array_equal(square(arrays["maps"]), run.maps[2:])
    np.testing.assert_array_equal(arrays["scores"][:, 1], run.scores["induction"][2:])


def test_a_pack_of_a_run_without_a_save_is_empty_and_whole():
    meta, arrays = wire.unpack(packs.run_pack(replace(toy_run(), saved=())))
    assert meta["facts"]["tokens"] == ["a", "b", "a", "b", "c"]
    assert arrays["maps"].shape == (0, 2, 3, 15)
    assert arrays["scores"].shape == (0, 2, 2, 3)


def test_the_moments_are_those_that_the_run_computes():
    run = toy_run()
    (formed,), cliff = run.formed(), run.cliff
    assert cliff is not None
    moments = packs.facts_of(run)["moments"]
    assert {moment["name"]: moment["step"] for moment in moments} == {
        "previous": formed.step,
        "loss": int(run.steps[(cliff.first + cliff.last + 1) // 2]),
    }
    assert formed.step == 40


def test_every_task_has_a_recorded_run_and_each_fits_a_megabyte():
    known = library.recorded()
    assert {run.settings["task"] for run in known} == {*TASKS, "storyteller"}
    for run in known:
        body = gzip.decompress(library.gzipped(run.id))
        meta, arrays = wire.unpack(body)
        assert len(body) <= A_MEGABYTE, run.id
        assert meta["facts"]["name"] == run.id
        if run.id != "storyteller":
            assert len(arrays["steps"]) >= 60, run.id


def test_the_page_opens_with_the_usual_run_of_repeated_sequences():
    first = library.recorded()[0]
    assert first.settings == {"task": "repeated", "seed": 1, "heads": 4, "positions": "rotary"}
    shown = GrowView()
    assert first.settings == {name: getattr(shown, name) for name in first.settings}


def test_every_score_has_a_short_name():
    from attention_core.grow.tasks import SCORES

    assert set(packs._SHORT) == set(SCORES)


# --- routes


@pytest.fixture
def client():
    return TestClient(Starlette(routes=grow_routes()))


@pytest.fixture
def queue(monkeypatch):
    """A queue of one place, which no slow machine overstays; the fixture ends its processes."""
    made = Trainings(Limits(at_once=1, seconds=600, lease=600, niceness=0))
    monkeypatch.setattr("pages.shared.http.grow_routes.trainings", lambda: made)
    monkeypatch.setattr("pages.shared.grow.trainings.trainings", lambda: made)
    yield made
    made.close()


def test_a_recorded_run_is_compressed_once_and_kept_for_ever(client):
    run = library.recorded()[0]
    answer = client.get(f"/sightline/grow/run/{run.version}/{run.id}")
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert wire.unpack(answer.content)[0]["facts"]["name"] == run.id
    plain = client.get(f"/sightline/grow/run/{run.version}/{run.id}", headers={"accept-encoding": "identity"})
    assert plain.content == answer.content


def test_a_recorded_run_can_be_kept_as_a_file_that_opens_again(client, tmp_path):
    run = library.recorded()[0]
    file = tmp_path / "kept.run.gz"
    file.write_bytes(client.get(f"/sightline/grow/run/{run.version}/{run.id}/file").content)
    np.testing.assert_array_equal(load_run(file).maps, library.run(run.id).maps)


def curves(answer) -> dict:
    assert answer.status_code == 200, answer.text
    return wire.unpack(answer.content)[0]


def numbers(array: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])


def test_the_curves_of_a_recorded_run_have_its_numbers_and_are_kept_for_ever(client):
    one, other = library.recorded()[:2]
    address = f"/sightline/grow/run/{one.version}/{one.id}/curves"
    answer = client.get(address)
    assert "immutable" in answer.headers["cache-control"]
    (loss,) = curves(answer)["loss"]["data"]
    np.testing.assert_array_equal(numbers(loss["y"]), library.run(one.id).losses)
    beside = curves(client.get(f"{address}?vs={other.version}/{other.id}"))
    np.testing.assert_array_equal(numbers(beside["loss"]["data"][1]["y"]), library.run(other.id).losses)
    plain = client.get(address, headers={"accept-encoding": "identity"})
    assert plain.content == answer.content


@pytest.mark.parametrize("asked", ["run/x/nothing/curves", "run/x/..%2fapp.py/curves", "live/guess/curves"])
def test_there_are_no_curves_of_a_run_that_is_not_there(client, queue, asked):
    assert client.get(f"/sightline/grow/{asked}").status_code in (404, 410)
    one = library.recorded()[0]
    beside = f"/sightline/grow/run/{one.version}/{one.id}/curves?vs="
    assert client.get(beside + "guess").status_code == 410
    assert client.get(beside + "x/nothing").status_code == 404


@pytest.mark.parametrize("name", ["nothing", "..", "repeated-seed1-4heads.run.gz"])
def test_a_run_that_is_not_there_is_a_404(client, name):
    assert client.get(f"/sightline/grow/run/x/{name}").status_code == 404


def test_an_unknown_key_is_gone(client, queue):
    assert client.get("/sightline/grow/live/guess/").status_code == 410
    assert client.post("/sightline/grow/live/guess/stop").status_code == 410
    assert client.get("/sightline/grow/live/guess/file").status_code == 410
    assert (
        client.post("/sightline/grow/live/guess/leave").status_code == 204
    )  # it is gone already: that is what is asked
    assert client.get("/sightline/grow/live/guess/leave").status_code == 405


def test_an_error_that_nobody_foresaw_is_answered_with_a_reference_and_no_details(client, monkeypatch):
    def fail(_: str) -> bytes:
        raise OSError("/home/operator/secret is not readable")

    monkeypatch.setattr("pages.shared.grow.library.gzipped", fail)
    answer = client.get("/sightline/grow/run/x/toy")
    assert answer.status_code == 500
    assert "reference" in answer.json()["error"]
    assert "secret" not in answer.text


def test_a_live_run_comes_in_parts_stops_and_is_kept(client, queue, tmp_path):
    address = f"/sightline/grow/live/{queue.start('me', RunSettings('copying', seed=3))}/"

    def asked(first: int):
        answer = client.get(f"{address}?from={first}")
        assert answer.headers["cache-control"] == "no-store"
        return wire.unpack(answer.content)

    deadline = time.monotonic() + 300
    while "steps" not in (found := asked(0))[1] or len(found[1]["steps"]) < 3:
        assert time.monotonic() < deadline
        assert found[0]["status"]["state"] in ("queued", "starting", "running")
        time.sleep(0.1)
    meta, arrays = asked(2)
    assert meta["first"] == 2 and arrays["steps"][0] == found[1]["steps"][2]
    known = library.recorded()[0]
    drawn = client.get(f"{address}curves?vs={known.version}/{known.id}")
    assert drawn.headers["cache-control"] == "no-store"
    own, other = curves(drawn)["loss"]["data"]
    np.testing.assert_array_equal(numbers(own["y"])[:3], found[1]["loss"][:3])
    np.testing.assert_array_equal(numbers(other["y"]), library.run(known.id).losses)
    key = address.split("/")[-2]
    beside = client.get(f"/sightline/grow/run/{known.version}/{known.id}/curves?vs={key}")
    assert beside.headers["cache-control"] == "no-store"
    assert len(curves(beside)["loss"]["data"]) == 2
    assert client.post(address + "stop").status_code == 204
    meta, _ = asked(0)
    assert meta["status"]["state"] == "stopped"
    assert queue.processes == ()
    file = tmp_path / "mine.run.gz"
    file.write_bytes(client.get(address + "file").content)
    assert load_run(file).head.settings == RunSettings("copying", seed=3)
    client.post(address + "leave")
    assert client.get(address).status_code == 410


def test_the_second_visitor_is_told_how_many_are_before_him(client, queue):
    queue.start("first", RunSettings("copying"))
    second, third = (queue.start(name, RunSettings("copying")) for name in ("second", "third"))
    for key, ahead in ((second, 1), (third, 2)):
        status = wire.unpack(client.get(f"/sightline/grow/live/{key}/").content)[0]["status"]
        assert (status["state"], status["ahead"]) == ("queued", ahead)


@pytest.mark.parametrize("first", ["-1", "x", "1.5"])
def test_a_part_that_makes_no_sense_is_refused(client, queue, first):
    assert client.get(f"/sightline/grow/live/k/?from={first}").status_code == 404


# --- the page


@pytest.fixture
def app():
    return AppTest.from_file(APP, default_timeout=300)


def given(app) -> dict:
    (proto,) = [c.proto for c in app.get("bidi_component") if c.proto.component_name == "sightline_grow"]
    return json.loads(proto.json)


def opened(app, **params):
    app.run()
    app.query_params.clear()
    app.switch_page("pages/grow.py")
    app.query_params.update(params)
    app.run()
    assert not app.exception
    return given(app)


def test_the_page_is_given_tasks_runs_and_its_link(app):
    data = opened(app)
    assert [task["name"] for task in data["tasks"]] == [*TASKS, "storyteller"]
    assert data["live"] is None
    assert data["select"] == data["echo"]
    assert data["link"] == "?task=repeated&seed=1&heads=4&positions=rotary"


def test_the_address_chooses_the_run_and_the_step(app):
    data = opened(app, task="sorting", seed="9", heads="2", positions="none", at="120")
    chosen = {name: data["select"][name] for name in ("task", "seed", "heads", "positions", "at")}
    assert chosen == {"task": "sorting", "seed": 9, "heads": 2, "positions": "none", "at": 120}


def test_a_bad_link_gets_a_sentence_and_the_usual_run(app):
    data = opened(app, seed="many", at="<b>")
    assert data["select"]["seed"] == 1
    assert len(said_by(app, "note")) == 2


@pytest.mark.parametrize("asked", [{"task": "storyteller"}, {"task": "copying", "heads": 3}])
def test_settings_that_cannot_be_grown_are_refused_in_words(queue, monkeypatch, asked):
    monkeypatch.setattr(trainings.st, "session_state", state := {"grow": {"start": asked}})
    trainings.start()
    assert state["grow_problem"].startswith("This run cannot be grown: ")
    assert "grow_live" not in state


def test_a_visitor_has_one_run_the_next_replaces_it(queue, monkeypatch):
    asked = {"task": "copying", "seed": 5, "heads": 2, "positions": "rotary"}
    state: dict = {"grow": {"start": {**asked, "nonce": 17}}}
    monkeypatch.setattr(trainings.st, "session_state", state)
    trainings.start()
    assert trainings.asked() == 17
    first = state["grow_live"]
    assert first["settings"] == asked
    assert first["title"] == "2 heads, rotary positions, seed 5"
    trainings.start()
    assert state["grow_live"]["key"] != first["key"]
    assert len(queue._tickets) == 1
