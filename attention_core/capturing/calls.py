"""The attention calls of one run, and the layers of the record that they become."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_core.capturing.encode import CaptureError
from attention_core.capturing.masks import PassedMask, read_mask
from attention_core.capturing.search import find_projections
from attention_core.formula.masks import Band
from attention_core.inside.of_transformers import AttentionFunction, Keywords, eager_function
from attention_core.models.facts import LoadedModel
from attention_core.observe.hooks import Watcher
from attention_core.observe.interface import EAGER, AttentionCall, choose_attention
from attention_core.observe.seen import Seen
from attention_core.record.layers import Kind, LayerTrace, Mask, Witness
from attention_core.record.projections import Found

# Keywords of an attention call that change its result; each has its place in the formula.
_USED = {"scaling", "softcap", "position_bias", "s_aux", "sinks", "is_causal"}


# Keywords that do not: bookkeeping, other kernels' needs, or (sliding_window) already in the mask.
_HARMLESS = {
    "cache_position",
    "cu_seq_lens_k",
    "cu_seq_lens_q",
    "deterministic",
    "encoder_attention_mask",
    "encoder_hidden_states",
    "max_length_k",
    "max_length_q",
    "output_attentions",
    "output_hidden_states",
    "past_key_values",
    "position_ids",
    "return_dict",
    "sliding_window",
    "use_cache",
}


class Calls:
    """Collects attention calls in call order (ALBERT calls one module many times)."""

    def __init__(self) -> None:
        self.calls: list[AttentionCall] = []
        self.watcher = Watcher()  # what ran around each of them: one `Seen` for each call

    def add(self, call: AttentionCall) -> None:
        """Keep a call, with the linear maps and norms that the watcher has seen before it."""
        self.watcher.attended(call.module, call.q, call.k, call.v, call.output)
        self.calls.append(call)


def layers_of(calls: Calls, model: LoadedModel, n_source: int, n_target: int) -> tuple[LayerTrace, ...]:
    """The calls of a run as layers of a record, in the order in which they ran.

    Raises CaptureError for a model that does not attend from token to token.
    """
    encoder = set(model.model.get_encoder().modules()) if model.facts.encoder_decoder else set()
    masks: dict[int, PassedMask] = {}  # many layers share one mask tensor: look at each once
    counts: dict[Kind, int] = {}
    layers = []
    # A modelling file's own eager function knows no mask but the one that it is given: without one all may be read. A
    # module that calls itself causal is believed all the same: if its mask was lost on the way, the proof shows it.
    eager = choose_attention(model.model) == EAGER
    for call, seen in zip(calls.calls, calls.watcher.calls, strict=True):
        is_causal = getattr(call.module, "is_causal", False) if eager else call.keywords.get("is_causal")
        mask = read_mask(call.mask, call.module, call.q, call.k, is_causal, masks)
        kind = _kind(call, mask.allowed, in_encoder=call.module in encoder, encoder_decoder=model.facts.encoder_decoder)
        n_query = n_target if n_target and kind != "encoder self" else n_source
        n_key = n_target if n_target and kind == "decoder self" else n_source
        if call.q.shape[-2] != n_query or call.k.shape[-2] != n_key:
            raise CaptureError(
                f"{model.facts.architecture} does not attend from token to token in {kind} "
                f"layer {counts.get(kind, 0)}: "
                f"{call.q.shape[-2]} × {call.k.shape[-2]} positions for {n_query} × {n_key} tokens."
            )
        layers.append(_layer(call, seen, mask, kind, counts.get(kind, 0)))
        counts[kind] = counts.get(kind, 0) + 1
    return tuple(layers)


def _layer(call: AttentionCall, seen: Seen, mask: PassedMask, kind: Kind, index: int) -> LayerTrace:
    unknown = [
        name
        for name, value in call.keywords.items()
        if value is not None and name not in _USED | _HARMLESS and not (name == "dropout" and value == 0)
    ]
    if unknown:
        raise ValueError(
            f"{type(call.module).__name__} passes {unknown[0]!r} to its attention; "
            "what that does to the result is not known here, so nothing is shown"
        )
    scale = call.keywords.get("scaling")
    return LayerTrace(
        kind=kind,
        index=index,
        q=call.q[0],
        k=call.k[0],
        v=call.v[0],
        output=call.output[0].transpose(0, 1),
        scale=float(call.q.shape[-1] ** -0.5 if scale is None else scale),
        mask=mask.allowed,
        bias=_bias(call, mask),
        softcap=call.keywords.get("softcap"),
        sink_logit=_sink_logit(call),
        witness=_witness(call, mask),
        found=Found(seen, find_projections),
    )


def _kind(call: AttentionCall, mask: Mask, *, in_encoder: bool, encoder_decoder: bool) -> Kind:
    """Told by what the call does, not by the module's name.

    In the decoder of an encoder-decoder, self-attention is causal and cross-attention is not. With one query both look
    alike, and what the module says of itself decides.
    """
    n_query, n_key = call.q.shape[-2], call.k.shape[-2]
    causal = mask.causal if isinstance(mask, Band) else not bool(mask.triu(1).any())
    if n_query == n_key == 1:
        causal = bool(getattr(call.module, "is_causal", False))
    if not encoder_decoder:
        return "decoder self" if causal else "encoder self"
    if in_encoder:
        return "encoder self"
    return "decoder self" if causal and n_query == n_key else "cross"


def _bias(call: AttentionCall, mask: PassedMask) -> Float[Tensor, "#head query key"] | None:
    """All that is added to the scores: relative positions (a keyword of its own) and what came inside the mask."""
    position_bias = call.keywords.get("position_bias")
    if position_bias is None:
        return mask.bias
    return position_bias[0] if mask.bias is None else position_bias[0] + mask.bias


def _sink_logit(call: AttentionCall) -> Float[Tensor, " head"] | Float[Tensor, "head query"] | None:
    """The learned extra logit of the softmax: one for each head, or (from x) one for each head and query."""
    sinks = call.keywords.get("s_aux")
    if sinks is not None:
        return sinks.reshape(-1).detach()
    sinks = call.keywords.get("sinks")  # [batch, head, query, 1]
    return None if sinks is None else sinks[0, :, :, 0]


def _witness(call: AttentionCall, mask: PassedMask) -> Witness | None:
    """The model's eager function on the captured q, k, v with what the model passed: an independent source."""
    eager = eager_function(call.module)
    # Some eager functions read a sink from the module: not from one whose weights are on the disk.
    if eager is None or any(parameter.is_meta for parameter in call.module.parameters(recurse=False)):
        return None
    return _Eager(eager, call.module, call.q, call.k, call.v, mask, dict(call.keywords))


