"""The Lab's page: what its view is given, what the browser's actions do, what a link opens."""

import asyncio
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
import torch
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from attention_core.lab.edits import with_shape, with_switch, with_words
from attention_core.lab.link import LINK_LIMIT, to_link
from attention_core.lab.presets import PRESETS
from attention_core.lab.run import run
from attention_core.lab.state import History
from pages.shared.address.view import View
from pages.shared.assets import LAB_FILES
from pages.shared.http.file_routes import lab_file
from pages.shared.http.routes import routes
from pages.shared.inside import of_streamlit
from pages.shared.lab import session
from pages.shared.lab.data import lab_data
from pages.shared.session import state

APP = str(Path(__file__).parents[2] / "app.py")
ANIMAL = PRESETS["animal"].state


@pytest.fixture
def app():
    return AppTest.from_file(APP, default_timeout=300)


def opened(app, **params: str):
    app.query_params.update(params)
    app.switch_page("pages/lab.py").run()
    return app


def shown(app) -> dict:
    """What the Lab's view was given."""
    (proto,) = [c.proto for c in app.get("bidi_component") if c.proto.component_name == "sightline_lab"]
    return json.loads(proto.json)


def told(*actions: dict) -> list[dict]:
    return [{"n": n, **action} for n, action in enumerate(actions, start=1)]


def no_trace():
    raise ValueError("There is no trace.")


def after(*actions: dict, at: session.Session | None = None) -> session.Session:
    return session.done(at or session.Session(History(ANIMAL), opened="animal"), told(*actions), no_trace)


def cell(row: int, column: int, text: str, matrix: str = "w_q") -> dict:
    return {"do": "cell", "matrix": matrix, "row": row, "column": column, "text": text}


def test_the_page_opens_on_a_preset_with_every_matrix(app):
    opened(app)
    assert not app.exception
    data = shown(app)
    assert data["preset"]["name"] == "animal"
    names = [matrix["name"] for matrix in data["matrices"]]
    assert names == [
        "x", "w_q", "q", "w_k", "k", "w_v", "v", "scores", "scaled", "masked", "weights", "output", "joined", "w_o",
        "projected",
    ]  # fmt: skip
    for matrix in data["matrices"]:
        rows, columns = matrix["shape"]
        assert len(matrix["values"]) == rows * columns
        assert (len(matrix["rows"]), len(matrix["columns"])) == (rows, columns)
        assert matrix["formula"] or matrix["editable"]


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_shown_is_what_the_core_computes_and_names_only_what_is_there(name):
    state = PRESETS[name].state
    data, found = lab_data(state, name), run(state)
    ids = {matrix["id"] for matrix in data["matrices"]}
    for matrix, computed in zip(data["matrices"], found.matrices, strict=True):
        values = [computed.values.flatten()[i].item() for i in range(computed.values.numel())]
        for value, given in zip(values, matrix["values"], strict=True):
            assert given == value or (given is None and value in (0, -math.inf))
        made = matrix["made"] or {}
        named = [made.get("left"), made.get("right"), *made.get("parts", ())]
        assert set(filter(None, named)) <= ids
        assert matrix["editable"] or matrix["made"] or matrix["name"] in ("positions", "bias")
    json.dumps(data, allow_nan=False)
    assert data["preset"]["look"]["id"] in ids


@pytest.mark.parametrize("positions", ["none", "sinusoidal", "rotary", "alibi"])
def test_the_products_that_are_marked_make_the_number(positions):
    """Rows and columns as the view finds them; two heads of three, so that a head's own columns matter."""
    state = with_switch(with_shape(PRESETS["two-heads"].state, d_head=3), positions=positions, causal=True)
    matrices = {matrix["id"]: matrix for matrix in lab_data(state, "")["matrices"]}

    def tensor(name: str) -> torch.Tensor:
        matrix = matrices[name]
        values = [0.0 if value is None else value for value in matrix["values"]]
        return torch.tensor(values, dtype=torch.float64).reshape(matrix["shape"])

    seen = 0
    for name, matrix in matrices.items():
        made = matrix["made"] or {}
        start, width = made.get("from", 0), made.get("width", 0)
        if made.get("by") == "columns":
            right = tensor(made["right"])
            product = tensor(made["left"]) @ (right[:, start : start + width] if width else right)
        elif made.get("by") == "rows":
            head = slice(start, start + width)
            product = tensor(made["left"])[:, head] @ tensor(made["right"])[:, head].T
        elif made.get("by") == "joined":
            product = torch.cat([tensor(part) for part in made["parts"]], dim=1)
        else:
            continue
        torch.testing.assert_close(product, tensor(name), rtol=0, atol=1e-12)
        seen += 1
    assert seen == 3 + 2 * 2 + 2


