"""accelerate: what it does to modules whose weights rest on another device or on disk."""

import copy

import accelerate
import pytest
import torch
from torch import nn

from attention_core.inside import of_accelerate

pytestmark = pytest.mark.reliance


class Doubles(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * self.inner(x)


def test_accelerate_its_wrapper_is_an_attribute_forward_bound_to_the_module_that_was_wrapped():
    whole = accelerate.cpu_offload(Doubles())
    copied = copy.copy(whole)
    assert copied.forward is whole.forward  # a run of the copy is one of the original
    of_accelerate.unwrapped(copied)
    assert copied.forward.__func__ is Doubles.forward and copied.forward.__self__ is copied
    assert "forward" in vars(whole)


def test_accelerate_weights_at_rest_are_on_meta_and_can_be_fetched():
    plain = nn.Linear(3, 5)
    expected = plain.weight.detach().clone()
    whole = accelerate.cpu_offload(nn.Sequential(plain))
    assert whole[0].weight.is_meta
    with of_accelerate.fetched(whole[0], "weight") as weight:
        torch.testing.assert_close(weight, expected, rtol=0, atol=0)
    assert whole[0].weight.is_meta
