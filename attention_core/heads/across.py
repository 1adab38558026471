"""Attention across layers and what a head writes, as `wire` packs for the Heads page."""

import numpy as np

from attention_core.formats import wire
from attention_core.reading.contribution import HeadWrites, head_writes
from attention_core.reading.flow import (
    MOST_FLOW_TOKENS,
    How,
    combined_weights,
    flow,
    rollout,
    rollout_of,
    self_attention,
)
from attention_core.record.groups import Group
from attention_core.record.record import Record

MOST_WHOLE_TOKENS = 512  # rollout after every layer holds layers · tokens² weights; longer texts get the last layer's


def rollout_pack(trace: Record, stack: str, query: int, how: How) -> bytes:
    """`drawn`, f4 [layer, input]: what one token draws on among the input tokens, after each layer. Rows sum to 1.

    Above MOST_WHOLE_TOKENS tokens only the row of the last layer. Header: `last_only`, and `flow_limit`, the most
    tokens that flow is computed for. Raises ValueError for a stack or token that is not there.
    """
    layers = [trace.layers[index] for index in _group(trace, stack).layers]
    n = layers[0].n_query
    if not 0 <= query < n:
        raise ValueError(f"query must be 0 … {n - 1}; got {query}")
    whole = n <= MOST_WHOLE_TOKENS
    drawn = rollout(combined_weights(layers, how))[:, query] if whole else rollout_of(layers, query, how)[None]
    header = {"stack": stack, "query": query, "how": how, "last_only": not whole, "flow_limit": MOST_FLOW_TOKENS}
    return wire.pack(header, drawn=np.ascontiguousarray(drawn.float().numpy()))


def flow_pack(trace: Record, stack: str, query: int, how: How) -> bytes:
    """`drawn`, f4 [1, input]: the most that can pass from each input token to one token of the last layer, 0 to 1.

    Raises ValueError for a stack or token that is not there, and above MOST_FLOW_TOKENS tokens.
    """
    layers = [trace.layers[index] for index in _group(trace, stack).layers]
    if layers[0].n_query > MOST_FLOW_TOKENS:  # before the whole weights are made
        raise ValueError(
            f"attention flow is computed for at most {MOST_FLOW_TOKENS} tokens; this text has {layers[0].n_query}"
        )
    drawn = flow(combined_weights(layers, how), query)
    return wire.pack({"stack": stack, "query": query, "how": how}, drawn=drawn[None].numpy())


def writes_pack(trace: Record, layer: int, head: int, query: int) -> bytes:
    """What a head writes at one token, in the header: tokens raised and lowered, or `unsaid`, why there are none.

    Raises ValueError for a head or token that is not there.
    """
    if not (0 <= layer < len(trace.layers) and 0 <= head < trace.layers[layer].n_heads):
        raise ValueError(f"there is no head {layer}.{head}")
    found = head_writes(trace, layer, head, query)
    if not isinstance(found, HeadWrites):
        return wire.pack({"unsaid": found.reason})
    sides = {
        name: [{"t": moved.text, "by": moved.change} for moved in side]
        for name, side in (("raised", found.raised), ("lowered", found.lowered))
    }
    return wire.pack({"unsaid": "", **sides, "length": found.length, "spread": found.spread, "says": found.says})


def _group(trace: Record, stack: str) -> Group:
    found = next((group for group in self_attention(trace) if group.name == stack), None)
    if found is None:
        raise ValueError(f"there is no self-attention called {stack!r} to follow")
    return found
