"""The sentences of the gallery: each shows something, and says what in words that fit the sentence."""

import json
import re
from pathlib import Path

import pytest
import torch

from attention_core import capture, load_model
from attention_core.reading.readout import NextToken
from attention_core.text.tokens import clean_text
from pages.shared.address.view import DEFAULT_TEXT, View, link

GALLERY = json.loads((Path(__file__).parents[3] / "assets/examples/gallery.json").read_text(encoding="utf-8"))
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
    assert set(entry) <= {"id", "topic", "title", "text", "pair", "look_for", "layer", "head", "query", "model"}
    assert all("\n" not in value for value in entry.values() if isinstance(value, str))
    assert len(entry["title"]) <= 50 and len(entry["look_for"]) <= 150
    assert clean_text(entry["text"]) == (entry["text"], [])
    assert link(View(text=entry["text"], pair=entry.get("pair", ""))) is not None


@pytest.mark.parametrize("entry", GALLERY, ids=lambda entry: entry["id"])
def test_what_to_look_for_names_the_head_that_the_entry_opens(entry):
    assert f"ayer {entry['layer']}, head {entry['head']}" in entry["look_for"]
    for layer, head in re.findall(r"ayer (\d+), head (\d+)", entry["look_for"]):
        n_layers, n_heads = (4, 5) if entry.get("model") == "storyteller" else (6, 12)
        assert int(layer) < n_layers and int(head) < n_heads


@pytest.mark.parametrize("entry", GALLERY, ids=lambda entry: entry["id"])
def test_words_that_are_quoted_stand_in_the_sentence(entry):
    said = entry["text"] + " " + entry.get("pair", "")
    allowed = {"animal-wide": {"tired"}, "spanish": {"nina"}}.get(entry["id"], set())  # named as what is not there
    quoted = set(re.findall("“([^”]+)”", entry["look_for"])) - allowed
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
    return {"storyteller": storyteller, "minilm": load_model("minilm")}


@pytest.mark.parametrize("entry", GALLERY, ids=lambda entry: entry["id"])
def test_a_lesson_about_reading_only_back_opens_the_storyteller_and_no_other_does(entry, models):
    """And that model may indeed look back only, while the other reads both ways."""
    model = entry.get("model", "minilm")
    reads_ahead = capture(models[model], entry["text"]).weights(entry["layer"], entry["head"]).triu(1).any()
    assert (model == "storyteller") == (entry["topic"] == "reading only back") == (not reads_ahead)
