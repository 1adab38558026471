"""How alike two sentences are, against `sentence_transformers`' own `encode` on the same folder."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import CNN, Dropout, LayerNorm, Pooling, WordWeights
from torch import nn

from attention_core import ModelError, capture, load_model
from attention_core.models.facts import LoadedModel
from attention_core.reading.readout import Similarity, similarity
from tests.support import tiny

FIRST, SECOND = "the cat sat on a mat while", "a dog ran far away"
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
OLD_KEYS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
D = 15  # of the tiny BERT


@pytest.fixture(scope="module")
def bodies(tmp_path_factory) -> dict[str, Path]:
    """Tiny random bodies with their tokenizer, as `save_pretrained` writes them."""
    root = tmp_path_factory.mktemp("bodies")
    for name in ("bert", "gpt2", "t5", "bart"):
        tiny.bare(name).save_pretrained(root / name)
        tiny.tokenizer(specials=name != "gpt2").save_pretrained(root / name)
    return {folder.name: folder for folder in root.iterdir()}


def dense(n_in: int, n_out: int, activation: nn.Module, **options: Any) -> Dense:
    torch.manual_seed(n_in + n_out)
    made = Dense(n_in, n_out, activation_function=activation, **options)
    nn.init.normal_(made.linear.weight, std=0.5)
    return made


def saved(body: Path, folder: Path, *modules: nn.Module, **options: Any) -> Path:
    """A sentence encoder as `sentence_transformers` saves it."""
    made = SentenceTransformer(modules=[Transformer(str(body)), *modules], device="cpu", **options)
    made.save_pretrained(str(folder), create_model_card=False)
    return folder


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def own(folder: Path) -> tuple[torch.Tensor, float]:
    """Both vectors as the library makes them, and what it calls their similarity."""
    library = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    vectors = library.encode([FIRST, SECOND], convert_to_tensor=True).float()
    return vectors, float(library.similarity(vectors[:1], vectors[1:]))


def agrees(folder: Path, tolerance: float = 1e-5) -> Similarity:
    """Our similarity of the two sentences, which must be the library's and called the model's own."""
    vectors, score = own(folder)
    found = similarity(load_model(str(folder)), FIRST, SECOND)
    assert found.cosine == pytest.approx(float(torch.cosine_similarity(*vectors, dim=0)), abs=tolerance)
    assert found.trained
    assert found.score == pytest.approx(score, abs=tolerance * max(1.0, abs(score)))
    return found


@pytest.mark.parametrize("with_dense", [False, True], ids=["alone", "dense"])
@pytest.mark.parametrize("mode", MODES)
def test_every_pooling_is_that_of_encode(bodies, tmp_path, mode, with_dense):
    more = [dense(D, 7, nn.Tanh()), Normalize()] if with_dense else []
    agrees(saved(bodies["bert"], tmp_path / "model", Pooling(D, mode), *more))


@pytest.mark.parametrize("mode", MODES)
def test_every_pooling_is_read_in_the_old_keys_too(bodies, tmp_path, mode):
    folder = saved(bodies["bert"], tmp_path / "model", Pooling(D, mode))
    stated = {"word_embedding_dimension": D, **{key: name == mode for name, key in OLD_KEYS.items()}}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(stated))
    agrees(folder)


def test_several_poolings_stand_one_after_the_other_before_a_dense_layer(bodies, tmp_path):
    pooling = Pooling(D, ("mean", "cls", "max"))
    agrees(saved(bodies["bert"], tmp_path / "model", pooling, dense(3 * D, 11, nn.Identity(), bias=False)))
    folder = saved(bodies["bert"], tmp_path / "old", Pooling(D, ("cls", "mean")), dense(2 * D, 11, nn.Tanh()))
    stated = {"word_embedding_dimension": D, OLD_KEYS["mean"]: True, OLD_KEYS["cls"]: True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(stated))
    agrees(folder)


@pytest.mark.parametrize("activation", [nn.Identity(), nn.ReLU(), nn.GELU(), nn.Sigmoid(), nn.SiLU()], ids=str)
def test_a_dense_layer_has_its_own_activation(bodies, tmp_path, activation):
    agrees(saved(bodies["bert"], tmp_path / "model", Pooling(D, "mean"), dense(D, 7, activation)))


def test_modules_are_applied_in_the_order_that_the_file_gives(bodies, tmp_path):
    """Normalising before a dense layer with a bias is another thing than after it."""
    folder = saved(
        bodies["bert"], tmp_path / "model", Pooling(D, "mean"), Normalize(), dense(D, 7, nn.Tanh()), Dropout(0.3)
    )
    before = agrees(folder).cosine
    file = folder / "modules.json"
    modules = json.loads(file.read_text())
    modules[2], modules[3] = modules[3], modules[2]
    file.write_text(json.dumps(modules))
    assert agrees(folder).cosine != pytest.approx(before, abs=1e-3)


def test_layers_that_were_not_asked_for_by_name_are_applied_too(bodies, tmp_path):
    """A layer norm, a dense layer that adds what it read, one that works on every token before they are pooled."""
    norm = LayerNorm(D)
    nn.init.normal_(norm.norm.weight)
    nn.init.normal_(norm.norm.bias)
    agrees(saved(bodies["bert"], tmp_path / "norm", Pooling(D, "mean"), norm))
    agrees(saved(bodies["bert"], tmp_path / "adds", Pooling(D, "mean"), dense(D, D, nn.Tanh(), use_residual=True)))
    agrees(saved(bodies["bert"], tmp_path / "adds7", Pooling(D, "mean"), dense(D, 7, nn.Tanh(), use_residual=True)))
    tokens = dense(D, 7, nn.Tanh(), module_input_name="token_embeddings")
    agrees(saved(bodies["bert"], tmp_path / "tokens", tokens, Pooling(7, "max")))


@pytest.mark.parametrize("name", ["gpt2", "t5", "bart"])
def test_bodies_of_other_kinds_are_pooled_as_encode_pools_them(bodies, tmp_path, name):
    """T5's encoder is read alone; BART's decoder reads the whole text; a decoder's vectors are causal."""
    for mode in ("lasttoken", "weightedmean"):
        folder = saved(bodies[name], tmp_path / mode, Pooling(D, mode), Normalize())
        for file in ("config.json", "model.safetensors"):  # the library saves T5's encoder only: here is the whole
            shutil.copy(bodies[name] / file, folder / file)
        agrees(folder)


