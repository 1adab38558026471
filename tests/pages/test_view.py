"""The view as a URL: complete, versioned, and read back with forgiveness."""

from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pages.shared.address.view import DEFAULT_TEXT, LINK_LIMIT, View, clamp, from_params, link, to_params

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)
VIEWS = st.builds(
    View,
    model=st.sampled_from(["minilm", "openai-community/gpt2", "/models/my folder"]),
    text=TEXTS,
    pair=TEXTS,
    target=TEXTS,
    layer=st.integers(0, 99) | st.sampled_from(["all:encoder:self", "all:decoder:self", "all:decoder:cross"]),
    head=st.integers(0, 99) | st.sampled_from(["mean", "max"]),
    query=st.none() | st.integers(0, 4095),
    key=st.none() | st.integers(0, 4095),
    hide_special=st.booleans(),
    hide_first=st.booleans(),
    renormalise=st.booleans(),
    by_norm=st.booleans(),
    words=st.booleans(),
    per_head_scale=st.booleans(),
    threshold=st.floats(0, 1),
    picture=st.sampled_from(["heatmap", "links", "sentence"]),
    step=st.sampled_from(["x", "scores", "softmax"]),
    mode=st.sampled_from(["story", "numbers", "formula", "code"]),
)


def read(query: str) -> tuple[View, tuple[str, ...]]:
    return from_params(parse_qs(query.removeprefix("?"), keep_blank_values=True))


@settings(max_examples=150, deadline=None)
@given(VIEWS)
def test_a_link_opens_the_view_that_it_was_made_from(view):
    assert from_params(to_params(view)) == (view, ())
    query = link(view)
    assert query is not None and read(query) == (view, ())


def test_a_link_names_version_model_text_layer_and_head_even_if_they_are_the_defaults():
    assert to_params(View()) == {"v": "1", "m": "minilm", "t": DEFAULT_TEXT, "l": "3", "h": "1"}


def test_a_link_is_short():
    view = View(text="a & b?", query=5, hide_special=True, threshold=0.1)
    assert link(view) == "?v=1&m=minilm&t=a+%26+b%3F&l=3&h=1&q=5&s=1&th=0.1"


def test_a_window_of_a_text_is_read_from_its_character_on():
    view, sentences = read("t=one+two+three&from=4")
    assert (view.text, view.text_read, sentences) == ("one two three", "two three", ())
    assert read(link(view)) == (view, ())


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("t=one+two&from=7", "The text in this link ends before character 8: it is read from its beginning."),
        ("t=one++&from=3", "The text in this link ends before character 4: it is read from its beginning."),
        (
            "t=one&from=-1",
            "The place from which the text is read in this link must be the number of a character, from 0, "
            "not “-1”; 0 was used.",
        ),
    ],
)
def test_a_window_where_there_is_no_text_is_the_whole_text(query, said):
    view, sentences = read(query)
    assert (view.start, sentences) == (0, (said,))


def test_an_empty_text_is_kept_and_a_missing_one_is_the_default():
    assert read("t=")[0].text == ""
    assert read("")[0] == View()


def test_a_link_that_would_be_too_long_is_none():
    """`?v=1&m=minilm&t=` and `&l=2&h=3` are 15 + 8 bytes without the question mark; é takes six."""
    room = LINK_LIMIT - 15 - 8
    assert link(View(text="x" * room)) is not None
    assert link(View(text="x" * (room + 1))) is None
    assert link(View(text="é" * (room // 6 + 1))) is None


def test_a_lone_surrogate_does_not_break_the_link():
    assert read(link(View(text="a\ud800")) or "")[0].text == "a\ufffd"


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"l": "two"}, "layer", "layer in this link must be a whole number from 0"),
        ({"l": "-1"}, "layer", "not “-1”; 3 was used"),
        ({"l": "9" * 5000}, "layer", "…”; 3 was used"),
        ({"l": "٣"}, "layer", "layer"),
        ({"l": "all:../x:self"}, "layer", "layer"),
        ({"h": "median"}, "head", "“mean” or “max”, not “median”; 1 was used"),
        ({"q": "1.5"}, "query", "no query is selected"),
        ({"k": ""}, "key", "no key is selected"),
        ({"s": "yes"}, "hide_special", "“hide special tokens” in this link must be 0 or 1, not “yes”; it is off"),
        ({"th": "nan"}, "threshold", "a number from 0 to 1, not “nan”; 0.05 was used"),
        ({"th": "1.5"}, "threshold", "threshold"),
        ({"pic": "cube"}, "picture", "one of heatmap, links, sentence, not “cube”; heatmap was used"),
        ({"step": "../x"}, "step", "the name of a step, not “../x”; x was used"),
        ({"mode": "song"}, "mode", "one of story, numbers, formula, code, not “song”; story was used"),
        ({"m": " "}, "model", "minilm was used"),
        ({"m": "a\nb"}, "model", "model"),
    ],
)
def test_a_bad_value_gives_its_default_and_a_sentence(params, field, words):
    view, sentences = from_params({"t": "kept", "x": "1", **params})
    assert view == replace(View(), text="kept", per_head_scale=True)
    assert len(sentences) == 1 and words in sentences[0]
    assert getattr(view, field) == getattr(View(), field)


