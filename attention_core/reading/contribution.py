"""What attention really moves: the length of each weighted value, and what a head's writing does to the words.

A weight says how much of a value is taken, not how large that value is. What head h writes for query i is

    w_h,i = Σ_j a_h,i,j · (v_h,j · W_O[slot h])

so ‖a·v·W_O‖ of one key measures what came from there. A key with a large weight and a short value, as sinks often have,
contributes little. The bias of W_O belongs to no head and no key.
Source: Kobayashi et al. 2020, "Attention is not only a weight", equations 3 to 5.
"""

from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.capturing.recognise import norm_rule
from attention_core.formats.shown import short_repr
from attention_core.reading.readout import Unsaid, piece_of
from attention_core.record.ending import Ending
from attention_core.record.layers import AttentionLayer, LayerTrace
from attention_core.record.norms import Norm
from attention_core.record.projections import Found, OutputProjection
from attention_core.record.record import Record
from attention_core.text.tokens import display, style_of

N_TOKENS = 10


def value_norms(layer: AttentionLayer, head: int) -> Float[Tensor, " key"]:
    """‖v_j · W_O[slot]‖ for every key: what one head would write if all its weight went there. ≥ 0, in float32.

    Raises ValueError where W_O was not observed, or where something stands between the heads and W_O that depends on
    the query (a gate) or on all heads (a norm).
    """
    return _all_value_norms(layer)[head]


def contributions(layer: AttentionLayer, head: int, rows: slice = slice(None)) -> Float[Tensor, "query key"]:
    """‖a · v · W_O‖ of one head for a block of query rows: the length of what each key adds to what the head writes.

    Raises ValueError as `value_norms`.
    """
    return layer.weights(head, rows) * value_norms(layer, head)


def contribution_shares(
    layer: AttentionLayer, weights: Float[Tensor, "head query key"], heads: slice = slice(None)
) -> Float[Tensor, "head query key"]:
    """Weights of some heads as contributions, each row divided by its sum: rows sum to 1 as weights do.

    `weights` may be any rows of these heads, and leave out keys at the end that none of the rows may read. A row whose
    values are all 0 becomes NaN. Raises ValueError as `value_norms`.
    """
    lengths = weights * _all_value_norms(layer)[heads, None, : weights.shape[-1]].to(weights.device)
    return lengths / lengths.sum(dim=-1, keepdim=True)


def all_attention(layer: AttentionLayer, rows: slice = slice(None), *, by_norm: bool) -> Float[Tensor, "head row key"]:
    """Rows of all heads on the processor: the weights, or as contributions their shares.

    Raises ValueError as `value_norms`, if contributions are asked for.
    """
    weights = layer.all_weights(rows).cpu()
    return contribution_shares(layer, weights) if by_norm else weights


def why_not(layer: AttentionLayer) -> str:
    """Why this layer has no contributions, as the end of a sentence; empty if it has."""
    if not isinstance(layer, LayerTrace):
        return "only weights were given, no values" if layer.origin == "given" else "this architecture hides its values"
    o = layer.projections.o if layer.projections is not None else None
    if o is None:
        return "W_O was not observed"
    if o.norm is not None:
        return "the joined outputs are normed before W_O, so that no head writes for itself"
    if o.gate is not None:
        return "a gate stands between the heads and W_O"
    return ""


@dataclass(frozen=True, slots=True)
class Moved:
    """One token of the vocabulary and how far a head's writing moves its score."""

    id: int
    text: str  # as shown: blanks and joins visible
    piece: str  # the vocabulary's own string
    change: float  # of its score (logit), relative to the mean over the vocabulary; in nats of odds


@dataclass(frozen=True, slots=True)
class HeadWrites:
    """What one head's writing at one token does directly to what the model says there; strongest first."""

    raised: tuple[Moved, ...]
    lowered: tuple[Moved, ...]
    length: float  # ‖w‖ of what the head writes, in the units of the residual stream
    spread: float  # standard deviation of the change over the whole vocabulary
    says: str  # how it was read, a sentence

    __repr__ = short_repr


