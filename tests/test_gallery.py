"""The sentences of the gallery: each shows something, and says what in words that fit the sentence."""

import json
import re
from pathlib import Path

import pytest

from attention_core.tokens import clean_text
from attention_core.view import DEFAULT_TEXT, View, link

GALLERY = json.loads((Path(__file__).parent.parent / "assets/examples/gallery.json").read_text(encoding="utf-8"))
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
    assert set(entry) <= {"id", "topic", "title", "text", "pair", "look_for", "layer", "head", "query"}
    assert all("\n" not in value for value in entry.values() if isinstance(value, str))
    assert len(entry["title"]) <= 50 and len(entry["look_for"]) <= 150
    assert clean_text(entry["text"]) == (entry["text"], [])
    assert link(View(text=entry["text"], pair=entry.get("pair", ""))) is not None


@pytest.mark.parametrize("entry", GALLERY, ids=lambda entry: entry["id"])
def test_what_to_look_for_names_the_head_that_the_entry_opens(entry):
    assert f"ayer {entry['layer']}, head {entry['head']}" in entry["look_for"]
    for layer, head in re.findall(r"ayer (\d+), head (\d+)", entry["look_for"]):
        assert int(layer) < 6 and int(head) < 12  # MiniLM


@pytest.mark.parametrize("entry", GALLERY, ids=lambda entry: entry["id"])
def test_words_that_are_quoted_stand_in_the_sentence(entry):
    said = entry["text"] + " " + entry.get("pair", "")
    allowed = {"animal-wide": {"tired"}, "spanish": {"nina"}}.get(entry["id"], set())  # named as what is not there
    quoted = set(re.findall("“([^”]+)”", entry["look_for"])) - allowed
    assert all(word in said for word in quoted), quoted
