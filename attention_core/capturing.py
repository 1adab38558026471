"""Run a text through a model once, at the price of a plain forward pass, and keep what attention saw."""

import inspect
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import takewhile
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from attention_core.attention_functions import AttentionFunction, collector, eager_function
from attention_core.hybrids import layers_that_run, other_layers
from attention_core.map_search import find_projections
from attention_core.masks import Band
from attention_core.memory import said_as
from attention_core.models import LoadedModel
from attention_core.observing import Seen, Watcher, install, watcher
from attention_core.passed_masks import PassedMask, read_mask
from attention_core.projections import Found
from attention_core.readout import Ending
from attention_core.returned_weights import returned_weights
from attention_core.tokens import Token, clean_text, style_of, tokens_from, words_of
from attention_core.trace import AttentionLayer, Kind, LayerTrace, Mask, Trace, Witness

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


MOST_BEFORE = 4  # tokens that a tokenizer puts before a text; those that we know put at most 2

_keywords_of: WeakKeyDictionary[nn.Module, Set[str]] = WeakKeyDictionary()  # reading them takes a millisecond


class CaptureError(ValueError):
    """A text could not be captured; the text of the error is a plain sentence."""


class NoTokensError(CaptureError):
    """A text makes no tokens: there is nothing in it to read."""


@said_as(CaptureError)
def capture(model: LoadedModel, text: str, pair: str | None = None, target: str | None = None) -> Trace:
    """Capture q, k, v and output of every attention call while the model reads `text`.

    Of an architecture that hides q and k from transformers' attention interface, the weights that it returns itself.

    `pair` is a second sentence for models that read two, `target` the decoder's text of an encoder-decoder (its start
    token alone if None). A text over the model's limit is cut, and `notes` says where.

    Raises NoTokensError if the text makes no tokens, CaptureError if it needs more memory than there is, and ValueError
    naming a keyword of the model's attention that would change the result and that we do not know: a picture drawn
    without it would be wrong.
    """
    text, notes = clean_text(text)
    if pair is not None:
        pair, pair_notes = clean_text(pair)
        notes += pair_notes
    source = _encode(model, text, pair or None)
    notes += source.notes
    decoder: Encoded | None = None
    if model.facts.encoder_decoder:
        target, target_notes = clean_text(target or "")
        decoder = decoder_side(model, target)
        notes += target_notes + decoder.notes
    return _captured(model, source, decoder, text, pair or None, target, notes)


def capture_ids(model: LoadedModel, ids: Sequence[int], target_ids: Sequence[int] | None = None) -> Trace:
    """Capture what attention saw while the model read these tokens of its vocabulary as they are: nothing is added.

    For probes that no text stands for: random tokens, tokens in another order. `target_ids` are the decoder's, its
    start token included; an encoder-decoder needs them.

    Raises ValueError for no tokens, more than the model can read, or a side that is missing.
    """
    sides = {"ids": ids} if target_ids is None else {"ids": ids, "target_ids": target_ids}
    limit = model.facts.context_length
    for name, side in sides.items():
        if not 0 < len(side) <= (limit or len(side)):
            raise ValueError(f"{name} must be 1 … {limit or 'any number of'} tokens; got {len(side)}")
    if model.facts.encoder_decoder != (target_ids is not None):
        raise ValueError("target_ids are for an encoder-decoder, and it needs them")
    source = Encoded(list(ids), None, _tokens_of_ids(model.tokenizer, ids), [])
    decoder = None
    if target_ids is not None:
        decoder = Encoded(list(target_ids), None, _tokens_of_ids(model.target_tokenizer, target_ids), [])
    return _captured(model, source, decoder, "", None, None if decoder is None else "", [])


