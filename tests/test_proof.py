import pytest
import torch

from attention_core.proof import compare


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
