"""Shapes in signatures are checked while tests run, in every module that writes any."""

import importlib

import pytest
import torch
from jaxtyping import TypeCheckError

from attention_core.record.proof import compare
from tests.conftest import SHAPED


def test_two_tensors_of_different_shape_are_refused_where_one_shape_is_written():
    assert compare("weights", torch.ones(2, 3), torch.ones(2, 3)).holds
    with pytest.raises(TypeCheckError, match="compare"):
        compare("weights", torch.ones(2, 3), torch.ones(3, 3))


@pytest.mark.usefixtures("unchecked")
def test_a_test_of_thousands_of_passes_may_go_without():
    """It is torch that cannot subtract them."""
    with pytest.raises(RuntimeError, match="must match the size"):
        compare("weights", torch.ones(2, 3), torch.ones(3, 3))


@pytest.mark.parametrize("name", SHAPED)
def test_a_module_that_writes_shapes_was_read_through_the_hook(name):
    module = importlib.import_module(name)
    assert type(module.__loader__).__module__.startswith("jaxtyping"), f"{name} was imported by {module.__loader__}"


def test_most_modules_write_none():
    assert len(SHAPED) > 30
    assert (
        type(importlib.import_module("attention_core.formats.wire").__loader__).__module__ != "jaxtyping._import_hook"
    )
