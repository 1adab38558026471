"""Put a real head into the Lab: its q, k and v for a few tokens of the text, as cells that can be edited."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attention_core.formula.masks import causal_mask
from attention_core.lab.state import (
    MAX_REAL,
    MAX_VALUE,
    MAX_WORDS,
    MIN_WORDS,
    WORD_LENGTH,
    Cells,
    LabState,
    RealHead,
    Switches,
    cells_of,
)
from attention_core.record.groups import layer_name
from attention_core.record.layers import LayerTrace
from attention_core.record.record import Record


def from_trace(trace: Record, layer: int, head: int, tokens: tuple[int, ...]) -> LabState:
    """Copy what attention received, float32 exactly, in the order of the text: after rotary embedding and q/k norms.

    The model's factor, its bias and its mask over these tokens come along. Weights in the Lab are over these tokens
    alone; `real.notes` says so, how much of the model's attention that leaves out, and what else of the head is not
    here. Raises ValueError, in one sentence, for a layer without q and k, for cross-attention, and for tokens or
    sizes that the Lab cannot take.
    """
    chosen = tuple(sorted(tokens))
    if not MIN_WORDS <= len(set(chosen)) == len(chosen) <= MAX_WORDS:
        raise ValueError(f"Choose {MIN_WORDS} to {MAX_WORDS} different tokens; got {len(chosen)}.")
    trace.weights(layer, head, slice(0, 1))  # raises for a layer or head that does not exist
    one = trace.layers[layer]
    if not isinstance(one, LayerTrace):
        why = f"{trace.only_weights[0].upper()}{trace.only_weights[1:]}"
        raise ValueError(f"{why}, so there is nothing to copy into cells.")
    if one.kind == "cross":
        raise ValueError(
            "This head is cross-attention: its queries and its keys come from two texts, and the Lab has one."
        )
    texts = trace.query_tokens(layer)
    if not 0 <= chosen[0] <= chosen[-1] < len(texts):
        raise ValueError(f"The text has tokens 0 to {len(texts) - 1}; got {chosen}.")
    if one.q.shape[-1] > MAX_REAL or one.v.shape[-1] > MAX_REAL:
        raise ValueError(
            f"This head has {max(one.q.shape[-1], one.v.shape[-1])} components; the Lab takes up to {MAX_REAL}."
        )
    weights = [trace.weights(layer, head, slice(token, token + 1))[0].cpu() for token in chosen]
    kv_head, picked = one.kv_head(head), torch.tensor(chosen)
    q, k, v = (_rows(tensor, picked) for tensor in (one.q[head], one.k[kv_head], one.v[kv_head]))
    allowed, bias = _pairs(one, head, picked)
    causal = allowed is not None and torch.equal(allowed, causal_mask(len(chosen)))
    # Not 1 minus the chosen tokens' share: a sink logit takes its part of a row, and it is no token.
    outside = sum(float(row.sum() - row[picked].sum()) for row in weights) / len(chosen)
    real = RealHead(
        trace.facts.name,
        layer_name(trace, layer),
        layer,
        head,
        chosen,
        float(one.scale),
        q,
        k,
        v,
        bias,
        None if allowed is None or causal else tuple(map(tuple, allowed.tolist())),
        _notes(one, len(chosen), len(texts), outside),
    )
    words = tuple(_word(texts[token].text) for token in chosen)
    return LabState(words, q=q, k=k, v=v, real=real, switches=Switches(causal=causal))


def _rows(tensor: Float[Tensor, "token channel"], picked: Int[Tensor, " chosen"]) -> Cells:
    return cells_of(tensor.float().cpu()[picked].double())


def _pairs(
    one: LayerTrace, head: int, picked: Int[Tensor, " chosen"]
) -> tuple[Bool[Tensor, "chosen chosen"] | None, Cells | None]:
    """The mask and the bias over the chosen tokens; a bias so low that it is a mask counts as one."""
    allowed = torch.ones(len(picked), len(picked), dtype=torch.bool)
    for row, token in enumerate(picked.tolist()):
        whole = one.allowed(head, slice(token, token + 1))
        if whole is not None:
            allowed[row] = whole[0].cpu()[picked]
    bias = None
    if one.bias is not None:
        of_head = one.bias[head if one.bias.shape[0] > 1 else 0].float().cpu()
        bias = of_head[picked][:, picked].double()
        allowed &= bias > -MAX_VALUE
        bias = bias.masked_fill(~allowed, 0.0)
    return (
        None if bool(allowed.all()) else allowed,
        None if bias is None or not bool(bias.any()) else cells_of(bias),
    )


def _notes(one: LayerTrace, n_chosen: int, n_tokens: int, outside: float) -> tuple[str, ...]:
    n_others = n_tokens - n_chosen
    others = "1 other token, which takes" if n_others == 1 else f"{n_others} other tokens, which take"
    notes = [
        f"Weights here are over these {n_chosen} tokens alone. In the model they share a row with "
        f"{others} {max(outside, 0.0):.0%} of these rows' attention."
    ]
    if n_chosen == n_tokens:
        notes = ["These are all tokens of the text: the weights are the model's own."]
    if one.softcap is not None:
        notes.append(f"The model bends its scores at {one.softcap:g} (soft-cap); that is left out here.")
    if one.sink_logit is not None:
        notes.append("The model's softmax has a learned sink logit that takes a share; that is left out here.")
    if (one.softcap is not None or one.sink_logit is not None) and n_chosen == n_tokens:
        notes[0] = "These are all tokens of the text."
    return tuple(notes)


def _word(text: str) -> str:
    """A token's text as a row's name: one line, not empty, not too long."""
    shown = text.strip() or "·"
    return shown if len(shown) <= WORD_LENGTH else shown[: WORD_LENGTH - 1] + "…"