@dataclass(frozen=True, slots=True, eq=False)
class _Eager:
    """A record and not a closure: it can be taken apart and put together again with its trace (`record/apart`)."""

    function: AttentionFunction
    module: nn.Module
    q: Float[Tensor, "batch head query d_head"]
    k: Float[Tensor, "batch kv_head key d_head"]
    v: Float[Tensor, "batch kv_head key d_value"]
    mask: PassedMask
    keywords: Keywords

    def __call__(self, head: int, rows: slice) -> Float[Tensor, "row key"] | None:
        q, k, v, keywords = self.q, self.k, self.v, self.keywords
        group = q.shape[1] // k.shape[1]
        # Only the heads that share this head's keys. A learned sink logit is read from the module for all heads at
        # once.
        all_heads = keywords.get("s_aux") is not None or keywords.get("sinks") is not None
        heads = slice(None) if all_heads else slice(head // group * group, (head // group + 1) * group)
        kv_heads = slice(None) if all_heads else slice(head // group, head // group + 1)
        own = head if all_heads else head % group
        block = dict(keywords)
        bias, sinks = block.get("position_bias"), block.get("sinks")
        if bias is not None:
            block["position_bias"] = (bias[:, heads] if bias.shape[1] > 1 else bias)[:, :, rows]
        if sinks is not None:
            block["sinks"] = sinks[:, :, rows]
        # In float32, whatever the model computes in: half precision would round large scores, and so the weights, by
        # more than a fault in mask, scale or bias may come to.
        q_block, k_block, v_block = q[:, heads, rows].float(), k[:, kv_heads].float(), v[:, kv_heads].float()
        added = self.mask.additive(q, k, heads, rows)
        with torch.inference_mode():
            output, weights = self.function(self.module, q_block, k_block, v_block, added, **block)
            if weights is None:
                return None
            weights, output = weights[0, own], output[0, :, own]
            if torch.allclose(weights @ v[0, head // group].to(weights.dtype), output, rtol=1e-3, atol=1e-3):
                return weights
            # Some functions weigh the output after the softmax (a sink as a factor): then what they return is not what
            # multiplies v. With the identity for v, the output is.
            eye = torch.eye(k.shape[-2], device=v.device).expand(*v_block.shape[:2], -1, -1)
            output, _ = self.function(self.module, q_block, k_block, eye, added, **block)
        return output[0, :, own]
