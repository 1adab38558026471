"""An attention function of plain torch, put into transformers' interface: every term in sight, and changed by hand.

It shares nothing with the core: not its formula, not its hooks, not its masks.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from tests.support.tiny import bare

NAME = "plain_torch_by_hand"


@dataclass
class Call:
    """One attention call of one text; k and v are repeated, so that every query head has its own."""

    q: Tensor  # [head, query, d_head]
    k: Tensor  # [head, key, d_head]
    v: Tensor  # [head, key, d_value]
    scale: Tensor  # [head, 1, 1]
    bias: Tensor  # [head, query, key]: what a model adds to its scores
    allowed: Tensor  # [head, query, key]
    sink: Tensor | None  # [head, 1, 1]: the logit of gpt-oss
    n_shared: int  # query heads that read one key

    def scores(self) -> Tensor:
        scores = (self.q @ self.k.transpose(1, 2)) * self.scale + self.bias
        return scores.masked_fill(~self.allowed, -torch.inf)

    def weights(self, temperature: Tensor | float = 1.0) -> Tensor:
        scores = self.scores()
        if self.sink is None:
            return (scores / temperature).softmax(-1)
        row = torch.cat([scores, self.sink.expand(-1, scores.shape[1], 1)], dim=-1)
        return (row / temperature).softmax(-1)[..., :-1]


@dataclass(frozen=True)
class ByHand:
    """What is done to one layer: to its terms, and to its weights once they are made."""

    before: Callable[[Call], None] = lambda call: None
    after: Callable[[Call, Tensor], Tensor] = lambda call, weights: weights


class Model:
    """A family's model of the same weights, with the attention by hand."""

    def __init__(self, family: str) -> None:
        self.model: Any = bare(family)
        AttentionInterface.register(NAME, _attention)
        AttentionMaskInterface.register(NAME, eager_mask)
        self.model.set_attn_implementation(NAME)

    def run(self, inputs: dict[str, Tensor], changes: dict[int, ByHand] | None = None) -> tuple[Tensor, list[Call]]:
        """The last vectors [token, d_model], and every call as it was after its changes."""
        global _changes
        _calls.clear()
        _changes = changes or {}
        try:
            with torch.inference_mode():
                found = self.model(**inputs).last_hidden_state[0]
        finally:
            _changes = {}
        return found, list(_calls)

    def blocks(self) -> list[nn.Module]:
        """In the order in which they run, by the names of the modelling files."""
        model = self.model
        if hasattr(model, "decoder"):
            return [*model.encoder.block, *model.decoder.block]
        return list(
            model.h if hasattr(model, "h") else model.layers if hasattr(model, "layers") else model.encoder.layer
        )

    @contextmanager
    def streamed(self, block: int, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """Change what a block reads, [1, token, d_model]."""
        handle = self.blocks()[block].register_forward_pre_hook(
            lambda _, args, kwargs: (
                ((change(args[0]), *args[1:]), kwargs)
                if args
                else (args, {**kwargs, "hidden_states": change(kwargs["hidden_states"])})
            ),
            with_kwargs=True,
        )
        try:
            yield
        finally:
            handle.remove()

    def streams(self, inputs: dict[str, Tensor]) -> list[Tensor]:
        """What each block reads, [token, d_model]."""
        found: list[Tensor] = []

        def keep(x: Tensor) -> Tensor:
            found.append(x[0].clone())
            return x

        for block in range(len(self.blocks())):
            with self.streamed(block, keep):
                self.run(inputs)
        return found


_changes: dict[int, ByHand] = {}
_calls: list[Call] = []


def _attention(
    module: nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **words: Any
) -> tuple[Tensor, None]:
    n_heads, n_query, n_key = q.shape[1], q.shape[2], k.shape[2]
    shared = n_heads // k.shape[1]
    scaling = words.get("scaling")
    added = torch.zeros(n_heads, n_query, n_key)
    if mask is not None:
        added = added + mask[0][..., :n_key]
    allowed = added > torch.finfo(torch.float32).min / 2
    bias = torch.where(allowed, added, 0.0)
    if words.get("position_bias") is not None:
        relative = words["position_bias"][0]
        allowed = allowed & (relative > torch.finfo(torch.float32).min / 2)
        bias = bias + torch.where(relative > torch.finfo(torch.float32).min / 2, relative, 0.0)
    sinks = getattr(module, "sinks", None)
    call = Call(
        q[0].clone(),
        k[0].repeat_interleave(shared, 0),
        v[0].repeat_interleave(shared, 0),
        torch.full((n_heads, 1, 1), q.shape[-1] ** -0.5 if scaling is None else float(scaling)),
        bias,
        allowed.clone(),
        None if sinks is None else sinks.detach().reshape(-1, 1, 1),
        shared,
    )
    change = _changes.get(len(_calls), ByHand())
    _calls.append(call)
    change.before(call)
    weights = change.after(call, call.weights())
    return (weights @ call.v).transpose(0, 1)[None].contiguous(), None
