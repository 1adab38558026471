"""The sentences of the gallery: each shows something, and says what in words that fit the sentence."""

import json
import re
from pathlib import Path

import pytest
import torch

from attention_core import capture, load_model
from attention_core.reading.readout import MaskedTokens, NextToken
from attention_core.text.tokens import clean_text
from pages.shared.address.view import DEFAULT_TEXT, View, link

GALLERY = json.loads((Path(__file__).parents[3] / "assets/examples/gallery.json").read_text(encoding="utf-8"))
CROSS = (3, 5)  # the layers of Dates that are cross-attention
TOPICS = {
    "coreference",
    "repeated name",
    "agreement over a distance",
    "brackets",
    "negation",
    "another language",
    "code",
    "a sentence pair",
    "order",
    "a long sentence",
    "reading only back",
    "filling a gap",
    "looking across two texts",
}


def test_the_gallery_covers_its_topics_with_different_sentences():
    assert len(GALLERY) >= 12
    assert {entry["topic"] for entry in GALLERY} >= TOPICS
    for field in ("id", "title", "text"):
        assert len({entry[field] for entry in GALLERY}) == len(GALLERY)


def test_the_first_visit_shows_a_sentence_of_the_gallery():
    assert DEFAULT_TEXT in {entry["text"] for entry in GALLERY}


@pytest.mark.parametrize("entry", GALLERY, ids=lambda entry: entry["id"])
def test_an_entry_is_one_line_each_and_fits_a_link(entry):
    assert set(entry) <= {
        "id",
        "topic",
        "title",
        "text",
        "pair",
        "look_for",
        "layer",
        "head",
        "query",
        "model",
        "target",
    }
    assert all("\n" not in value for value in entry.values() if isinstance(value, str))
    assert len(entry["title"]) <= 50 and len(entry["look_for"]) <= 150
    assert clean_text(entry["text"]) == (entry["text"], [])
    assert link(View(text=entry["text"], pair=entry.get("pair", ""))) is not None


@pytest.mark.parametrize("entry", GALLERY, ids=lambda entry: entry["id"])
def test_what_to_look_for_names_the_head_that_the_entry_opens(entry):
    # An encoder-decoder's layers are counted within their kind on the screen.
    shown = CROSS.index(entry["layer"]) if entry.get("model") == "dates" else entry["layer"]
    assert f"ayer {shown}, head {entry['head']}" in entry["look_for"]
    for layer, head in re.findall(r"ayer (\d+), head (\d+)", entry["look_for"]):
        sizes = {"storyteller": (4, 5), "gapfiller": (3, 5), "dates": (6, 4)}
        n_layers, n_heads = sizes.get(entry.get("model", ""), (6, 12))
        assert int(layer) < n_layers and int(head) < n_heads


@pytest.mark.parametrize("entry", GALLERY, ids=lambda entry: entry["id"])
def test_words_that_are_quoted_stand_in_the_sentence(entry):
    said = entry["text"] + " " + entry.get("pair", "")
    allowed = {"animal-wide": {"tired"}, "spanish": {"nina"}}.get(entry["id"], set())  # named as what is not there
    quoted = set(re.findall("“([^”]+)”", entry["look_for"])) - allowed
    quoted -= {entry.get("target")}
    assert all(word in said for word in quoted), quoted


@pytest.fixture(scope="module")
def storyteller():
    return load_model("storyteller")


def weights_and_words(model, name: str):
    (entry,) = [entry for entry in GALLERY if entry["id"] == name]
    trace = capture(model, entry["text"])
    said = trace.readout()
    assert isinstance(said, NextToken)
    words = [token.text for token in trace.tokens]
    return trace.weights(entry["layer"], entry["head"]), words, entry["query"], said.choices[0]


@pytest.mark.parametrize(
    ("name", "first", "next_word", "weight"), [("wolf-fish", 5, "·fish", 0.99), ("zorbelik", 6, "el", 0.89)]
)
def test_the_induction_examples_are_seen_in_the_storyteller(storyteller, name, first, next_word, weight):
    weights, words, query, said = weights_and_words(storyteller, name)
    assert query == len(words) - 1
    assert words[first] == words[query] and words[first + 1] == next_word
    assert round(float(weights[query, first + 1]), 2) == weight
    assert said.text == next_word


