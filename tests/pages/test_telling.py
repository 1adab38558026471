"""What a model is told beside its texts, in the app: languages and a chat template, in the link and beside the box."""

import runpy
from dataclasses import replace

import pytest
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from attention_core import capture, load_model
from attention_core.ledger.packs import _prelude
from attention_core.pictures.script import script
from attention_core.reading.reading import Reading
from attention_core.text.chat import chat_prompt
from pages.shared.address.view import View, clamp_telling, from_params, link
from pages.shared.service.counting import page_key
from pages.shared.service.service import service
from pages.shared.service.sources import Picture, Source, picture_of
from tests.pages.test_pages import APP, change, component, explorer
from tests.server.test_routes import client  # noqa: F401 (a fixture)
from tests.support.chatty import bare, tokenizer
from tests.support.sayings import said_by
from tests.support.translators import SOURCE, TARGET, build


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    """A translation model and one with a chat template, as folders."""
    root = tmp_path_factory.mktemp("told")
    for name, (model, words) in {
        "nllb": build("nllb", root / "files"),
        "chatty": (bare(), tokenizer()),
    }.items():
        model.save_pretrained(root / name)
        words.save_pretrained(root / name)
    return {name: str(root / name) for name in ("nllb", "chatty")}


@pytest.fixture
def app(monkeypatch):
    monkeypatch.setattr(service(), "settings", replace(service().settings, folders=True))
    return AppTest.from_file(APP, default_timeout=300)


def opened(app, **view):
    app.run()
    change(app, layer=0, head=0, query=None, key=None, **view)
    assert not app.exception
    return app


def shown(app):
    return service().trace(service().picture(explorer(app)["key"]).source)


def test_a_link_holds_languages_and_the_template_and_gives_them_back():
    view = View(model="a/b", text="x", source_language="eng_Latn", target_language="__cmn_Hant__", chat=True)
    made = link(view)
    assert made == "?v=1&m=a%2Fb&t=x&sl=eng_Latn&tl=__cmn_Hant__&chat=1&l=3&h=1"
    params = dict(pair.split("=") for pair in made.replace("%2F", "/")[1:].split("&"))
    assert from_params(params) == (view, ())
    bad, sentences = from_params({"v": "1", "sl": "<script>", "chat": "yes"})
    assert (bad.source_language, bad.chat) == ("", False)
    assert sentences == (
        "The language of the text in this link must be the name of a language, not “<script>”; none was used.",
        "The “chat template” in this link must be 0 or 1, not “yes”; it is off.",
    )


def test_what_a_model_cannot_be_told_is_said():
    view = View(source_language="xx", target_language="deu", chat=True)
    fitted, sentences = clamp_telling(view, "eng_Latn", None, chat=False)
    assert fitted == View()
    assert sentences == (
        "This model does not know “xx” as the language of the text; eng_Latn was used.",
        "This model does not know “deu” as the language of the decoder text; none is told to this model.",
        "This model has no chat template: the text is read as it is.",
    )
    own = View(source_language="eng")
    assert clamp_telling(own, "__eng__", "__fra__", chat=False) == (View(source_language="__eng__"), ())


def test_sources_that_differ_in_what_is_told_are_kept_apart():
    view = View(model="m", text="x")
    others = [replace(view, source_language="a"), replace(view, target_language="a"), replace(view, chat=True)]
    keys = {service().key(picture_of(one)) for one in (view, *others)}
    assert len(keys) == 4


def test_languages_are_chosen_beside_the_model(app, folders):
    opened(app, model=folders["nllb"], text=SOURCE, target=TARGET)
    assert (shown(app).source_language, shown(app).target_language) == ("eng_Latn", "eng_Latn")
    source, target = app.selectbox(key="frame_source_language"), app.selectbox(key="frame_target_language")
    assert (source.value, target.value) == ("eng_Latn", "eng_Latn")
    assert len(target.options) == len(load_model(folders["nllb"]).spoken.codes) > 100
    target.set_value("deu_Latn").run()
    app.selectbox(key="frame_source_language").set_value("fra_Latn").run()
    view = app.session_state["view"]
    assert (view.source_language, view.target_language) == ("fra_Latn", "deu_Latn")
    trace = shown(app)
    assert [token.piece for token in trace.target_tokens[:3]] == ["</s>", "deu_Latn", "▁d"]
    assert trace.source_tokens[0].piece == "fra_Latn"
    assert dict(app.query_params)["tl"] == "deu_Latn"
    assert "sl=fra_Latn" in component(app, "composer")["count_url"]


