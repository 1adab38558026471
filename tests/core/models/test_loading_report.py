"""The model that runs against the one that was saved: nothing is dropped or made up in silence."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from attention_core import ModelError, capture, load_model
from tests.commands.matrix.loading import check_class
from tests.support import tiny


def saved(folder: Path, model: torch.nn.Module) -> Path:
    model.save_pretrained(folder)  # pyright: ignore[reportCallIssue]
    tiny.tokenizer().save_pretrained(folder)
    return folder


def configure(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def put(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Store these beside what is stored."""
    file = folder / "model.safetensors"
    save_file({**load_file(file), **tensors}, file, {"format": "pt"})


def test_relative_positions_that_a_bert_was_saved_with_are_said_beside_every_picture(tmp_path):
    """transformers 5 has none: it adds absolute ones and says nothing, neither of the setting nor of the weights."""
    folder = saved(tmp_path / "bert", tiny.bare("bert"))
    configure(folder, position_embedding_type="relative_key")
    distances = {f"encoder.layer.{i}.attention.self.distance_embedding.weight": torch.randn(127, 5) for i in range(2)}
    put(folder, distances)
    said = capture(load_model(str(folder)), tiny.SENTENCE).reservations
    assert any("2 tensors are stored that BertModel does not use" in one and min(distances) in one for one in said)
    assert any("position_embedding_type to 'relative_key'" in one for one in said)


