"""Numbers that describe a head."""

import math

import pytest
import torch

from attention_core.formula.metrics import Link, entropy, reach, strongest

NAN = float("nan")


def random_weights(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(11)).softmax(dim=-1)


def test_entropy_of_a_half_and_two_quarters_is_one_and_a_half_bits():
    """½·log₂2 + ¼·log₂4 + ¼·log₂4 = ½ + ½ + ½."""
    torch.testing.assert_close(entropy(torch.tensor([[0.5, 0.25, 0.25, 0.0]])), torch.tensor([1.5]))


def test_entropy_is_zero_for_one_key_and_log2_n_for_uniform_rows():
    assert entropy(torch.eye(5)).tolist() == [0.0] * 5
    torch.testing.assert_close(entropy(torch.full((3, 7), 1 / 7)), torch.full((3,), math.log2(7)))


def test_entropy_agrees_with_torch_distributions():
    weights = random_weights(2, 3, 5, 7)
    expected = torch.distributions.Categorical(probs=weights).entropy() / math.log(2)
    torch.testing.assert_close(entropy(weights), expected)


def test_entropy_and_reach_describe_what_is_shown_of_a_row():
    """Halving a row, as a hidden key would, divides the same way among the keys that are left."""
    weights = random_weights(5, 7)
    torch.testing.assert_close(entropy(weights / 2), entropy(weights))
    torch.testing.assert_close(reach(weights / 2), reach(weights))


def test_rows_with_nan_or_nothing_have_neither_spread_nor_reach():
    weights = torch.tensor([[NAN, 1.0], [0.0, 0.0], [0.5, 0.5]])
    assert entropy(weights).isnan().tolist() == [True, True, False]
    assert reach(weights).isnan().tolist() == [True, True, False]


def test_reach_of_a_row_worked_by_hand():
    """Query 1 looks at keys 0, 1 and 3, at distances 1, 0 and 2: 0.25·1 + 0.25·0 + 0.5·2 = 1.25 tokens."""
    weights = torch.tensor([[1.0, 0, 0, 0], [0.25, 0.25, 0, 0.5]])
    torch.testing.assert_close(reach(weights), torch.tensor([0.0, 1.25]))


def test_reach_counts_hidden_tokens_if_positions_say_so():
    weights = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    positions = torch.tensor([1.0, 6.0])
    assert reach(weights, positions, positions).tolist() == [5.0, 5.0]


def test_reach_is_the_same_when_the_sentence_is_read_backwards():
    weights = random_weights(3, 7, 7)
    torch.testing.assert_close(reach(weights.flip(-1, -2)), reach(weights).flip(-1))


def test_reach_agrees_with_an_explicit_sum():
    weights = random_weights(5, 7)
    expected = [sum(weights[i, j].item() * abs(i - j) for j in range(7)) for i in range(5)]
    torch.testing.assert_close(reach(weights), torch.tensor(expected))


@pytest.mark.parametrize("rows", [slice(0, 3), slice(40, 44), slice(97, 100), slice(50, 51)])
def test_reach_of_a_few_rows_is_theirs_in_the_whole_matrix(rows):
    """Keys before or after all of the rows are summed another way; a word's position may lie between two tokens."""
    weights, positions = random_weights(2, 100, 100), torch.arange(100) * 1.5
    weights[1, 42, 7], weights[1, 98] = NAN, 0
    distance = (positions[:, None] - positions[None, :]).abs()
    expected = (weights.double() * distance).sum(dim=-1) / weights.double().sum(dim=-1)
    of_rows = reach(weights[:, rows], positions[rows], positions)
    torch.testing.assert_close(of_rows, expected[:, rows].float(), equal_nan=True)


def test_reach_keeps_small_distances_far_into_a_long_text():
    """The previous token at position 4,000 is one token away, to the last digit."""
    weights = torch.zeros(4, 4096)
    weights[range(4), range(3999, 4003)] = 1
    assert reach(weights, torch.arange(4000.0, 4004.0), torch.arange(4096.0)).tolist() == [1.0] * 4


def test_strongest_links_come_largest_first_and_equal_ones_in_reading_order():
    weights = torch.tensor([[0.25, 0.5, 0.25], [0.75, 0.0, 0.25]])
    assert strongest(weights, 4) == (Link(1, 0, 0.75), Link(0, 1, 0.5), Link(0, 0, 0.25), Link(0, 2, 0.25))


def test_strongest_links_leave_out_nan_masked_cells_and_zeros():
    weights = torch.tensor([[NAN, 0.5], [0.0, 0.75]])
    allowed = torch.tensor([[True, True], [True, False]])
    assert strongest(weights, allowed=allowed) == (Link(0, 1, 0.5),)
    assert strongest(torch.zeros(2, 3)) == ()
    assert strongest(weights, 0) == ()


def test_strongest_links_agree_with_sorting_everything():
    weights = random_weights(7, 11)
    got = strongest(weights, 13)
    expected = weights.flatten().sort(descending=True).values[:13].tolist()
    assert [link.weight for link in got] == expected
    assert all(weights[link.query, link.key].item() == link.weight for link in got)


def test_strongest_leaves_its_input_unchanged():
    weights = torch.tensor([[NAN, 0.5]])
    strongest(weights, allowed=torch.tensor([[True, False]]))
    assert weights.isnan().tolist() == [[True, False]]
