"""What a tokenizer knows of a text, and a first text that it can read."""

import shutil

import pytest

from attention_core import capture, load_model
from attention_core.capturing.vocabulary import first_text, reads
from tests.support.known_heads import bracketed_tokenizer, molecules, neighbour_model
from tests.support.tiny import SENTENCE, family

USUAL = "The animal didn't cross the street because it was too tired."


def test_a_text_that_is_mostly_unknown_is_said_and_one_that_is_known_is_not():
    model = neighbour_model(bracketed_tokenizer())
    notes = capture(model, "the cat [A0+] sat on").notes
    assert len(notes) == 1
    assert "4 of 5 tokens are [UNK]" in notes[0]
    assert not capture(model, "[A0+][B0+] cat").notes
    assert not capture(family("bert"), SENTENCE).notes


def test_the_first_text_is_one_that_the_model_can_read():
    model = neighbour_model(bracketed_tokenizer())
    assert not reads(model, USUAL)
    found = first_text(model, USUAL)
    assert "vocabulary" in found.says
    tokens = [token for token in capture(model, found.text).tokens if not token.special]
    assert len(tokens) == 10
    assert all(token.id != model.tokenizer.unk_token_id for token in tokens)
    assert first_text(model, molecules(1)[0]).says == ""


@pytest.mark.parametrize(
    ("readme", "own"),
    [
        ("---\nlicense: mit\nwidget:\n- text: '[A0+][C0+][B0+]'\n---\nwords", True),
        ("---\nwidget:\n- text: the cat sat\n---\n", False),
        ("---\nwidget: [\n---\n", False),
        ("---\nwidget: " + "[" * 9_000 + "\n---\n", False),
        ("no front matter", False),
    ],
    ids=["example", "unknown", "broken", "deep", "none"],
)
def test_a_folders_own_example_comes_first_if_the_model_can_read_it(tmp_path, readme: str, own: bool):
    made = neighbour_model(bracketed_tokenizer())
    made.model.save_pretrained(tmp_path)
    made.tokenizer.save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text(readme)
    model = load_model(str(tmp_path))
    found = first_text(model, USUAL)
    assert (found.text == "[A0+][C0+][B0+]") is own
    assert ("own example" in found.says) is own
    shutil.rmtree(tmp_path)