def test_a_layout_with_the_transformer_in_a_folder_of_its_own_opens(bodies, tmp_path):
    folder = saved(bodies["bert"], tmp_path / "model", Pooling(D, "mean"), dense(D, 7, nn.Tanh()))
    (folder / "0_Transformer").mkdir()
    for file in list(folder.iterdir()):
        if file.is_file() and file.name not in ("modules.json", "config_sentence_transformers.json"):
            shutil.move(file, folder / "0_Transformer" / file.name)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    agrees(folder)
    model = load_model(str(folder))
    assert model.facts.name == "model"
    assert all(check.holds for check in capture(model, FIRST).proof(1, 2))


def test_a_default_prompt_is_put_before_each_sentence_and_said(bodies, tmp_path):
    prompts = {"query": "it ran then ", "document": "a mat "}
    options = {"prompts": prompts, "default_prompt_name": "query"}
    folder = saved(bodies["bert"], tmp_path / "model", Pooling(D, "mean"), **options)
    found = agrees(folder)
    assert "“it ran then ”" in found.words and "was put before each sentence" in found.words
    assert found.read[1] == ("[CLS]", "it", "ran", "then", *SECOND.split(), "[SEP]")
    notes = capture(load_model(str(folder)), FIRST).notes
    assert any("“it ran then ”" in note and "not added" in note for note in notes)


@pytest.mark.parametrize("mode", MODES)
def test_a_prompt_that_is_not_pooled_is_read_all_the_same(bodies, tmp_path, mode):
    options = {"prompts": {"task": "it ran then "}, "default_prompt_name": "task"}
    agrees(saved(bodies["bert"], tmp_path / "model", Pooling(D, mode, include_prompt=False), **options))


def test_prompts_without_a_default_are_named_and_not_added(bodies, tmp_path):
    prompts = {"query": "it ran then ", "document": ""}
    found = agrees(saved(bodies["bert"], tmp_path / "model", Pooling(D, "mean"), prompts=prompts))
    assert "“query”" in found.words and "none was added" in found.words
    assert "it ran" not in " ".join(found.read[0])


def test_a_sentence_is_cut_where_encode_cuts_it_and_lower_cased_where_it_is(bodies, tmp_path):
    folder = saved(bodies["bert"], tmp_path / "model", Pooling(D, "mean"))
    change(folder / "sentence_bert_config.json", max_seq_length=6, do_lower_case=True)
    found = agrees(folder)
    assert found.read[0] == ("[CLS]", "the", "cat", "sat", "on", "[SEP]")
    assert "6 tokens" in found.words
    model = load_model(str(folder))
    library = SentenceTransformer(str(folder), device="cpu")
    vectors = library.encode(["The CAT sat", "A Dog ran"], convert_to_tensor=True)
    found = similarity(model, "The CAT sat", "A Dog ran")
    assert found.cosine == pytest.approx(float(torch.cosine_similarity(*vectors, dim=0)), abs=1e-5)
    assert [token.text for token in capture(model, "The CAT").tokens] == ["[CLS]", "the", "cat", "[SEP]"]


@pytest.mark.parametrize("function", ["dot", "euclidean", "manhattan"])
def test_a_model_that_compares_in_another_way_has_that_number_too(bodies, tmp_path, function):
    found = agrees(saved(bodies["bert"], tmp_path / "model", Pooling(D, "mean"), similarity_fn_name=function))
    assert found.function == function