def _captured(
    model: LoadedModel,
    source: "Encoded",
    decoder: "Encoded | None",
    text: str,
    pair: str | None,
    target: str | None,
    notes: list[str],
) -> Trace:
    """Run the model on what was encoded."""
    inputs: dict[str, Tensor] = {"input_ids": torch.tensor([source.ids])}
    accepted = _accepted(model.model)
    if source.types is not None and "token_type_ids" in accepted:
        inputs["token_type_ids"] = torch.tensor([source.types])
    target_tokens: tuple[Token, ...] = ()
    if decoder is not None:
        target_tokens = decoder.tokens
        inputs["decoder_input_ids"] = torch.tensor([decoder.ids])
    layers: tuple[AttentionLayer, ...]
    others: tuple[str, ...] = ()
    ended: list[Tensor] = []
    watched: Watcher | None = None
    if model.exact:
        with layers_that_run(model.model) as ran:
            calls, watched = _run(model, inputs, ended)
        layers = _layers(calls, model, len(source.ids), len(target_tokens))
        others = other_layers(model.model, ran, [call.module for call in calls])
        if others:
            shown = ", ".join(others[:3]) + (" …" if len(others) > 3 else "")
            count = "1 layer makes" if len(others) == 1 else f"{len(others)} layers make"
            notes.append(f"{count} no attention call that could be observed: {shown}.")
    else:
        found = _forward(model, inputs, ended, output_attentions=True)
        layers, more_notes = returned_weights(found, model.facts, len(source.ids), len(target_tokens))
        notes += more_notes
        if not layers:
            nothing = f"{model.facts.architecture} shows neither q and k nor attention weights."
            raise CaptureError(" ".join([*more_notes, nothing]))
    return Trace(
        facts=model.facts,
        text=text,
        pair=pair,
        target=target if model.facts.encoder_decoder else None,
        source_tokens=source.tokens,
        target_tokens=target_tokens,
        layers=layers,
        notes=tuple(notes),
        reservations=model.report.reservations,
        other_layers=others,
        ending=_ending(model, ended, watched, len(target_tokens) or len(source.ids)),
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
    encoded = model.encode(text, pair)
    ids = encoded["input_ids"]
    n_special = sum(_added(model, encoded, text))
    limit = model.facts.context_length
    if limit is None or len(ids) <= limit:
        return Counted(len(ids), n_special, None)
    return Counted(len(ids), n_special, _end_of_text(_encode(model, text, pair).tokens))


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as the model takes it in."""

    ids: list[int]
    types: list[int] | None
    tokens: tuple[Token, ...]
    notes: list[str]


def _encode(model: LoadedModel, text: str, pair: str | None) -> Encoded:
    tokenizer, limit = model.tokenizer, model.facts.context_length
    options = {"return_offsets_mapping": tokenizer.is_fast}
    encoded = model.encode(text, pair, **options)
    n_all = len(encoded["input_ids"])
    notes: list[str] = []
    if limit is not None and n_all > limit:
        encoded = model.encode(text, pair, truncation=True, max_length=limit, **options)
    ids = list(encoded["input_ids"])
    tokens = _tokens(tokenizer, encoded, _added(model, encoded, text))
    if not ids or all(token.special for token in tokens):
        raise NoTokensError("The model's tokenizer makes no tokens of this text. Type at least one word that it knows.")
    if len(ids) < n_all:
        end = _end_of_text(tokens)
        rest = f", up to “{text[max(0, end - 20) : end]}”" if end else ""
        notes.append(f"The model reads at most {limit:,} tokens: {n_all - len(ids):,} of {n_all:,} were cut{rest}.")
    return Encoded(ids, encoded.get("token_type_ids"), tokens, notes)


def special_ids(tokenizer: Any) -> set[int]:
    """The tokens that frame texts: a word that a tokenizer lacks and a [MASK] are read from the text like any other."""
    return set(tokenizer.all_special_ids) - {tokenizer.unk_token_id, tokenizer.mask_token_id}


def _tokens_of_ids(tokenizer: Any, ids: Sequence[int]) -> tuple[Token, ...]:
    pieces, known = _pieces(tokenizer, ids), special_ids(tokenizer)
    specials = [id_ in known for id_ in ids]
    style = style_of(tokenizer)
    return tokens_from(pieces, ids, [(0, 0)] * len(ids), specials, words_of(pieces, specials, style), style)


def _pieces(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    return [piece if isinstance(piece, str) else str(piece) for piece in tokenizer.convert_ids_to_tokens(list(ids))]


def _added(model: LoadedModel, encoded: Any, text: str, *, target: bool = False) -> list[bool]:
    """Which tokens the tokenizer put around a text: a special token that was typed is read like any other.

    Tokenizers written in Python do not say it. Of theirs, what the text alone gives without special tokens was typed;
    a second sentence, and a place where the two disagree, go by the vocabulary.
    """
    tokenizer = model.target_tokenizer if target else model.tokenizer
    if tokenizer.is_fast:
        return [sequence is None for sequence in encoded.sequence_ids(0)]
    ids, known = list(encoded["input_ids"]), special_ids(tokenizer)
    typed = list(model.encode(text, target=target, add_special_tokens=False)["input_ids"])
    same = [_n_same(ids[first:], typed) for first in range(MOST_BEFORE + 1)]
    first = same.index(max(same))
    return [id_ in known and not first <= place < first + same[first] for place, id_ in enumerate(ids)]


def _n_same(a: Sequence[int], b: Sequence[int]) -> int:
    """How many of the first entries are the same."""
    return next(
        (place for place, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b))
    )


def _tokens(tokenizer: Any, encoded: Any, specials: Sequence[bool]) -> tuple[Token, ...]:
    ids = list(encoded["input_ids"])
    pieces = _pieces(tokenizer, ids)
    spans = [tuple(span) for span in encoded["offset_mapping"]] if tokenizer.is_fast else [(0, 0)] * len(ids)
    style = style_of(tokenizer)
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


def decoder_side(model: LoadedModel, target: str) -> Encoded:
    """The decoder's input as in its training: the labels (the target as its tokenizer writes it) moved right by one.

    So first the start token, then what the tokenizer puts before a text (BART: a second <s>; T5: nothing), then the
    text, and nothing of what it puts after.
    """
    config = model.model.config
    start = getattr(config, "decoder_start_token_id", None)
    if start is None:
        start = getattr(config, "bos_token_id", None) or 0
    tokenizer = model.target_tokenizer
    encoded = model.encode(target or "a", target=True, return_offsets_mapping=tokenizer.is_fast)
    labels = _tokens(tokenizer, encoded, _added(model, encoded, target or "a", target=True))
    before = list(takewhile(lambda token: token.special, labels))
    own = [token for token in labels if not token.special] if target else []
    piece = str(tokenizer.convert_ids_to_tokens(start))
    limit = (model.facts.context_length or len(own) + 1 + len(before)) - 1 - len(before)
    notes = [f"The decoder's text was cut to {limit:,} tokens."] if len(own) > limit else []
    start_token = Token(text=piece, id=start, span=(0, 0), special=True, piece=piece, word=None)
    tokens = (start_token, *before, *own[:limit])
    return Encoded([token.id for token in tokens], None, tokens, notes)


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    module: nn.Module
    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor | None
    output: Tensor
    keywords: dict[str, Any]
    seen: Seen  # the linear maps and norms around the call


class _Calls:
    """Collects attention calls in call order (ALBERT calls one module many times)."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self.watcher = Watcher()

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
        seen = self.watcher.attended(module, q, k, v, output)
        self.calls.append(_Call(module, q, k, v, mask, output, keywords, seen))


def _run(model: LoadedModel, inputs: dict[str, Tensor], ended: list[Tensor]) -> tuple[list[_Call], Watcher]:
    calls = _Calls()
    install(model.model)
    token, watching = collector.set(calls), watcher.set(calls.watcher)
    try:
        _forward(model, inputs, ended)
    finally:
        collector.reset(token)
        watcher.reset(watching)
    if not calls.calls:
        raise CaptureError(f"{model.facts.architecture} made no attention call that could be observed.")
    return calls.calls, calls.watcher


def _accepted(model: nn.Module) -> Set[str]:
    """Names of the keywords that a model takes."""
    if model not in _keywords_of:
        _keywords_of[model] = frozenset(inspect.signature(model.forward).parameters)
    return _keywords_of[model]


def _forward(model: LoadedModel, inputs: dict[str, Tensor], ended: list[Tensor], **options: bool) -> Any:
    """Run the model; its last vectors, where it returns any, go to `ended`."""
    device = model.device
    accepted = _accepted(model.model)
    if "use_cache" in accepted or "kwargs" in accepted:
        options["use_cache"] = False
    try:
        with torch.inference_mode():
            found = model.model(**{name: ids.to(device) for name, ids in inputs.items()}, **options)
    except IndexError:  # of an embedding: a tokenizer with more tokens than the model has vectors
        raise CaptureError(
            f"{model.facts.architecture} has no vector for one of this text's tokens or places: "
            "the model and its tokenizer do not belong together."
        ) from None
    hidden = getattr(found, "last_hidden_state", None)
    if isinstance(hidden, Tensor):
        ended.append(hidden[0])
    return found


def _ending(model: LoadedModel, ended: list[Tensor], watched: Watcher | None, n_tokens: int) -> Ending | None:
    """What the run ended with, if there is one vector for each token of the side that speaks."""
    if not ended or len(ended[0]) != n_tokens:
        return None
    return Ending(model, ended[0], None if watched is None else watched.norm_that_gave(ended[0]))


def _layers(calls: list[_Call], model: LoadedModel, n_source: int, n_target: int) -> tuple[LayerTrace, ...]:
    encoder = set(model.model.get_encoder().modules()) if model.facts.encoder_decoder else set()
    masks: dict[int, PassedMask] = {}  # many layers share one mask tensor: look at each once
    counts: dict[Kind, int] = {}
    layers = []
    for call in calls:
        mask = read_mask(call.mask, call.module, call.q, call.k, call.keywords.get("is_causal"), masks)
        kind = _kind(call, mask.allowed, in_encoder=call.module in encoder, encoder_decoder=model.facts.encoder_decoder)
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


def _layer(call: _Call, mask: PassedMask, kind: Kind, index: int) -> LayerTrace:
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
        found=Found(call.seen, find_projections),
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


def _bias(call: _Call, mask: PassedMask) -> Tensor | None:
    """All that is added to the scores: relative positions (a keyword of its own) and what came inside the mask."""
    position_bias = call.keywords.get("position_bias")
    if position_bias is None:
        return mask.bias
    return position_bias[0] if mask.bias is None else position_bias[0] + mask.bias


def _sink_logit(call: _Call) -> Tensor | None:
    """The learned extra logit of the softmax: one for each head, or (from x) one for each head and query."""
    sinks = call.keywords.get("s_aux")
    if sinks is not None:
        return sinks.reshape(-1).detach()
    sinks = call.keywords.get("sinks")  # [batch, head, query, 1]
    return None if sinks is None else sinks[0, :, :, 0]


def _witness(call: _Call, mask: PassedMask) -> Witness | None:
    """The model's eager function on the captured q, k, v with what the model passed: an independent source."""
    eager = eager_function(call.module)
    # Some eager functions read a sink from the module: not from one whose weights are on the disk.
    if eager is None or any(parameter.is_meta for parameter in call.module.parameters(recurse=False)):
        return None
    return _Eager(eager, call.module, call.q, call.k, call.v, mask, dict(call.keywords))


@dataclass(frozen=True, slots=True, eq=False)
class _Eager:
    """A record and not a closure: it can be taken apart and put together again with its trace (`resting`)."""

    function: AttentionFunction
    module: nn.Module
    q: Tensor
    k: Tensor
    v: Tensor
    mask: PassedMask
    keywords: dict[str, Any]

    def __call__(self, head: int, rows: slice) -> Tensor | None:
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
