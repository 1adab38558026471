"""Every page as a visitor opens it: through app.py."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from attention_core.view import DEFAULT_TEXT
from pages.shared import controls
from pages.shared.service import service

APP = str(Path(__file__).parents[1] / "app.py")
PAGES = ["pages/explore.py", "pages/about.py"]


@pytest.fixture
def app():
    return AppTest.from_file(APP, default_timeout=60)


def explorer(app) -> dict:
    """What the explorer was given."""
    return component(app, "explorer")


def component(app, key: str) -> dict:
    (proto,) = [c.proto for c in app.get("bidi_component") if c.proto.component_name == f"sightline_{key}"]
    return json.loads(proto.json)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(app, page):
    app.run()
    app.switch_page(page).run()
    assert not app.exception
    assert not app.error


def test_the_first_page_shows_a_real_sentence_without_a_click(app):
    app.run()
    data = explorer(app)
    assert data["select"] == {"layer": 3, "head": 1, "query": 10, "key": None}
    picture = service().picture(data["key"])
    assert (picture.source.model, picture.source.text) == ("minilm", DEFAULT_TEXT)
    assert component(app, "composer")["text"] == DEFAULT_TEXT


def commit(app, text: str, pair: str = "") -> None:
    """What the text box does when its visitor presses Enter; AppTest runs no component callbacks."""
    change(app, text=text, pair=pair)


def change(app, **values) -> None:
    app.session_state["view"] = replace(app.session_state["view"], **values)
    app.run()


def test_the_address_holds_the_view_and_opens_it_again(app):
    app.query_params.update(
        {"v": "1", "m": "minilm", "t": "Dogs chase cats.", "l": "4", "h": "7", "q": "2", "k": "1", "s": "1"}
    )
    app.run()
    data = explorer(app)
    assert data["select"] == {"layer": 4, "head": 7, "query": 2, "key": 1}
    assert data["options"]["hide_special"]
    assert data["link"] == "?v=1&m=minilm&t=Dogs+chase+cats.&l=4&h=7&q=2&k=1&s=1"
    assert not app.warning


def test_a_link_to_the_mean_over_all_layers(app):
    app.query_params.update({"v": "1", "m": "minilm", "t": "Dogs chase cats.", "l": "all:encoder:self", "h": "mean"})
    app.run()
    assert explorer(app)["select"] == {"layer": "all:encoder:self", "head": "mean", "query": None, "key": None}
    assert not app.caption


@pytest.mark.parametrize(
    ("params", "part"),
    [
        ({"l": "99"}, "There is no layer 99"),
        ({"h": "x<b>"}, "head in this link must be"),
        ({"q": "500"}, "There is no query token 500"),
        ({"v": "9"}, "version"),
        ({"th": "nan"}, "threshold in this link must be"),
    ],
)
def test_a_bad_link_gets_a_sentence_and_a_good_default(app, params, part):
    app.query_params.update({"v": "1", "m": "minilm", "t": "Dogs chase cats.", "l": "3", "h": "1", **params})
    app.run()
    said = [element.value.replace("\\", "") for element in [*app.warning, *app.caption]]
    assert any(part in sentence for sentence in said), said
    assert explorer(app)["key"]
    assert not app.exception


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ("nobody/nothing", "model hub does not answer"),
        ("/no/such/folder", "does not open folders"),
        ("<script>", "is not a model's name"),
    ],
)
def test_a_model_that_cannot_be_loaded_gets_a_sentence_and_the_old_picture_stays(app, model, part):
    app.run()
    before = explorer(app)["key"]
    change(app, model=model)
    assert part in app.error[0].value.replace("\\", "")
    assert explorer(app)["key"] == before
    assert not app.exception


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "$x$ **b** :smile: `c`",
        "שלום עולם",
        "👩‍👩‍👧",
        "a\x00b\x07c",
        "word " * 2_000,
    ],
)
def test_any_text_is_shown_as_data(app, text):
    app.run()
    commit(app, text)
    assert not app.exception
    assert not app.error
    assert explorer(app)["key"]


def test_a_text_over_the_limit_says_what_was_cut(app):
    app.run()
    commit(app, "word " * 2_000)
    assert "The model reads at most 512 tokens: 1,490 of 2,002 were cut" in app.caption[0].value.replace("\\", "")


def test_a_text_too_long_for_a_link_says_how_to_share_it(app):
    app.run()
    commit(app, "word " * 2_000)
    data = explorer(app)
    assert data["link"] is None
    assert "trace file" in data["link_note"]


def test_a_rerun_that_changes_nothing_sends_the_same(app):
    app.run()
    before = explorer(app)
    app.run()
    assert explorer(app) == before


def test_all_heads_in_numbers_on_demand(app):
    app.run()
    assert not app.get("plotly_chart")
    app.toggle(key="explore_numbers").set_value(True).run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1
    table = app.dataframe[0].value
    assert len(table) == 72
    assert 0 < table["spread, bits"].min() <= table["spread, bits"].max() <= 4  # 16 tokens: at most log2 16 bits


def test_the_gallery_has_what_the_text_box_needs():
    topics = {example["topic"] for example in controls.gallery()}
    assert {"coreference", "repeated name", "brackets", "negation", "code"} <= topics
    assert all({"id", "title", "text", "look_for"} <= set(example) for example in controls.gallery())
