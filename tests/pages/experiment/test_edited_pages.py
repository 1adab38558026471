"""An edited run on every page: its banner, one change taken back, before and after, and nobody else's changes."""

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from attention_core import Break, CutLink, SwitchOff, capture, load_trace
from attention_core.formats import wire
from attention_core.pictures.head import head_pack
from attention_core.reading.reading import Reading
from pages.shared.address.edits import plain_edits, signed
from pages.shared.engine.choosing import engine
from pages.shared.engine.packs import SCRIPT, TRACE, Wanted
from pages.shared.engine.plain import Refused
from pages.shared.service.service import service
from pages.shared.service.sources import Picture, Source
from tests.pages.test_pages import component
from tests.support.patience import PATIENCE
from tests.support.sayings import said_by

APP = str(Path(__file__).parents[3] / "app.py")
TEXT = "The animal was tired"
OFF = SwitchOff(3, 1, "mean")


def edited(*edits, text: str = TEXT, model: str = "minilm") -> Source:
    return Source(model, text, edits=signed([edit.to_plain() for edit in edits]))


@pytest.fixture
def app():
    return AppTest.from_file(APP, default_timeout=300)


def opened(app, page: str = "", **params: str):
    app.query_params.update({"v": "1", "m": "minilm", "t": TEXT, "l": "3", "h": "1", **params})
    app.run()
    if page:
        app.switch_page(page).run()
    return app


def words(app) -> str:
    return " ".join(one.proto.body for one in app.get("html"))


def test_one_click_switches_the_chosen_head_off_and_says_what_that_does(app):
    opened(app)
    app.button(key="offer_off").click().run()
    assert plain_edits(app.session_state["view"].edits) == [OFF.to_plain()]
    assert "Edited run:" in words(app) and "layer 3 head 1 switched off" in words(app)
    assert "1 before" in words(app)
    key = component(app, "explorer")["key"]
    assert service().picture(key).source == edited(OFF)
    assert not app.exception and not said_by(app, "error")


@pytest.mark.parametrize(
    ("page", "name"), [("pages/steps.py", "steps"), ("pages/heads.py", "heads"), ("pages/experiment.py", "experiment")]
)
def test_every_page_says_that_the_run_is_edited(app, page, name):
    opened(app, page, e=edited(OFF).edits)
    assert "Edited run:" in words(app) and "layer 3 head 1 switched off" in words(app)
    source = service().picture(component(app, name)["key"]).source
    assert source == (edited(OFF) if name != "experiment" else Source("minilm", TEXT))


def test_before_and_after_are_a_switch(app):
    opened(app, e=edited(OFF).edits, u="1")
    assert service().picture(component(app, "explorer")["key"]).source == Source("minilm", TEXT)
    assert "Edited run:" in words(app)


def test_changes_are_taken_back_one_by_one_undone_and_all_undone(app):
    other = Break(0, 2, "uniform")
    opened(app, e=edited(OFF, other).edits)
    app.button(key="edited_back_0").click().run()
    assert plain_edits(app.session_state["view"].edits) == [other.to_plain()]
    app.button(key="edited_undo").click().run()
    assert plain_edits(app.session_state["view"].edits) == [OFF.to_plain(), other.to_plain()]
    app.button(key="edited_undo_all").click().run()
    assert app.session_state["view"].edits == "" and "Edited run:" not in words(app)


def test_a_change_that_cannot_be_made_is_told_and_left_out(app):
    opened(app, e=edited(SwitchOff(77, 0)).edits)
    assert any("changes of this run were left out" in one for one in said_by(app, "warning"))
    assert component(app, "explorer")["key"] and app.session_state["view"].edits == ""


def test_a_tampered_link_is_told_and_shows_the_run_as_it_is(app):
    opened(app, e=edited(OFF).edits.replace('"head":1', '"head":2'))
    assert any("not as they were copied" in one for one in said_by(app, "warning"))
    assert service().picture(component(app, "explorer")["key"]).source == Source("minilm", TEXT)


