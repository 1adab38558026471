"""Attention of an edited layer, for a batch of runs at once, by the formula: what was passed, what is changed.

All rows of a batch go through the same formula, the unedited one too: a difference between them is the edit's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.capturing.masks import taken_apart
from attention_core.formats.shown import short_repr
from attention_core.formula.attention import AttentionSteps, attend
from attention_core.observe.editing import Asked
from attention_core.observe.interface import uses_eager


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What an attention call has beside q, k and v. Axes of 1 stand for "all alike"."""

    scale: float
    allowed: Bool[Tensor, "#batch #head query key"]
    bias: Float[Tensor, "#batch #head query key"] | None
    softcap: float | None
    sink_logit: Float[Tensor, "#batch head"] | Float[Tensor, "#batch head query"] | None

    __repr__ = short_repr


@dataclass(slots=True, eq=False)
class Row:
    """One run's attention in an edited layer. An edit changes these tensors in place, of its own heads alone."""

    q: Float[Tensor, "head query d_head"]
    allowed: Bool[Tensor, "head query key"]
    values: Float[Tensor, "head key d_value"]  # each query head its own, shared ones repeated
    scale: float
    own: Bool[Tensor, "head query key"]  # what the model allows
    masked_scores: Float[Tensor, "head query key"] | None = None  # known once the scores are
    weights: Float[Tensor, "head query key"] | None = None
    model_weights: Float[Tensor, "head query key"] | None = None  # before any edit of weights
    sink_logit: Float[Tensor, " head"] | Float[Tensor, "head query"] | None = None

    __repr__ = short_repr


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What an edit does to a row: before the scores are made, and after the softmax."""

    before: Callable[[Row], None] | None = None
    after: Callable[[Row], None] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What the formula gave for a batch."""

    weights: Float[Tensor, "batch head query key"]
    output: Float[Tensor, "batch query head d_value"]  # in the model's precision

    __repr__ = short_repr


def terms_of(asked: Asked) -> Terms:
    """The terms of a call, as the model passed them, for every row of the batch.

    Rows may differ in their masks: some models choose the keys that a query may read by its vector.
    """
    n_query, n_key = asked.q.shape[-2], asked.k.shape[-2]
    words = asked.keywords
    bias, allowed = None, None
    if asked.mask is None:
        causal = getattr(asked.module, "is_causal", False) if uses_eager(asked.module) else words.get("is_causal")
        causal = causal if causal is not None else getattr(asked.module, "is_causal", True)
        allowed = torch.ones(1, 1, n_query, n_key, dtype=torch.bool, device=asked.q.device)
        allowed = allowed.tril() if causal and n_query > 1 else allowed
    else:
        mask = asked.mask[..., :n_key]
        mask = mask if mask.dim() == 4 else mask.reshape(-1, 1, *mask.shape[-2:])
        allowed, bias = (mask, None) if mask.dtype == torch.bool else taken_apart(mask)
        allowed = allowed.expand(*allowed.shape[:2], n_query, n_key)
    relative = words.get("position_bias")
    if relative is not None:
        bias = relative if bias is None else relative + bias
    scale, sinks = words.get("scaling"), words.get("s_aux")
    sink_logit = None if sinks is None else sinks.reshape(1, -1).detach().float()
    if sink_logit is None and words.get("sinks") is not None:
        sink_logit = words["sinks"][..., 0].float()
    return Terms(
        float(asked.q.shape[-1] ** -0.5 if scale is None else scale),
        allowed,
        None if bias is None else bias.float(),
        words.get("softcap"),
        sink_logit,
    )


def attend_edited(
    asked: Asked, q: Tensor, k: Tensor, v: Tensor, changes: Sequence[Sequence[Change]], *, shared: int
) -> Made:
    """The attention of a batch by the formula, each row with its own changes; a row without any is the base.

    `shared` is the number of query heads that read one key/value head. Raises ExperimentError from an edit that
    cannot be made.
    """
    terms = terms_of(asked)
    batch, n_heads = q.shape[:2]
    q, k, values = q.float().clone(), _repeated(k.float(), shared), _repeated(v.float(), shared).clone()
    own = terms.allowed.expand(batch, n_heads, *terms.allowed.shape[2:])
    allowed = own.clone()
    sinks = None if terms.sink_logit is None else terms.sink_logit.expand(batch, *terms.sink_logit.shape[1:])
    rows = [
        Row(q[i], allowed[i], values[i], terms.scale, own[i], sink_logit=None if sinks is None else sinks[i])
        for i in range(batch)
    ]
    for row, own_changes in zip(rows, changes, strict=True):
        for change in own_changes:
            if change.before is not None:
                change.before(row)
    steps = attend(
        q,
        k,
        values,
        scale=terms.scale,
        allowed=allowed,
        bias=terms.bias,
        softcap=terms.softcap,
        sink_logit=terms.sink_logit,
    )
    weights = _changed_weights(steps, rows, changes)
    output = weights @ values
    return Made(weights, output.transpose(1, 2).to(asked.q.dtype).contiguous())


def _changed_weights(steps: AttentionSteps, rows: Sequence[Row], changes: Sequence[Sequence[Change]]) -> Tensor:
    weights = steps.weights
    for i, (row, own_changes) in enumerate(zip(rows, changes, strict=True)):
        if any(change.after is not None for change in own_changes):
            row.masked_scores, row.weights = steps.masked_scores[i], weights[i]
            row.model_weights = weights[i].clone()
            for change in own_changes:
                if change.after is not None:
                    change.after(row)
    return weights


def _repeated(x: Tensor, shared: int) -> Tensor:
    return x if shared == 1 else x.repeat_interleave(shared, dim=1)
