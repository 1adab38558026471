"""The attention functions that transformers calls for us: the model's own computation, observed.

Two pairs are registered. Each hands its inputs and its output to the collector of the running capture, if there is one,
and lets its delegate compute: `sightline_sdpa` torch's fused attention, `sightline_eager` the modelling file's own
`eager_attention_forward`. Each attention function needs the mask function of the same name: without it transformers
passes no mask at all, and causality is lost in silence.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from weakref import WeakKeyDictionary

from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from attention_core.formats.shown import short_repr
from attention_core.inside.of_transformers import (
    AttentionFunction,
    Keywords,
    asks_the_interface,
    attention_of,
    eager_function,
    eager_mask,
    input_modalities,
    narrowed_to_chosen_keys,
    sdpa_attention_forward,
    sdpa_mask,
    supports_sdpa,
)
from attention_core.observe.editing import Asked, editor

SDPA = "sightline_sdpa"
EAGER = "sightline_eager"


@dataclass(frozen=True, slots=True, eq=False)
class AttentionCall:
    """What one attention function was given, and what it gave."""

    module: nn.Module
    q: Float[Tensor, "batch head query d_head"]  # after rotary embedding and q/k norms, like k
    k: Float[Tensor, "batch kv_head key d_head"]
    v: Float[Tensor, "batch kv_head key d_value"]
    mask: Tensor | None  # as the model passes it: booleans (True = may read) or numbers that are added to the scores
    output: Float[Tensor, "batch query head d_value"]
    keywords: Keywords  # scaling, softcap, is_causal …, by the names that transformers gives them

    __repr__ = short_repr


class Collector(Protocol):
    """Receives every attention call of a capture, in call order."""

    def add(self, call: AttentionCall) -> None:
        """Keep a call. It runs in the middle of the model's own forward pass, so it must not change a tensor."""
        ...


# One per running capture. Models are shared between visitors' threads; what a capture collects is not.
collector: ContextVar[Collector | None] = ContextVar("collector", default=None)


def dispatches(model: PreTrainedModel) -> bool:
    """Does any part of this model that reads text ask transformers' attention interface which function to call?"""
    if model not in _dispatches:
        _dispatches[model] = any(asks_the_interface(type(module)) for module in text_modules(model))
    return _dispatches[model]


_dispatches: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()


def choose_attention(model: PreTrainedModel) -> str:
    """The registered pair for this model: SDPA where its authors support it, else its own eager function.

    "eager", unobserved, for a model that does not ask the interface.
    Decided by what the model declares, never by trying: SDPA ignores some terms (gpt-oss's sink logit) without an
    error. A model made of several (text and images, encoder and decoder) is as able as the least of its text models.
    """
    if model not in _chosen:
        parts = [module for module in text_modules(model) if isinstance(module, PreTrainedModel)]
        known = SDPA if all(supports_sdpa(part) for part in parts) else EAGER
        _chosen[model] = known if dispatches(model) else "eager"
    return _chosen[model]


_chosen: WeakKeyDictionary[PreTrainedModel, str] = WeakKeyDictionary()  # asked again for every text


def uses_eager(module: nn.Module) -> bool:
    """Does this attention module call its file's eager function through us? Then no mask means that all may be read."""
    config = getattr(module, "config", None)
    return config is not None and attention_of(config) == EAGER


def text_modules(model: PreTrainedModel) -> Iterator[nn.Module]:
    """Every module but those of inner models that read only images or sound."""
    yield model
    waiting = list(model.children())
    while waiting:
        module = waiting.pop()
        if reads_text(module):
            yield module
            waiting.extend(module.children())


def reads_text(module: nn.Module) -> bool:
    """False for an inner model that declares to read only images or sound."""
    return not isinstance(module, PreTrainedModel) or "text" in input_modalities(module)


def _observe(
    output_of: AttentionFunction,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    keywords: Keywords,
) -> tuple[Tensor, Tensor | None]:
    attention_mask = narrowed_to_chosen_keys(attention_mask, module, query, key, keywords)
    changing = editor.get()
    if changing is None:
        output, weights = output_of(module, query, key, value, attention_mask, **keywords)
    else:
        own = partial(_own_output, output_of, module, attention_mask, keywords)
        made = changing.attend(Asked(module, query, key, value, attention_mask, keywords, own))
        query, key, value, output, weights = made.q, made.k, made.v, made.output, None
    running = collector.get()
    if running is not None:
        running.add(AttentionCall(module, query, key, value, attention_mask, output, keywords))
    return output, weights


def _own_output(
    output_of: AttentionFunction,
    module: nn.Module,
    mask: Tensor | None,
    keywords: Keywords,
    q: Tensor,
    k: Tensor,
    v: Tensor,
) -> Tensor:
    return output_of(module, q, k, v, mask, **keywords)[0]


def _sdpa(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **keywords: object
) -> tuple[Tensor, Tensor | None]:
    return _observe(sdpa_attention_forward, module, query, key, value, attention_mask, keywords)


def _eager(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **keywords: object
) -> tuple[Tensor, Tensor | None]:
    eager = eager_function(module)
    if eager is None:
        raise ValueError(f"{type(module).__name__} has no eager_attention_forward beside it, so it cannot be observed")
    return _observe(eager, module, query, key, value, attention_mask, keywords)


AttentionInterface.register(SDPA, _sdpa)
AttentionMaskInterface.register(SDPA, sdpa_mask)
AttentionInterface.register(EAGER, _eager)
AttentionMaskInterface.register(EAGER, eager_mask)
