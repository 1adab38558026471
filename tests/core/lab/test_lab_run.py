"""Every matrix of a Lab state, by hand and against torch."""

import math

import pytest
import torch
from torch.nn.functional import multi_head_attention_forward, scaled_dot_product_attention

from attention_core.formula.attention import attend
from attention_core.lab.edits import reordered, with_switch
from attention_core.lab.run import row_alone, run, weights_without_softmax
from attention_core.lab.state import LabState, Switches
from tests.support.lab_states import EVERY_SWITCH, random_state, real_state


def test_a_case_worked_by_hand():
    """d_k = 1, so scores are plain products: query 0 is 1 and scores the keys 0 and ln 3, the third is padding.

    softmax([0, ln 3]) = [1/4, 3/4]; with values 0 and 8 the output is 6, and W_O makes (6, 12) of it.
    """
    ln3 = math.log(3)
    x = ((1.0, 0.0), (0.0, ln3), (5.0, 5.0))
    state = LabState(
        ("a", "b", "pad"), x, w_q=((1.0,), (0.0,)), w_k=((0.0,), (1.0,)), w_v=((0.0,), (8.0 / ln3,)), w_o=((1.0, 2.0),)
    )
    found = run(with_switch(state, padding=(2,)))
    expected = torch.tensor([0.25, 0.75, 0.0], dtype=torch.float64)
    torch.testing.assert_close(found.weights[0, 0], expected)
    torch.testing.assert_close(found.result[0], torch.tensor([6.0, 12.0], dtype=torch.float64))


def test_agrees_with_the_multi_head_attention_of_torch():
    state = random_state(Switches(causal=True), n_heads=2, d_head=3, d_model=6)
    x, w_q, w_k, w_v, w_o = (state.tensor(name) for name in state.matrices)
    expected, weights = multi_head_attention_forward(
        x[:, None], x[:, None], x[:, None], 6, 2, torch.cat([w_q.T, w_k.T, w_v.T]), None, None, None, False, 0.0, w_o.T,
        None, training=False, need_weights=True, average_attn_weights=False,
        attn_mask=torch.ones(5, 5, dtype=torch.bool).triu(1),
    )  # fmt: skip
    found = run(state)
    torch.testing.assert_close(found.result, expected[:, 0])
    assert weights is not None
    torch.testing.assert_close(found.weights, weights[0])


def test_a_real_head_agrees_with_torch():
    state = real_state(Switches(temperature=2.0))
    assert state.real is not None and state.real.bias is not None and state.real.allowed is not None
    bias = (torch.tensor(state.real.bias).double() / 2).masked_fill(~torch.tensor(state.real.allowed), -torch.inf)
    q, k, v = (state.tensor(name) for name in ("q", "k", "v"))
    expected = scaled_dot_product_attention(q, k, v, scale=0.125, attn_mask=bias)
    torch.testing.assert_close(run(state).result, expected)


def test_every_matrix_comes_in_the_order_in_which_it_is_computed():
    names = [(matrix.name, matrix.head) for matrix in run(random_state()).matrices]
    per_head = ("scores", "scaled", "masked", "weights", "output")
    assert names == [
        *((name, None) for name in ("x", "w_q", "q", "w_k", "k", "w_v", "v")),
        *((name, head) for head in (0, 1) for name in per_head),
        *((name, None) for name in ("joined", "w_o", "projected")),
    ]


def test_positions_are_matrices_of_their_own():
    def names(switches: Switches) -> set[str]:
        return {matrix.name for matrix in run(random_state(switches)).matrices}

    plain = names(Switches())
    assert names(Switches(positions="sinusoidal")) - plain == {"positions", "x_p"}
    assert names(Switches(positions="rotary")) - plain == {"q_r", "k_r"}
    assert names(Switches(positions="alibi")) - plain == {"bias"}


@pytest.mark.parametrize("switches", [Switches(), *EVERY_SWITCH], ids=str)
def test_labels_shapes_and_operands_fit(switches: Switches):
    for state in (random_state(switches), real_state(), random_state(switches, n_heads=1, d_head=5)):
        found = run(state)
        for matrix in found.matrices:
            assert matrix.shape == (len(matrix.rows), len(matrix.columns)), matrix.name
            assert matrix.symbol and matrix.title
            assert bool(matrix.formula) != matrix.editable  # what is given has no formula
            assert not matrix.values.isnan().any()
            for operand in filter(None, (matrix.left, matrix.right)):
                assert any(one.name == operand and one.head in (None, matrix.head) for one in found.matrices) or (
                    matrix.name == "joined" and operand == "output"
                )
            if matrix.masked is not None and matrix.name == "masked":
                assert torch.equal(matrix.values.isinf(), matrix.masked)


def test_what_is_multiplied_is_what_the_operands_say():
    found = run(random_state(Switches(positions="sinusoidal", causal=True)))
    for matrix in found.matrices:
        if matrix.how != "row × column" or matrix.head is not None:
            continue
        product = found.of(matrix.left).values @ found.of(matrix.right).values
        torch.testing.assert_close(product, matrix.values)


@pytest.mark.parametrize("switches", EVERY_SWITCH, ids=str)
def test_a_single_row_recomputed_gives_the_same(switches: Switches):
    """All words in parallel: no row needs another row's result."""
    for state in (random_state(switches), real_state()):
        for query in range(state.n_words):
            alone = row_alone(state, query)
            assert alone.difference <= 1e-12
            torch.testing.assert_close(alone.result, run(state).result[query])


def test_a_row_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="words 0 to 4; got 5"):
        row_alone(random_state(), 5)


def test_with_a_softmax_the_weights_are_those_of_the_one_formula():
    state = random_state(Switches(causal=True, temperature=2.0))
    found = run(state)
    allowed = torch.ones(5, 5).tril().bool()
    steps = attend(found.q, found.k, found.v, scale=3**-0.5 / 2, allowed=allowed)
    assert torch.equal(found.weights, steps.weights)


def test_without_softmax_masked_scores_give_nothing_by_hand():
    masked = torch.tensor([[2.0, -3.0, -torch.inf]])
    assert weights_without_softmax(masked, "none").tolist() == [[2.0, -3.0, 0.0]]


def test_hard_max_takes_all_and_equals_share_by_hand():
    masked = torch.tensor([[2.0, 5.0, -torch.inf], [4.0, 4.0, 1.0], [-7.0, -7.0, -7.0]])
    expected = torch.tensor([[0, 1, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(weights_without_softmax(masked, "hard max"), expected)


def test_the_formula_of_scaling_says_what_was_done():
    def formula(state: LabState) -> str:
        return run(state).of("scaled", 0).formula

    one = {"n_heads": 1, "d_head": 4}
    assert formula(random_state(**one)) == "S′ = S ÷ √4"
    assert formula(random_state(Switches(temperature=2.0), **one)) == "S′ = (S ÷ √4) ÷ 2"
    assert formula(random_state(Switches(scale=False), **one)) == "S′ = S: not divided by √d_k"
    assert formula(random_state(Switches(positions="alibi"), **one)) == "S′ = S ÷ √4 + B"
    assert formula(real_state()) == "S′ = S × 0.25 + B"
    assert "not divided" in formula(random_state(Switches(scale=False, temperature=2.0), **one))


def test_reordering_words_leaves_the_state_as_it_was():
    state = random_state()
    before = repr(state)
    run(reordered(state, (4, 3, 2, 1, 0)))
    assert repr(state) == before


def test_a_matrix_that_is_not_there_raises():
    with pytest.raises(KeyError, match="positions of head None"):
        run(random_state()).of("positions")
