"""Run a text through a model once, at the price of a plain forward pass, and keep what attention saw."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from attention_core.attention_functions import collector, eager_function
from attention_core.masks import CAUSAL, EVERYTHING, Band, as_band
from attention_core.models import LoadedModel
from attention_core.tokens import Token, clean_text, guess_style, tokens_from, words_of
from attention_core.trace import AttentionLayer, Kind, LayerTrace, Mask, Trace, WeightsOnly, Witness

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


class CaptureError(ValueError):
    """A text could not be captured; the text of the error is a plain sentence."""


def capture(model: LoadedModel, text: str, pair: str | None = None, target: str | None = None) -> Trace:
    """Capture q, k, v and output of every attention call while the model reads `text`.

    Of an architecture that hides q and k from transformers' attention interface, the weights that it returns itself.

    `pair` is a second sentence for models that read two, `target` the decoder's text of an encoder-decoder (its start
    token alone if None). A text over the model's limit is cut, and `notes` says where.

    Raises CaptureError if the text makes no tokens, and ValueError naming a keyword of the model's attention that would
    change the result and that we do not know: a picture drawn without it would be wrong.
    """
    text, notes = clean_text(text)
    if pair is not None:
        pair, pair_notes = clean_text(pair)
        notes += pair_notes
    source = _encode(model, text, pair or None)
    notes += source.notes
    inputs: dict[str, Tensor] = {"input_ids": torch.tensor([source.ids])}
    accepted = inspect.signature(model.model.forward).parameters
    if source.types is not None and "token_type_ids" in accepted:
        inputs["token_type_ids"] = torch.tensor([source.types])
    target_tokens: tuple[Token, ...] = ()
    if model.facts.encoder_decoder:
        target, target_notes = clean_text(target or "")
        decoder = _decoder_side(model, target)
        notes += target_notes + decoder.notes
        target_tokens = decoder.tokens
        inputs["decoder_input_ids"] = torch.tensor([decoder.ids])
    layers: tuple[AttentionLayer, ...]
    if model.exact:
        layers = _layers(_run(model, inputs), model, len(source.ids), len(target_tokens))
    else:
        layers = _weights_only(model, inputs)
    return Trace(
        facts=model.facts,
        text=text,
        pair=pair or None,
        target=target if model.facts.encoder_decoder else None,
        source_tokens=source.tokens,
        target_tokens=target_tokens,
        layers=layers,
        notes=tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class Counted:
    """What a text comes to, before it is captured."""

    n_tokens: int  # specials included
    n_special: int
    cut_from: int | None  # character of the first sentence where the model's limit cuts it; None if all fits


def count_tokens(model: LoadedModel, text: str, pair: str | None = None) -> Counted:
    """Count the tokens of a text without running the model."""
    text, _ = clean_text(text)
    pair = clean_text(pair)[0] if pair else None
    ids = model.encode(text, pair)["input_ids"]
    specials = set(model.tokenizer.all_special_ids) - {model.tokenizer.unk_token_id, model.tokenizer.mask_token_id}
    n_special = sum(id_ in specials for id_ in ids)
    limit = model.facts.context_length
    if limit is None or len(ids) <= limit:
        return Counted(len(ids), n_special, None)
    return Counted(len(ids), n_special, _end_of_text(_encode(model, text, pair).tokens))


@dataclass(frozen=True, slots=True)
class _Encoded:
    ids: list[int]
    types: list[int] | None
    tokens: tuple[Token, ...]
    notes: list[str]


def _encode(model: LoadedModel, text: str, pair: str | None) -> _Encoded:
    tokenizer, limit = model.tokenizer, model.facts.context_length
    options = {"return_offsets_mapping": tokenizer.is_fast}
    encoded = model.encode(text, pair, **options)
    n_all = len(encoded["input_ids"])
    notes: list[str] = []
    if limit is not None and n_all > limit:
        encoded = model.encode(text, pair, truncation=True, max_length=limit, **options)
    ids = list(encoded["input_ids"])
    tokens = _tokens(tokenizer, encoded)
    if not ids or all(token.special for token in tokens):
        raise CaptureError("The model's tokenizer makes no tokens of this text. Type at least one word that it knows.")
    if len(ids) < n_all:
        end = _end_of_text(tokens)
        rest = f", up to “{text[max(0, end - 20) : end]}”" if end else ""
        notes.append(f"The model reads at most {limit:,} tokens: {n_all - len(ids):,} of {n_all:,} were cut{rest}.")
    return _Encoded(ids, encoded.get("token_type_ids"), tokens, notes)


def _tokens(tokenizer: Any, encoded: Any) -> tuple[Token, ...]:
    ids = list(encoded["input_ids"])
    pieces = [piece if isinstance(piece, str) else str(piece) for piece in tokenizer.convert_ids_to_tokens(ids)]
    # A word that the vocabulary lacks and a [MASK] are read from the text like any other token.
    special_ids = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id, tokenizer.mask_token_id}
    specials = [id_ in special_ids for id_ in ids]
    spans = [tuple(span) for span in encoded["offset_mapping"]] if tokenizer.is_fast else [(0, 0)] * len(ids)
    style = guess_style(pieces)
    words = _words(encoded, len(ids)) if tokenizer.is_fast else []
    if len({word for word in words if word is not None}) <= 1:  # some tokenizers call the whole text one word
        words = words_of(pieces, specials, style)
    return tokens_from(pieces, ids, spans, specials, words, style)


def _words(encoded: Any, n_tokens: int) -> list[int | None]:
    """The word each token belongs to; words of a second sentence are counted on from the first."""
    words: list[int | None] = []
    for sequence, word in zip(encoded.sequence_ids(0), encoded.word_ids(0), strict=True):
        words.append(None if word is None else word + (sequence or 0) * n_tokens)
    return words


def _end_of_text(tokens: Sequence[Token]) -> int:
    return max((token.span[1] for token in tokens if not token.special), default=0)


def _decoder_side(model: LoadedModel, target: str) -> _Encoded:
    """The decoder's input: its start token, then the target's tokens without specials."""
    config = model.model.config
    start = getattr(config, "decoder_start_token_id", None)
    if start is None:
        start = getattr(config, "bos_token_id", None) or 0
    tokenizer = model.target_tokenizer
    encoded = model.encode(target, target=True, return_offsets_mapping=tokenizer.is_fast)
    own = [token for token in _tokens(tokenizer, encoded) if not token.special]
    piece = str(tokenizer.convert_ids_to_tokens(start))
    limit = (model.facts.context_length or len(own) + 1) - 1
    notes = [f"The decoder's text was cut to {limit + 1:,} tokens."] if len(own) > limit else []
    start_token = Token(text=piece, id=start, span=(0, 0), special=True, piece=piece, word=None)
    tokens = (start_token, *own[:limit])
    return _Encoded([token.id for token in tokens], None, tokens, notes)


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    module: nn.Module
    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor | None
    output: Tensor
    keywords: dict[str, Any]


class _Calls:
    """Collects attention calls in call order (ALBERT calls one module many times)."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []

    def add(
        self,
        module: nn.Module,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        output: Tensor,
        keywords: dict[str, Any],
    ) -> None:
        self.calls.append(_Call(module, q, k, v, mask, output, keywords))