def head_writes(trace: Record, layer: int, head: int, query: int, n: int = N_TOKENS) -> HeadWrites | Unsaid:
    """Which tokens a head raises and lowers by what it writes straight into the last vector of `query`.

    The direct effect only: what later layers make of it is left out. The model's language head is run on the last
    vector with the head's writing and without it; the last norm keeps the spread it had (it is "frozen"), so that the
    effects of all heads add up. A change of all scores alike changes nothing, so changes are relative to their mean.
    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (direct path to the logits).
    """
    ending = trace.ending
    if ending is None:
        came = "These matrices were given by you" if trace.given else "This trace came from a file"
        return Unsaid(f"{came}. What a head writes in words needs the model itself.")
    if ending.model.head is None or ending.hidden is None:
        return Unsaid(f"{trace.facts.name} has no language head: what its heads write has no words.")
    layer, head = trace.place(layer, head)
    one = trace.layers[layer]
    query = query + one.n_query if -one.n_query <= query < 0 else query
    if trace.target_tokens and one.kind == "encoder self":
        return Unsaid("The encoder's heads write for the decoder to read; only the decoder's stream ends in words.")
    if reason := why_not(one):
        return Unsaid(f"What this head writes cannot be told apart: {reason}.")
    one, o = _with_output_projection(one)
    if not 0 <= query < one.n_query:
        raise ValueError(f"query must be 0 … {one.n_query - 1}; got {query}")
    written = one.output[head, query].float() @ _slot(o, head)
    stream, says = _in_the_last_vector(one, o, ending, query, written)
    last = ending.hidden[query].float()
    without = (last - stream).to(ending.hidden.dtype)
    try:
        logits = ending.model.head.logits(torch.stack((ending.hidden[query], without))).float().cpu()
    except ValueError as error:
        return Unsaid(f"What this head writes cannot be read: {error}.")
    change = logits[0] - logits[1]
    change = change - change.mean()
    return HeadWrites(
        raised=_moved(trace, ending, change, n, largest=True),
        lowered=_moved(trace, ending, change, n, largest=False),
        length=float(written.norm()),
        spread=float(change.std()),
        says=says,
    )


def _in_the_last_vector(
    layer: LayerTrace, o: OutputProjection, ending: Ending, query: int, written: Float[Tensor, " d_model"]
) -> tuple[Float[Tensor, " d_model"], str]:
    """What the writing is in the last vector, and a sentence on how it gets there."""
    residual = layer.projections.residual if layer.projections is not None else None
    added = written
    if residual is not None:
        if residual.norm is not None:
            added = frozen(residual.norm, o.written[query].float(), added)
        added = added * residual.factor
    straight_on = residual.order != "attention, then norm" if residual is not None else layer.causal
    fed = ending.last_norm
    rule = norm_rule(fed, 2e-2 if fed.after.dtype != torch.float32 else 2e-5) if fed is not None else None
    if not straight_on:
        return added, "Read as it is written: the norms that follow in this model are left out."
    if fed is None or rule is None:
        return added, "Read as it is written: no norm was observed before the language head."
    return frozen(rule, fed.before[query, 0].float(), added), "Read through the last norm, whose spread is kept."


def frozen(
    norm: Norm, at: Float[Tensor, " channel"], direction: Float[Tensor, " channel"]
) -> Float[Tensor, " channel"]:
    """A norm as the linear map that it is while the spread of its input stays what it is `at` that vector."""
    if norm.kind == "layer":
        at, direction = at - at.mean(), direction - direction.mean()
    scaled = direction * torch.rsqrt(at.square().mean() + norm.eps)
    return scaled if norm.gain is None else scaled * norm.gain.reshape(-1).float()


def _moved(
    trace: Record, ending: Ending, change: Float[Tensor, " d_vocab"], n: int, *, largest: bool
) -> tuple[Moved, ...]:
    found = change.topk(min(n, len(change)), largest=largest)
    tokenizer = ending.model.target_tokenizer if trace.target_tokens else ending.model.tokenizer
    pieces = [piece_of(tokenizer, id_) for id_ in found.indices.tolist()]
    style = style_of(tokenizer)
    special = set(tokenizer.all_special_ids)
    return tuple(
        Moved(id_, display(piece, style="plain" if id_ in special else style), piece, by)
        for id_, piece, by in zip(found.indices.tolist(), pieces, found.values.tolist(), strict=True)
    )


_known: 'WeakKeyDictionary[Found, Float[Tensor, "head key"]]' = WeakKeyDictionary()
_known_lock = Lock()


def _all_value_norms(layer: AttentionLayer) -> Float[Tensor, "head key"]:
    """`value_norms` of every head. Kept as long as the trace: a picture in blocks of rows asks again for each."""
    layer, o = _with_output_projection(layer)
    assert layer.found is not None
    with _known_lock:
        known = _known.get(layer.found)
    if known is None:
        with torch.inference_mode():
            values = layer.v.float()
            known = torch.stack(
                [(values[layer.kv_head(head)] @ _slot(o, head)).norm(dim=-1) for head in range(layer.n_heads)]
            )
        with _known_lock:
            _known[layer.found] = known
    return known


def _with_output_projection(layer: AttentionLayer) -> tuple[LayerTrace, OutputProjection]:
    if reason := why_not(layer):
        raise ValueError(f"{layer.label} has no norm-based weights: {reason}")
    assert isinstance(layer, LayerTrace) and layer.projections is not None and layer.projections.o is not None
    return layer, layer.projections.o


def _slot(o: OutputProjection, head: int) -> Float[Tensor, "d_value d_model"]:
    return o.matrix()[o.slots[head].to(o.written.device)]
