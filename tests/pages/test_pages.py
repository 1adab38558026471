"""Every page as a visitor opens it: through app.py."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from attention_core.record.file import trace_bytes
from pages.shared.address.view import DEFAULT_TEXT, View
from pages.shared.inside import of_streamlit
from pages.shared.parts import controls, readouts
from pages.shared.service import keys
from pages.shared.service.service import service
from pages.shared.service.sources import Source
from pages.shared.session.menu import MENU
from tests.support import tiny
from tests.support.sayings import said_by

APP = str(Path(__file__).parents[2] / "app.py")
PAGES = [entry.script for entry in MENU]


@pytest.fixture
def app():
    return AppTest.from_file(APP, default_timeout=300)


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
    assert not said_by(app, "error")


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
    link, mark = data["link"].split("&sig=")
    assert link == "?v=1&m=minilm&t=Dogs+chase+cats.&l=4&h=7&q=2&k=1&s=1"
    assert mark == keys.mark("link", "minilm", "Dogs chase cats.", *[""] * 6)
    assert "sig" not in app.query_params
    assert not said_by(app, "warning")


def at(app, params) -> None:
    """Let the browser's address bar hold this."""
    app.query_params.clear()
    app.query_params.update(params)


def test_a_choice_is_not_undone_by_an_address_that_the_browser_has_not_taken_over_yet(app):
    app.query_params.update({"v": "1", "m": "minilm", "t": "Dogs chase cats.", "l": "3", "h": "1"})
    app.run()
    opened = dict(app.query_params)
    change(app, hide_special=True)
    at(app, opened)
    app.button(key="readout_pair").click().run()
    view = app.session_state["view"]
    assert view.hide_special
    assert view.pair == readouts.EXAMPLE_PAIR
    assert dict(app.query_params) == {**opened, "p": view.pair, "s": "1"}


def test_the_back_button_and_a_link_bring_their_view(app, monkeypatch):
    app.query_params.update({"v": "1", "m": "minilm", "t": "Dogs chase cats.", "l": "3", "h": "1"})
    app.run()
    opened = dict(app.query_params)
    change(app, layer=4)
    at(app, opened)
    with monkeypatch.context() as browser:
        browser.setattr(of_streamlit, "went_through_history", lambda: True)
        app.run()
    assert app.session_state["view"].layer == 3
    at(app, {**opened, "l": "5"})
    app.button(key="readout_pair").click().run()  # whatever was done: it is no address of ours
    assert app.session_state["view"].layer == 5


def test_a_link_to_the_mean_over_all_layers(app):
    app.query_params.update({"v": "1", "m": "minilm", "t": "Dogs chase cats.", "l": "all:encoder:self", "h": "mean"})
    app.run()
    assert explorer(app)["select"] == {"layer": "all:encoder:self", "head": "mean", "query": None, "key": None}
    assert said_by(app, "note") == ["Choose one head: a mean or maximum over heads cannot be changed."]


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
    said = said_by(app)
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
    assert part in said_by(app, "error")[0]
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
    assert not said_by(app, "error")
    assert explorer(app)["key"]


def test_a_text_over_the_limit_says_what_was_cut(app):
    app.run()
    commit(app, "word " * 2_000)
    assert "The model reads at most 512 tokens: 1,490 of 2,002 were cut" in said_by(app, "note")[0]


def test_a_later_window_of_a_long_text_is_read_and_said(app):
    app.run()
    text = "word " * 600 + "the animal was too tired"
    change(app, text=text, start=3_000, query=None)
    said = said_by(app, "note")
    assert said[0] == "Read from character 3,001 of 3,024 on: “the animal was too tired…”."
    assert service().picture(explorer(app)["key"]).source.text == "the animal was too tired"
    composer = component(app, "composer")
    assert (composer["text"], composer["start"]) == (text, 3_000)


def test_a_token_put_into_a_window_leaves_what_stands_before_it(monkeypatch):
    changed = {}
    monkeypatch.setattr(readouts.state, "change", lambda **values: changed.update(values))
    model = service().model("storyteller")
    (time,) = model.tokenizer(" time")["input_ids"]
    readouts.put_token(View(model="storyteller", text="Long ago. Once upon a", start=10), time, 0)
    assert changed == {"text": "Long ago. Once upon a time", "chat": False}


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


