"""Edits written by hand, in plain torch on transformers' own modules: what the experiments are compared with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from attention_core.capturing.capture import prepare
from attention_core.models.facts import LoadedModel
from tests.support.tiny import SENTENCE, family

OTHER = "a cat sat on the mat while the dog ran"  # as many tokens as SENTENCE
FAMILIES = ("gpt2", "llama", "bert", "t5", "gpt-oss")


def model_of(name: str) -> LoadedModel:
    return family(name)


def texts_of(model: LoadedModel) -> dict[str, str]:
    return {"target": "the dog slept and then it ran"} if model.facts.encoder_decoder else {}


def inputs_of(model: LoadedModel, text: str = SENTENCE) -> dict[str, Tensor]:
    return prepare(model, text, **texts_of(model)).inputs()


def output_projections(name: str, model: nn.Module) -> list[nn.Module]:
    """W_O of every attention layer, by the names that the modelling files give it, in the order of the calls."""
    named = dict(model.named_modules())
    if name == "t5":
        blocks = [*model.encoder.block, *model.decoder.block]
        return [part.o for block in blocks for part in _attentions(block)]
    ends = {"gpt2": "attn.c_proj", "llama": "self_attn.o_proj", "bert": "attention.output.dense"}
    end = ends.get(name, "self_attn.o_proj")
    return [module for path, module in named.items() if path.endswith(end)]


def _attentions(block: nn.Module) -> Iterator[nn.Module]:
    for layer in block.layer:
        for attribute in ("SelfAttention", "EncDecAttention"):
            if hasattr(layer, attribute):
                yield getattr(layer, attribute)


@contextmanager
def pre_hook(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """`change` what a module reads."""
    handle = module.register_forward_pre_hook(lambda _, args: (change(args[0]), *args[1:]))
    try:
        yield
    finally:
        handle.remove()


def last_vectors(model: LoadedModel, inputs: dict[str, Tensor]) -> Tensor:
    with torch.inference_mode():
        return model.model(**inputs).last_hidden_state[0]
