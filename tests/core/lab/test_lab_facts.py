"""What is said of a switch, a row's entropy and gradient, and the arrows, against numbers computed another way."""

import math

import pytest
import torch
from torch.autograd.functional import jacobian

from attention_core.lab.edits import randomised, with_switch
from attention_core.lab.facts import (
    SWITCHES,
    arrows,
    changed_switches,
    compare,
    head_numbers,
    plane,
    saturation,
    shuffle_difference,
    softmax_gradient,
    standard,
)
from attention_core.lab.run import run
from attention_core.lab.state import Switches
from tests.support.lab_states import EVERY_SWITCH, random_state, real_state

ORDER = (3, 0, 4, 2, 1)


def test_the_gradient_of_a_softmax_by_hand():
    """p = (1/2, 1/2): the Jacobian is [[1/4, -1/4], [-1/4, 1/4]], its norm 1/2. One weight of 1: the Jacobian is 0."""
    assert softmax_gradient(torch.tensor([[0.5, 0.5], [1.0, 0.0]])).tolist() == [0.5, 0.0]


def test_the_gradient_of_a_softmax_is_the_norm_of_what_torch_differentiates():
    scores = torch.randn(7, dtype=torch.float64)
    expected = jacobian(lambda row: row.softmax(dim=-1), scores).norm()
    torch.testing.assert_close(softmax_gradient(scores.softmax(dim=-1)[None])[0], expected)


def test_without_scaling_entropy_and_gradient_fall_as_d_k_grows():
    """Scaling: q·k has variance d_k, so softmax saturates; ÷ √d_k keeps it as it is."""
    found = saturation((2, 4, 8, 16, 32, 64))
    for smaller, larger in zip(found, found[1:], strict=False):
        assert larger.entropy_unscaled < smaller.entropy_unscaled
        assert larger.gradient_unscaled < smaller.gradient_unscaled
    assert found[-1].entropy_unscaled < 0.25 * found[0].entropy_unscaled
    assert found[-1].gradient_unscaled < 0.5 * found[0].gradient_unscaled
    scaled = [one.entropy for one in found]
    assert max(scaled) - min(scaled) < 0.15  # bits, of 3


def test_at_d_k_1_scaling_is_no_difference():
    (one,) = saturation((1,))
    assert (one.entropy, one.gradient) == (one.entropy_unscaled, one.gradient_unscaled)


def test_the_causal_mask_gives_the_future_nothing_and_leaves_the_past_in_proportion():
    state = random_state()
    plain, causal = run(state).weights, run(with_switch(state, causal=True)).weights
    assert (causal.triu(1) == 0).all()
    past = plain.tril()
    torch.testing.assert_close(causal, past / past.sum(dim=-1, keepdim=True))
    torch.testing.assert_close(causal[:, 0, 0], torch.ones(2, dtype=torch.float64))


def test_padding_gets_nothing_and_its_numbers_change_nothing_for_others():
    state = random_state(Switches(padding=(1,)))
    changed = state.x[:1] + (tuple(value * 3 + 1 for value in state.x[1]),) + state.x[2:]
    other = randomised(state, 11)
    assert other == state  # the same seed: the next line changes one row alone
    found, after = run(state), run(type(state)(**{**_fields(state), "x": changed}))
    assert (found.weights[..., 1] == 0).all()
    rest = [0, 2, 3, 4]
    torch.testing.assert_close(after.result[rest], found.result[rest], rtol=0, atol=1e-12)


def _fields(state) -> dict:
    return {name: getattr(state, name) for name in state.__slots__}


def test_a_window_hides_what_is_farther():
    weights = run(random_state(Switches(window=1))).weights
    far = (torch.arange(5)[:, None] - torch.arange(5)[None, :]).abs() > 1
    assert (weights[:, far] == 0).all() and (weights[:, ~far] > 0).all()


