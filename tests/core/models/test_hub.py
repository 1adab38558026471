"""Fetching from the hub: the hub's own library, with a hub on this machine at the other end."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from attention_core import ModelError, capture, load_model
from attention_core.inside.of_hub import cache_bytes
from attention_core.models import placement
from attention_core.models.hub import fetch
from attention_core.reading.readout import similarity
from tests.support import fake_hub, tiny
from tests.support.fake_hub import hub, refusing, serving, silent

NAME = "somebody/tiny-bert"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A repository with everything that repositories hold."""
    folder = tmp_path_factory.mktemp("hub") / "tiny-bert"
    tiny.bare("bert").save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    (folder / "README.md").write_text("# A model")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "modeling_mine.py").write_text("raise SystemExit('this ran')")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "config.json").write_text("{}")
    (folder / "onnx" / "model.safetensors").write_bytes(b"of another runtime")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    (folder / "2_Dense").mkdir()
    stated = {"in_features": 15, "out_features": 7, "activation_function": "torch.nn.modules.linear.Identity"}
    (folder / "2_Dense" / "config.json").write_text(json.dumps(stated))
    weights = {"linear.weight": torch.rand(7, 15), "linear.bias": torch.rand(7)}
    save_file(weights, folder / "2_Dense" / "model.safetensors")
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "modules.json").write_text(json.dumps(listed("", "1_Pooling", "2_Dense")))
    return folder


