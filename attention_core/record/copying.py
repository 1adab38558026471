"""A trace of its own: the tensors are copied, the model that made them is shared."""

import copy
from dataclasses import replace
from typing import TypeVar

from torch import Tensor, nn

from attention_core.models.facts import LoadedModel
from attention_core.record.record import Record

R = TypeVar("R", bound=Record)


def deep_copy(trace: R, memo: dict[int, object]) -> R:
    """The trace with tensors of its own; views of one storage stay views of one storage.

    What speaks for the model (its modules, its tokenizer) is not copied: a proof asks the model that ran.
    """
    model = None if trace.ending is None else trace.ending.model
    if model is not None:
        memo[id(model)] = model
        for shared in _parts(model):
            memo[id(shared)] = shared
    layers, ending = copy.deepcopy((trace.layers, trace.ending), memo)
    return replace(trace, layers=layers, ending=ending)


def _parts(model: LoadedModel) -> list[nn.Module | Tensor]:
    """Every module and every weight of a model."""
    modules: list[nn.Module] = list(
        {id(part): part for whole in (model.whole, model.model) for part in whole.modules()}.values()
    )
    weights = [tensor for part in modules for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False))]
    return [*modules, *weights]