def test_without_softmax_rows_sum_to_anything_and_weights_can_be_negative():
    found = run(random_state(Switches(softmax="none")))
    torch.testing.assert_close(found.weights, torch.stack([found.of("scaled", head).values for head in (0, 1)]))
    assert (found.weights < 0).any()
    assert (found.weights.sum(dim=-1) - 1).abs().max() > 0.5
    (numbers, _) = head_numbers(found)
    assert numbers.entropy is None and numbers.mean_entropy is None and numbers.gradient is None


def test_hard_max_is_where_softmax_goes_when_the_temperature_falls_and_has_no_gradient():
    state = random_state()
    hard = run(with_switch(state, softmax="hard max"))
    cold = run(with_switch(state, temperature=0.05))
    assert ((hard.weights == 0) | (hard.weights == 1)).all()
    assert torch.equal(cold.weights.argmax(dim=-1), hard.weights.argmax(dim=-1))
    assert all(numbers.mean_gradient == 0 for numbers in head_numbers(hard))


def test_a_higher_temperature_spreads_attention_and_never_changes_who_is_first():
    state = random_state()
    runs = [run(with_switch(state, temperature=t)) for t in (0.1, 0.5, 1.0, 2.0, 10.0, 100.0)]
    entropies = [torch.stack([numbers.entropy for numbers in head_numbers(one)]) for one in runs]  # type: ignore[misc]
    for colder, warmer in zip(entropies, entropies[1:], strict=False):
        assert (warmer >= colder).all()
    assert entropies[-1].mean() > math.log2(5) - 0.01
    for one in runs:
        assert torch.equal(one.weights.argmax(dim=-1), runs[0].weights.argmax(dim=-1))


def test_a_temperature_of_root_d_k_stands_in_for_scaling():
    state = random_state()
    instead = with_switch(state, scale=False, temperature=3**0.5)
    torch.testing.assert_close(run(instead).weights, run(state).weights)


def test_without_positions_the_output_of_a_shuffled_sentence_is_the_shuffled_output():
    for state in (random_state(), random_state(Switches(padding=(2,), softmax="none")), real_state()):
        assert shuffle_difference(state, ORDER) <= 1e-6


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary", "alibi"])
def test_with_positions_a_shuffled_sentence_gives_something_else(positions: str):
    assert shuffle_difference(with_switch(random_state(), positions=positions), ORDER) > 0.01


def test_a_causal_mask_knows_the_order_too():
    assert shuffle_difference(random_state(Switches(causal=True)), ORDER) > 0.01


@pytest.mark.parametrize("positions", ["rotary", "alibi"])
def test_relative_positions_see_distance_alone(positions: str):
    """Equal words: the scaled score depends on j - i only."""
    state = random_state()
    same = type(state)(**{**_fields(state), "x": (state.x[0],) * 5})
    scores = run(with_switch(same, positions=positions)).of("scaled", 0).values
    for offset in range(-4, 5):
        along = scores.diagonal(offset)
        distance_alone = along[:1].expand_as(along)
        torch.testing.assert_close(along, distance_alone)


def test_several_heads_see_different_things_with_the_same_number_of_cells():
    state = random_state()
    one = standard(state, "n_heads")
    assert (one.n_heads, one.d_head) == (1, 6)
    assert all(one.cells(name) == state.cells(name) for name in state.matrices)
    two = run(state).weights
    assert run(one).weights.shape == (1, 5, 5) and two.shape == (2, 5, 5)
    assert (two[0] - two[1]).abs().max() > 0.1
    assert (run(one).result - run(state).result).abs().max() > 0.01


def test_each_word_attends_to_itself_too():
    assert (run(random_state()).weights.diagonal(dim1=-2, dim2=-1) > 0).all()


@pytest.mark.parametrize("switches", EVERY_SWITCH, ids=str)
def test_a_comparison_has_a_sentence_for_each_switch_that_is_not_standard(switches: Switches):
    for state in (random_state(switches), random_state(switches, n_heads=1)):
        found = compare(state)
        assert [one.switch for one in found.sentences] == list(changed_switches(state))
        assert all(one.says.endswith(".") and "nan" not in one.says for one in found.sentences)
        assert found.standard.state.switches == Switches()
        assert found.standard.state.n_heads == state.n_heads
        assert found.yours.state == state


