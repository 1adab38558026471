"""A record of attention that was made elsewhere: matrices and tokens, and no model behind them.

What is unknown stays unknown: without q and k the record has weights only, and its words say who gave them.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from attention_core.models.facts import ModelFacts
from attention_core.record.given_arrays import Given, GivenError, check_weights, fields_of, layers_of, mask_of
from attention_core.record.given_layers import layer_with_inputs
from attention_core.record.layers import AttentionLayer, Kind, LayerTrace, WeightsOnly
from attention_core.record.record import Record
from attention_core.text.pieces import text_of, tokens_of_pieces
from attention_core.text.tokens import Token

NAME = "Your matrices"
MOST_NAME, MOST_TEXT = 200, 1_000_000  # characters


def record_of_given(  # noqa: PLR0913 (the arguments of trace_from_attention as they are)
    attention: Given = None,
    tokens: Sequence[str | Token] | None = None,
    *,
    encoder_attention: Given = None,
    decoder_attention: Given = None,
    cross_attention: Given = None,
    encoder_tokens: Sequence[str | Token] | None = None,
    decoder_tokens: Sequence[str | Token] | None = None,
    q: Given = None,
    k: Given = None,
    v: Given = None,
    scale: float | None = None,
    allowed: Given = None,
    batch: int | None = None,
    sums_to_one: bool = True,
    text: str | None = None,
    name: str = NAME,
) -> Record:
    """What `trace_from_attention` says, as a record without its doors. Raises GivenError with a plain sentence."""
    notes: list[str] = []
    apart = {"encoder": encoder_attention, "decoder": decoder_attention, "cross": cross_attention}
    if attention is not None and any(given is not None for given in apart.values()):
        raise GivenError("Give attention, or encoder_attention, decoder_attention and cross_attention; not both.")
    output = fields_of(attention)
    if output is not None and "attention" in output:
        attention = output["attention"]
    elif output is not None:
        attention, apart = None, {kind: output.get(f"{kind}_attention") for kind in apart}
        if apart["encoder"] is None and encoder_tokens is None and tokens is not None:  # a decoder by itself
            left_out = "The cross-attention of this output is left out: it needs encoder_tokens and decoder_tokens."
            notes += [left_out] if apart["cross"] is not None else []
            attention, apart = apart["decoder"], dict.fromkeys(apart)
    if attention is None and all(given is None for given in apart.values()):
        raise GivenError("There is no attention: give a tuple of layers, one array, or a model's output.")
    if attention is not None:
        if encoder_tokens is not None or decoder_tokens is not None:
            raise GivenError("encoder_tokens and decoder_tokens go with encoder_attention …; attention takes tokens.")
        source, target = _tokens(tokens, "tokens", "attention"), ()
        given = layers_of(attention, "attention", batch)
        check_weights(given, "encoder self", len(source), len(source), sums_to_one=sums_to_one)
        causal = all(WeightsOnly("encoder self", i, one).causal for i, one in enumerate(given))
        kind: Kind = "decoder self" if causal else "encoder self"
        layers, said = _one_stack(kind, given, (q, k, v), scale, mask_of(allowed), batch, sums_to_one)
        notes += said
    else:
        if any(one is not None for one in (q, k, v, allowed)):
            raise GivenError("q, k, v and allowed go with attention, not with an encoder and a decoder.")
        layers, source, target = _two_stacks(apart, tokens, encoder_tokens, decoder_tokens, batch, sums_to_one)
    notes += [] if sums_to_one else ["Rows need not sum to 1, whoever gave these matrices says."]
    return Record(
        facts=_facts(_plain(name, "name", MOST_NAME), layers, bool(target)),
        text=_plain(text, "text", MOST_TEXT) if text is not None else text_of(source),
        pair=None,
        target=text_of(target) if target else None,
        source_tokens=source,
        target_tokens=target,
        layers=layers,
        notes=tuple(notes),
    )


def _tokens(tokens: Sequence[str | Token] | None, what: str, of: str) -> tuple[Token, ...]:
    if tokens is None:
        raise GivenError(f"{of} comes without {what}: give the text of each token, as many as there are rows.")
    try:
        found = tokens_of_pieces(tokens, what)
    except ValueError as error:
        raise GivenError(f"{error}.") from None
    except TypeError:
        raise GivenError(f"{what} must be a list of texts; got {type(tokens).__name__}.") from None
    if not found:
        raise GivenError(f"{what} is empty: give the text of each token, as many as there are rows.")
    return found


def _one_stack(
    kind: Kind,
    given: Sequence[Tensor],
    inputs: tuple[Given, Given, Given],
    scale: float | None,
    allowed: Tensor | None,
    batch: int | None,
    sums_to_one: bool,
) -> tuple[tuple[AttentionLayer, ...], list[str]]:
    """The layers, recomputed where q, k and v are here and make the weights again, and what there is to say."""
    if all(one is None for one in inputs):
        if scale is not None or allowed is not None:
            raise GivenError("scale and allowed say how q and k make the weights: give q, k and v too.")
        return _weights_only(kind, given, sums_to_one), []
    if any(one is None for one in inputs):
        raise GivenError("q, k and v go together: with one or two of them nothing can be recomputed.")
    stacks = [layers_of(one, what, batch) for one, what in zip(inputs, ("q", "k", "v"), strict=True)]
    for what, stack in zip(("q", "k", "v"), stacks, strict=True):
        if len(stack) != len(given):
            raise GivenError(f"{what} has {len(stack)} layers; attention has {len(given)}.")
    layers, notes = [], []
    for index, (weights, q, k, v) in enumerate(zip(given, *stacks, strict=True)):
        layer, said = layer_with_inputs(
            kind, index, weights, q, k, v, scale=scale, allowed=allowed, sums_to_one=sums_to_one
        )
        layers.append(layer)
        notes += [said] if said else []
    return tuple(layers), notes


def _two_stacks(
    apart: Mapping[str, Given],
    tokens: Sequence[str | Token] | None,
    encoder_tokens: Sequence[str | Token] | None,
    decoder_tokens: Sequence[str | Token] | None,
    batch: int | None,
    sums_to_one: bool,
) -> tuple[tuple[AttentionLayer, ...], tuple[Token, ...], tuple[Token, ...]]:
    """Encoder, decoder and cross-attention, as many of them as are here, with the tokens of both sides."""
    if tokens is not None:
        raise GivenError("An encoder and a decoder have a text each: give encoder_tokens and decoder_tokens.")
    reads = {"encoder": ("encoder",), "decoder": ("decoder",), "cross": ("encoder", "decoder")}
    needed = {side for kind, given in apart.items() if given is not None for side in reads[kind]}
    sides = {"encoder": encoder_tokens, "decoder": decoder_tokens}
    for side in ("encoder", "decoder"):
        if side in needed and sides[side] is None:
            what = next(kind for kind, given in apart.items() if given is not None and side in reads[kind])
            raise GivenError(f"{what}_attention comes without {side}_tokens: give the text of each token.")
    found = {
        side: () if given is None else _tokens(given, f"{side}_tokens", f"{side}_attention")
        for side, given in sides.items()
    }
    encoder, decoder = found["encoder"], found["decoder"]
    if not encoder:  # a decoder alone has one text
        encoder, decoder = decoder, ()
    kinds: dict[str, tuple[Kind, tuple[Token, ...], tuple[Token, ...]]] = {
        "encoder": ("encoder self", encoder, encoder),
        "decoder": ("decoder self", decoder or encoder, decoder or encoder),
        "cross": ("cross", decoder, encoder),
    }
    layers: list[AttentionLayer] = []
    for name, (kind, queries, keys) in kinds.items():
        if apart[name] is not None:
            given = layers_of(apart[name], f"{name}_attention", batch)
            check_weights(given, kind, len(queries), len(keys), sums_to_one=sums_to_one)
            layers += _weights_only(kind, given, sums_to_one)
    return tuple(layers), encoder, decoder


def _weights_only(kind: Kind, given: Sequence[Tensor], sums_to_one: bool) -> tuple[AttentionLayer, ...]:
    return tuple(
        WeightsOnly(kind, index, weights, origin="given", sums_to_one=sums_to_one)
        for index, weights in enumerate(given)
    )


def _facts(name: str, layers: Sequence[AttentionLayer], encoder_decoder: bool) -> ModelFacts:
    """As far as matrices tell: nothing is known of a model, and 0 and "not stated" are never shown as facts of one."""
    exact = [layer for layer in layers if isinstance(layer, LayerTrace)]
    return ModelFacts(
        id="",
        name=name,
        architecture="given matrices",
        n_layers=len(layers),
        n_heads=max(layer.n_heads for layer in layers),
        n_kv_heads=max(layer.n_kv_heads for layer in layers),
        d_model=0,
        d_head=exact[0].q.shape[-1] if exact else 0,
        n_parameters=0,
        context_length=None,
        licence="not stated",
        encoder_decoder=encoder_decoder,
    )


def _plain(value: object, what: str, most: int) -> str:
    """A text of at most `most` characters that can be shown and saved."""
    if not isinstance(value, str):
        raise GivenError(f"{what} must be a text; got {type(value).__name__}.")
    if len(value) > most:
        raise GivenError(f"{what} has {len(value):,} characters; at most {most:,} are shown.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise GivenError(f"{what} holds half a character (a lone surrogate).") from None
    return str(value)