def test_vectors_that_are_cut_short_are_compared_as_they_are_cut(bodies, tmp_path):
    agrees(saved(bodies["bert"], tmp_path / "model", Pooling(D, "mean"), truncate_dim=5))


def test_a_model_stored_in_bfloat16_agrees_to_its_precision(bodies, tmp_path):
    """8 bits of mantissa: a rounding is up to 1/256 of a number, a cosine averages over 15 of them."""
    folder = saved(bodies["bert"], tmp_path / "model", Pooling(D, "mean"), dense(D, 7, nn.Tanh()))
    library = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": "bfloat16"})
    library.save_pretrained(str(tmp_path / "half"), create_model_card=False)
    vectors, _ = own(tmp_path / "half")
    model = load_model(str(tmp_path / "half"), dtype="stored")
    assert model.dtype == torch.bfloat16
    expected = float(torch.cosine_similarity(*vectors, dim=0))
    assert similarity(model, FIRST, SECOND).cosine == pytest.approx(expected, abs=2e-2)


def refuses(folder: Path, part: str) -> None:
    found = similarity(load_model(str(folder)), FIRST, SECOND)
    assert not found.trained
    assert part in found.words


def test_what_cannot_be_applied_is_said_and_no_number_is_called_the_models_own(bodies, tmp_path):
    pooling = Pooling(D, "mean")
    weights = WordWeights(["the", "cat"], {"the": 0.5})
    refuses(saved(bodies["bert"], tmp_path / "words", weights, pooling), "WordWeights")
    refuses(saved(bodies["bert"], tmp_path / "cnn", CNN(D, 3), Pooling(CNN(D, 3).get_embedding_dimension())), "CNN")
    pickled = saved(bodies["bert"], tmp_path / "pickled", pooling, dense(D, 7, nn.Tanh()))
    torch.save(dense(D, 7, nn.Tanh()).state_dict(), pickled / "2_Dense" / "pytorch_model.bin")
    (pickled / "2_Dense" / "model.safetensors").unlink()
    refuses(pickled, "2_Dense")
    odd = saved(bodies["bert"], tmp_path / "odd", pooling, dense(D, 7, nn.Tanh()))
    change(odd / "2_Dense" / "config.json", activation_function="torch.hub.load")
    refuses(odd, "torch.hub.load")
    unknown = saved(bodies["bert"], tmp_path / "unknown", pooling)
    change(unknown / "1_Pooling" / "config.json", pooling_mode="median")
    refuses(unknown, "median")
    foreign = saved(bodies["bert"], tmp_path / "foreign", pooling, Normalize())
    modules = json.loads((foreign / "modules.json").read_text())
    modules[2]["type"] = "custom_code.Normalize"
    (foreign / "modules.json").write_text(json.dumps(modules))
    refuses(foreign, "custom_code.Normalize")


def test_a_folder_that_says_nothing_of_sentences_has_no_number_of_its_own(bodies):
    found = similarity(load_model(str(bodies["bert"])), FIRST, SECOND)
    assert not found.trained
    assert "rough measure" in found.words


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", "a/../../b", "C:\\x", "1_Pooling\0", 7, None])
def test_a_path_that_leads_out_of_the_folder_is_refused(bodies, tmp_path, path):
    folder = saved(bodies["bert"], tmp_path / "model", Pooling(D, "mean"))
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["path"] = path
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="modules.json"):
        load_model(str(folder))


def test_a_folder_of_modules_that_lies_elsewhere_is_refused(bodies, tmp_path):
    folder = saved(bodies["bert"], tmp_path / "model", Pooling(D, "mean"))
    shutil.move(folder / "1_Pooling", tmp_path / "elsewhere")
    (folder / "1_Pooling").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="link"):
        load_model(str(folder))


@pytest.mark.parametrize("content", ["[" * 1_000_000, "{}", "[]", "[1]", '[{"path": ""}]', "7"])
def test_a_broken_list_of_modules_is_said(bodies, tmp_path, content):
    folder = Path(shutil.copytree(bodies["bert"], tmp_path / "model"))
    (folder / "modules.json").write_text(content)
    refuses(folder, "modules.json")


def test_a_pair_in_a_causal_sentence_encoder_is_compared(bodies, tmp_path):
    model = load_model(str(saved(bodies["gpt2"], tmp_path / "model", Pooling(D, "lasttoken"))))
    readout = capture(model, FIRST, SECOND).readout()
    assert isinstance(readout, Similarity) and readout.trained


def test_the_bundled_model_is_compared_as_the_library_compares_it():
    model: LoadedModel = load_model("minilm")
    folder = Path(str(model.model.config.name_or_path))
    found = agrees_with(model, folder)
    assert found.trained


def agrees_with(model: LoadedModel, folder: Path) -> Similarity:
    vectors, _ = own(folder)
    found = similarity(model, FIRST, SECOND)
    assert found.cosine == pytest.approx(float(torch.cosine_similarity(*vectors, dim=0)), abs=1e-5)
    return found