def test_what_the_decoder_writes_is_written_in_the_chosen_language(app, folders):
    opened(app, model=folders["nllb"], text=SOURCE, target_language="deu_Latn")
    app.number_input(key="readout_n").set_value(3).run()
    app.button(key="readout_write").click().run()
    assert not app.exception
    from attention_core.reading.generation import continue_text

    expected = continue_text(load_model(folders["nllb"]), SOURCE, 3, target_language="deu_Latn")
    assert app.session_state["view"].target == expected.text


def test_an_unknown_language_of_a_link_is_replaced_and_said(app, folders):
    opened(app, model=folders["nllb"], text=SOURCE, target_language="xx_Xxxx")
    assert app.session_state["view"].target_language == ""
    assert shown(app).target_language == "eng_Latn"
    said = said_by(app, "note")
    assert any("does not know “xx_Xxxx” as the language of the decoder text" in one for one in said), said


def test_a_model_without_languages_or_template_shows_neither(app):
    app.run()
    change(app, source_language="eng_Latn", chat=True)
    assert not app.exception
    view = app.session_state["view"]
    assert (view.source_language, view.chat) == ("", False)
    change(app, text="The cat sat.")
    assert not [select for select in app.selectbox if select.key == "frame_source_language"]
    assert not [toggle for toggle in app.toggle if toggle.key == "frame_chat"]


def test_the_chat_template_is_a_switch_and_its_answer_becomes_text(app, folders):
    opened(app, model=folders["chatty"], text="the cat sat")
    assert shown(app).chat is None
    app.toggle(key="frame_chat").set_value(True).run()
    trace = shown(app)
    prompt = chat_prompt(load_model(folders["chatty"]).tokenizer, "the cat sat")
    assert (trace.chat, trace.text) == ("the cat sat", prompt)
    assert dict(app.query_params)["chat"] == "1"
    assert component(app, "composer")["text"] == "the cat sat"
    app.number_input(key="readout_n").set_value(2).run()
    app.button(key="readout_write").click().run()
    view = app.session_state["view"]
    assert not view.chat and view.text.startswith(prompt.removeprefix("<s>"))
    assert [token.id for token in shown(app).tokens][: len(trace.tokens)] == [token.id for token in trace.tokens]


def test_choosing_another_model_forgets_what_the_last_one_was_told(app, folders):
    opened(app, model=folders["nllb"], text=SOURCE, target_language="deu_Latn")
    app.selectbox(key="frame_model").set_value("minilm").run()
    assert app.session_state["view"].target_language == ""
    assert not app.exception


def test_tokens_are_counted_as_they_are_read(client, folders, monkeypatch):  # noqa: F811
    monkeypatch.setattr(service(), "settings", replace(service().settings, folders=True))
    assert isinstance(client, TestClient)
    model = service().model(folders["chatty"])
    for query, chat in (("", False), ("&chat=1", True)):
        answer = client.post(
            f"/sightline/count?key={page_key('ann')}&model={folders['chatty']}{query}", json={"text": "the cat sat"}
        ).json()
        assert answer["n"] == len(capture(model, "the cat sat", chat=chat).tokens)


def test_the_script_of_a_view_tells_the_model_the_same(folders, tmp_path):
    given = {"target": TARGET, "target_language": "deu_Latn"}
    code = script(folders["nllb"], SOURCE, given=given, layer=0, head=0, reading=Reading())
    assert f"target={TARGET!r}, target_language='deu_Latn')" in code
    file = tmp_path / "view.py"
    file.write_text(code, encoding="utf-8")
    ran = runpy.run_path(str(file))
    assert ran["trace"].target_language == "deu_Latn"
    chatty = script(folders["chatty"], "the cat", given={"chat": True}, layer=0, head=0, reading=Reading())
    assert "chat=True" in chatty
    told = capture(load_model(folders["chatty"]), "the cat", chat=True)
    assert _prelude(told).endswith("'the cat', chat=True)")
    assert _prelude(ran["trace"]).endswith("source_language='eng_Latn', target_language='deu_Latn')")


def test_the_script_route_knows_what_was_told(client, folders, monkeypatch):  # noqa: F811
    monkeypatch.setattr(service(), "settings", replace(service().settings, folders=True))
    key = service().key(Picture(Source(folders["nllb"], SOURCE, target_language="deu_Latn")))
    answer = client.get(f"/sightline/data/{key}/export/script.py?layer=0&head=0")
    assert "target_language='deu_Latn'" in answer.text