def test_step_by_step_follows_the_head_and_the_query_in_view(app):
    app.query_params.update(
        {"v": "1", "m": "minilm", "t": "Dogs chase cats.", "l": "4", "h": "7", "q": "2", "step": "scores"}
    )
    app.switch_page("pages/steps.py").run()
    data = component(app, "steps")
    assert data["select"] == {"layer": 4, "head": 7, "query": 2, "key": None, "step": "scores", "mode": "story"}
    assert data["layers"][4] == {"label": "layer 4", "n_heads": 12, "n_query": 6, "n_key": 6}
    assert "step=scores" in data["link"]


def test_step_by_step_of_a_mean_follows_a_head_and_leaves_the_choice_alone(app):
    """Where none is chosen the strongest link between two words is followed; going back shows the mean again."""
    app.query_params.update({"v": "1", "m": "minilm", "t": "Dogs chase cats.", "l": "all:encoder:self", "h": "max"})
    app.switch_page("pages/steps.py").run()
    select = component(app, "steps")["select"]
    weights = service().trace(Source("minilm", "Dogs chase cats.")).weights(0, 0)[1:4, 1:4].clone().fill_diagonal_(0)
    query, key = divmod(int(weights.argmax()), 3)  # among dogs, chase and cats
    assert (select["layer"], select["head"], select["query"], select["key"]) == (0, 0, query + 1, key + 1)
    assert any("maximum over heads" in one for one in said_by(app, "note"))
    app.switch_page("pages/explore.py").run()
    assert explorer(app)["select"]["head"] == "max"


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


def test_the_picker_lists_models_by_group(app):
    app.run()
    labels = app.selectbox(key="frame_model").options
    assert labels[:4] == [
        "MiniLM · reads",
        "Storyteller · goes on",
        "Gapfiller · fills gaps",
        "Dates · translates",
    ]
    groups = [label.rsplit(" · ", 1)[-1] for label in labels[4:]]
    assert list(dict.fromkeys(groups)) == ["small", "encoder", "decoder", "enc-dec"]
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)


@pytest.fixture(scope="module")
def speakers(tmp_path_factory) -> dict[str, str]:
    """Folders of tiny models with language heads, by family."""
    root = tmp_path_factory.mktemp("speakers")
    heads = {"gpt2": "GPT2LMHeadModel", "bert": "BertForMaskedLM", "bart": "BartForConditionalGeneration"}
    for name, architecture in heads.items():
        tiny.random_model(architecture, **tiny.FAMILIES[name][1]).save_pretrained(root / name)
        tiny.tokenizer(specials=name != "gpt2").save_pretrained(root / name)
    return {name: str(root / name) for name in heads}


@pytest.fixture
def with_folders(monkeypatch):
    monkeypatch.setattr(service(), "settings", replace(service().settings, folders=True))


def said(app) -> str:
    """The words of the page that are its own HTML."""
    return " ".join(element.proto.body for element in app.get("html"))


def test_a_sentence_encoder_asks_for_a_second_sentence_and_compares_it(app):
    app.run()
    assert "Add a second sentence" in said(app)
    app.button(key="readout_pair").click().run()
    assert app.session_state["view"].pair == readouts.EXAMPLE_PAIR
    similarity = component(app, "readout")["similarity"]
    assert 0.5 < similarity["cosine"] < 1
    assert "as its own files say" in similarity["words"]


def test_a_causal_model_says_what_comes_next_and_continues_the_text(app, speakers, with_folders):
    app.run()
    change(app, model=speakers["gpt2"], text="the cat sat", layer=0, head=0)
    assert not said_by(app, "error")
    (group,) = component(app, "readout")["groups"]
    assert (group["title"], group["place"]) == ("The next token, after", "sat")
    assert [choice["p"] for choice in group["choices"]] == sorted((c["p"] for c in group["choices"]), reverse=True)
    app.number_input(key="readout_n").set_value(3)
    app.button(key="readout_write").click().run()
    text = app.session_state["view"].text
    assert text.startswith("the cat sat")
    assert "written" in said(app)
    assert service().picture(explorer(app)["key"]).source.text == text


def test_drawing_with_a_seed_gives_the_same_text_again(app, speakers, with_folders):
    app.run()
    texts = []
    for _ in range(2):
        change(app, model=speakers["gpt2"], text="the cat sat", layer=0, head=0)
        app.segmented_control(key="readout_how").set_value("drawn at random")
        app.number_input(key="readout_n").set_value(6)
        app.run()
        app.number_input(key="readout_seed").set_value(7)
        app.button(key="readout_write").click().run()
        texts.append(app.session_state["view"].text)
    assert texts[0] == texts[1] != "the cat sat"