def _run(model: LoadedModel, inputs: dict[str, Tensor]) -> list[_Call]:
    calls = _Calls()
    token = collector.set(calls)
    try:
        _forward(model, inputs)
    finally:
        collector.reset(token)
    if not calls.calls:
        raise CaptureError(f"{model.facts.architecture} made no attention call that could be observed.")
    return calls.calls


def _forward(model: LoadedModel, inputs: dict[str, Tensor], **options: bool) -> Any:
    device = next(model.model.parameters()).device
    accepted = inspect.signature(model.model.forward).parameters
    if "use_cache" in accepted or "kwargs" in accepted:
        options["use_cache"] = False
    with torch.inference_mode():
        return model.model(**{name: ids.to(device) for name, ids in inputs.items()}, **options)


def _weights_only(model: LoadedModel, inputs: dict[str, Tensor]) -> tuple[WeightsOnly, ...]:
    """The attention weights that the model returns itself, read by name."""
    found = _forward(model, inputs, output_attentions=True)
    fields: dict[str, Kind] = {"attentions": "encoder self"}
    if model.facts.encoder_decoder:
        fields = {
            "encoder_attentions": "encoder self",
            "decoder_attentions": "decoder self",
            "cross_attentions": "cross",
        }
    layers = []
    for name, kind in fields.items():
        for index, weights in enumerate(getattr(found, name, None) or ()):
            layer = WeightsOnly(kind, index, weights[0])
            layers.append(replace(layer, kind="decoder self") if name == "attentions" and layer.causal else layer)
    if not layers:
        raise CaptureError(f"{model.facts.architecture} shows neither q and k nor attention weights.")
    return tuple(layers)


def _layers(calls: list[_Call], model: LoadedModel, n_source: int, n_target: int) -> tuple[LayerTrace, ...]:
    encoder = set(model.model.get_encoder().modules()) if model.facts.encoder_decoder else set()
    masks: dict[int, Mask] = {}  # many layers share one mask tensor: look at each once
    counts: dict[Kind, int] = {}
    layers = []
    for call in calls:
        mask = _mask(call, masks)
        kind = _kind(call, mask, in_encoder=call.module in encoder, encoder_decoder=model.facts.encoder_decoder)
        n_query = n_target if n_target and kind != "encoder self" else n_source
        n_key = n_target if n_target and kind == "decoder self" else n_source
        if call.q.shape[-2] != n_query or call.k.shape[-2] != n_key:
            raise CaptureError(
                f"{model.facts.architecture} does not attend from token to token in {kind} "
                f"layer {counts.get(kind, 0)}: "
                f"{call.q.shape[-2]} × {call.k.shape[-2]} positions for {n_query} × {n_key} tokens."
            )
        layers.append(_layer(call, mask, kind, counts.get(kind, 0)))
        counts[kind] = counts.get(kind, 0) + 1
    return tuple(layers)