def test_an_edit_is_done_once_however_often_it_is_told():
    actions = told(cell(1, 0, "3"), cell(0, 0, "0,5"))
    at = session.Session(History(ANIMAL))
    at = session.done(at, actions[:1], no_trace)
    at = session.done(at, actions, no_trace)
    at = session.done(at, actions, no_trace)
    assert at.ack == 2
    assert (at.history.now.w_q[1][0], at.history.now.w_q[0][0]) == (3.0, 0.5)
    assert len(at.history.past) == 2


def test_a_preview_is_shown_and_not_done():
    at = after({**cell(1, 0, "2.5"), "do": "preview"})
    assert at.shown.w_q[1][0] == 2.5
    assert at.history.now == ANIMAL
    assert session.address_of(at) == session.address_of(session.Session(History(ANIMAL), opened="animal"))
    at = session.done(at, [{"n": 9, **cell(1, 0, "2.6")}], no_trace)
    assert at.shown.w_q[1][0] == 2.6
    assert at.history.past == (ANIMAL,)


def test_a_switch_that_a_slider_passes_over_is_shown_and_not_done():
    at = after({"do": "preview", "values": {"temperature": 3.0}})
    assert at.shown.switches.temperature == 3.0
    assert at.history.now == ANIMAL
    at = session.done(at, [{"n": 9, "do": "switch", "values": {"temperature": 5.0}}], no_trace)
    assert at.shown.switches.temperature == 5.0
    assert at.history.past == (ANIMAL,)


def test_fifty_edits_are_undone_exactly_and_redone():
    edits = [cell(i % 4, i % 2, f"{0.37 * i - 3:.2f}") for i in range(50)]
    at = after(*edits)
    last = at.history.now
    at = session.done(at, [{"n": 100 + i, "do": "undo"} for i in range(50)], no_trace)
    assert at.history.now == ANIMAL
    assert not at.history.can_undo
    at = session.done(at, [{"n": 200 + i, "do": "redo"} for i in range(50)], no_trace)
    assert at.history.now == last


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("nan", "not a number"),
        ("inf", "infinite"),
        ("-∞", "infinite"),
        ("−∞", "infinite"),
        ("∞∞", "not a number"),
        ("1e300", "too large"),
        ("", "empty"),
        ("   ", "empty"),
        ("two", "not a number"),
        ("<b>", "not a number"),
    ],
)
def test_a_bad_cell_is_explained_where_it_is_and_the_last_good_state_stays(text, part):
    at = after(cell(1, 0, "3"), cell(2, 1, text))
    assert at.history.now.w_q[1][0] == 3.0
    assert len(at.history.past) == 1
    assert at.problem
    assert part in at.problem.says
    assert (at.problem.id, at.problem.row, at.problem.column) == ("w_q", 2, 1)


@pytest.mark.parametrize(
    "action",
    [
        {},
        {"do": "explode"},
        {"do": "cell"},
        cell(99, 0, "1"),
        cell(0, 0, "1", matrix="weights"),
        {"do": "cell", "matrix": ["w_q"], "row": 0, "column": 0, "text": "1"},
        {"do": "switch", "values": {"scale": 0, "dropout": 1}},
        {"do": "switch", "values": "all"},
        {"do": "switch", "values": {"temperature": "hot"}},
        {"do": "words", "words": ["one"]},
        {"do": "words", "words": None},
        {"do": "shape", "d_model": 10**9},
        {"do": "move", "word": 0, "to": 99},
        {"do": "preset", "name": "none such"},
        {"do": "real", "layer": 0, "head": 0, "tokens": [0, 1, 2]},
        {"do": "to_real"},
    ],
)
def test_an_action_that_cannot_be_done_changes_nothing_and_says_so(action):
    at = after(action)
    assert at.history.now == ANIMAL
    assert at.problem
    assert at.problem.says.endswith(".")
    assert at.ack == 1


def test_a_row_with_nothing_to_attend_to_is_refused_with_the_word():
    at = after({"do": "switch", "values": {"causal": True}}, {"do": "switch", "values": {"padding": [0]}})
    assert at.history.now.switches.causal
    assert at.history.now.switches.padding == ()
    assert at.problem
    assert "“the” would have nothing to look at" in at.problem.says


def test_the_task_of_a_preset_ticks_itself():
    assert not lab_data(ANIMAL, "animal")["preset"]["done"]
    at = after(cell(1, 1, "0"), cell(1, 0, "3"))
    assert lab_data(at.history.now, at.preset)["preset"]["done"]


