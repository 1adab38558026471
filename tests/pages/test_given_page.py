"""Matrices of one's own on every page: what needs a model is off and says why, what does not works."""

import io

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.address.view import View
from pages.shared.lab.data import model_data
from pages.shared.parts import given
from pages.shared.service.heads import labels_of, scores_of
from pages.shared.service.service import service
from tests.core.record.test_given import with_inputs
from tests.pages.test_pages import APP, component, explorer
from tests.support.sayings import said_by

TOKENS = ["[CLS]", "one", "two", "##fold", "[SEP]"]


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.fixture(scope="module")
def source():
    scores = np.random.default_rng(2).normal(size=(2, 3, 5, 5)).astype(np.float32)
    weights = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    return service().open_file(npz(attention=weights, tokens=np.array(TOKENS), name=np.array("Mine <b>")))


@pytest.fixture
def app(source):
    app = AppTest.from_file(APP, default_timeout=300)
    app.run()
    app.session_state["file"] = source.file
    app.run()
    assert not app.exception
    return app


def captions(app) -> str:
    return " ".join(said_by(app, "note"))


def test_explore_shows_them_and_what_needs_a_model_is_off_with_a_reason(app):
    data = explorer(app)
    assert data["given"] is True and data["link"] is None
    assert data["can"] == {"hide_special": True, "by_norm": False, "words": True}
    assert any("Mine <b>: weights only, given by you." in text.value for text in app.text)
    picker = app.selectbox(key="frame_model")
    assert picker.disabled and picker.options[picker.index] == "Mine <b> · no model"
    assert given.SAYS in captions(app) and "the text cannot be changed and read again" in captions(app)
    assert not [c for c in app.get("bidi_component") if c.proto.component_name.endswith(("composer", "readout"))]
    above = " ".join(part.proto.body for part in app.get("html"))
    assert "2 layers × 3 heads · weights only, given by you" in above
    assert "Mine &lt;b&gt;" in above and "not known: none came with the matrices" in above
    assert "parameters · " not in above and "0 parameters" not in above
    app.button(key="frame_close_file").click().run()
    assert not app.selectbox(key="frame_model").disabled
    assert explorer(app)["given"] is False


def test_heads_has_the_metrics_and_says_that_labels_and_the_survey_are_off(app, source):
    app.switch_page("pages/heads.py").run()
    assert not app.exception
    assert component(app, "heads")["can_by_norm"] is False
    assert given.SURVEY in captions(app)
    assert labels_of(source)["says"].endswith("none is behind matrices of your own.")
    assert len(scores_of(source).heads) == 6


def test_step_by_step_and_the_lab_open_and_say_what_is_not_there(app, source):
    app.switch_page("pages/steps.py").run()
    assert not app.exception
    assert component(app, "steps")["layers"][0]["n_heads"] == 3
    app.switch_page("pages/lab.py").run()
    assert not app.exception
    told = model_data(View(), service().trace(source), "")
    assert told is not None and told["problem"].startswith("Mine <b>: weights only, given by you.")


def test_with_q_k_and_v_the_steps_and_the_lab_work():
    trace, _ = with_inputs()
    told = model_data(View(layer=0, head=0), trace, "")
    assert told is not None and not told["problem"]
    assert given.what(trace) == "weights with q, k and v, given by you"
    assert ("What can be checked", "mask, weights") in given.rows(trace)
