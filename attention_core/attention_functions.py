"""The attention functions that transformers calls for us: the model's own computation, observed.

Two pairs are registered. Each hands its inputs and its output to the collector of the running capture, if there is one,
and lets its delegate compute: `sightline_sdpa` torch's fused attention, `sightline_eager` the modelling file's own
`eager_attention_forward`. Each attention function needs the mask function of the same name: without it transformers
passes no mask at all, and causality is lost in silence.
"""

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask

SDPA = "sightline_sdpa"
EAGER = "sightline_eager"

AttentionFunction = Callable[..., tuple[Tensor, Tensor | None]]


class Collector(Protocol):
    """Receives every attention call of a capture, in call order."""

    def add(
        self,
        module: nn.Module,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        output: Tensor,
        keywords: dict[str, Any],
    ) -> None: ...


# One per running capture. Models are shared between visitors' threads; what a capture collects is not.
collector: ContextVar[Collector | None] = ContextVar("collector", default=None)


def dispatches(model: PreTrainedModel) -> bool:
    """Does the file that defines this model ask transformers' attention interface which function to call?"""
    return hasattr(sys.modules[type(model).__module__], "ALL_ATTENTION_FUNCTIONS")


def choose_attention(model: PreTrainedModel) -> str:
    """The registered pair for this model: SDPA where its authors support it, else its own eager function.

    "eager", unobserved, for a model that does not ask the interface.
    Decided by what the model declares, never by trying: SDPA ignores some terms (gpt-oss's sink logit) without an
    error.
    """
    if not dispatches(model):
        return "eager"
    return SDPA if model._supports_sdpa else EAGER


def eager_function(module: nn.Module) -> AttentionFunction | None:
    """The `eager_attention_forward` of the file that defines this attention module, or None if it has none."""
    return getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)


def _observe(
    output_of: AttentionFunction,
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    keywords: dict[str, Any],
) -> tuple[Tensor, Tensor | None]:
    output, weights = output_of(module, query, key, value, attention_mask, **keywords)
    running = collector.get()
    if running is not None:
        running.add(module, query, key, value, attention_mask, output, keywords)
    return output, weights


def _sdpa(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **keywords: Any
) -> tuple[Tensor, Tensor | None]:
    return _observe(sdpa_attention_forward, module, query, key, value, attention_mask, keywords)


def _eager(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **keywords: Any
) -> tuple[Tensor, Tensor | None]:
    eager = eager_function(module)
    if eager is None:
        raise ValueError(f"{type(module).__name__} has no eager_attention_forward beside it, so it cannot be observed")
    return _observe(eager, module, query, key, value, attention_mask, keywords)


AttentionInterface.register(SDPA, _sdpa)
AttentionMaskInterface.register(SDPA, sdpa_mask)
AttentionInterface.register(EAGER, _eager)
AttentionMaskInterface.register(EAGER, eager_mask)