def test_a_decoder_writes_its_own_text_and_it_can_be_emptied(app, speakers, with_folders):
    app.run()
    change(app, model=speakers["bart"], text=tiny.SENTENCE, target="the dog", layer=0, head=0)
    assert component(app, "readout")["groups"][0]["title"] == "The decoder's next token, after"
    app.button(key="readout_write").click().run()
    view = app.session_state["view"]
    assert view.text == tiny.SENTENCE
    assert view.target.startswith("the dog")
    app.button(key="readout_clear").click().run()
    assert app.session_state["view"].target == ""
    assert not app.exception


@pytest.fixture(scope="module")
def predicting(tmp_path_factory) -> dict[str, str]:
    """Tiny models with heads for tasks, by task."""
    root = tmp_path_factory.mktemp("predicting")
    heads = {
        "labels": ("bart", "BartForSequenceClassification"),
        "tags": ("bert", "BertForTokenClassification"),
        "answer": ("bert", "BertForQuestionAnswering"),
        "choices": ("bert", "BertForMultipleChoice"),
    }
    for name, (family, architecture) in heads.items():
        labels = {} if name == "answer" else {"id2label": {0: "O", 1: "<b>B-PER</b>"}}
        tiny.random_model(architecture, **tiny.FAMILIES[family][1], **labels).save_pretrained(root / name)
        tiny.tokenizer().save_pretrained(root / name)
    return {name: str(root / name) for name in heads}


@pytest.mark.parametrize(
    ("name", "pair", "rows"), [("labels", "", 2), ("tags", "", 10), ("answer", "a dog ran", 5), ("choices", "a\nit", 2)]
)
def test_a_fine_tuned_model_says_what_it_predicts(app, predicting, with_folders, name, pair, rows):
    app.run()
    change(app, model=predicting[name], text=tiny.SENTENCE, pair=pair, layer=0, head=0)
    assert not said_by(app, "error") and not app.exception
    found = component(app, "readout")["prediction"]
    assert (found["kind"], len(found["rows"])) == (name, rows)
    if name in ("labels", "choices"):
        assert sum(row["p"] for row in found["rows"]) == pytest.approx(1)
    composer = component(app, "composer")
    assert (composer["can_pair"], composer["can_target"]) == (True, False)


def test_a_folder_is_named_by_its_end_and_its_facts_say_what_is_not_known(app, predicting, with_folders):
    """The picker is narrow: the beginning of a path is the same for all folders beside each other."""
    app.run()
    change(app, model=predicting["tags"], text=tiny.SENTENCE, layer=0, head=0)
    picker = app.selectbox(key="frame_model")
    assert picker.options[picker.index] == "…/tags"
    above = " ".join(part.proto.body for part in app.get("html"))
    model = service().loaded(predicting["tags"])
    assert model is not None
    n = model.facts.n_parameters
    assert n < 50_000 and f"<dt>Parameters</dt><dd>{n:,}</dd>" in above
    assert "<dt>Licence</dt><dd>licence not stated</dd>" in above
    assert ">2 layers × 3 heads</p>" in above  # and nothing else beside the picker


@pytest.mark.parametrize("name", ["answer", "choices"])
def test_a_task_that_needs_a_second_text_asks_for_it_in_its_own_words(app, predicting, with_folders, name):
    app.run()
    change(app, model=predicting[name], text=tiny.SENTENCE, layer=0, head=0)
    assert "second sentence" in said(app) and "a vector" not in said(app)
    assert not [button for button in app.button if button.key == "readout_pair"]


def test_above_an_opened_trace_stand_its_own_models_name_and_facts(app, speakers, with_folders):
    """MiniLM was open before: nothing of it stays on the page."""
    data = trace_bytes(service().trace(Source(speakers["gpt2"], "the cat sat")))
    app.run()
    source = service().open_file(data)
    app.session_state["file"] = source.file
    app.run()
    trace = service().known_trace(source)
    picker = app.selectbox(key="frame_model")
    shown = next(label for label in picker.options if "saved trace" in label)
    assert shown == f"{trace.facts.name} · saved trace"
    assert picker.options[picker.index] == shown
    above = " ".join(part.proto.body for part in app.get("html"))
    assert f"{trace.facts.n_layers} layers × {trace.facts.n_heads} heads" in above
    assert "22.6 M" not in above and "MiniLM" not in above  # neither the line nor the card of the model before
    app.button(key="frame_close_file").click().run()
    assert app.selectbox(key="frame_model").value == "minilm"
    assert not app.exception


