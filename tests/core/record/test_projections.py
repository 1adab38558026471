"""The linear maps around attention: found without names, verified by numbers, wrong in exactly one place if one is."""

import json
from dataclasses import replace
from functools import cache
from math import cos, pi, sin

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from attention_core import capture, load_trace
from attention_core.capturing import output_projection, recognise, search
from attention_core.models.loading import wrap_model
from attention_core.observe import hooks
from attention_core.observe.interface import collector
from attention_core.record.file import TraceFileError, trace_bytes
from attention_core.record.norms import Norm
from attention_core.record.projections import Found, Rotary
from tests.support import tiny
from tests.support.plain_numbers import without_bias

DECODER_TEXT = "the dog slept and then it ran"  # 7 words


@cache
def captured(name):
    """One trace of a family for all tests that only read it."""
    return captured_from(tiny.family(name))


def captured_from(model):
    return capture(model, tiny.SENTENCE, target=DECODER_TEXT if model.facts.encoder_decoder else None)


@cache
def biased(name):
    """A trace of a family's tiny model whose biases are not 0, so that a missing one is seen."""
    model = tiny.bare(name)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter))
    return captured_from(wrap_model(model, tiny.tokenizer(), name=name))


def changed(trace, layer, **values):
    """The same trace with other projections in one layer."""
    found = Found(replace(trace.layers[layer].projections, **values))
    layers = list(trace.layers)
    layers[layer] = replace(layers[layer], found=found)
    return replace(trace, layers=tuple(layers))


def red(trace, layer, head):
    return [check.name for check in trace.proof(layer, head) if not check.holds]


# --- worked by hand


def test_a_quarter_turn_takes_the_first_channel_of_a_pair_to_the_second():
    """(1, 0) turned by 90° is (0, 1); by 60° it is (1/2, √3/2). Pairs are (0, 2) and (1, 3), or (0, 1) and (2, 3)."""
    angles = torch.tensor([[pi / 2, pi / 3]])  # one token, two pairs
    turns = {"cos": angles.cos(), "sin": angles.sin(), "observed": True}
    split = Rotary("rotary", 0, 4, "half-split", **turns)
    torch.testing.assert_close(split.turn(torch.tensor([[1.0, 1, 0, 0]])), torch.tensor([[0, 0.5, 1, 0.75**0.5]]))
    neighbours = Rotary("rotary", 0, 4, "interleaved", **turns)
    torch.testing.assert_close(neighbours.turn(torch.tensor([[1.0, 0, 1, 0]])), torch.tensor([[0, 1, 0.5, 0.75**0.5]]))


def test_channels_outside_the_turned_ones_stay():
    turned = Rotary("rotary", 1, 2, "interleaved", torch.tensor([[0.0]]), torch.tensor([[1.0]]), observed=True)
    assert turned.turn(torch.tensor([[3.0, 1, 0, 5]])).tolist() == [[3, 0, 1, 5]]


def test_a_fused_map_is_cut_into_q_k_and_v():
    """GPT-2: 15 columns of q, then 15 of k, then 15 of v; heads of 5 channels side by side."""
    found = captured("gpt2").layers[1].projections
    for start, projection in ((0, found.q), (15, found.k), (30, found.v)):
        expected = start + torch.arange(15).view(3, 5)
        assert torch.equal(projection.parts[0].columns, expected)
    assert found.q.parts[0].transposed  # Conv1D keeps its weight as [d_in, d_out]


def test_a_map_interleaved_per_head_is_cut_head_by_head():
    """GPT-NeoX: each head's 12 columns of q, then its 12 of k, then its 12 of v."""
    found = captured("gpt-neox").layers[0].projections
    for offset, projection in ((0, found.q), (12, found.k), (24, found.v)):
        expected = offset + 36 * torch.arange(3)[:, None] + torch.arange(12)
        assert torch.equal(projection.parts[0].columns, expected)