# Settings that people's config.json files hold: what is not read is said, what is read or changes nothing is not.
SETTINGS = [
    ("bert", {"position_embedding_type": "absolute", "gradient_checkpointing": False, "use_cache": True}, None),
    ("bert", {"position_embedding_type": "relative_key_query"}, "position_embedding_type"),
    ("bert", {"position_embedding_type": "alibi"}, "position_embedding_type"),
    ("albert", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
    ("gpt2", {"n_ctx": 64, "attn_pdrop": 0.1, "reorder_and_upcast_attn": True, "scale_attn_weights": True}, None),
    ("llama", {"rope_theta": 500_000.0, "rope_scaling": None, "attention_bias": False, "pretraining_tp": 1}, None),
    ("llama", {"alibi": True}, "alibi"),
    ("llama", {"sliding_window": 3}, "sliding_window"),
    ("llama", {"qk_layernorm": True}, "qk_layernorm"),
    ("llama", {"use_sliding_window": False, "sliding_window": None, "_flash_attn_2_enabled": True}, None),
    ("gemma2", {"sliding_window": 4, "sliding_window_size": 4, "attn_implementation": "eager"}, None),
    ("mistral", {"sliding_window": 4}, None),
    ("gpt-neox", {"rotary_pct": 0.5, "rotary_emb_base": 10_000, "attention_probs_dropout_prob": 0.1}, None),
    ("bloom", {"offset_alibi": 100, "attention_softmax_in_fp32": True, "masked_softmax_fusion": True}, None),
    ("t5", {"n_positions": 512, "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128}, None),
    ("bart", {"normalize_before": False, "normalize_embedding": True, "static_position_embeddings": False}, None),
    ("modernbert", {"position_embedding_type": "absolute", "global_rope_theta": 160_000.0}, None),
    ("modernbert", {"position_embedding_type": "sans_pos"}, None),  # Ettin, Granite Embedding
    ("modernbert", {"position_embedding_type": "alibi"}, "position_embedding_type"),
    ("bert", {"position_embedding_type": "sans_pos"}, "position_embedding_type"),
    ("bert", {"position_embedding_type": "rope_gptj"}, "position_embedding_type"),
    ("llama", {"position_embedding_type": "rope"}, None),
    ("llama", {"position_embedding_type": "rope_gptj"}, "position_embedding_type"),
    # Qwen's files state a width and a layer for a window that is off.
    ("llama", {"max_window_layers": 28, "use_sliding_window": False, "sliding_window": 32_768}, None),
    ("llama", {"max_window_layers": 28, "sliding_window": None}, None),
    ("llama", {"max_window_layers": 1, "use_sliding_window": True, "sliding_window": None}, "use_sliding_window"),
    ("llama", {"scale_attn_weights": True}, None),  # GPT-J, CodeGen, StarCoder 2
    ("llama", {"scale_attn_weights": False}, "scale_attn_weights"),
    ("gpt2", {"scale_attn_weights": False}, None),
    ("llama", {"clip_qkv": 8.0}, "clip_qkv"),
    ("llama", {"softmax_scale": 0.5}, "softmax_scale"),
    ("llama", {"bidirectional": True}, "bidirectional"),
    ("llama", {"use_qk_norm": True}, "use_qk_norm"),
    ("qwen3", {"use_qk_norm": True}, None),
    ("llama", {"rope_theta": 10_000.0, "rotary_emb_base": 10_000}, None),
    ("llama", {"rope_theta": 10_000.0, "rotary_base": 500}, "rotary_base"),
]


@pytest.mark.parametrize(("family", "settings", "said"), SETTINGS)
def test_a_setting_of_attention_or_positions_that_the_class_does_not_read_is_said(tmp_path, family, settings, said):
    folder = saved(tmp_path / "model", tiny.bare(family))
    configure(folder, **settings)
    found = load_model(str(folder)).report.reservations
    assert len(found) == (said is not None), found
    assert said is None or f"config.json sets {said} to" in found[0]


# Buffers that older versions stored: where the class computes the same, nothing is lost.
def causal(n: int, dtype: torch.dtype = torch.bool) -> Tensor:
    return torch.ones(n, n, dtype=torch.bool).tril()[None, None].to(dtype)


def frequencies(model: torch.nn.Module) -> Tensor:
    return next(buffer for name, buffer in model.named_buffers() if name.endswith("inv_freq")).clone()


BUFFERS: list[tuple[str, Callable[[torch.nn.Module], dict[str, Tensor]], Callable[[Tensor], Tensor]]] = [
    ("bert", lambda _: {"embeddings.position_ids": torch.arange(64)[None]}, lambda ids: ids + 1),
    ("gpt2", lambda _: {"h.0.attn.bias": causal(64)}, torch.ones_like),
    ("gpt2", lambda _: {"h.1.attn.masked_bias": torch.tensor(-1e4)}, torch.zeros_like),
    ("gpt-neox", lambda _: {"layers.0.attention.bias": causal(64, torch.uint8)}, lambda mask: mask.triu()),
    ("gpt-neox", lambda _: {"layers.1.attention.masked_bias": torch.tensor(-1e9)}, torch.zeros_like),
    (
        "gpt-neox",
        lambda model: {"layers.0.attention.rotary_emb.inv_freq": frequencies(model)},
        lambda inv_freq: inv_freq * 2,
    ),
    ("llama", lambda model: {"layers.0.self_attn.rotary_emb.inv_freq": frequencies(model)}, lambda f: f * 2),
    ("llama", lambda model: {"rotary_emb.inv_freq": frequencies(model).bfloat16()}, lambda f: f / 3),
]


@pytest.mark.parametrize("equal", [True, False], ids=["equal", "different"])
@pytest.mark.parametrize(("family", "stored", "changed"), BUFFERS)
def test_a_stored_buffer_is_said_only_if_the_class_computes_another(tmp_path, family, stored, changed, equal):
    model = tiny.bare(family)
    folder = saved(tmp_path / "model", model)
    buffers = stored(model)
    put(folder, buffers if equal else {name: changed(tensor) for name, tensor in buffers.items()})
    said = load_model(str(folder)).report.reservations
    assert len(said) == (not equal), said
    assert equal or next(iter(buffers)) in said[0]


def test_heads_that_are_not_used_are_listed_once_and_are_no_reservation(tmp_path):
    """The two heads of a BERT's training, and what an optimizer left."""
    model = tiny.random_model("BertForPreTraining", **tiny._BERT)
    folder = saved(tmp_path / "bert", model)
    put(folder, {"optimizer.state.0.exp_avg": torch.ones(3), "optimizer.state.1.exp_avg": torch.ones(3)})
    report = load_model(str(folder)).report
    assert report.reservations == ()
    assert len(report.listed) == 1
    assert "cls.seq_relationship" in report.listed[0]
    assert report.listed[0].count("optimizer") == 1


NEVER_READ = [  # as the hub's own checkpoints hold them: t5-small, bart-base, a fine-tuned DistilBERT, ESM-2
    ("T5Model", tiny.FAMILIES["t5"][1], "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"),
    ("BartModel", tiny.FAMILIES["bart"][1], "encoder.version"),
    ("DistilBertModel", {"dim": 15, "n_heads": 3, "n_layers": 2, "hidden_dim": 17}, "vocab_layer_norm.weight"),
    (
        "EsmModel",
        {**tiny.FAMILIES["bert"][1], "hidden_size": 12, "pad_token_id": 0, "position_embedding_type": "rotary"},
        "embeddings.position_embeddings.weight",
    ),
]


@pytest.mark.parametrize(("architecture", "sizes", "name"), NEVER_READ)
def test_what_no_version_of_a_class_reads_is_no_reservation(tmp_path, architecture, sizes, name):
    folder = saved(tmp_path / "model", tiny.random_model(architecture, **sizes))
    put(folder, {name: torch.randn(1) if name.endswith("version") else torch.randn(32, 3)})
    trace = capture(load_model(str(folder)), tiny.SENTENCE)
    assert trace.reservations == ()
    assert trace.verdict().answer == "checked"


def test_absolute_positions_that_are_read_nowhere_are_said_where_the_class_has_no_rotary_ones(tmp_path):
    folder = saved(tmp_path / "model", tiny.bare("bloom"))
    put(folder, {"embeddings.position_embeddings.weight": torch.randn(64, 15)})
    assert len(load_model(str(folder)).report.reservations) == 1


def test_a_pooler_that_was_not_saved_is_listed_as_made_up(tmp_path):
    folder = saved(tmp_path / "bert", tiny.bare("bert"))
    file = folder / "model.safetensors"
    save_file({name: one for name, one in load_file(file).items() if "pooler" not in name}, file, {"format": "pt"})
    report = load_model(str(folder)).report
    assert report.reservations == ()
    assert any("made up at random" in one and "pooler" in one for one in report.listed)


def test_a_bias_of_the_language_head_that_is_dropped_is_said(tmp_path):
    folder = saved(tmp_path / "gpt2", tiny.random_model("GPT2LMHeadModel", **tiny.FAMILIES["gpt2"][1]))
    put(folder, {"lm_head.bias": torch.ones(len(tiny.WORDS))})
    said = load_model(str(folder)).report.reservations
    assert len(said) == 1
    assert "lm_head.bias" in said[0]
    assert "What the saved model says may differ" in said[0]


def test_layers_beyond_those_that_config_json_states_are_said(tmp_path):
    folder = saved(tmp_path / "llama", tiny.bare("llama"))
    configure(folder, num_hidden_layers=1)
    said = load_model(str(folder)).report.reservations
    assert len(said) == 1
    assert "layers.1.input_layernorm.weight" in said[0]


def test_position_embeddings_at_the_top_of_a_model_that_has_none_are_said(tmp_path):
    folder = saved(tmp_path / "llama", tiny.bare("llama"))
    put(folder, {"wpe.weight": torch.randn(64, 36), "score.weight": torch.randn(2, 36)})
    report = load_model(str(folder)).report
    assert ["wpe.weight" in one for one in report.reservations] == [True]
    assert ["score" in one for one in report.listed] == [True]


def test_old_names_of_norms_are_understood_and_nothing_is_said(tmp_path):
    """gamma and beta, as checkpoints of TensorFlow call them."""
    folder = saved(tmp_path / "bert", tiny.bare("bert"))
    file = folder / "model.safetensors"
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    tensors = {}
    for name, tensor in load_file(file).items():
        for new, older in old.items():
            name = name.replace(new, older)
        tensors[f"bert.{name}"] = tensor
    save_file(tensors, file, {"format": "pt"})
    report = load_model(str(folder)).report
    assert (report.reservations, report.listed) == ((), ())


def test_weights_of_another_architecture_are_not_called_a_bad_download(tmp_path):
    """Everything was downloaded; config.json names a class that they do not belong to."""
    folder = saved(tmp_path / "model", tiny.bare("bert"))
    configure(folder, model_type="distilbert", architectures=["DistilBertModel"])
    with pytest.raises(ModelError, match="its config.json names another architecture") as refused:
        load_model(str(folder))
    assert "again" not in str(refused.value)


# One of each way of making q, k and v; `make matrix ARGS=--loading` goes through all.
SAMPLE = "bert albert gpt2 gpt_neox llama qwen3 mixtral t5 deberta bloom"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_type", SAMPLE.split())
def test_one_attention_weight_less_is_refused_and_one_more_is_said(model_type):
    result = check_class(model_type)
    assert (result.faults, result.said) == ((), "")