def test_the_token_before_is_seen_in_the_storyteller(storyteller):
    weights, words, query, _ = weights_and_words(storyteller, "wolf-gold")
    assert float(weights.diagonal(-1).min()) >= 0.99
    assert (words[query], words[query - 1]) == ("·king", "·tree")
    assert torch.equal(weights, weights.tril())


@pytest.fixture(scope="module")
def models(storyteller):
    return {"storyteller": storyteller} | {name: load_model(name) for name in ("minilm", "gapfiller", "dates")}


@pytest.mark.parametrize("entry", GALLERY, ids=lambda entry: entry["id"])
def test_a_lesson_about_reading_only_back_opens_the_storyteller_and_no_other_does(entry, models):
    """And that model may indeed look back only, while the other reads both ways."""
    model = entry.get("model", "minilm")
    trace = capture(models[model], entry["text"], target=entry.get("target"))
    reads_ahead = trace.weights(entry["layer"], entry["head"]).triu(1).any()
    assert (model == "storyteller") == (entry["topic"] == "reading only back") == (not reads_ahead)


@pytest.fixture(scope="module")
def dates():
    return load_model("dates")


def rows_and_weights(model, name: str):
    (entry,) = [entry for entry in GALLERY if entry["id"] == name]
    trace = capture(model, entry["text"], target=entry["target"])
    assert trace.layers[entry["layer"]].kind == "cross"
    keys = [token.text for token in trace.source_tokens]
    return trace.weights(entry["layer"], entry["head"]), keys, entry


def test_the_year_is_seen_to_look_at_the_year(dates):
    """Row q writes character q of the date: the strongest keys of the fields are those that the example names."""
    weights, keys, _ = rows_and_weights(dates, "date-french")
    strongest = [keys[key] for key in weights.argmax(dim=-1).tolist()]
    assert strongest[:4] == list("2021") and float(weights[:4].max(dim=-1).values.min()) >= 0.975
    assert (strongest[6], strongest[9]) == ("m", "4")


def test_an_ambiguous_date_is_seen_to_be_open_and_a_word_to_settle_it(dates):
    weights, keys, entry = rows_and_weights(dates, "date-open")
    assert [keys[1], keys[4]] == ["3", "4"]
    assert [round(float(weights[entry["query"], key]), 2) for key in (1, 4)] == [0.57, 0.41]
    said = capture(dates, entry["text"], target="2021-0").readout()
    assert isinstance(said, NextToken)
    assert (said.choices[0].text, round(said.choices[0].probability, 2)) == ("4", 0.83)
    weights, keys, entry = rows_and_weights(dates, "date-settled")
    assert keys[0] == "l" and round(float(weights[entry["query"], 0]), 2) == 0.7
    settled = capture(dates, entry["text"], target="2021-0").readout()
    assert isinstance(settled, NextToken) and settled.choices[0].probability > 0.99


@pytest.mark.parametrize(
    ("name", "beside", "word", "weight", "said"),
    [("gap-after", 1, "·daught", 0.97, ["·two", "·three", "·seven"]), ("gap-before", -1, "·a", 0.99, ["·time"])],
)
def test_a_gap_is_seen_to_look_at_the_token_beside_it(models, name, beside, word, weight, said):
    (entry,) = [entry for entry in GALLERY if entry["id"] == name]
    trace = capture(models["gapfiller"], entry["text"])
    query, words = entry["query"], [token.text for token in trace.tokens]
    assert (words[query], words[query + beside]) == ("[MASK]", word)
    assert round(float(trace.weights(entry["layer"], entry["head"])[query, query + beside]), 2) == weight
    filled = trace.readout()
    assert isinstance(filled, MaskedTokens)
    choices = filled.fills[0].choices
    assert [choice.text for choice in choices[: len(said)]] == said
    assert name != "gap-before" or round(choices[0].probability, 2) == 0.9
