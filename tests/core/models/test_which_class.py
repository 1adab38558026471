"""`architectures` decides what is built, and a model that reads no text says what it reads."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from attention_core import ModelError, capture, load_model
from tests.commands.matrix.checking import build
from tests.commands.matrix.loading import check_class, classes_of
from tests.commands.matrix.shrinking import tiny_config
from tests.support import tiny

T5 = tiny.FAMILIES["t5"][1]


def saved(folder: Path, model: torch.nn.Module) -> Path:
    model.save_pretrained(folder)  # pyright: ignore[reportCallIssue]
    tiny.tokenizer().save_pretrained(folder)
    return folder


# Each was refused as incomplete, though nothing is missing: `AutoModel` knows one class for each kind.
HALVES = [
    ("T5EncoderModel", T5, "T5EncoderModel", {"encoder self"}),
    ("MT5EncoderModel", T5, "MT5EncoderModel", {"encoder self"}),
    ("UMT5EncoderModel", T5, "UMT5EncoderModel", {"encoder self"}),
    ("T5ForTokenClassification", T5, "T5EncoderModel", {"encoder self"}),
    ("DPRContextEncoder", tiny._BERT, "DPREncoder", {"encoder self"}),
    ("DPRReader", tiny._BERT, "DPRReader", {"encoder self"}),
    ("BartForCausalLM", tiny._BART, "BartDecoderWrapper", {"decoder self"}),
    ("T5ForQuestionAnswering", T5, "T5Model", {"encoder self", "decoder self", "cross"}),
]


@pytest.mark.parametrize(("named", "sizes", "built", "kinds"), HALVES, ids=[half[0] for half in HALVES])
def test_the_class_that_config_json_names_is_built_with_the_weights_it_was_saved_with(
    tmp_path, named, sizes, built, kinds
):
    whole = tiny.random_model(named, **sizes)
    model = load_model(str(saved(tmp_path / "model", whole)))
    assert (model.facts.architecture, model.facts.encoder_decoder) == (built, "cross" in kinds)
    trace = capture(model, tiny.SENTENCE, target="the dog ran" if "cross" in kinds else None)
    assert {layer.kind for layer in trace.layers} == kinds
    assert all(check.holds for layer in range(len(trace.layers)) for check in trace.proof(layer, 0))
    stored = {name: tensor for name, tensor in whole.named_parameters(remove_duplicate=False)}
    for name, tensor in model.model.named_parameters():
        assert any(torch.equal(tensor, other) for key, other in stored.items() if key.endswith(name)), name


def test_the_encoder_of_a_t5_says_what_the_t5_encoder_of_transformers_says(tmp_path):
    whole = tiny.random_model("T5EncoderModel", **T5)
    trace = capture(load_model(str(saved(tmp_path / "t5", whole))), tiny.SENTENCE)
    ids = torch.tensor([[token.id for token in trace.source_tokens]])
    whole.set_attn_implementation("eager")
    with torch.inference_mode():
        theirs = whole(ids, output_attentions=True).attentions
    for ours, weights in zip(trace.layers, theirs, strict=True):
        torch.testing.assert_close(ours.all_weights(), weights[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("named", [["NoSuchModel"], ["LlamaForCausalLM"], ["os.system"], [7], None])
def test_a_name_that_is_no_class_for_the_configuration_is_passed_over(tmp_path, named):
    folder = saved(tmp_path / "bert", tiny.bare("bert"))
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "architectures": named}))
    assert load_model(str(folder)).facts.architecture == "BertModel"


# A sample of transformers' lists by task; the slow lane of the matrix goes through every class that it can name.
SAMPLE = "bert xlnet gpt2 llama t5 dpr"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", SAMPLE.split())
def test_every_class_of_the_task_lists_is_captured_as_it_was_saved(model_type):
    results = [check_class(model_type, cls, damage=False) for cls in classes_of(model_type, every=False)]
    assert results
    assert [result for result in results if result.faults or result.said] == []


# --- models of images and sound

TOWERS = [
    ("clip", "CLIPTextModel"),
    ("siglip", "SiglipTextModel"),
    ("blip", "BlipTextModel"),
    ("altclip", "AltRobertaModel"),
    ("groupvit", "GroupViTTextTransformer"),
    ("clap", "ClapTextModel"),
]


def of_kind(folder: Path, model_type: str) -> tuple[Path, torch.nn.Module]:
    config = tiny_config(model_type)
    name = dict(MODEL_MAPPING_NAMES).get(model_type, "VisionEncoderDecoderModel")
    model = build(getattr(transformers, str(name)), config)
    saved(folder, model)
    file = folder / "config.json"
    settings = json.loads(file.read_text())
    for key in ("begin_suppress_tokens", "suppress_tokens"):  # of a vocabulary that is not tiny
        settings.pop(key, None)
    settings.get("audio_config", {}).pop("num_classes", None)
    file.write_text(json.dumps(settings))
    return folder, model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("model_type", "tower"), TOWERS)
def test_of_a_model_of_text_and_images_or_sound_the_text_tower_is_opened(tmp_path, model_type, tower):
    folder, whole = of_kind(tmp_path / "model", model_type)
    model = load_model(str(folder))
    assert model.facts.architecture == tower
    assert model.report.reservations == ()
    apart = (f"Only the text part of {type(whole).__name__}", "vision_model")  # GroupViT's tower is loaded alone
    assert any(words in one for words in apart for one in model.report.listed)
    trace = capture(model, tiny.SENTENCE)
    assert all(check.holds for layer in range(len(trace.layers)) for check in trace.proof(layer, 0))
    stored = dict(whole.named_parameters())
    for name, tensor in model.model.named_parameters():
        assert any(torch.equal(tensor, other) for key, other in stored.items() if key.endswith(name)), name


UNREAD = [
    ("vit", "reads images"),
    ("wav2vec2", "reads sound"),
    ("whisper", "reads sound"),
    ("vision-encoder-decoder", "reads images"),
    ("hubert", "reads sound"),
    ("audio-spectrogram-transformer", "reads sound"),
    ("vilt", "reads images together with text"),
    ("lxmert", "reads images together with text"),
    ("bros", "reads the places of words on a page together with text"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("model_type", "sentence"), UNREAD)
def test_a_model_that_reads_no_text_alone_says_what_it_reads_before_anything_is_built(
    tmp_path, monkeypatch, model_type, sentence
):
    """A folder of such a model has no tokenizer either; that is not what is said."""
    folder, _ = of_kind(tmp_path / "model", model_type)
    monkeypatch.setattr(PreTrainedModel, "from_pretrained", lambda *_, **__: pytest.fail("it was built"))
    for file in folder.glob("*token*"):
        file.unlink()
    with pytest.raises(ModelError, match=sentence):
        load_model(str(folder))


def test_weights_that_are_stored_under_the_heads_name_come_into_the_body(tmp_path):
    """OpenAI GPT with two heads saves the embedding that body and head share as the head's alone."""
    model = tiny.random_model("OpenAIGPTDoubleHeadsModel", n_embd=15, n_head=3, n_layer=2, n_positions=64)
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    assert "transformer.tokens_embed.weight" not in load_file(tmp_path / "model.safetensors")
    loaded = load_model(str(tmp_path))
    assert torch.equal(loaded.model.tokens_embed.weight, model.transformer.tokens_embed.weight)
    assert loaded.report.reservations == ()
