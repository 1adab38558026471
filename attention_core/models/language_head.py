"""A model's body, which attends, and its language head, which turns the body's last vectors into words.

A checkpoint names its class in config.json. Where that class has a language head, body and head are loaded together:
attention is captured from the body alone, and the head is applied only when somebody asks what the model says. It is
applied by the modelling file itself (scalings, soft-caps, biases and all): its own `forward` runs with the body
replaced by what the body has already computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from attention_core.formats.shown import short_repr
from attention_core.inside.of_accelerate import unwrapped
from attention_core.inside.of_torch import AnyModule, shallow_copy
from attention_core.inside.of_transformers import class_names, usual_classes

Predicts = Literal["next token", "masked token"]
Loader = Any  # an auto class of transformers, or `which_class.BodyLoader`, which is called as they are

# transformers' own lists: model_type → class. BART's one class is in the first and the last; the first counts.
_WITH_HEADS: tuple[tuple[Loader, Mapping[str, str | tuple[str, ...]], Predicts], ...] = (
    (AutoModelForSeq2SeqLM, class_names("SEQ_TO_SEQ_CAUSAL_LM"), "next token"),
    (AutoModelForCausalLM, class_names("CAUSAL_LM"), "next token"),
    (AutoModelForMaskedLM, class_names("MASKED_LM"), "masked token"),
)
_MASKED, _PRETRAINING = class_names("MASKED_LM"), class_names("PRETRAINING")


@dataclass(frozen=True, slots=True, eq=False)
class LanguageHead:
    """A whole model whose body is the one that is captured; they share every weight."""

    whole: PreTrainedModel
    predicts: Predicts

    __repr__ = short_repr

    def logits(self, hidden: Float[Tensor, "token d_model"]) -> Float[Tensor, "token d_vocab"]:
        """The scores of the vocabulary for some of the body's last vectors, in float32.

        The shared model is not touched: a shallow copy runs, in which the body answers at once.

        Raises ValueError for a head that reads anything else.
        """
        whole = self.whole
        shallow = unwrapped(shallow_copy(whole))
        # Only their number is looked at; what stands for the body does not read them.
        ids = torch.zeros(1, len(hidden), dtype=torch.long, device=hidden.device)
        inputs = {"input_ids": ids}
        answer = _Answer(last_hidden_state=hidden[None])
        # T5's encoder and decoder are children of the whole; others have their body under one name.
        parts = ("encoder", "decoder") if whole.base_model is whole else (whole.base_model_prefix,)
        for name in parts:
            shallow.add_module(name, _Answered(getattr(whole, name), answer))
        if whole.config.is_encoder_decoder:
            inputs["decoder_input_ids"] = ids
        try:
            with torch.inference_mode():
                logits = type(whole).forward(shallow, **inputs).logits[0].float()
        except (IndexError, TypeError, AttributeError):  # ProphetNet reads more of its body than the last vectors
            logits = None
        if logits is None or not answer.asked or logits.shape[0] != len(hidden):
            raise ValueError(f"the head of {type(whole).__name__} cannot be run without its body")
        return logits


class _Answer(BaseModelOutputWithPastAndCrossAttentions):
    """The output of a body, with None for all but its last vectors; knows whether anybody asked for it."""

    # The fields of an output.
    def __init__(self, **known: Any) -> None:
        super().__init__(**known)
        self.__dict__["asked"] = False

    def __getattr__(self, name: str) -> None:  # router logits, auxiliary losses …
        if name.startswith("__"):
            raise AttributeError(name)
        return None


class _Answered(nn.Module):
    """Stands where a body stood and gives the output that is already known; its parts that are bodies do the same."""

    def __init__(self, module: nn.Module, answer: _Answer) -> None:
        super().__init__()
        self.__dict__["module"], self.__dict__["answer"] = module, answer

    def forward(self, *_: object, **__: object) -> _Answer:
        answer = self.__dict__["answer"]
        answer.__dict__["asked"] = True
        return answer

    def __getattr__(self, name: str) -> AnyModule:
        found = getattr(self.__dict__["module"], name)
        # OPT's head calls `model.decoder`. Anything else, such as embeddings that the head shares, is the real one.
        return _Answered(found, self.__dict__["answer"]) if isinstance(found, PreTrainedModel) else found


def loader_of(config: PreTrainedConfig) -> tuple[Loader, Predicts] | None:
    """The auto class that loads this checkpoint with its language head, and what the head predicts; None without one.

    Told by `architectures` in its config and transformers' own lists of classes.
    """
    names = set(config.architectures or ())
    for loader, classes, predicts in _WITH_HEADS:
        if classes.get(config.model_type) in names:
            return loader, predicts
    # BertForPreTraining has the head for masked tokens and another one; ElectraForPreTraining only another one, which
    # shows when its weights are missing.
    if config.model_type in _MASKED and _PRETRAINING.get(config.model_type) in names:
        return AutoModelForMaskedLM, "masked token"
    return None


def predicts_of(model: PreTrainedModel) -> Predicts | None:
    """What the head of a model in memory predicts; None for a body without a head."""
    for _, classes, predicts in _WITH_HEADS:
        if classes.get(model.config.model_type) == type(model).__name__:
            return predicts
    return None


def body_of(whole: PreTrainedModel) -> PreTrainedModel:
    """The part of a model with a head that attends; it shares every weight with the whole.

    Raises ValueError if the whole does not consist of its body's parts and a head.
    """
    body = whole.base_model
    if body is whole:
        body = _assembled(whole)
    own = {id(parameter) for parameter in whole.parameters()}
    if not isinstance(body, PreTrainedModel) or any(id(parameter) not in own for parameter in body.parameters()):
        raise ValueError(f"{type(whole).__name__} has no body that can be run alone")
    return body.eval()


def _assembled(whole: PreTrainedModel) -> nn.Module | None:
    """T5: the parts of the body are parts of the whole. The body's class is built without memory and given them."""
    usual = usual_classes(type(whole.config))
    if not usual:  # no class for the body alone
        return None
    try:
        with torch.device("meta"):
            body = usual[0](whole.config)
        for name, _ in list(body.named_children()):
            setattr(body, name, getattr(whole, name))
    except AttributeError:  # it has other parts
        return None
    return body
