"""Weights that a model returns itself: taken by name, and only if they are weights between tokens."""

from types import SimpleNamespace

import pytest
import torch

from attention_core import capture
from attention_core.capturing.given import returned_weights
from attention_core.models.loading import wrap_model
from tests.support import tiny

N_SOURCE, N_TARGET, N_HEADS = 5, 3, 2


def weights(n_query, n_key):
    return torch.rand(1, N_HEADS, n_query, n_key).softmax(dim=-1)


def facts(encoder_decoder=False):
    return tiny.family("bart" if encoder_decoder else "bert").facts


def test_each_field_has_its_kind():
    found = SimpleNamespace(
        encoder_attentions=(weights(5, 5), weights(5, 5)),
        decoder_attentions=(weights(3, 3),),
        cross_attentions=(weights(3, 5),),
    )
    layers, notes = returned_weights(found, facts(encoder_decoder=True), N_SOURCE, N_TARGET)
    kinds = [(layer.kind, layer.index) for layer in layers]
    assert kinds == [("encoder self", 0), ("encoder self", 1), ("decoder self", 0), ("cross", 0)]
    assert notes == []


def test_a_decoder_is_told_by_its_zeros_above_the_diagonal():
    causal = weights(5, 5).tril()
    causal = causal / causal.sum(dim=-1, keepdim=True)
    layers, _ = returned_weights(SimpleNamespace(attentions=(causal, weights(5, 5))), facts(), N_SOURCE, 0)
    assert [layer.kind for layer in layers] == ["decoder self", "encoder self"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (torch.randn(1, N_HEADS, 5, 5), "no weights: their rows do not sum to 1"),  # scores (SqueezeBERT)
        (torch.rand(1, N_HEADS, 5, 5) * 0.01, "no weights: their rows do not sum to 1"),
        (torch.rand(1, N_HEADS, 5, 9).softmax(dim=-1), "not between tokens"),  # by offset (Longformer)
        (torch.rand(1, 5, 7), "not between tokens"),  # no heads (RWKV)
        (None, "not between tokens"),
    ],
)
def test_what_is_no_weights_is_left_out_and_said(given, why):
    layers, notes = returned_weights(SimpleNamespace(attentions=(weights(5, 5), given)), facts(), N_SOURCE, 0)
    assert [layer.index for layer in layers] == [0]
    assert notes == [f"BertModel returns 1 attentions that are {why}. They are left out."]


def test_a_model_that_cannot_leave_its_fused_attention_is_refused():
    """Falcon built for SDPA would return weights without its causal mask: numbers that it never used."""
    sizes = {"hidden_size": 18, "num_attention_heads": 3, "num_hidden_layers": 1}
    fused = tiny.random_model("FalconModel", **sizes)
    assert fused.config._attn_implementation == "sdpa"
    with pytest.raises(ValueError, match="attn_implementation"):
        wrap_model(fused, tiny.tokenizer())
    fused.config._attn_implementation_internal = "eager"
    trace = capture(wrap_model(fused, tiny.tokenizer()), tiny.SENTENCE)
    assert [layer.kind for layer in trace.layers] == ["decoder self"]
