"""Every page, whichever engine computes for it."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from attention_core import capture, load_model
from attention_core.record.file import trace_bytes
from pages.shared.engine import choosing
from pages.shared.lab import session
from pages.shared.parts.survey_panel import Job
from tests.pages.test_pages import change, commit, component, explorer, said
from tests.support.sayings import said_by

APP = str(Path(__file__).parents[2] / "app.py")
PATIENCE = 300  # seconds; a machine that does other work too


@pytest.fixture
def app(engine, monkeypatch) -> AppTest:
    monkeypatch.setattr(choosing, "_engine", engine)
    return AppTest.from_file(APP, default_timeout=PATIENCE)


def unharmed(app) -> bool:
    return not (app.exception or app.error or app.warning or said_by(app, "error", "warning"))


def test_a_text_is_drawn_and_another_one_after_it(app):
    app.run()
    first = explorer(app)["key"]
    commit(app, "the dog ran far away")
    assert explorer(app)["key"] != first
    assert "Add a second sentence" in said(app)
    assert unharmed(app)


def test_every_page_shows_the_same_text(app, engine):
    app.run()
    key = explorer(app)["key"]
    for page, name in (("pages/steps.py", "steps"), ("pages/heads.py", "heads")):
        app.switch_page(page).run()
        assert component(app, name)["key"] == key
        assert unharmed(app)
    assert [one["n_heads"] for one in component_of_steps(app)] == [12] * 6


def component_of_steps(app) -> list[dict]:
    app.switch_page("pages/steps.py").run()
    return component(app, "steps")["layers"]


def test_a_real_head_comes_into_the_lab(app):
    app.run()
    app.switch_page("pages/lab.py").run()
    at = app.session_state["lab_session"]
    app.session_state["lab_session"] = session.done(at, [{"n": 1, "do": "look"}], lambda: pytest.fail("not asked"))
    app.run()
    data = component(app, "lab")["model"]
    assert len(data["layers"]) == 6 and data["chosen"] and not data["problem"]
    assert unharmed(app)


def test_a_model_writes_on(app, speakers):
    app.run()
    change(app, model=speakers["gpt2"], text="the cat sat on a mat", layer=0, head=0, query=None)
    app.button(key="readout_write").click().run()
    written = app.session_state["view"].text
    assert written.startswith("the cat sat on a mat") and len(written) > len("the cat sat on a mat")
    assert "tokens written" in said(app) and unharmed(app)


def test_a_model_that_is_not_there_is_a_sentence_and_the_picture_stays(app):
    app.run()
    change(app, model="/no/such/folder")
    assert said_by(app, "error") and explorer(app)["key"]
    assert not app.exception


def test_an_opened_trace_has_its_own_name(app, engine, speakers):
    app.run()
    data = trace_bytes(capture(load_model(speakers["bert"]), "the cat sat"))
    app.session_state["file"] = engine.open_file(data).file
    app.run()
    picker = app.selectbox(key="frame_model")
    assert any("saved trace" in label for label in picker.options)
    assert explorer(app)["key"] and unharmed(app)


def test_a_survey_of_the_page_gives_its_table(engine, monkeypatch, probed):
    monkeypatch.setattr(choosing, "_engine", engine)
    job = Job(probed, [("tale.txt", b"The king sat on the hill and looked at the sea. " * 20)])
    job.wait(PATIENCE)
    assert job.failed == "" and not job.stopped
    assert job.done == job.total
    assert len(job.csv.splitlines()) > 3