def test_each_sentence_names_its_switch():
    """Several may stand below one another: "it" would be nobody knows which."""
    many = Switches(
        scale=False, causal=True, padding=(4,), window=2, softmax="none", temperature=2.0, positions="rotary"
    )
    said = {one.switch: one.says for one in compare(random_state(many, n_heads=1)).sentences}
    assert list(said) == [name for name in SWITCHES if name != "n_heads"]
    named = {
        "scale": "Without the division",
        "causal": "The causal mask",
        "padding": "Nobody looks at",
        "window": "The window of ± 2",
        "softmax": "Without softmax",
        "temperature": "A temperature of 2",
        "positions": "Rotary positions",
    }
    assert {name: says[: len(named[name])] for name, says in said.items()} == named


def test_a_mask_is_credited_with_the_cells_that_it_alone_hides():
    """5 words: above the diagonal 10 cells; farther than ± 2 there are 3 above and 3 below."""
    said = {one.switch: one.says for one in compare(random_state(Switches(causal=True, window=2))).sentences}
    assert "The causal mask alone hides 7 of 25 cells" in said["causal"]
    assert "The window of ± 2 alone hides 3 of 25 cells" in said["window"]


def test_a_standard_state_has_nothing_to_compare():
    state = random_state(n_heads=1)
    assert changed_switches(state) == () == compare(state).sentences
    assert standard(state) == state


def test_one_switch_alone_can_be_put_back():
    state = random_state(Switches(causal=True, temperature=2.0, scale=False))
    assert standard(state, "causal").switches == Switches(temperature=2.0, scale=False)
    assert [one.switch for one in compare(state, "scale").sentences] == ["scale"]
    with pytest.raises(ValueError, match="There is no switch magic"):
        standard(state, "magic")


def test_every_switch_is_known():
    assert set(SWITCHES) == {*Switches.__slots__, "n_heads"}


def test_the_sentences_have_the_numbers_of_the_state():
    state = random_state(Switches(scale=False), n_heads=1, d_head=4)
    (said,) = compare(state).sentences
    (mine,), (theirs,) = compare(state).your_heads, compare(state).standard_heads
    assert "2 times as large" in said.says
    assert f"mean entropy is {mine.mean_entropy:.2f} instead of {theirs.mean_entropy:.2f} bits" in said.says


def test_arrows_by_hand():
    """q = (3, 4), k = (4, 0): dot 12 = 5 · 4 · cos; the angle's cosine is 3/5, the projection 12/5."""
    pair = arrows(torch.tensor([3.0, 4.0]), torch.tensor([4.0, 0.0]))
    assert (pair.dot, pair.query_length, pair.key_length) == (12.0, 5.0, 4.0)
    assert pair.angle == pytest.approx(math.degrees(math.acos(0.6)))
    assert pair.projection == pytest.approx(2.4)


def test_an_arrow_without_length_has_no_angle():
    pair = arrows(torch.zeros(2), torch.tensor([1.0, 0.0]))
    assert (pair.dot, pair.angle, pair.projection) == (0.0, None, None)
    assert arrows(torch.tensor([1.0, 0.0]), torch.zeros(2)).projection == 0.0


def test_the_plane_shows_what_the_scores_are_made_of():
    found = run(random_state(Switches(positions="rotary"), d_head=2))
    for head in (0, 1):
        there, scores = plane(found, head), found.of("scores", head).values
        assert there is not None
        for query in range(5):
            for key in range(5):
                pair = there.pair(query, key)
                assert pair.dot == pytest.approx(float(scores[query, key]))
                assert pair.projection is not None
                assert pair.projection * pair.query_length == pytest.approx(pair.dot)
    assert plane(run(random_state(d_head=3)), 0) is None