def test_undoing_past_a_preset_brings_back_the_task_before_it():
    at = after(cell(1, 0, "3"), {"do": "preset", "name": "sink"}, cell(0, 0, "1"))
    assert at.preset == "sink"
    at = session.done(at, [{"n": 10, "do": "undo"}, {"n": 11, "do": "undo"}], no_trace)
    assert at.preset == "animal"
    assert at.history.now.w_q[1][0] == 3.0
    reset = session.done(
        after(cell(1, 0, "3"), {"do": "preset", "name": "sink"}, cell(0, 0, "1")), [{"n": 9, "do": "reset"}], no_trace
    )
    assert reset.history.now == PRESETS["sink"].state


def test_every_preset_fits_into_a_link_with_its_task():
    for name, preset in PRESETS.items():
        address = session.address_of(session.Session(History(preset.state), opened=name))
        assert 0 < len(address) <= LINK_LIMIT, name
        assert address.startswith(f"{name}.")


def test_a_link_opens_the_matrices_and_the_task(app):
    state = with_words(PRESETS["sink"].state, ("<b>", "$x$", "שלום", "👩‍👩‍👧"))
    opened(app, lab=f"sink.{to_link(state)}")
    assert not app.exception
    data = shown(app)
    assert data["words"] == ["<b>", "$x$", "שלום", "👩‍👩‍👧"]
    assert data["preset"]["name"] == "sink"
    assert data["link"] == f"?lab=sink.{to_link(state)}"
    assert data["said"] == []


@pytest.mark.parametrize(
    "text",
    [
        "animal.abc",
        "x" * 5_000,
        "nowhere." + to_link(ANIMAL),
        to_link(ANIMAL)[:-9],
        to_link(ANIMAL)[:40] + "AAAA" + to_link(ANIMAL)[44:],
        "<script>alert(1)</script>",
        "%00",
    ],
)
def test_a_bad_link_gets_a_sentence_and_the_first_preset(app, text):
    opened(app, lab=text)
    assert not app.exception
    data = shown(app)
    assert len(data["said"]) == 1
    assert data["said"][0].endswith(".")
    assert data["matrices"][0]["values"] == [value for row in ANIMAL.x for value in row]


def test_the_address_follows_an_edit_and_belongs_to_the_lab_alone(app):
    opened(app)
    before = shown(app)["link"]
    app.session_state["lab_session"] = after(cell(1, 0, "3"))
    app.run()
    assert shown(app)["link"] != before
    assert list(app.query_params) == ["lab"]
    app.switch_page("pages/explore.py").run()
    assert "lab" not in app.query_params
    app.switch_page("pages/lab.py").run()
    assert shown(app)["matrices"][1]["values"][2] == 3.0


def test_the_lab_is_drawn_before_the_model_has_read_the_text(app, monkeypatch):
    """Whoever edits meanwhile is answered; once the text is read, its head can be copied."""
    monkeypatch.setattr(state, "read", lambda *_: st.stop())
    app.session_state["view"] = View(text="Nobody has read this yet.")
    app.session_state["lab_session"] = after({"do": "look"}, cell(1, 0, "3"))
    opened(app)
    assert shown(app)["model"] is None
    assert shown(app)["ack"] == 2
    monkeypatch.undo()
    app.run()
    assert shown(app)["model"]["name"].startswith("MiniLM")
    assert "nobody" in [token["text"] for token in shown(app)["model"]["tokens"][0]]


def test_a_text_that_cannot_be_read_is_tried_again_when_the_visitor_asks_again(app, monkeypatch):
    asked = []
    monkeypatch.setattr(state, "trace_of", lambda view, say: asked.append(view) or (None, "The hub does not answer."))
    app.session_state["view"] = View(model="nobody/nothing")
    app.session_state["lab_session"] = at = after({"do": "look"})
    opened(app)
    app.run()
    assert shown(app)["model"]["problem"] == "The hub does not answer."
    assert len(asked) == 1
    app.session_state["lab_session"] = session.done(at, [{"n": 2, "do": "look"}], no_trace)
    app.run()
    assert len(asked) == 2


def test_a_switch_is_shown_beside_the_standard_with_numbers():
    data = lab_data(with_switch(PRESETS["scaling"].state, scale=False, causal=True), "")["compare"]
    assert data["switched"]
    assert len(data["sentences"]) == 2
    facts = {fact["label"]: fact for fact in data["facts"][0]}
    assert facts["mean spread of a row"]["yours"] < facts["mean spread of a row"]["standard"]
    assert data["standard"][0]["values"] != []