def listed(*paths: str) -> list[dict]:
    """A list of modules as sentence encoders have it: these folders, a transformer, a pooling, a dense layer."""
    kinds = ("Transformer", "Pooling", "Dense")
    return [
        {"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in zip(kinds, paths, strict=False)
    ]


def test_only_plain_data_at_the_top_is_fetched(folder, tmp_path):
    with hub(serving({NAME: folder}), tmp_path):
        fetched = fetch(NAME, lambda _: None)
    names = sorted(file.relative_to(fetched).as_posix() for file in fetched.rglob("*") if not file.is_dir())
    assert names == [
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "2_Dense/model.safetensors",
        "config.json",
        "model.safetensors",
        "modules.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_what_would_take_more_of_the_disk_than_models_may_is_refused_with_numbers(folder, tmp_path):
    """Before anything large comes; what is here already is opened whatever the bound."""
    with hub(serving({NAME: folder, "somebody/other": folder}), tmp_path) as asked:
        with pytest.raises(ModelError, match=r"takes 0\.0 MB, and what was fetched before takes 0\.0 of the 0\.0 MB"):
            fetch(NAME, lambda _: None, most_bytes=1_000)
        assert not any("/resolve/" in path and path.endswith("tokenizer.json") for path in asked)
        kept = fetch(NAME, lambda _: None, most_bytes=100_000)
        assert 10_000 < cache_bytes(NAME) == cache_bytes() < 100_000
        assert fetch(NAME, lambda _: None, most_bytes=1_000) == kept
        with pytest.raises(ModelError, match="make room"):
            fetch("somebody/other", lambda _: None, most_bytes=cache_bytes() + 1_000)


@pytest.mark.parametrize(("token", "seen"), [(False, None), ("hf_given", "Bearer hf_given")])
def test_the_hub_sees_the_token_that_is_given_and_no_other(folder, tmp_path, monkeypatch, token, seen):
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_operator")
    shown = set()

    def answer(request):
        shown.add(request.headers.get("authorization"))
        return serving({NAME: folder})(request)

    with hub(answer, tmp_path):
        fetch(NAME, lambda _: None, token=token)
    assert shown == {seen}


def test_progress_is_a_sentence_with_megabytes(folder, tmp_path):
    said: list[str] = []
    with hub(serving({NAME: folder}), tmp_path):
        fetch(NAME, said.append)
    assert said[0] == "Asking the hub for somebody/tiny-bert …"
    assert said[-1] == "Fetching 0 of 0 MB of somebody/tiny-bert …"  # 30 kB
    assert len(said) > 2


def test_a_fetched_model_opens_and_proves_itself(folder, tmp_path):
    with hub(serving({NAME: folder}), tmp_path):
        model = load_model(NAME)
    assert (model.facts.id, model.facts.name) == (NAME, "tiny-bert")
    assert model.sentences is not None and not model.sentences.problem
    assert model.sentences.how == "vector of the first token, then a dense layer to 7"
    assert all(check.holds for check in capture(model, tiny.SENTENCE).proof(1, 2))


def test_a_sentence_encoder_with_its_transformer_in_a_folder_is_fetched_and_opened(folder, tmp_path):
    inner = Path(shutil.copytree(folder, tmp_path / "repository"))
    (inner / "0_Transformer").mkdir()
    for file in list(inner.iterdir()):
        if file.is_file() and file.name != "modules.json":
            file.rename(inner / "0_Transformer" / file.name)
    (inner / "modules.json").write_text(json.dumps(listed("0_Transformer", "1_Pooling", "2_Dense")))
    with hub(serving({NAME: inner}), tmp_path / "cache"):
        model = load_model(NAME)
    with hub(silent, tmp_path / "cache"):
        assert load_model(NAME).facts == model.facts
    assert (model.facts.name, model.facts.n_heads) == ("tiny-bert", 3)
    assert similarity(model, "the cat", "a dog").trained
    assert not list((tmp_path / "cache").rglob("*.py")) and not list((tmp_path / "cache").rglob("*.bin"))


@pytest.mark.parametrize("path", ["..", "onnx/../../x", "*", "[a-z]"])
def test_a_list_of_modules_that_names_other_places_fetches_nothing_of_them(folder, tmp_path, path):
    bad = Path(shutil.copytree(folder, tmp_path / "bad"))
    (bad / "modules.json").write_text(json.dumps(listed("", path)))
    with hub(serving({NAME: bad}), tmp_path / "cache") as asked, pytest.raises(ModelError, match="modules.json"):
        load_model(NAME)
    assert not [address for address in asked if "onnx" in address or "1_Pooling" in address]


def test_a_model_that_was_fetched_before_opens_without_a_network(folder, tmp_path):
    with hub(serving({NAME: folder}), tmp_path):
        fetch(NAME, lambda _: None)
    with hub(silent, tmp_path):
        assert load_model(NAME).facts.n_heads == 3


def test_the_files_are_of_the_revision_that_was_asked_about(folder, tmp_path):
    """The owner uploads another model between the question and the download."""
    later = Path(shutil.copytree(folder, tmp_path / "later"))
    tiny.bare("bert", num_hidden_layers=1).save_pretrained(later)
    moved = fake_hub.moving(NAME, folder, later)
    with hub(moved, tmp_path / "cache"):
        model = load_model(NAME)
    assert (model.facts.n_layers, len(capture(model, tiny.SENTENCE).layers)) == (2, 2)


def test_without_a_network_the_model_that_came_last_is_opened(folder, tmp_path):
    with hub(serving({NAME: folder}), tmp_path):
        fetched = fetch(NAME, lambda _: None)
    with hub(silent, tmp_path):
        assert fetch(NAME, lambda _: None) == fetched
        assert load_model(NAME).facts.n_layers == 2


@pytest.mark.parametrize("half", ["no weights yet", "a part of the weights"])
def test_a_download_that_was_broken_off_is_called_unfinished(folder, tmp_path, half):
    """The settings have come, the weights have not, and the hub no longer answers."""
    with hub(serving({NAME: folder}), tmp_path):
        fetched = fetch(NAME, lambda _: None)
    weights = fetched / "model.safetensors"
    blob = weights.resolve()
    if half == "no weights yet":
        weights.unlink()
    blob.rename(blob.with_name(f"{blob.name}.incomplete"))
    with hub(silent, tmp_path), pytest.raises(ModelError, match=f"The download of {NAME} is not finished") as said:
        load_model(NAME)
    assert "does not answer" in str(said.value)
    assert "Pick the folder" not in str(said.value)


def test_a_second_load_fetches_nothing_again(folder, tmp_path):
    with hub(serving({NAME: folder}), tmp_path):
        fetch(NAME, lambda _: None)
    with hub(serving({NAME: folder}), tmp_path) as asked:
        fetch(NAME, lambda _: None)
    assert [path for path in asked if path.endswith("tokenizer.json")] == []


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (silent, "the model hub does not answer"),
        (refusing(503, ""), "the model hub does not answer"),
        (refusing(401, "RepoNotFound"), "The hub has no model somebody/tiny-bert"),
        (refusing(404, "RepoNotFound"), "The hub has no model somebody/tiny-bert"),
        (refusing(403, "GatedRepo"), "is gated"),
    ],
    ids=["no network", "hub is down", "private or missing", "missing", "gated"],
)
def test_what_the_hub_answers_becomes_a_sentence(tmp_path, answer, sentence, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the library waits before it tries again
    with hub(answer, tmp_path), pytest.raises(ModelError, match=sentence):
        load_model(NAME)


def test_a_repository_with_pickles_only_is_refused_before_anything_is_fetched(folder, tmp_path):
    pickles = Path(shutil.copytree(folder, tmp_path / "pickles"))
    (pickles / "model.safetensors").unlink()
    with hub(serving({NAME: pickles}), tmp_path / "cache") as asked:
        with pytest.raises(ModelError, match="has no safetensors weights"):
            load_model(NAME)
    assert not [path for path in asked if "/resolve/" in path]


def test_a_model_that_is_too_big_is_refused_before_its_weights_are_fetched(folder, tmp_path, monkeypatch):
    n = fake_hub.parameter_counts(folder)["F32"]
    monkeypatch.setattr(placement, "free_memory_bytes", lambda: 4 * n)
    with hub(serving({NAME: folder}), tmp_path), pytest.raises(ModelError, match=r"needs .* GB of memory, and .* free"):
        load_model(NAME)
    assert not list(tmp_path.rglob("*.safetensors"))
    with hub(serving({NAME: folder}), tmp_path):
        assert load_model(NAME, dtype="float16").facts.n_heads == 3  # half of it fits
