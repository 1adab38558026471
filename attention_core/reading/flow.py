"""Attention across layers: from which input tokens a later layer's token draws, by rollout and by flow.

One layer's weights say what a token reads from that layer's input, which is already a mixture of tokens. Rollout
follows the mixture down as if every layer only averaged; flow asks how much could pass through the network of weights
at most. Both add the residual connection as an identity of the same weight, and both know nothing of values and of the
feed-forward layers: they are summaries of weights, not of causes.
Source: Abnar & Zuidema 2020, "Quantifying Attention Flow in Transformers".
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow
from torch import Tensor

from attention_core.reading.reading import over_heads
from attention_core.record.groups import Group, groups, rows_per_block, spans
from attention_core.record.layers import AttentionLayer
from attention_core.record.record import Record

How = Literal["mean", "max"]

RESIDUAL_SHARE = 0.5  # of each token's vector that passes a layer unchanged (Abnar & Zuidema, section 3)
MOST_FLOW_TOKENS = 128  # maximum flow from one token to every input token of six layers takes half a second there
_UNITS = 10**8  # scipy's flow is in whole numbers: a capacity of 1 is this many


def with_residual(weights: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch query key"]:
    """½·A + ½·I with rows that sum to 1: what a token takes of each token of the layer's input. Section 3, equation 1.

    Rows are divided by their sum first: with a sink logit, or as a maximum over heads, they sum to something else.
    Raises ValueError where queries and keys are not the same tokens.
    """
    if weights.shape[-2] != weights.shape[-1]:
        raise ValueError(f"queries and keys must be the same tokens; got {weights.shape[-2]} × {weights.shape[-1]}")
    rows = weights / weights.sum(dim=-1, keepdim=True)
    same = torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device)
    return (1 - RESIDUAL_SHARE) * rows + RESIDUAL_SHARE * same


def rollout(weights: Float[Tensor, "layer query key"]) -> Float[Tensor, "layer token input"]:
    """Rows of element l: what each token draws on among the input tokens after layers 0 … l. Rows sum to 1.

    A later layer reads what the earlier ones made, so it is multiplied from the left: R_l = A'_l · R_(l-1).
    Source: Abnar & Zuidema 2020, equation 1.
    """
    mixed = with_residual(weights)
    found = [mixed[0]]
    for layer in mixed[1:]:
        found.append(layer @ found[-1])
    return torch.stack(found)


def rollout_of(layers: Sequence[AttentionLayer], query: int, how: How = "mean") -> Float[Tensor, " input"]:
    """What one token of the last of these layers draws on among the input tokens: one row of `rollout`.

    Followed from the top down, block of rows by block of rows, so memory stays linear in the text; its time is a pass
    over all weights.
    """
    drawn: Float[Tensor, " input"] | None = None
    for layer in reversed(layers):
        if drawn is None:
            _require_query(query, layer.n_query)
            drawn = _mixed_rows(layer, how, slice(query, query + 1))[0]
            continue
        below = torch.zeros_like(drawn)
        for start, stop in spans(layer.n_query, rows_per_block(layer, layer.n_heads, 1)):
            below += drawn[start:stop] @ _mixed_rows(layer, how, slice(start, stop))
        drawn = below
    if drawn is None:
        raise ValueError("there must be at least one layer to follow")
    return drawn


def flow(weights: Float[Tensor, "layer query key"], query: int) -> Float[Tensor, " input"]:
    """The most that can pass from one token of the last layer to each input token through the network of weights.

    Every pair of tokens in neighbouring layers is a pipe as wide as its weight (with the residual connection); each
    input token is asked for alone, so the row sums to 1 or more. 0 to 1 each.

    Raises ValueError for more than MOST_FLOW_TOKENS tokens, or a query that is not there.
    Source: Abnar & Zuidema 2020, section 3, "Attention flow".
    """
    n_layers, n = weights.shape[0], weights.shape[-1]
    if n > MOST_FLOW_TOKENS:
        raise ValueError(f"attention flow is computed for at most {MOST_FLOW_TOKENS} tokens; this text has {n}")
    _require_query(query, n)
    pipes = np.rint(with_residual(weights.double()).numpy() * _UNITS).astype(np.int32)
    # Node t·n + i is token i after t layers; pipes lead from the top down. The first n nodes are the input.
    upper, lower = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    rows = np.concatenate([((t + 1) * n + upper).ravel() for t in range(n_layers)])
    columns = np.concatenate([(t * n + lower).ravel() for t in range(n_layers)])
    network = csr_array((pipes.ravel(), (rows, columns)), shape=((n_layers + 1) * n,) * 2)
    network.eliminate_zeros()
    top = n_layers * n + query
    flows = [int(maximum_flow(network, top, token).flow_value) / _UNITS for token in range(n)]
    return torch.tensor(flows, dtype=torch.float32)


def self_attention(trace: Record) -> tuple[Group, ...]:
    """The stacks whose layers can be followed one after the other: self-attention of an encoder or a decoder."""
    return tuple(group for group in groups(trace) if group.kind == "self")


def combined_weights(layers: Iterable[AttentionLayer], how: How = "mean") -> Float[Tensor, "layer query key"]:
    """Mean or maximum over the heads of each layer, whole: layers · tokens² memory."""
    found = []
    for layer in layers:
        blocks = [
            over_heads(layer.all_weights(slice(start, stop)), how)
            for start, stop in spans(layer.n_query, rows_per_block(layer, layer.n_heads, 1))
        ]
        found.append(torch.cat(blocks).cpu())
    return torch.stack(found)


def _mixed_rows(layer: AttentionLayer, how: How, rows: slice) -> Float[Tensor, "row key"]:
    """Some rows of `with_residual`."""
    weights = over_heads(layer.all_weights(rows), how).cpu()
    mixed = (1 - RESIDUAL_SHARE) * weights / weights.sum(dim=-1, keepdim=True)
    mixed[torch.arange(len(mixed)), torch.arange(rows.start, rows.start + len(mixed))] += RESIDUAL_SHARE
    return mixed


def _require_query(query: int, n: int) -> None:
    if not 0 <= query < n:
        raise ValueError(f"query must be 0 … {n - 1}; got {query}")