def test_another_version_is_said_and_what_is_known_is_read():
    view, sentences = read("v=7&t=hello&l=4&new=thing")
    assert (view.text, view.layer) == ("hello", 4)
    assert sentences == (
        "This link was made for version “7” of the view and this is version 1; what both know was used.",
    )


def test_of_a_repeated_value_the_last_is_used_and_said():
    view, sentences = read("l=1&l=4")
    assert view.layer == 4
    assert sentences == ("This link gives the layer 2 times; the last one was used.",)


def test_names_of_others_are_left_to_them():
    assert read("embed=true&utm_source=x") == (View(), ())


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [*to_params(View()), "p", "d", "q", "k", "s", "f", "n", "w", "x", "th", "pic", "step", "mode", "??"]
        ),
        st.text(max_size=12) | st.lists(st.text(max_size=5), max_size=3),
    )
)
def test_reading_never_fails_and_what_it_reads_can_be_written(params):
    view, sentences = from_params(params)
    assert from_params(to_params(view)) == (view, ())
    assert all(sentence.isprintable() and sentence.endswith(".") for sentence in sentences)


SIX_LAYERS = [(12, 7, 7)] * 6


def test_a_view_that_fits_is_left_alone():
    view = View(layer=5, head=11, query=6, key=6)
    assert clamp(view, SIX_LAYERS) == (view, ())


def test_what_does_not_exist_becomes_the_nearest_that_does_and_is_said():
    view, sentences = clamp(View(layer=6, head=12, query=7, key=9), SIX_LAYERS)
    assert view == View(layer=5, head=11, query=None, key=None)
    assert sentences == (
        "There is no layer 6; the last one, layer 5, is shown.",
        "Layer 5 has no head 12; its last one, head 11, is shown.",
        "There is no query token 7 among the 7 here; no query is selected.",
        "There is no key token 9 among the 7 here; no key is selected.",
    )


def test_queries_and_keys_of_cross_attention_have_their_own_limits():
    view, sentences = clamp(View(layer=1, head=0, query=4, key=4), [(3, 5, 5), (3, 2, 5)])
    assert (view.query, view.key) == (None, 4)
    assert len(sentences) == 1


def test_all_layers_together_have_a_mean_and_a_maximum_but_no_single_head():
    groups = {"all:encoder:self": (7, 7)}
    view, sentences = clamp(View(layer="all:encoder:self", head=3, query=7), SIX_LAYERS, groups)
    assert (view.layer, view.head, view.query) == ("all:encoder:self", "mean", None)
    assert len(sentences) == 2
    assert clamp(View(layer="all:encoder:self", head="max"), SIX_LAYERS, groups)[1] == ()


def test_a_kind_of_layers_that_the_model_lacks_is_said():
    view, sentences = clamp(View(layer="all:decoder:cross", head="max"), SIX_LAYERS, {"all:encoder:self": (7, 7)})
    assert view.layer == 3 and view.head == "max"
    assert sentences == ("There are no layers called “all:decoder:cross”; layer 3 is shown.",)


def test_the_default_view_fits_a_model_of_one_layer_and_one_head():
    view, _ = clamp(View(), [(1, 3, 3)])
    assert (view.layer, view.head) == (0, 0)


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="at least one layer"):
        clamp(View(), [])