def test_what_a_shuffle_does_is_told_with_its_number():
    state = PRESETS["order"].state
    assert 0 <= lab_data(state, "")["shuffled"] <= 1e-6
    assert lab_data(with_switch(state, positions="rotary"), "")["shuffled"] >= 0.05
    # In another order the causal mask would leave the padding word in front nothing but itself.
    assert lab_data(with_switch(state, causal=True, padding=(2,)), "")["shuffled"] is None


def test_several_heads_are_compared_with_one_of_the_same_size():
    data = lab_data(with_switch(PRESETS["copying"].state, n_heads=2), "")["compare"]
    assert data["switched"]
    assert (len(data["facts"]), len(data["standard"])) == (2, 1)


def test_the_plane_is_there_only_for_two_dimensions():
    assert lab_data(ANIMAL, "")["plane"]
    assert lab_data(PRESETS["copying"].state, "")["plane"] is None
    arrows = lab_data(ANIMAL, "")["plane"]["heads"][0]
    q, k = arrows["queries"][5], arrows["keys"][3]
    assert arrows["dots"][5][3] == pytest.approx(q["x"] * k["x"] + q["y"] * k["y"], abs=1e-12)


def test_an_edit_that_comes_with_an_older_address_is_no_link_to_open(app):
    """The browser sends its next edit before it has the address of the last one."""
    opened(app)
    first = shown(app)["link"]
    app.session_state["lab_session"] = after(cell(1, 0, "3"))
    app.run()
    second = shown(app)["link"]
    assert second != first
    app.query_params["lab"] = first.removeprefix("?lab=")
    app.run()
    assert shown(app)["matrices"][1]["values"][2] == 3.0
    assert shown(app)["link"] == second


def test_back_and_forward_open_older_addresses_and_keep_what_can_be_redone(app, monkeypatch):
    monkeypatch.setattr(of_streamlit, "went_through_history", lambda: True)
    opened(app)
    first = shown(app)["link"]
    app.session_state["lab_session"] = after(cell(1, 0, "3"))
    app.run()
    second = shown(app)["link"]
    for link, value, undo, redo in ((first, 0.0, False, True), (second, 3.0, True, False), (first, 0.0, False, True)):
        app.query_params["lab"] = link.removeprefix("?lab=")
        app.run()
        data = shown(app)
        assert (data["matrices"][1]["values"][2], data["can_undo"], data["can_redo"]) == (value, undo, redo)
        assert data["link"] == link


def test_another_link_opened_in_the_lab_starts_anew_and_does_nothing_twice():
    before = session.Session(History(ANIMAL).did(with_switch(ANIMAL, causal=True)), opened=session.FIRST, ack=7)
    other = session.address_of(session.Session(History(PRESETS["copying"].state)))
    there = session.opened({"lab": other}, before)
    assert (there.history, there.ack, there.said) == (History(PRESETS["copying"].state), 7, ())


@pytest.fixture(scope="module")
def client():
    with TestClient(Starlette(routes=routes())) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "starts"),
    [("numpy.py", b'"""'), ("torch.py", b'"""'), ("lab.xlsx", b"PK"), ("weights-0.svg", b"<svg"), ("w_q.svg", b"<svg")],
)
def test_the_files_are_made_from_the_state_that_is_sent(client, name, starts):
    answer = client.post(f"/{LAB_FILES}/{name}", content=to_link(ANIMAL))
    assert answer.status_code == 200
    assert answer.content.startswith(starts)
    assert "attachment" in answer.headers["content-disposition"]


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("numpy.py", "nonsense", 404),
        ("numpy.py", "A" * 200_000, 413),
        ("weights.svg", to_link(ANIMAL), 404),
        ("weights-7.svg", to_link(ANIMAL), 404),
        ("shell.sh", to_link(ANIMAL), 404),
    ],
)
def test_a_file_that_cannot_be_made_is_answered_in_words(client, name, body, status):
    answer = client.post(f"/{LAB_FILES}/{name}", content=body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_state_that_is_too_long_is_not_received_to_its_end():
    """1,000 pieces of 10,000 bytes are offered; the 17th is the first over the limit of 160,000."""
    received = 0

    async def receive():
        nonlocal received
        received += 1
        return {"type": "http.request", "body": b"A" * 10_000, "more_body": received < 1_000}

    scope = {"type": "http", "method": "POST", "headers": [], "query_string": b"", "path_params": {"name": "numpy.py"}}
    answer = asyncio.run(lab_file(Request(scope, receive)))
    assert (answer.status_code, received) == (413, 17)


def test_the_session_stays_small():
    at = after(*[cell(i % 4, i % 2, str(i / 7)) for i in range(300)])
    assert len(at.history.past) == 200
    assert replace(at, history=History(at.history.now)).shown == at.shown
