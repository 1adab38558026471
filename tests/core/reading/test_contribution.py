"""Norm-based weights, and what a head writes."""

from dataclasses import replace

import pytest
import torch

from attention_core import capture
from attention_core.models.loading import wrap_model
from attention_core.reading.contribution import (
    HeadWrites,
    contribution_shares,
    contributions,
    frozen,
    head_writes,
    value_norms,
    why_not,
)
from attention_core.reading.readout import Unsaid
from attention_core.record.norms import Norm
from attention_core.record.projections import Found
from tests.support.plain_numbers import contribution_vectors
from tests.support.tiny import FAMILIES, SENTENCE, family, random_model, tokenizer


def trace_of(name: str):
    return capture(family(name), SENTENCE, target="the dog ran" if name in ("bart", "t5") else None)


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "gemma2", "gpt-oss", "t5", "bart", "albert", "deepseek-v3"])
def test_the_contributions_of_all_keys_and_the_bias_sum_to_what_the_layer_wrote(name):
    """Float32, sums of at most 36 products: 1e-5 × max(1, largest)."""
    for layer in trace_of(name).layers:
        o = layer.projections.o
        for query in (0, layer.n_query - 1):
            total = contribution_vectors(layer, query).sum(dim=(0, 1))
            total = total if o.offsets() is None else total + o.offsets()
            size = max(1.0, float(o.written[query].abs().max()))
            assert float((total - o.written[query]).abs().max()) <= 1e-5 * size


@pytest.mark.parametrize("name", ["bert", "llama", "bart"])
def test_a_contribution_is_the_length_of_the_vector_that_a_key_adds(name):
    layer = trace_of(name).layers[-1]
    by_vectors = contribution_vectors(layer, 2).norm(dim=-1)
    for head in range(layer.n_heads):
        torch.testing.assert_close(contributions(layer, head, slice(2, 3))[0], by_vectors[head])


def test_shares_sum_to_one_and_all_heads_at_once_equal_one_by_one():
    layer = trace_of("llama").layers[0]
    rows = slice(3, 8)
    together = contribution_shares(layer, layer.all_weights(rows))
    torch.testing.assert_close(together.sum(dim=-1), torch.ones(6, 5))
    for head in range(6):
        torch.testing.assert_close(
            contribution_shares(layer, layer.weights(head, rows)[None], slice(head, head + 1))[0], together[head]
        )


def test_a_large_weight_on_a_short_value_contributes_little():
    """The case that the measure was made for: a sink whose value is nearly nothing."""
    layer = trace_of("bert").layers[0]
    v = layer.v.clone()
    v[:, 0] *= 1e-3
    short = replace(layer, v=v, found=Found(layer.projections))
    assert (contribution_shares(short, short.all_weights())[:, :, 0] < 0.01).all()
    torch.testing.assert_close(short.all_weights(), layer.all_weights())  # weights know nothing of values


def test_layers_without_a_head_of_their_own_say_why():
    hidden = trace_of("bloom").layers[0]
    assert why_not(hidden) == "this architecture hides its values"
    with pytest.raises(ValueError, match="has no norm-based weights: this architecture hides its values"):
        value_norms(hidden, 0)
    layer = trace_of("bert").layers[0]
    assert why_not(replace(layer, found=None)) == "W_O was not observed"
    gated = trace_of("qwen3.5").layers[0]
    assert why_not(gated) == "a gate stands between the heads and W_O"


def test_a_frozen_norm_is_linear_and_gives_the_norm_itself_for_its_own_input():
    torch.manual_seed(5)
    at, a, b = torch.randn(3, 7)
    for kind in ("rms", "layer"):
        norm = Norm("norm", kind, 1e-6, torch.randn(1, 7), None)
        torch.testing.assert_close(frozen(norm, at, 2 * a - b), 2 * frozen(norm, at, a) - frozen(norm, at, b))
        reference = torch.nn.RMSNorm(7, eps=1e-6) if kind == "rms" else torch.nn.LayerNorm(7, eps=1e-6)
        reference.weight.data = norm.gain[0]
        torch.testing.assert_close(frozen(norm, at, at), reference(at))


def with_language_head(name: str, architecture: str, **changes):
    return wrap_model(random_model(architecture, **{**FAMILIES[name][1], **changes}), tokenizer(), name=name)


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("llama", "LlamaForCausalLM"), ("gpt2", "GPT2LMHeadModel"), ("olmo2", "Olmo2ForCausalLM")],
)
def test_the_writing_of_a_head_moves_the_scores_as_its_direction_in_the_vocabulary_says(name, architecture):
    """Independent: the last norm's gain ÷ spread by hand, times the vocabulary's own vectors."""
    model = with_language_head(name, architecture)
    trace = capture(model, SENTENCE)
    layer, head, query = 1, 2, 6
    one, whole = trace.layers[layer], model.head.whole
    o = one.projections.o
    written = one.output[head, query] @ o.matrix()[o.slots[head]]
    if name == "olmo2":  # norms what attention wrote before it is added
        gain = whole.model.layers[layer].post_attention_layernorm.weight
        written = written * gain / (o.written[query].square().mean() + whole.config.rms_norm_eps).sqrt()
    stream = trace.ending.last_norm.before[query, 0]
    if name == "gpt2":
        norm = whole.transformer.ln_f
        scaled = (written - written.mean()) / (stream.var(correction=0) + norm.eps).sqrt() * norm.weight
    else:
        norm = whole.model.norm
        scaled = written / (stream.square().mean() + norm.variance_epsilon).sqrt() * norm.weight
    change = whole.get_output_embeddings().weight @ scaled
    change = (change - change.mean()).detach()
    found = head_writes(trace, layer, head, query, n=5)
    assert isinstance(found, HeadWrites)
    assert found.says == "Read through the last norm, whose spread is kept."
    order = change.argsort(descending=True)
    assert [moved.id for moved in found.raised] == order[:5].tolist()
    assert [moved.id for moved in found.lowered] == order.flip(0)[:5].tolist()
    # Differences of scores of order 10 in float32.
    torch.testing.assert_close(
        torch.tensor([moved.change for moved in found.raised]), change[order[:5]], atol=1e-5, rtol=1e-4
    )


def test_a_model_that_norms_after_attention_is_read_as_it_is_written():
    found = head_writes(capture(with_language_head("bert", "BertForMaskedLM"), SENTENCE), 0, 1, 4)
    assert isinstance(found, HeadWrites)
    assert found.says.startswith("Read as it is written: the norms that follow")


def test_where_there_are_no_words_a_sentence_says_why():
    trace = trace_of("bert")
    assert "has no language head" in head_writes(trace, 0, 0, 0).reason
    assert "came from a file" in head_writes(replace(trace, ending=None), 0, 0, 0).reason
    both = capture(with_language_head("bart", "BartForConditionalGeneration"), SENTENCE, target="the dog ran")
    encoder = head_writes(both, 0, 0, 0)
    assert isinstance(encoder, Unsaid)
    assert "for the decoder to read" in encoder.reason
    decoder = [i for i, layer in enumerate(both.layers) if layer.kind == "cross"][0]
    assert isinstance(head_writes(both, decoder, 0, 1), HeadWrites)