def _layer(call: _Call, mask: Mask, kind: Kind, index: int) -> LayerTrace:
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
    bias = call.keywords.get("position_bias")
    sinks = call.keywords.get("s_aux", call.keywords.get("sinks"))
    return LayerTrace(
        kind=kind,
        index=index,
        q=call.q[0],
        k=call.k[0],
        v=call.v[0],
        output=call.output[0].transpose(0, 1),
        scale=float(call.q.shape[-1] ** -0.5 if scale is None else scale),
        mask=mask,
        bias=None if bias is None else bias[0],
        softcap=call.keywords.get("softcap"),
        sink_logit=None if sinks is None else sinks.reshape(-1).detach(),
        witness=_witness(call, mask),
    )


def _kind(call: _Call, mask: Mask, *, in_encoder: bool, encoder_decoder: bool) -> Kind:
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


def _mask(call: _Call, seen: dict[int, Mask]) -> Mask:
    """The mask of a call as a rule, or as booleans (True = may read) if no rule describes it.

    None does not mean "may read all": SDPA is then causal (upper left) when there is more than one query and neither
    the keyword nor the module says otherwise (transformers, sdpa_attention_forward).
    """
    n_query, n_key = call.q.shape[-2], call.k.shape[-2]
    if call.mask is None:
        keyword = call.keywords.get("is_causal")
        causal = keyword if keyword is not None else getattr(call.module, "is_causal", True)
        return CAUSAL if causal and n_query > 1 else EVERYTHING
    if id(call.mask) not in seen:
        mask = call.mask[0]
        allowed = mask if mask.dtype == torch.bool else _allowed_of(mask)
        if allowed.shape[0] == 1:
            plain = allowed[0].expand(n_query, n_key)
            seen[id(call.mask)] = as_band(plain) or plain
        else:
            seen[id(call.mask)] = allowed
    return seen[id(call.mask)]


def _allowed_of(mask: Tensor) -> Tensor:
    """Booleans from an additive mask: finfo.min or -inf where masked, 0 elsewhere."""
    allowed = mask > torch.finfo(mask.dtype).min / 2
    if bool((mask[allowed] != 0).any()):
        raise ValueError(
            "the model adds numbers to its scores through the attention mask; what they mean is not known here"
        )
    return allowed


def _witness(call: _Call, mask: Mask) -> Witness | None:
    """The model's eager function on the captured q, k, v with what the model passed: an independent source."""
    eager = eager_function(call.module)
    if eager is None:
        return None
    module, q, k, v = call.module, call.q, call.k, call.v
    group = q.shape[1] // k.shape[1]
    keywords = dict(call.keywords)

    def weights(head: int, rows: slice) -> Tensor | None:
        # Only the heads that share this head's keys. A learned sink logit is read from the module for all heads at
        # once.
        all_heads = keywords.get("s_aux") is not None or keywords.get("sinks") is not None
        heads = slice(None) if all_heads else slice(head // group * group, (head // group + 1) * group)
        kv_heads = slice(None) if all_heads else slice(head // group, head // group + 1)
        block = dict(keywords)
        bias = block.get("position_bias")
        if bias is not None:
            block["position_bias"] = (bias[:, heads] if bias.shape[1] > 1 else bias)[:, :, rows]
        mask_of = mask[heads] if isinstance(mask, Tensor) and mask.dim() == 3 else mask
        with torch.inference_mode():
            _, weights = eager(
                module, q[:, heads, rows], k[:, kv_heads], v[:, kv_heads], _additive(mask_of, q, k, rows), **block
            )
        return None if weights is None else weights[0, head if all_heads else head % group]

    return weights


def _additive(mask: Mask, q: Tensor, k: Tensor, rows: slice) -> Tensor | None:
    """The mask as eager functions want it: 0 or the dtype's minimum, [1, 1 or head, query, key]."""
    if isinstance(mask, Band):
        if mask.everything:
            return None
        allowed = mask.allowed(q.shape[-2], k.shape[-2], rows, q.device)
    else:
        allowed = mask[..., rows, :]
    bias = torch.zeros(allowed.shape, dtype=q.dtype, device=q.device).masked_fill(~allowed, torch.finfo(q.dtype).min)
    return bias[None, None] if bias.dim() == 2 else bias[None]
