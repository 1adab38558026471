"""Rollout and flow across layers."""

import itertools

import networkx
import pytest
import torch

from attention_core import capture
from attention_core.reading.flow import (
    MOST_FLOW_TOKENS,
    combined_weights,
    flow,
    rollout,
    rollout_of,
    self_attention,
    with_residual,
)
from tests.support.tiny import SENTENCE, family

# Layer 0: token 1 reads token 0. Layer 1: token 2 reads token 1. Everybody else reads only itself.
FIRST = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 0, 1]])
SECOND = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 0]])


def random_weights(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3)).softmax(dim=-1)


def test_rollout_of_a_case_worked_by_hand_in_which_the_order_matters():
    """With the residual: A'0 = [[1,0,0],[½,½,0],[0,0,1]], A'1 = [[1,0,0],[0,1,0],[0,½,½]].

    Token 2 at the top is half token 1, half itself; token 1 was half token 0, half itself: ¼, ¼, ½. The product in the
    other order, A'0 · A'1, gives token 2 nothing of token 0, because layer 0 runs first.
    """
    found = rollout(torch.stack((FIRST, SECOND)))
    torch.testing.assert_close(found[1, 2], torch.tensor([0.25, 0.25, 0.5]))
    wrong = with_residual(FIRST) @ with_residual(SECOND)
    torch.testing.assert_close(wrong[2], torch.tensor([0.0, 0.5, 0.5]))
    torch.testing.assert_close(found[0], with_residual(FIRST))


def test_rows_of_a_rollout_sum_to_one_and_no_token_draws_on_a_later_one_in_a_causal_model():
    weights = random_weights(3, 5, 5).tril()
    found = rollout(weights)
    torch.testing.assert_close(found.sum(dim=-1), torch.ones(3, 5))
    assert found.triu(1).abs().max() == 0


def test_rollout_is_a_sum_over_all_paths():
    """The independent formulation: Σ over every way down of the product of its weights."""
    mixed = with_residual(random_weights(3, 4, 4))
    by_paths = torch.zeros(4, 4)
    for top, a, b, bottom in itertools.product(range(4), repeat=4):
        by_paths[top, bottom] += mixed[2, top, a] * mixed[1, a, b] * mixed[0, b, bottom]
    torch.testing.assert_close(rollout(random_weights(3, 4, 4))[-1], by_paths)


def test_one_row_followed_from_the_top_equals_the_row_of_the_whole_rollout(monkeypatch):
    monkeypatch.setattr("attention_core.record.groups.CELLS_PER_BLOCK", 3 * 12 * 5)  # 5 rows a block: several blocks
    trace = capture(family("bert"), SENTENCE)
    layers = [trace.layers[i] for i in self_attention(trace)[0].layers]
    whole = rollout(combined_weights(layers))[-1]
    for query in (0, 7):
        torch.testing.assert_close(rollout_of(layers, query), whole[query])
    assert combined_weights(layers, "max").sum(dim=-1).min() >= 1


def test_flow_of_a_case_worked_by_hand():
    """Token 2 at the top has pipes of ½ to token 1 and to itself; below, token 1 has ½ to token 0 and to itself.

    To token 0 at most ½ · through token 1's pipe of ½: ½ (flow takes the narrowest pipe, rollout their product ¼).
    """
    found = flow(torch.stack((FIRST, SECOND)), query=2)
    torch.testing.assert_close(found, torch.tensor([0.5, 0.5, 0.5]))


def test_flow_agrees_with_another_library_and_is_never_less_than_the_rollout():
    weights = random_weights(3, 5, 5)
    mixed = with_residual(weights).double()
    network = networkx.DiGraph()
    for t, i, j in itertools.product(range(3), range(5), range(5)):
        network.add_edge((t + 1, i), (t, j), capacity=float(mixed[t, i, j]))
    expected = [float(networkx.maximum_flow_value(network, (3, 4), (0, j))) for j in range(5)]
    found = flow(weights, query=4)
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float32), atol=1e-6, rtol=0
    )  # whole numbers of 1e-8, 75 pipes
    assert (found >= rollout(weights)[-1, 4] - 1e-6).all()
    assert (found <= 1 + 1e-6).all()


def test_rows_that_do_not_sum_to_one_are_divided_by_their_sum():
    torch.testing.assert_close(with_residual(random_weights(5, 5) * 0.3), with_residual(random_weights(5, 5)))


def test_what_cannot_be_followed_is_refused_in_words():
    with pytest.raises(ValueError, match="same tokens; got 3 × 5"):
        with_residual(random_weights(3, 5))
    with pytest.raises(ValueError, match=f"at most {MOST_FLOW_TOKENS} tokens; this text has 131"):
        flow(random_weights(1, 131, 131), 0)
    with pytest.raises(ValueError, match="query must be 0 … 4; got 5"):
        flow(random_weights(1, 5, 5), 5)
    with pytest.raises(ValueError, match="at least one layer"):
        rollout_of([], 0)


def test_an_encoder_decoder_has_two_stacks_to_follow():
    trace = capture(family("bart"), SENTENCE, target="the dog ran")
    assert [group.name for group in self_attention(trace)] == ["all:encoder:self", "all:decoder:self"]
