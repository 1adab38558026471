"""Layers without attention are named beside those with it; no picture is invented for them."""

import torch
from torch import nn

from attention_core import capture, load_trace
from attention_core.models.loading import wrap_model
from attention_core.observe.hybrids import layers_that_run, other_layers
from attention_core.record.file import trace_bytes
from tests.support import tiny


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.Linear(5, 5)
        self.mlp = nn.Linear(5, 7)

    def forward(self, x):
        return self.attention(x)


class Convolving(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(5, 5, 1)
        self.mlp = nn.Linear(5, 7)

    def forward(self, x):
        return x


class Hybrid(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([Convolving(), Attending(), Convolving()])
        self.norms = nn.ModuleList([nn.LayerNorm(5), nn.LayerNorm(5)])

    def forward(self, x, n_layers=3):
        for layer in self.layers[:n_layers]:
            x = layer(x)
        return self.norms[0](x)


def others_of(model, **options):
    with layers_that_run(model) as ran:
        model(torch.zeros(1, 5), **options)
    return other_layers(model, ran, [model.layers[1].attention])


def test_a_layer_without_a_call_is_named_with_what_it_has_instead():
    assert others_of(Hybrid()) == ("layers.0: conv (Conv1d)", "layers.2: conv (Conv1d)")


def test_a_layer_that_did_not_run_is_not_named():
    assert others_of(Hybrid(), n_layers=2) == ("layers.0: conv (Conv1d)",)


def test_nothing_is_collected_outside_of_the_block():
    model = Hybrid()
    with layers_that_run(model) as ran:
        pass
    model(torch.zeros(1, 5))
    assert not ran


def test_a_captured_hybrid_names_its_other_layers_and_a_saved_trace_keeps_them():
    sizes = {
        "hidden_size": 24,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "num_hidden_layers": 2,
        "intermediate_size": 28,
        "layer_types": ["conv", "full_attention"],
        "pad_token_id": 0,
    }
    trace = capture(wrap_model(tiny.random_model("Lfm2Model", **sizes), tiny.tokenizer()), tiny.SENTENCE)
    assert [layer.kind for layer in trace.layers] == ["decoder self"]
    assert trace.other_layers == ("layers.0: conv (Lfm2ShortConv)",)
    assert trace.notes == ("1 layer makes no attention call that could be observed: layers.0: conv (Lfm2ShortConv).",)
    assert load_trace(trace_bytes(trace)).other_layers == trace.other_layers


def test_a_model_of_one_kind_has_none():
    assert capture(tiny.family("bert"), tiny.SENTENCE).other_layers == ()
    assert capture(tiny.family("t5"), tiny.SENTENCE).other_layers == ()