def test_a_scaled_query_has_its_factor():
    """OPT multiplies q, not the scores, by 1/√d_head."""
    layer = captured("opt").layers[0]
    assert (layer.projections.q.factor, layer.projections.k.factor, layer.scale) == (5**-0.5, 1.0, 1.0)


# --- against the model


@pytest.mark.parametrize(
    ("name", "layer", "terms"),
    [
        ("bert", 0, ()),
        ("gpt2", 1, ()),
        ("llama", 0, ("grouped heads", "rotary")),
        ("mistral", 0, ("grouped heads", "rotary", "sliding window")),
        ("gemma2", 1, ("grouped heads", "rotary", "soft-cap")),
        ("gpt-oss", 1, ("grouped heads", "rotary", "sink logit")),
        ("t5", 0, ("relative bias",)),
        ("t5", 3, ()),  # cross-attention has no positions
        ("modernbert", 1, ("rotary", "sliding window")),
        ("gpt-neox", 0, ("rotary",)),
        ("qwen3", 0, ("grouped heads", "q/k norm", "rotary")),
        ("olmo2", 0, ("grouped heads", "q/k norm", "rotary")),
        ("deepseek-v3", 0, ("latent projections", "rotary")),
        ("qwen3.5", 0, ("grouped heads", "q/k norm", "rotary", "gated output")),
        ("bart", 3, ()),
    ],
)
def test_a_layers_terms_are_named_and_only_those(name, layer, terms):
    assert captured(name).layers[layer].terms == terms