def test_a_link_to_cut_needs_a_pinned_cell_and_looking_ahead_a_decoder(app):
    opened(app)
    assert app.button(key="offer_cut").disabled
    assert "offer_ahead" not in [one.key for one in app.button]
    app.query_params.clear()
    opened(app, m="storyteller", t="Once upon a time", l="1", h="3", q="3", k="1")
    app.button(key="offer_cut").click().run()
    assert plain_edits(app.session_state["view"].edits) == [CutLink(1, 3, 3, (1,)).to_plain()]
    assert "Before" in words(app) and "next: " in words(app)


def held(saved) -> bytes:
    return saved.file.read(0, saved.file.nbytes)


def test_downloads_say_what_was_edited_and_a_trace_opened_again_proves_nothing():
    picture = Picture(edited(OFF))
    assert b"switched off" in held(engine().save(picture, Wanted("heatmap.svg", 3, 1)))
    assert b"switched off" in held(engine().save(picture, Wanted("weights.csv", 3, 1)))
    assert "SwitchOff" in (script := held(engine().save(picture, Wanted(SCRIPT, 3, 1))).decode()) or "edits=" in script
    again = load_trace(held(engine().save(picture, Wanted(TRACE))))
    assert any("switched off" in said for said in again.edited)
    assert again.verdict(3, 1).text == "○ edited: no proof"


def _whose(found: bytes, own: list[bytes]) -> int:
    """Which of these packs has the weights that were found, but for the rounding of another number of threads."""
    weights = [wire.unpack(pack)[1]["weights"] for pack in (found, *own)]
    apart = [float(np.abs(weights[0] - one).max()) for one in weights[1:]]
    (one,) = [i for i, by in enumerate(apart) if by < 1e-5]
    assert min(by for i, by in enumerate(apart) if i != one) > 1e-3
    return one


def test_two_visitors_with_different_edits_never_see_each_others():
    """Many ask at once, each under his own key; each gets the pack of his own run."""
    asked = [(), (OFF,), (SwitchOff(3, 1, "zero"),), (Break(3, 1, "uniform"),), (OFF, Break(2, 4, "hard max"))]
    model = service().model("minilm")  # its own: weights that lie elsewhere in memory may round otherwise
    own = [
        head_pack(service().work(lambda edits=edits: capture(model, TEXT, edits=edits)), Reading(), 4, 2)
        for edits in asked
    ]
    keys = [engine().key(Picture(edited(*edits))) for edits in asked]
    assert len(set(own)) == len(asked) == len(set(keys))

    def pack(n: int) -> bool:
        source = engine().picture(keys[n % len(asked)]).source
        engine().forget(source)  # it is computed again, beside the others
        found = service().packed(keys[n % len(asked)], ("test", n), lambda trace, _: head_pack(trace, Reading(), 4, 2))
        return _whose(gzip.decompress(found), own) == n % len(asked)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(pack, range(40), timeout=PATIENCE))


def test_a_model_writes_on_under_the_changes():
    text = "Once upon a time there was a"
    changes = [SwitchOff(layer, head, "zero") for layer in (1, 2) for head in range(5)]
    plain = engine().write(Source("storyteller", text), 5, "greedy", 0).future.result(PATIENCE)
    changed = engine().write(edited(*changes, text=text, model="storyteller"), 5, "greedy", 0).future.result(PATIENCE)
    assert plain.text != changed.text and changed.text.startswith(text)
    with pytest.raises(Refused):
        engine().write(edited(OFF), 5, "greedy", 0).future.result(PATIENCE)


def test_a_pack_of_an_edited_run_says_so():
    meta, _ = wire.unpack(gzip.decompress(engine().pack(Picture(edited(OFF)), ("head", 3, 1))))
    assert meta["proof"]["words"] == "edited: no proof" or "edited" in meta["proof"]["text"]
