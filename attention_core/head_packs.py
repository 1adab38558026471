"""What the Heads page fetches, as `wire` packs: every metric of every head, one look in every head, heads alike."""

from typing import Any

import numpy as np

from attention_core import wire
from attention_core.finding import LIKE_SAYS, alike, looks
from attention_core.head_metrics import METRICS, HeadScores
from attention_core.pictures import groups
from attention_core.trace import Trace


def heads_pack(trace: Trace, scores: HeadScores) -> bytes:
    """Every head in numbers.

    Buffers: `values`, f4 [metric, head], NaN where a metric has no meaning; `even`, f4 [metric, layer], what even
    attention would score; `profiles`, f4 [head, distance], mean weight at key − query from −32 to 32. Header: metrics
    with their definitions, layers, and the tokens of both sides.
    """
    encoder_decoder = bool(trace.target_tokens)
    header = {
        "version": 1,
        "model": {"id": trace.facts.id, "name": trace.facts.name},
        "metrics": [
            {
                "name": metric.id,
                "title": metric.name,
                "short": metric.id,
                "definition": metric.definition,
                "more": metric.more,
                "low": metric.low,
                "high": metric.high,
                "unit": metric.unit,
                "source": metric.source,
            }
            for metric in METRICS
        ],
        "layers": [_layer(trace, index, encoder_decoder) for index in range(len(trace.layers))],
        "tokens": {
            "source": [token.text for token in trace.source_tokens],
            "target": [token.text for token in trace.target_tokens],
        },
    }
    return wire.pack(
        header,
        values=np.ascontiguousarray(scores.values.float().numpy().T),
        even=np.ascontiguousarray(scores.even.float().numpy().T),
        profiles=scores.profiles.float().numpy(),
    )


def between_pack(trace: Trace, group: str, query: int, key: int) -> bytes:
    """`weights`, f4 [head]: how much token `query` looks at token `key` in the heads of a group, NaN in all others.

    Raises ValueError for a group or a token that is not there.
    """
    found = next((one for one in groups(trace) if one.name == group), None)
    if found is None:
        raise ValueError(f"there are no layers called {group!r}")
    weights = looks(trace, found.layers, query, key)
    return wire.pack({"group": group, "query": query, "key": key}, weights=weights.numpy())


def like_pack(scores: HeadScores, layer: int, head: int) -> bytes:
    """The heads that behave most like one, in the header: [{"layer", "head", "distance"}], nearest first."""
    found = [{"layer": one.layer, "head": one.head, "distance": one.distance} for one in alike(scores, layer, head)]
    return wire.pack({"heads": found, "says": LIKE_SAYS})


def _layer(trace: Trace, index: int, encoder_decoder: bool) -> dict[str, Any]:
    layer = trace.layers[index]
    group = next(group for group in groups(trace) if index in group.layers)
    return {
        "stack": group.stack,
        "kind": group.kind,
        "index": layer.index,
        "label": layer.label,
        "n_heads": layer.n_heads,
        "n_kv_heads": layer.n_kv_heads,
        "queries": "target" if encoder_decoder and layer.kind != "encoder self" else "source",
        "keys": "target" if encoder_decoder and layer.kind == "decoder self" else "source",
    }
