"""Scaled dot-product attention, written from scratch, keeping every intermediate tensor.

This is the only place where attention is computed for the screen. Typed matrices and tensors captured from a model
go through the same function, so a comparison with the model's own output is a real test of it.
"""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)  # eq=False: comparing tensors with == is ambiguous
class AttentionSteps:
    """Every intermediate tensor of one attention call, in the order it is computed."""

    scores: Float[Tensor, "*batch query key"]  # q·k, unbounded
    scaled_scores: Float[Tensor, "*batch query key"]  # × scale (1/√d_head), then soft-cap, then bias
    masked_scores: Float[Tensor, "*batch query key"]  # -inf where not allowed
    weights: Float[Tensor, "*batch query key"]  # ≥ 0; rows sum to 1, with a sink logit to 1 minus the sink's share
    output: Float[Tensor, "*batch query d_value"]  # weights @ v

    def __repr__(self) -> str:
        """Shapes, not numbers: those of six tokens would fill two screens."""
        shapes = [f"{field.name}=[{' × '.join(map(str, getattr(self, field.name).shape))}]" for field in fields(self)]
        return f"AttentionSteps({', '.join(shapes)})\nGo on: .scores, .weights … are tensors; weights[query, key]"


def attend(
    q: Float[Tensor, "*batch query d_head"],
    k: Float[Tensor, "*batch key d_head"],
    v: Float[Tensor, "*batch key d_value"],
    *,
    scale: float | None = None,
    allowed: Bool[Tensor, "*#batch query key"] | None = None,
    bias: Float[Tensor, "*#batch query key"] | None = None,
    softcap: float | None = None,
    sink_logit: Float[Tensor, "*#batch"] | Float[Tensor, "*#batch query"] | None = None,
) -> AttentionSteps:
    """Attend from every query to every key it is allowed to see.

    `scale` multiplies q·k; None means 1/√d_head. `softcap` c bends the scaled scores to c·tanh(score/c), inside (-c,
    c). `bias` is added after that (relative position, ALiBi). `allowed[i, j]` is True where query i may read key j;
    None allows every pair. `sink_logit` takes part in each row's softmax without being a key, so rows sum to less than
    1; it is one number, or one for each query.

    Raises ValueError if some query may read no key: its softmax would be 0/0.
    Source: Vaswani et al. 2017, equation 1; soft-cap: Gemma Team 2024 (Gemma 2), section 2; sink logit: gpt-oss 2025.
    """
    scores = q @ k.transpose(-2, -1)
    scaled_scores = scores * (q.shape[-1] ** -0.5 if scale is None else scale)
    if softcap is not None:
        scaled_scores = softcap * torch.tanh(scaled_scores / softcap)
    if bias is not None:
        scaled_scores = scaled_scores + bias
    masked_scores = scaled_scores
    if allowed is not None:
        _require_a_key_for_every_query(allowed)
        masked_scores = scaled_scores.masked_fill(~allowed, float("-inf"))
    weights = _softmax(masked_scores, sink_logit)
    return AttentionSteps(scores, scaled_scores, masked_scores, weights, weights @ v)


def attention_weights(
    q: Float[Tensor, "*batch query d_head"],
    k: Float[Tensor, "*batch key d_head"],
    *,
    scale: float | None = None,
    allowed: Bool[Tensor, "*#batch query key"] | None = None,
    bias: Float[Tensor, "*#batch query key"] | None = None,
    softcap: float | None = None,
    sink_logit: Float[Tensor, "*#batch"] | Float[Tensor, "*#batch query"] | None = None,
    n_free: int = 0,
) -> Float[Tensor, "*batch query key"]:
    """The weights of `attend` and nothing else, in two tensors' memory: what a picture of many heads needs.

    `n_free` says that `allowed` is True for every query in the first so many keys, which then need not be looked at.
    Equal to them up to rounding (float32: a few 1e-7). Raises ValueError as `attend` does.
    """
    # q is scaled and not the scores: a row of d_head numbers instead of one of n_keys.
    scores = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.transpose(-2, -1)
    if softcap is not None:
        scores = scores.div_(softcap).tanh_().mul_(softcap)
    if bias is not None:
        scores += bias
    if allowed is not None:
        if not n_free:
            _require_a_key_for_every_query(allowed)
        scores[..., n_free:].masked_fill_(~allowed[..., n_free:], float("-inf"))
    return torch.softmax(scores, dim=-1) if sink_logit is None else _softmax(scores, sink_logit)


def split_heads(
    x: Float[Tensor, "*batch token channel"], n_heads: int
) -> Float[Tensor, "*batch {n_heads} token d_head"]:
    """Cut d_model channels into n_heads slots of d_head = d_model / n_heads.

    Raises ValueError if the channels do not divide evenly.
    """
    if x.shape[-1] % n_heads:
        raise ValueError(f"channels must divide by the number of heads; got {x.shape[-1]} channels for {n_heads} heads")
    return x.unflatten(-1, (n_heads, -1)).transpose(-3, -2)


def merge_heads(x: Float[Tensor, "*batch head token d_head"]) -> Float[Tensor, "*batch token channel"]:
    """Put the heads side by side again: the concatenation that W_O reads. Inverse of `split_heads`."""
    return x.transpose(-3, -2).flatten(-2)


def _softmax(
    scores: Float[Tensor, "*batch query key"],
    sink_logit: Float[Tensor, "*#batch"] | Float[Tensor, "*#batch query"] | None,
) -> Float[Tensor, "*batch query key"]:
    # Subtracting the row's maximum changes nothing (numerator and denominator shrink alike) and keeps exp() below 1.
    top = scores.amax(dim=-1, keepdim=True)
    if sink_logit is None:
        exps = torch.exp(scores - top)
        return exps / exps.sum(dim=-1, keepdim=True)
    by_query = sink_logit.dim() == scores.dim() - 1
    sink = (sink_logit[..., None] if by_query else sink_logit[..., None, None]).expand_as(top)
    top = torch.maximum(top, sink)
    exps = torch.exp(scores - top)
    return exps / (exps.sum(dim=-1, keepdim=True) + torch.exp(sink - top))


def _require_a_key_for_every_query(allowed: Bool[Tensor, "*batch query key"]) -> None:
    empty = ~allowed.any(dim=-1)
    if empty.any():
        queries = sorted({index[-1] for index in empty.nonzero().tolist()})
        raise ValueError(f"every query needs at least one key; queries {queries[:8]} have none")