@pytest.mark.parametrize(
    ("name", "unread", "sentence"),
    [
        ("gpt2", {"target": "the dog"}, "has no decoder: the decoder text of this view is not read."),
        ("bert", {"target": "the dog"}, "has no decoder: the decoder text of this view is not read."),
        ("bart", {"pair": "the dog"}, "reads one text: the second sentence of this view is not read."),
    ],
)
def test_what_a_link_has_for_another_kind_of_model_is_said_and_not_read(
    app, speakers, with_folders, name, unread, sentence
):
    app.run()
    change(app, model=speakers[name], text="the cat sat", layer=0, head=0, **unread)
    assert any(sentence in one for one in said_by(app, "note"))
    trace = service().trace(service().picture(explorer(app)["key"]).source)
    assert not trace.target and trace.pair is None
    assert not app.exception and not said_by(app, "error")


def test_an_opened_trace_that_made_room_is_said_and_there_is_a_way_back(app):
    app.run()
    app.session_state["file"] = "0" * 64
    app.session_state["shown"] = Source("", "", file="0" * 64)
    app.run()
    assert not app.exception
    assert any("Open the trace file again" in one for one in said_by(app, "error"))
    app.button(key="frame_close_file").click().run()
    assert explorer(app)["key"]
    assert not said_by(app, "error")


def test_a_masked_model_offers_to_mask_a_word_and_fills_it(app, speakers, with_folders):
    app.run()
    change(app, model=speakers["bert"], text="the cat sat on a mat", layer=0, head=0, query=None)
    app.button(key="readout_mask").click().run()
    assert app.session_state["view"].text == "the cat sat on a [MASK]"
    data = component(app, "readout")
    assert data["act"] == "fill"
    assert data["groups"][0]["place"] == "a"


@pytest.mark.parametrize("token", [-1, 10**9, "x", None])
def test_a_token_that_cannot_be_is_ignored(app, speakers, with_folders, token):
    app.run()
    change(app, model=speakers["gpt2"], text="the cat sat", layer=0, head=0)
    app.session_state["readout_view"] = {"chosen": {"id": token, "which": 0}}
    app.run()
    assert app.session_state["view"].text == "the cat sat"
    assert not app.exception


def test_the_operators_folder_opens_first_and_stays_in_the_picker(app, speakers, monkeypatch):
    """`make app MODEL=folder`: folders stay closed to visitors, this one is open."""
    monkeypatch.setattr(service(), "settings", replace(service().settings, model=speakers["gpt2"], folders=False))
    app.run()
    assert not said_by(app, "error")
    assert service().picture(explorer(app)["key"]).source.model == speakers["gpt2"]
    assert app.selectbox(key="frame_model").options[-1] == "gpt2"


def test_what_to_look_for_names_the_model_in_which_it_was_seen(app, speakers, monkeypatch):
    monkeypatch.setattr(service(), "settings", replace(service().settings, model=speakers["gpt2"]))
    app.run()
    for example in component(app, "composer")["examples"]:
        seen_in = {"storyteller": "Storyteller", "gapfiller": "Gapfiller", "dates": "Dates"}.get(
            str(example.get("model")), "MiniLM"
        )
        assert example["look_for"].startswith(f"In {seen_in}: ")


def test_norm_based_pictures_are_offered_and_travel_in_the_link(app):
    app.query_params.update({"v": "1", "m": "minilm", "t": "Dogs chase cats.", "l": "3", "h": "1", "c": "1"})
    app.run()
    data = explorer(app)
    assert data["options"]["by_norm"]
    assert data["can"]["by_norm"]
    assert "&c=1&" in data["link"]  # before the mark of this server
    assert service().picture(data["key"]).reading().by_norm


@pytest.mark.parametrize(
    ("hub", "folders", "words"),
    [
        (False, False, "A model from the list."),
        (True, False, "A model from the list, or type a hub id such as openai-community/gpt2."),
        (False, True, "A model from the list, or type a folder of this machine."),
    ],
)
def test_the_picker_offers_to_type_only_what_can_be_opened(app, monkeypatch, hub, folders, words):
    monkeypatch.setattr(service(), "settings", replace(service().settings, hub=hub, folders=folders))
    app.run()
    assert app.selectbox(key="frame_model").help == words
