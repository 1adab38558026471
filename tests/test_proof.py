import pytest
import torch

from attention_core.proof import compare, prove
from attention_core.trace import WeightsOnly


def test_the_largest_difference_is_reported_by_hand():
    check = compare("output", torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]))
    assert (check.difference, check.holds) == (0.5, False)


def test_the_tolerance_grows_with_the_largest_magnitude():
    check = compare("output", torch.tensor([300.001]), torch.tensor([300.0]))
    assert check.tolerance == pytest.approx(3e-3)
    assert check.holds
    assert compare("weights", torch.tensor([0.5]), torch.tensor([0.5])).tolerance == 1e-5


@pytest.mark.parametrize("ours", [float("nan"), float("inf")])
def test_nan_and_a_missing_infinity_fail(ours):
    assert not compare("output", torch.tensor([ours, 1.0]), torch.tensor([1.0, 1.0])).holds


def test_nan_on_both_sides_fails_too():
    assert not compare("output", torch.tensor([float("nan")]), torch.tensor([float("nan")])).holds


def test_equal_infinities_agree():
    assert compare("scores", torch.tensor([float("-inf"), 1.0]), torch.tensor([float("-inf"), 1.0])).holds


def test_cells_that_may_not_be_read_are_left_out():
    allowed = torch.tensor([True, False])
    assert compare("weights", torch.tensor([0.5, 9.0]), torch.tensor([0.5, 0.0]), allowed=allowed).holds


def test_half_precision_has_a_wider_tolerance_and_says_why():
    check = compare("output", torch.tensor([1.001]), torch.tensor([1.0]), torch.bfloat16)
    assert check.holds
    assert "8 bits" in check.reason


@pytest.mark.parametrize(("dtype", "why"), [(torch.bfloat16, "8 bits"), (torch.float16, "11 bits")])
def test_given_weights_may_be_off_by_the_rounding_of_their_own_precision(dtype, why):
    """Thirds in half precision: 3 · (1/3 rounded) is off by far more than float32's 1e-5, and no row is wrong."""
    given = torch.full((1, 2, 3), 1 / 3).to(dtype)
    (check,) = prove(WeightsOnly("encoder self", 0, given), 0)
    assert 1e-5 < check.difference <= check.tolerance
    assert check.holds
    assert "hides q and k" in check.reason
    assert why in check.reason


def test_given_weights_that_do_not_sum_to_1_fail_in_half_precision_too():
    (check,) = prove(WeightsOnly("encoder self", 0, torch.full((1, 2, 3), 0.3, dtype=torch.bfloat16)), 0)
    assert not check.holds


def test_given_weights_in_single_precision_say_nothing_of_rounding():
    (check,) = prove(WeightsOnly("encoder self", 0, torch.full((1, 2, 3), 1 / 3)), 0)
    assert check.tolerance == 1e-5
    assert check.reason == "the weights are the model's own; this architecture hides q and k"
