"""What the pictures of a ledger add up: the way of a vector to a layer, what heads write, why scores are scaled."""

from functools import cache
from typing import Any

import pytest
import torch

from attention_core import capture, load_model
from attention_core.formats import wire
from attention_core.ledger.packs import products_pack
from attention_core.ledger.scaling import SIZES, random_scores
from attention_core.ledger.steps import ledger
from attention_core.reading.links import opening_link, strongest_link
from attention_core.trace import Trace
from tests.support import tiny

TARGETS = {"t5", "bart"}


@cache
def traced(name: str) -> Trace:
    return capture(tiny.family(name), tiny.SENTENCE, target="a dog ran" if name in TARGETS else None)


def model_of(trace: Trace) -> Any:
    assert trace.ending is not None
    return trace.ending.model.model


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "gemma2", "t5", "bart"])
def test_the_way_to_a_layer_begins_at_the_table_and_adds_up(name):
    trace = traced(name)
    model = model_of(trace)
    for layer, one in enumerate(trace.layers):
        query = one.n_query - 1
        tensors = ledger(trace, layer, 0, query).step("x").tensors
        side = model.get_decoder() if name in TARGETS and one.kind != "encoder self" else model
        token = trace.query_tokens(layer)[query].id
        torch.testing.assert_close(tensors["embedding"], side.get_input_embeddings().weight[token].detach().float())
        put_in = tensors.get("position", tensors.get("put_in", torch.zeros(())))
        torch.testing.assert_close(tensors["embedding"] + put_in, tensors["start"])
        if "gathered" in tensors:
            after = tensors.get("stream", tensors["x"])
            torch.testing.assert_close(tensors["start"] + tensors["gathered"], after, atol=1e-5, rtol=1e-5)


def test_the_position_is_said_where_there_is_a_table_of_it_and_no_position_where_there_is_none():
    assert "its position: the two are added" in ledger(traced("gpt2"), 1, 0, 2).step("x").says
    assert "the sum normed or scaled" in ledger(traced("bert"), 1, 0, 2).step("x").says
    said = ledger(traced("llama"), 1, 0, 2).step("x").says
    assert "its position" not in said and "Layer 0 has added to it." in said


def test_a_position_that_is_put_in_is_the_row_of_its_table():
    trace = traced("gpt2")
    position = ledger(trace, 0, 0, 3).step("x").tensors["position"]
    torch.testing.assert_close(position, model_of(trace).wpe.weight[3].detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "t5"])
def test_what_this_head_and_the_others_and_the_bias_write_is_what_the_layer_writes(name):
    tensors = ledger(traced(name), 0, 1, 2).step("joined").tensors
    parts = [tensors[part] for part in ("head_write", "others_write", "bias_write") if part in tensors]
    torch.testing.assert_close(torch.stack(parts).sum(dim=0), tensors["written"], atol=1e-5, rtol=1e-4)


def test_random_scores_spread_by_the_root_of_their_size():
    """Var(Σ q·k) = d for independent components of variance 1: 4096 pairs know it to 1 %, 5 % is beyond chance."""
    drawn = random_scores()
    roots = torch.tensor(SIZES).float().sqrt()
    torch.testing.assert_close(drawn["random_spreads"], roots, rtol=0.05, atol=0)
    torch.testing.assert_close(drawn["random_roots"], roots)
    scaled = (drawn["random_scores"] / roots[:, None]).softmax(dim=-1)
    torch.testing.assert_close(drawn["random_scaled_weights"], scaled)


def test_the_spread_of_a_heads_scores_is_that_of_all_its_pairs():
    trace = traced("bert")
    one, tensors = trace.exact(1), ledger(trace, 1, 2, 3).step("scale").tensors
    scores = one.q[2].double() @ one.k[2].double().T
    torch.testing.assert_close(tensors["score_spread"].double(), scores.std(correction=0), rtol=1e-5, atol=1e-6)
    scaled = (scores * one.scale).std(correction=0)
    torch.testing.assert_close(tensors["scaled_spread"].double(), scaled, rtol=1e-5, atol=1e-6)


def test_products_come_with_the_sums_that_they_grow_into():
    meta, arrays = wire.unpack(products_pack(traced("bert"), 1, 2, 3, "scores", 1, 0))
    products = torch.tensor(arrays["products"]).double()
    torch.testing.assert_close(torch.tensor(arrays["sums"]).double(), products.cumsum(0), atol=1e-6, rtol=1e-5)
    assert arrays["sums"][-1] == pytest.approx(meta["total"], abs=1e-5)


def test_under_a_causal_mask_the_opening_link_begins_in_the_middle_and_elsewhere_is_the_strongest():
    causal = capture(load_model("storyteller"), "Once upon a time there was a little fox who lived in the wood")
    n = causal.layers[0].n_query
    for layer in range(len(causal.layers)):
        link = opening_link(causal, layer, 0)
        assert link is not None and n // 3 <= link.query < n - n // 3 and link.key < link.query
    both = capture(load_model("minilm"), "The animal didn't cross the street because it was too tired.")
    assert opening_link(both, 3, 1) == strongest_link(both, 3, 1)
