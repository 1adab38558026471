import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors.torch import load_file, save_file

from attention_core import ModelError, load_model, models
from attention_core.catalogue import CATALOGUE, DEFAULT, find_card
from tests import tiny


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A tiny random BERT as save_pretrained writes it."""
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    tiny.bare("bert").save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(saved, tmp_path / "tiny-bert"))


def test_the_bundled_model_has_the_facts_it_is_known_for():
    facts = load_model("minilm").facts
    assert (facts.architecture, facts.n_layers, facts.n_heads, facts.d_model, facts.d_head) == (
        "BertModel",
        6,
        12,
        384,
        32,
    )
    assert facts.n_parameters == 22_713_216
    assert facts.context_length == 512
    assert facts.licence == "Apache-2.0"


def test_a_wrong_checksum_is_refused(monkeypatch, folder):
    card = DEFAULT.__class__(**{**{f: getattr(DEFAULT, f) for f in DEFAULT.__slots__}, "sha256": "0" * 64})
    monkeypatch.setattr(models, "find_card", lambda name: card)
    with pytest.raises(ModelError, match="not the official ones"):
        load_model("minilm")


def test_a_folder_opens_with_the_weights_it_holds(saved):
    model = load_model(str(saved))
    stored = load_file(saved / "model.safetensors")
    assert torch.equal(
        model.model.state_dict()["embeddings.word_embeddings.weight"], stored["embeddings.word_embeddings.weight"]
    )
    assert (model.facts.name, model.facts.n_heads, model.facts.d_head, model.facts.context_length) == (
        "tiny-bert",
        3,
        5,
        64,
    )


def test_folders_can_be_off(saved):
    with pytest.raises(ModelError, match="does not open folders"):
        load_model(str(saved), allow_folders=False)


def test_the_hub_can_be_off():
    with pytest.raises(ModelError, match="only the models that came with it"):
        load_model("openai-community/gpt2", allow_hub=False)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "Choose a model"),
        ("/no/such/folder", "There is no folder"),
        ("../somewhere", "There is no folder"),
        ("two words", "is not a model's name"),
        ("<b>x</b>", "is not a model's name"),
        ("a\x00b", "hub id looks like owner/name"),
        ("x" * 5_000, "hub id looks like owner/name"),
    ],
)
def test_a_name_that_cannot_be_one_gets_a_sentence(name, sentence):
    with pytest.raises(ModelError, match=sentence):
        load_model(name)


def remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def leave_a_pickle(folder: Path) -> None:
    remove_weights(folder)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weights": 1}))


def cut_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def lose_a_weight(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    del tensors["encoder.layer.1.attention.self.query.weight"]
    save_file(tensors, file, {"format": "pt"})


def lie_about_sizes(folder: Path) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "hidden_size": 30}))


def bring_code(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": {"AutoModel": "code.Mine"}}))
    (folder / "code.py").write_text("raise SystemExit('this ran')")


def unknown_architecture(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "nobody-knows"}')


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def remove_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def remove_tokenizer(folder: Path) -> None:
    for file in folder.glob("*token*"):
        file.unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (remove_weights, "has no weights"),
        (leave_a_pickle, "a pickle can run code"),
        (cut_weights, "are damaged"),
        (lose_a_weight, "incomplete: 1 are missing, the first is encoder.layer.1.attention.self.query.weight"),
        (lie_about_sizes, "do not have the sizes that its config.json states"),
        (bring_code, "its own code, which Sightline never runs"),
        (unknown_architecture, "transformers does not know it"),
        (break_config, "cannot be read as JSON"),
        (remove_config, "has no config.json"),
        (remove_tokenizer, "has no tokenizer"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_damaged_folder_gets_a_sentence(folder, damage, sentence):
    damage(folder)
    with pytest.raises(ModelError, match=sentence):
        load_model(str(folder))


class _Response:
    """As much of a response as the hub's errors want to see."""

    headers: dict[str, str] = {}
    request = None
    status_code = 404
    text = ""

    def json(self):
        return {}


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (LocalEntryNotFoundError("offline"), "the model hub does not answer"),
        (ConnectionError("no route"), "the model hub does not answer"),
        (RepositoryNotFoundError("404", response=_Response()), "The hub has no model owner/name"),
        (GatedRepoError("403", response=_Response()), "is gated"),
        (OSError("owner/name is not a local folder and is not a valid model identifier"), "The hub has no model"),
        (OSError("owner/name does not appear to have a file named model.safetensors"), "no safetensors weights"),
        (MemoryError(), "does not fit in this machine's memory"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_hub_answers_becomes_a_sentence(monkeypatch, error, sentence):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(models.AutoConfig, "from_pretrained", fail)
    with pytest.raises(ModelError, match=sentence):
        load_model("owner/name")


def test_without_a_network_a_hub_model_gets_a_sentence():
    """The real path to the hub, with HF_HUB_OFFLINE set by the test run."""
    with pytest.raises(ModelError, match="model hub does not answer"):
        load_model("openai-community/gpt2")


def test_cards_are_found_by_name_and_by_hub_id():
    assert find_card("minilm") is CATALOGUE[0] is DEFAULT
    assert find_card("openai-community/gpt2") is find_card("gpt2")
    assert find_card("nobody") is None
    assert len({card.id for card in CATALOGUE}) == len(CATALOGUE)
