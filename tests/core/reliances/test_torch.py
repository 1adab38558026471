"""torch: where a module keeps its hooks, its parts and its compiled code."""

import copy

import pytest
import torch
from torch import nn

from attention_core.formats.memory import is_out_of_memory
from attention_core.inside import of_torch

pytestmark = pytest.mark.reliance


def module() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5))


def test_torch_a_module_calls_the_last_of_its_forward_hooks_last():
    """`last_forward_hook`, `run_last`: the order of `_forward_hooks` is the order of calls."""
    called: list[str] = []

    def ours(module: nn.Module, args: tuple, kwargs: dict, output: torch.Tensor) -> None:
        called.append(f"ours, {len(kwargs)} keywords")

    one = nn.Linear(3, 5)
    assert of_torch.last_forward_hook(one) is None
    of_torch.run_last(one, ours)
    one.register_forward_hook(lambda *_: called.append("theirs"))
    assert of_torch.last_forward_hook(one) is not ours
    of_torch.run_last(one, ours)
    assert of_torch.last_forward_hook(one) is ours
    one(input=torch.zeros(2, 3))
    assert called == ["theirs", "ours, 1 keywords"]


def test_torch_a_copied_module_brings_its_hooks_along_and_loses_them_by_their_table():
    """`take_off`, `has_pre_hook`: `_forward_hooks`, `_forward_pre_hooks` and the tables of those that want keywords."""
    called: list[str] = []

    def before(module: nn.Module, args: tuple, kwargs: dict) -> None:
        called.append("before")

    def after(module: nn.Module, args: tuple, kwargs: dict, output: torch.Tensor) -> None:
        called.append("after")

    one = nn.Linear(3, 5)
    one.register_forward_pre_hook(before, with_kwargs=True)
    of_torch.run_last(one, after)
    copied = copy.deepcopy(one)
    assert of_torch.has_pre_hook(copied, before)
    copied(torch.zeros(2, 3))
    assert called == ["before", "after"]
    of_torch.take_off(copied, (before, after))
    assert not of_torch.has_pre_hook(copied, before)
    assert of_torch.last_forward_hook(copied) is None
    copied(torch.zeros(2, 3))
    assert called == ["before", "after"]
    assert of_torch.has_pre_hook(one, before) and of_torch.last_forward_hook(one) is after
    # What stays in the table of those that want keywords would be given to the next hook of the same number.
    assert not any(vars(copied)[name] for name in vars(copied) if "hooks_with_kwargs" in name)


def test_torch_a_module_says_which_parameters_and_buffers_are_its_own():
    """`own_weight`, `holds_buffers_alone`: `_parameters` and `_buffers`, without those of parts and computed ones."""
    whole = module()
    assert of_torch.own_weight(whole) is None
    assert of_torch.own_weight(whole[0]) is whole[0].weight
    parametrised = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 5))
    assert parametrised.weight.shape == (5, 3)
    assert of_torch.own_weight(parametrised) is None  # it is computed anew each time
    table = nn.Module()
    table.register_buffer("inv_freq", torch.ones(4))
    assert of_torch.holds_buffers_alone(table)
    assert not of_torch.holds_buffers_alone(whole)
    assert not of_torch.holds_buffers_alone(nn.BatchNorm1d(3))


def test_torch_a_shallow_copy_can_be_given_other_parts_and_shares_its_own():
    """`shallow_copy`: the parts of a module are the table `_modules` among its attributes."""
    whole = module()
    copied = of_torch.shallow_copy(whole)
    assert copied[0] is whole[0]
    copied.add_module("0", nn.Linear(3, 5))
    assert copied[0] is not whole[0]
    x = torch.ones(1, 3)
    torch.testing.assert_close(whole(x), whole[1](whole[0](x)))
    assert not torch.equal(copied[0](x), whole[0](x))


def test_torch_what_compile_gives_holds_the_module_that_was_compiled():
    """`is_compiled`, `uncompiled`: `torch.compile` gives an `OptimizedModule` with `_orig_mod`."""
    whole = module()
    compiled = torch.compile(whole, backend="eager")
    assert of_torch.is_compiled(compiled) and not of_torch.is_compiled(whole)
    assert of_torch.uncompiled(compiled) is whole
    assert of_torch.uncompiled(whole) is whole


def test_torch_a_module_that_compiled_itself_can_be_run_as_it_is_written():
    """`compiled_call`, `set_compiled_call`: `_compiled_call_impl` is called in place of `forward`."""
    whole = nn.Linear(3, 5)
    assert of_torch.compiled_call(whole) is None
    of_torch.set_compiled_call(whole, lambda x: "compiled")
    assert whole(torch.zeros(1, 3)) == "compiled"
    of_torch.set_compiled_call(whole, None)
    assert whole(torch.zeros(1, 3)).shape == (1, 5)
    whole.compile(backend="eager")
    assert of_torch.compiled_call(whole) is not None


def test_torch_its_errors_say_that_the_memory_does_not_suffice():
    """`is_out_of_memory`: a class by its name, and for the processor words in a RuntimeError."""
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_torch_a_module_keeps_its_own_parts_in_a_table():
    """`ids_of_parts`: of all that `children` gives, as often as they stand there, and of None in a part's place too."""
    inner = nn.Linear(5, 5)
    one = nn.Sequential(inner, nn.LayerNorm(5), inner)
    one.register_module("nothing", None)
    assert of_torch.ids_of_parts(one) == tuple(map(id, [inner, one[1], inner, None]))
    assert list(one.children()) == [inner, one[1]]