@pytest.mark.parametrize("name", [name for name in tiny.FAMILIES if name != "bloom"])
def test_q_k_v_and_the_layers_output_follow_from_x_and_the_weights(name):
    """For all heads and all tokens, also those that the search did not look at."""
    trace = captured(name)
    for layer in trace.layers:
        found = layer.projections
        assert found.missing == ()
        for projection, model in ((found.q, layer.q), (found.k, layer.k), (found.v, layer.v)):
            ours = torch.stack([projection.of(head) for head in range(projection.n_heads)])
            torch.testing.assert_close(ours, model, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.o.of(layer.output), found.o.written, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", [name for name in tiny.FAMILIES if name != "bloom"])
def test_all_heads_at_once_are_what_each_gives_alone(name):
    rows = torch.tensor([0, 2])
    for layer in captured(name).layers:
        found = layer.projections
        for projection in filter(None, (found.q, found.k, found.v)):
            alone = torch.stack([projection.of(head, rows) for head in range(projection.n_heads)])
            torch.testing.assert_close(projection.of_all(rows), alone, rtol=1e-5, atol=1e-5)


def test_a_second_text_is_explained_by_the_maps_of_the_first_without_a_search(monkeypatch):
    model = wrap_model(tiny.bare("bert"), tiny.tokenizer())
    first = captured_from(model).layers[1].projections
    monkeypatch.setattr(search._Search, "_origins", lambda *given: pytest.fail("searched again"))
    trace = capture(model, "then it ran")
    for name in ("q", "k", "v"):
        before, now = getattr(first, name), getattr(trace.layers[1].projections, name)
        assert now.parts[0].module is before.parts[0].module
        assert now.x.shape[0] == len(trace.source_tokens) != before.x.shape[0]
    assert red(trace, 1, 2) == []


def test_what_is_remembered_of_a_module_has_to_hold_again():
    """Other weights in the same module: the old ones explain nothing, and are found out."""
    model = wrap_model(tiny.bare("bert"), tiny.tokenizer())
    old = captured_from(model).layers[0].projections.q.parts[0]
    old.module.weight = nn.Parameter(torch.randn_like(old.weight))
    trace = captured_from(model)
    assert trace.layers[0].projections.q.parts[0].weight.data_ptr() == old.module.weight.data_ptr()
    assert red(trace, 0, 0) == []


def test_x_is_what_the_projection_module_was_fed():
    model = tiny.family("llama")
    fed = {}
    hook = model.model.layers[1].self_attn.q_proj.register_forward_hook(lambda _, args, __: fed.update(x=args[0][0]))
    layer = captured_from(model).layers[1]
    hook.remove()
    assert torch.equal(layer.x_query, fed["x"])
    assert layer.x_query is layer.x_key or layer.x_query.data_ptr() == layer.x_key.data_ptr()  # kept once
    torch.testing.assert_close(
        layer.projections.k.weight(1), model.model.layers[1].self_attn.k_proj.weight[6:12].T, atol=0, rtol=0
    )


def test_cross_attention_reads_keys_and_values_from_the_encoder():
    model = tiny.family("bart")
    trace = captured_from(model)
    layer = trace.layers[3]
    assert layer.x_query.shape == (len(trace.target_tokens), 15)
    assert layer.x_key.shape == (12, 15)
    with torch.inference_mode():
        ids = torch.tensor([[token.id for token in trace.source_tokens]])
        expected = model.model.get_encoder()(ids).last_hidden_state[0]
    torch.testing.assert_close(layer.x_key, expected)


def test_rotary_angles_are_position_times_frequency():
    """RoFormer: pair i of d/2 turns by position · 10000^(-2i/d)."""
    (rotary,) = captured("llama").layers[0].projections.q.steps
    assert isinstance(rotary, Rotary)
    assert (rotary.start, rotary.dims, rotary.layout, rotary.observed) == (0, 6, "half-split", True)
    angles = torch.arange(12)[:, None] * 10000 ** (-torch.arange(3) * 2 / 6)
    torch.testing.assert_close(rotary.cos, angles.cos(), atol=1e-6, rtol=0)
    torch.testing.assert_close(rotary.sin, angles.sin(), atol=1e-6, rtol=0)


def test_without_a_table_the_angles_are_recovered_from_the_numbers(monkeypatch):
    monkeypatch.setattr(hooks.Watcher, "gave_table", lambda *_: None)
    trace = captured_from(tiny.family("llama"))
    (rotary,) = trace.layers[0].projections.q.steps
    assert not rotary.observed
    angles = torch.arange(12)[:, None] * 10000 ** (-torch.arange(3) * 2 / 6)
    torch.testing.assert_close(rotary.cos, angles.cos(), atol=1e-4, rtol=0)
    assert red(trace, 0, 4) == []


def test_a_part_of_the_channels_may_turn():
    (rotary,) = captured("gpt-neox").layers[0].projections.q.steps
    assert (rotary.start, rotary.dims) == (0, 6)  # half of 12


def test_latent_attention_joins_two_maps_in_a_key():
    """DeepSeek: 6 channels from the latent vector, 4 turned ones that all heads share; x is the latent vector."""
    layer = captured("deepseek-v3").layers[0]
    k = layer.projections.k
    assert k.latent
    assert [part.columns.shape[1] for part in k.parts] == [6, 4]
    assert bool((k.parts[1].columns == k.parts[1].columns[0]).all())
    (rotary,) = k.steps
    assert (rotary.start, rotary.dims, rotary.layout) == (6, 4, "interleaved to half-split")
    assert [part.x.shape[1] for part in k.parts] == [11, 36]


def test_a_norm_is_alone_in_its_head_or_over_all_heads():
    one = captured("qwen3").layers[0].projections.q.steps
    assert [type(step) for step in one] == [Norm, Rotary]
    assert one[0].over is None
    every = captured("olmo2").layers[0].projections.k.steps
    assert torch.equal(every[0].over, torch.arange(12))  # 2 heads of 6


def test_stages_are_named_and_end_at_q():
    layer = captured("qwen3").layers[0]
    stages = layer.projections.q.stages(5)
    assert [name for name, _ in stages] == ["projection", "q/k norm", "rotary"]
    normed = stages[1][1]
    torch.testing.assert_close(normed.square().mean(dim=-1), torch.ones(12), atol=1e-4, rtol=0)  # gain 1
    torch.testing.assert_close(stages[2][1].norm(dim=-1), normed.norm(dim=-1))  # turning keeps lengths
    torch.testing.assert_close(stages[2][1], layer.q[5], atol=1e-5, rtol=1e-5)


# --- heads that lengths or likeness do not tell apart

_EXPERTS = {"intermediate_size": 20, "num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 12}
_NORMED = {  # a norm of each head of q and k: after it, with equal gains, every head is as long as any other
    "Qwen3Model": {},
    "Gemma3TextModel": {},
    "Exaone4Model": {},
    "Qwen3MoeModel": _EXPERTS,
    "Dots1Model": {"first_k_dense_replace": 8, "n_group": 1, "topk_group": 1, "n_routed_experts": 2},
}


def normed(architecture, *, gains=False, dtype=torch.float32):
    sizes = {**tiny.FAMILIES["llama"][1], "num_hidden_layers": 6, **_NORMED[architecture]}
    model = tiny.random_model(architecture, **sizes)
    if gains:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "q_norm" in name or "k_norm" in name:
                    parameter.uniform_(0.5, 1.5)
    return wrap_model(model.to(dtype), tiny.tokenizer(specials=False))


def in_order(n_heads, width, start=0, step=None):
    return start + torch.arange(n_heads)[:, None] * (step or width) + torch.arange(width)


@pytest.mark.parametrize("gains", [False, True], ids=["equal gains", "random gains"])
@pytest.mark.parametrize("architecture", _NORMED)
def test_heads_of_one_length_are_told_apart_in_every_layer(architecture, gains):
    trace = capture(normed(architecture, gains=gains), tiny.SENTENCE)
    assert [layer.projections.missing for layer in trace.layers] == [()] * 6
    for index, layer in enumerate(trace.layers):
        assert torch.equal(layer.projections.q.parts[0].columns, in_order(6, 6))
        assert torch.equal(layer.projections.k.parts[0].columns, in_order(2, 6))
        assert red(trace, index, 5) == []


@pytest.mark.parametrize(("dtype", "text"), [(torch.bfloat16, tiny.SENTENCE), (torch.float32, "the cat")])
def test_heads_of_one_length_are_told_apart_in_half_precision_and_in_two_tokens(dtype, text):
    trace = capture(normed("Qwen3Model", dtype=dtype), text)
    assert [layer.projections.missing for layer in trace.layers] == [()] * 6
    assert all(torch.equal(layer.projections.q.parts[0].columns, in_order(6, 6)) for layer in trace.layers)


@pytest.mark.parametrize("turned", [(0, 8), (0, 4), (6, 2)], ids=["all", "the first half", "the last pair"])
@pytest.mark.parametrize("layout", recognise.LAYOUTS)
def test_which_head_is_which_does_not_hang_on_the_last_bit_of_its_length(turned, layout):
    """Seven heads of length 1, each off by as much as rounding does, in an order that their windows have not."""
    for seed in range(4):
        noise = torch.Generator().manual_seed(seed)
        heads = nn.functional.normalize(torch.randn(7, 5, 8, generator=noise), dim=-1)
        angles = torch.rand(5, turned[1] // 2, generator=noise)
        rotary = Rotary("rotary", *turned, layout, angles.cos(), angles.sin(), observed=True)
        target = rotary.turn(heads) * (1 + 1e-7 * torch.randn(7, 5, 1, generator=noise))
        order = torch.randperm(7, generator=noise)
        given = torch.cat([heads[head] for head in order], dim=1)
        found = [
            columns
            for columns in recognise.same_lengths(target, given, 2e-5)
            if recognise.find_turn(target, recognise.columns_of(given, columns), 2e-5) is not None
        ]
        assert torch.equal(found[0], order.argsort()[:, None] * 8 + torch.arange(8))


def test_a_hundred_heads_of_one_length_are_not_tried_against_each_other(monkeypatch):
    """No window fits: each of a few is tried for one head, never every window for every head."""
    tried = []
    find = recognise.find_turn
    monkeypatch.setattr(recognise, "find_turn", lambda *given: tried.append(1) or find(*given))
    noise = torch.Generator().manual_seed(1)
    target, other = (nn.functional.normalize(torch.randn(100, 8, 64, generator=noise), dim=-1) for _ in range(2))
    assert len(list(recognise.same_lengths(target, other.transpose(0, 1).flatten(1), 2e-5))) == 1
    assert len(tried) <= recognise.TRIED


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "qwen3", "gpt-neox"])
@pytest.mark.parametrize("alike", ["equal", "nearly equal", "parallel", "empty"])
def test_heads_that_are_equal_parallel_or_empty_are_found_where_they_stand(name, alike):
    """Grown from shared heads, or pruned to nothing: which of two such windows is the likelier, rounding decides."""
    model = tiny.bare(name, **({"num_key_value_heads": 3} if name in ("llama", "qwen3") else {}))
    step, width = {"bert": (5, 5), "gpt2": (5, 5), "llama": (6, 6), "qwen3": (6, 6), "gpt-neox": (36, 36)}[name]
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for at, parameter in model.named_parameters():
            if not any(part in at for part in ("query.", "key.", "c_attn", "q_proj", "k_proj", "query_key_value")):
                continue
            heads = parameter.mT if "c_attn.weight" in at else parameter  # [column, d_in]: head 0 makes head 1
            first = heads[:width]
            heads[step : step + width] = {
                "equal": first,
                "nearly equal": first + 1e-4 * torch.randn(first.shape, generator=noise),
                "parallel": 2 * first,
                "empty": 0 * first,
            }[alike]
    trace = captured_from(wrap_model(model, tiny.tokenizer(), name=name))
    for index, layer in enumerate(trace.layers):
        assert layer.projections.missing == ()
        assert [red(trace, index, head) for head in range(3)] == [[], [], []]
        columns = layer.projections.q.parts[0].columns
        assert torch.equal(columns, in_order(*columns.shape, step=step))


# --- the residual stream


@pytest.mark.parametrize(
    ("name", "order", "normed"),
    [
        ("bert", "attention, then norm", False),
        ("gpt2", "norm, then attention", False),
        ("gemma2", "norm, then attention", True),
        ("olmo2", "no norm of the stream", True),
    ],
)
def test_what_the_layer_adds_to_the_stream_is_observed(name, order, normed):
    """Layer 1 reads what layer 0 left: its own stream before attention, plus what its W_O wrote, is the next sum."""
    for layer in captured(name).layers:
        residual = layer.projections.residual
        assert (residual.order, residual.factor, residual.norm is not None) == (order, 1.0, normed)


def test_the_stream_is_the_models_own_hidden_state():
    model = tiny.family("llama")
    trace = captured_from(model)
    with torch.inference_mode():
        ids = torch.tensor([[token.id for token in trace.source_tokens]])
        states = model.model(ids, output_hidden_states=True).hidden_states
        layer = model.model.layers[1]
        residual = trace.layers[1].projections.residual
        torch.testing.assert_close(residual.pre, states[1][0])
        mid = residual.mid(trace.layers[1].projections.o.written)
        post = mid + layer.mlp(layer.post_attention_layernorm(mid[None]))[0]
        torch.testing.assert_close(model.model.norm(post), states[2][0], atol=1e-5, rtol=1e-5)


def test_a_layer_that_adds_attention_and_feed_forward_together_has_no_stream_between():
    """GPT-NeoX: both read the same x."""
    assert captured("gpt-neox").layers[0].projections.residual is None


# --- deliberate faults


@pytest.mark.parametrize("name", ["bert", "gpt2", "opt", "gpt-neox", "bart"])
@pytest.mark.parametrize("of", ["q", "k", "v"])
def test_a_dropped_bias_turns_exactly_that_projection_red(name, of):
    trace = biased(name)
    last = len(trace.layers) - 1
    projection = getattr(trace.layers[last].projections, of)
    assert red(trace, last, 1) == []
    assert red(changed(trace, last, **{of: without_bias(projection)}), last, 1) == [of]


@pytest.mark.parametrize("name", ["bert", "llama", "t5", "deepseek-v3"])
def test_a_shifted_slot_turns_w_o_red(name):
    trace = captured(name)
    o = trace.layers[0].projections.o
    slots = o.slots.clone()
    slots[1] = slots[1].roll(1)
    assert red(changed(trace, 0, o=replace(o, slots=slots)), 0, 0) == ["W_O"]


def test_a_rotation_the_other_way_turns_k_red():
    trace = captured("llama")
    k = trace.layers[0].projections.k
    back = replace(k.steps[0], sin=-k.steps[0].sin)
    assert red(changed(trace, 0, k=replace(k, steps=(back,))), 0, 0) == ["k"]


def test_a_norm_left_out_turns_q_red():
    trace = captured("qwen3")
    q = trace.layers[0].projections.q
    assert red(changed(trace, 0, q=replace(q, steps=q.steps[1:])), 0, 0) == ["q"]


def test_a_gate_left_out_turns_w_o_red():
    trace = captured("qwen3.5")
    assert red(changed(trace, 0, o=replace(trace.layers[0].projections.o, gate=None)), 0, 0) == ["W_O"]


# --- what cannot be observed


class _Bent(nn.Module):
    """Looks like a linear map and is none."""

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__()
        self.weight = plain.weight

    def forward(self, x):
        return torch.tanh(x @ self.weight.T)


def test_what_no_linear_map_explains_is_missing_by_name_and_the_rest_closes():
    model = tiny.bare("bert")
    for layer in model.encoder.layer:
        layer.attention.self.key = _Bent(layer.attention.self.key)
    trace = captured_from(wrap_model(model, tiny.tokenizer()))
    assert trace.layers[0].projections.missing == ("k: no linear map that was observed gives it",)
    checks = trace.proof(0, 2)
    assert [check.name for check in checks] == ["q", "v", "mask", "weights", "output", "W_O"]
    assert all(check.holds for check in checks)


def test_an_error_in_the_search_never_stops_a_proof(monkeypatch):
    def fails(*_):
        raise RuntimeError("a shape that nobody foresaw")

    for module in (recognise, search, output_projection):
        monkeypatch.setattr(module, "alike", fails)
    trace = captured_from(tiny.family("bert"))
    assert [check.name for check in trace.proof(0, 0)] == ["mask", "weights", "output"]
    assert len(trace.layers[0].projections.missing) == 4


@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3", "deepseek-v3", "phi3"])
def test_one_token_is_enough(name):
    """At position 0 nothing is turned, so there is no rotation to see (DeepSeek's also sorts channels: seen)."""
    trace = capture(wrap_model(tiny.bare(name), tiny.tokenizer(specials=False)), "cat")
    assert trace.layers[0].n_query == 1
    for index, layer in enumerate(trace.layers):
        assert layer.projections.missing == ()
        assert ("rotary" in layer.terms) == (name == "deepseek-v3")
        assert red(trace, index, 0) == []


# --- hooks


def test_an_error_in_a_hook_never_stops_the_model(monkeypatch):
    def fails(*_):
        raise RuntimeError("a shape that nobody foresaw")

    monkeypatch.setattr(hooks, "_flat", fails)
    trace = captured_from(tiny.family("bert"))
    assert [check.name for check in trace.proof(0, 0)] == ["mask", "weights", "output"]


def test_hooks_are_put_on_once_and_sleep_outside_a_capture():
    model = tiny.family("llama")
    captured_from(model)
    before = [len(module._forward_hooks) for module in model.model.modules()]
    hooks.install(model.model)
    hooks.install(model.model.layers[0])  # a part of it: its leaves have theirs already
    captured_from(model)
    assert [len(module._forward_hooks) for module in model.model.modules()] == before
    assert max(before) == 1
    assert hooks.watcher.get() is None
    assert collector.get() is None


def test_only_what_the_layers_read_and_wrote_is_kept():
    """x once for q, k and v, the stream before its norm, and what W_O gave: three tensors of 12 tokens × 36 a layer."""
    for trace in (captured("llama"), captured_from(tiny.family("llama"))):  # the search over, and not begun
        for layer in trace.layers:
            tensors = layer.observed().values()
            assert len({tensor.untyped_storage().data_ptr() for tensor in tensors}) == 3
            assert {tuple(tensor.shape) for tensor in tensors} == {(12, 36)}


def test_weights_that_rest_on_disk_are_fetched_for_the_proof(tmp_path):
    from accelerate import disk_offload

    model = tiny.family("llama")
    disk_offload(model.model, tmp_path, execution_device=torch.device("cpu"))
    trace = captured_from(model)
    weight = trace.layers[0].projections.q.parts[0].weight
    assert weight.device.type == "meta"  # nothing was copied into the trace
    assert [check.name for check in trace.proof(0, 0)] == ["q", "k", "v", "mask", "weights", "output", "W_O"]
    assert red(trace, 0, 0) == []


# --- files


@pytest.mark.parametrize("name", [name for name in tiny.FAMILIES if name != "bloom"])
def test_projections_are_saved_if_asked_and_prove_the_same_without_the_model(name):
    trace = captured(name)
    again = load_trace(trace_bytes(trace, projections=True))
    for layer, of_layer in enumerate(again.layers):
        checks = again.proof(layer, 1)
        assert [check.name for check in checks] == ["q", "k", "v", "output", "W_O"]
        assert all(check.holds for check in checks)
        assert of_layer.terms == trace.layers[layer].terms
        before, after = trace.layers[layer].projections.residual, of_layer.projections.residual
        assert (before is None) == (after is None)
        if before is not None:
            written = of_layer.projections.o.written
            assert torch.equal(after.mid(written), before.mid(written))
            assert (after.order, after.after is None) == (before.order, before.after is None)
    assert load_trace(trace_bytes(trace, projections=False)).layers[0].projections is None


@pytest.mark.parametrize("change", ["columns", "weight", "x", "cos"])
def test_projections_in_a_damaged_file_are_refused_with_a_sentence(change):
    """Indices outside the weights, sizes that do not fit: refused, never computed with."""
    data = trace_bytes(captured("llama"), projections=True)
    tensors = load(data)
    name = next(name for name in tensors if name.endswith(change))
    tensors[name] = tensors[name] + 1000 if change == "columns" else tensors[name][:-1].clone()
    size = int.from_bytes(data[:8], "little")
    with pytest.raises(TraceFileError, match="was changed"):
        load_trace(save(tensors, json.loads(data[8 : 8 + size])["__metadata__"]))


def test_a_saved_fault_is_still_a_fault():
    trace = biased("gpt2")
    faulty = changed(trace, 0, v=without_bias(trace.layers[0].projections.v))
    assert red(load_trace(trace_bytes(faulty, projections=True)), 0, 0) == ["v"]


def test_half_precision_has_its_own_tolerance():
    model = tiny.bare("llama").to(torch.bfloat16)
    trace = captured_from(wrap_model(model, tiny.tokenizer()))
    checks = {check.name: check for check in trace.proof(0, 0)}
    assert set(checks) == {"q", "k", "v", "mask", "weights", "output", "W_O"}
    assert checks["q"].tolerance >= 3e-2
    assert all(check.holds for check in checks.values())


def test_angles_by_hand_agree_with_python():
    """The reference above uses torch's own cosine: one value with the standard library's."""
    (rotary,) = captured("llama").layers[0].projections.q.steps
    assert float(rotary.cos[7, 1]) == pytest.approx(cos(7 * 10000 ** (-1 / 3)), abs=1e-6)
    assert float(rotary.sin[7, 1]) == pytest.approx(sin(7 * 10000 ** (-1 / 3)), abs=1e-6)
