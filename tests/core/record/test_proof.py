"""The proof holds for honest layers, and fails where a fault was put in."""

import math

import pytest
import torch

from attention_core.formula.masks import EVERYTHING
from attention_core.record.layers import LayerTrace, WeightsOnly
from attention_core.record.proof import ROWS_PER_BLOCK, Check, compare, largest_difference, prove


def test_the_largest_difference_is_reported_by_hand():
    check = compare("output", torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.5]))
    assert (check.difference, check.holds) == (0.5, False)


def test_the_tolerance_grows_with_the_largest_magnitude():
    check = compare("output", torch.tensor([300.001]), torch.tensor([300.0]))
    assert check.tolerance == pytest.approx(3e-3)
    assert check.holds
    assert compare("weights", torch.tensor([0.5]), torch.tensor([0.5])).tolerance == 1e-5


@pytest.mark.parametrize("ours", [float("nan"), float("inf")])
def test_nan_and_a_missing_infinity_fail_with_a_difference_that_is_not_a_number(ours):
    check = compare("output", torch.tensor([ours, 1.0]), torch.tensor([1.0, 1.0]))
    assert not check.holds
    assert math.isnan(check.difference)


def test_nan_on_both_sides_fails_too():
    assert not compare("output", torch.tensor([float("nan")]), torch.tensor([float("nan")])).holds


def test_equal_infinities_agree():
    check = compare("scores", torch.tensor([float("-inf"), 1.0]), torch.tensor([float("-inf"), 1.0]))
    assert check.holds
    assert check.difference == 0


@pytest.mark.parametrize("place", [0, 1])
def test_the_largest_of_several_differences_is_not_a_number_if_one_is_not(place):
    checks = [Check("v", 0.5, 1e-5, False, "float32")]
    checks.insert(place, Check("output", math.nan, 1e-5, False, "float32"))
    assert math.isnan(largest_difference(checks))
    assert largest_difference([]) == 0


@pytest.mark.parametrize("row", [0, ROWS_PER_BLOCK])
def test_of_two_blocks_of_rows_the_one_without_a_number_is_the_worse(row):
    """One block has a NaN in the model's output, the other a finite fault; whichever comes first, NaN is reported."""
    n = ROWS_PER_BLOCK + 1
    output = torch.zeros(1, n, 3)
    output[0, ROWS_PER_BLOCK - row, 1] = 0.5
    output[0, row, 2] = torch.nan
    zeros = torch.zeros(1, n, 3)
    layer = LayerTrace("encoder self", 0, zeros, zeros, zeros, output, scale=1.0, mask=EVERYTHING)
    (check,) = prove(layer, 0)
    assert not check.holds
    assert math.isnan(check.difference)


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
