"""What the Heads page fetches, as `wire` packs: every metric of every head, one query–key pair in every head, and the
heads that look where a given one looks."""

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from attention_core.formats import wire
from attention_core.formats.json_data import JsonObject
from attention_core.heads.scores import METRICS, HeadScores
from attention_core.heads.search import find_heads, similar_heads
from attention_core.record.groups import groups, layer_name
from attention_core.record.record import Record
from attention_core.text.tokens import Token, join_texts

N_ALIKE = 6
SHARE = "‖a·v·W_O‖"
ALIKE_SAYS = "Nearest by behaviour on this text: 0 = they look at the same tokens, 1 = never at the same one."
ALIKE_HOW = "The mean distance of the two heads' rows: the Jensen–Shannon divergence, in bits."


def heads_pack(trace: Record, scores: HeadScores, *, by_norm: bool = False) -> bytes:
    """Every head in numbers.

    Buffers: `values`, f4 [metric, head], NaN where a metric has no meaning; `even`, f4 [metric, layer], what even
    attention would score. Header: metrics with their definitions, layers, and the tokens of both sides with the word
    that each belongs to. `by_norm` says what `scores` are of.
    """
    encoder_decoder = bool(trace.target_tokens)
    header = {
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
                "unit": metric.unit.replace("attention", SHARE) if by_norm else metric.unit,
                "source": metric.source,
            }
            for metric in METRICS
        ],
        "layers": [_layer(trace, index, encoder_decoder) for index in range(len(trace.layers))],
        "tokens": {"source": _words(trace.source_tokens), "target": _words(trace.target_tokens)},
    }
    return wire.pack(
        header,
        values=np.ascontiguousarray(scores.values.float().numpy().T),
        even=np.ascontiguousarray(scores.even.float().numpy().T),
    )


def between_pack(trace: Record, group: str, query: int, key: int, *, by_norm: bool = False) -> bytes:
    """How much the word of token `query` looks at the word of token `key`, in the heads of a group.

    Buffers over all heads of the trace: `weights`, f4, NaN where a head is of another group or may not look; `rank`,
    i4, the key's place among the keys that are read, 0 where there is no weight. Header: `of`, how many places there
    are; `null`, f4 as JSON: the mean over heads of what the same queries give as many other keys.
    Raises ValueError for a group or a token that is not there.
    """
    found = next((one for one in groups(trace) if one.name == group), None)
    if found is None:
        raise ValueError(f"there are no layers called {group!r}")
    first = found.layers[0]
    queries, keys = _pieces(trace.query_tokens(first), query), _pieces(trace.key_tokens(first), key)
    heads = [(index, head) for index, layer in enumerate(trace.layers) for head in range(layer.n_heads)]
    place = {head: row for row, head in enumerate(heads)}
    weights, ranks = np.full(len(heads), np.nan, np.float32), np.zeros(len(heads), np.int32)
    looks = find_heads(trace, queries, keys, trace.layers[first].kind, by_norm=by_norm)
    for look in looks:
        weights[place[look.layer, look.head]] = look.weight
        ranks[place[look.layer, look.head]] = look.rank
    nulls = [look.null for look in looks if not math.isnan(look.null)]
    header = {
        "of": max((look.of for look in looks), default=0),
        "null": sum(nulls) / len(nulls) if nulls else None,
        "queries": queries,
        "keys": keys,
    }
    return wire.pack(header, weights=weights, rank=ranks)


def like_pack(trace: Record, layer: int, head: int, *, by_norm: bool = False) -> bytes:
    """The heads that behave most like one, in the header: [{"layer", "head", "distance"}], nearest first; and in words
    what the distance says, and how it is measured."""
    nearest = similar_heads(trace, layer, head, by_norm=by_norm)[:N_ALIKE]
    found = [
        {"layer": one.layer, "head": one.head, "distance": one.distance}
        for one in nearest
        if not math.isnan(one.distance)
    ]
    return wire.pack({"heads": found, **_said(found)})


def _said(found: Sequence[object]) -> dict[str, str]:
    if not found:
        return {"says": "There is no other head of this kind.", "how": ""}
    return {"says": ALIKE_SAYS, "how": ALIKE_HOW}


def _layer(trace: Record, index: int, encoder_decoder: bool) -> JsonObject:
    layer = trace.layers[index]
    group = next(group for group in groups(trace) if index in group.layers)
    return {
        "stack": group.stack,
        "kind": group.kind,
        "index": layer.index,
        "label": layer_name(trace, index),
        "n_heads": layer.n_heads,
        "n_kv_heads": layer.n_kv_heads,
        "queries": "target" if encoder_decoder and layer.kind != "encoder self" else "source",
        "keys": "target" if encoder_decoder and layer.kind == "decoder self" else "source",
    }


def _words(tokens: Sequence[Token]) -> list[JsonObject]:
    """Each token as it is shown, with the first piece of its word, the word itself, and whether it is special."""
    shown: list[JsonObject] = []
    for _, word in groupby(enumerate(tokens), key=lambda pair: (pair[1].word, pair[0] if pair[1].word is None else 0)):
        pieces = list(word)
        whole = join_texts(token.text for _, token in pieces) if len(pieces) > 1 else pieces[0][1].text
        shown += [{"t": token.text, "w": pieces[0][0], "word": whole, "s": int(token.special)} for _, token in pieces]
    return shown


def _pieces(tokens: Sequence[Token], at: int) -> list[int]:
    """All pieces of the word that token `at` belongs to."""
    if not 0 <= at < len(tokens):
        raise ValueError(f"there is no token {at} among the {len(tokens)} here")
    shown = _words(tokens)
    return [index for index, token in enumerate(shown) if token["w"] == shown[at]["w"]]
