"""Run a text through a model once, at the price of a plain forward pass, and keep what attention saw."""

import inspect
from collections.abc import Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from attention_core.capturing.calls import Calls, layers_of
from attention_core.capturing.encode import (
    CaptureError,
    Encoded,
    choices_in,
    decoder_side,
    encode,
    encode_chat,
    languages_of,
    pieces_of,
    tokens_of_ids,
)
from attention_core.capturing.given import returned_weights
from attention_core.capturing.given_texts import ids_of, require_model, require_text
from attention_core.formats.memory import said_as
from attention_core.formats.shown import short_repr
from attention_core.inside.of_torch import AnyModule
from attention_core.models.facts import LoadedModel
from attention_core.observe.decoder import what_the_decoder_reads
from attention_core.observe.hooks import Watcher, install, watcher
from attention_core.observe.hybrids import layers_that_run, other_layers
from attention_core.observe.interface import collector
from attention_core.record.ending import Ending
from attention_core.record.layers import AttentionLayer
from attention_core.record.record import Record
from attention_core.text.languages import Languages
from attention_core.text.tokens import Token, clean_text

_keywords_of: WeakKeyDictionary[nn.Module, Set[str]] = WeakKeyDictionary()  # reading them takes a millisecond


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A text as a model takes it in, ready to be run: once for a capture, or many times in an experiment."""

    model: LoadedModel
    source: Encoded
    decoder: Encoded | None  # of an encoder-decoder
    text: str
    pair: str | None = None
    target: str | None = None
    notes: tuple[str, ...] = ()
    languages: Languages = Languages()
    chat: str | None = None  # what was typed, where the model's chat template made `text` of it

    __repr__ = short_repr

    def inputs(self) -> dict[str, Tensor]:
        """What the model is called with, each [1, token]."""
        model = self.model
        inputs: dict[str, Tensor] = {"input_ids": torch.tensor([self.source.ids])}
        whole = model.task.whole if model.task is not None and self.decoder is None else model.model
        if self.source.types is not None and "token_type_ids" in accepted_by(whole):
            inputs["token_type_ids"] = torch.tensor([self.source.types])
        if self.decoder is not None:
            inputs["decoder_input_ids"] = torch.tensor([self.decoder.ids])
        return inputs


@said_as(CaptureError)
def capture(
    model: LoadedModel,
    text: str,
    pair: str | None = None,
    target: str | None = None,
    *,
    source_language: str | None = None,
    target_language: str | None = None,
    chat: bool = False,
    plain: bool = False,
) -> Record:
    """Capture q, k, v and output of every attention call while the model reads `text`.

    Of an architecture that hides q and k from transformers' attention interface, the weights that it returns itself.

    `pair` is a second sentence for models that read two, `target` the decoder's text of an encoder-decoder (its start
    token alone if None). A text over the model's limit is cut, and `notes` says where. The languages are for models
    whose tokenizer is told some, by its own names (NLLB: "eng_Latn"); None takes what is usual, see `model.spoken`.
    `chat` puts the model's chat template around the text, as what a user says (see `chat.chat_prompt`): the trace's
    text is then the whole prompt.

    The tensors of the run are made in inference mode: cheapest, but autograd does not take them and they cannot be
    changed in place. With `plain` they are ordinary tensors, detached from the model.

    Raises NoTokensError if the text makes no tokens, CaptureError if it needs more memory than there is, for a language
    that the model does not know, a chat template that it has not or a `target` without a decoder, and ValueError
    naming a keyword of the model's attention that would change the result and that we do not know: a picture drawn
    without it would be wrong.
    """
    prepared = prepare(
        model, text, pair, target, source_language=source_language, target_language=target_language, chat=chat
    )
    return captured(prepared, plain=plain)


def prepare(
    model: LoadedModel,
    text: str,
    pair: str | None = None,
    target: str | None = None,
    *,
    source_language: str | None = None,
    target_language: str | None = None,
    chat: bool = False,
) -> Prepared:
    """Encode what `capture` is given; nothing runs. Raises as `capture` does for texts that cannot be read."""
    require_model(model)
    require_text(text)
    require_text(pair, "pair", or_none=True)
    require_text(target, "target", or_none=True)
    if target and not model.facts.encoder_decoder:
        raise CaptureError(f"{model.facts.name} has no decoder to give a target to; leave it out.")
    text, notes = clean_text(text)
    if pair is not None:
        pair, pair_notes = clean_text(pair)
        notes += pair_notes
    languages = languages_of(model, source_language, target_language)
    typed = text if chat else None
    pair, shown = choices_in(model, pair or None, notes)
    source = encode_chat(model, text, shown, languages) if chat else encode(model, text, shown, languages)
    text, notes = source.text, notes + source.notes
    if model.sentences is not None and model.sentences.prompt:
        notes.append(f"As a sentence encoder the model puts “{model.sentences.prompt}” before a text: not added here.")
    decoder: Encoded | None = None
    if model.facts.encoder_decoder and model.task is not None:
        notes += _about_decoder(model, source, target)
        target = None
    elif model.facts.encoder_decoder:
        target, target_notes = clean_text(target or "")
        decoder = decoder_side(model, target, languages)
        notes += target_notes + decoder.notes
        if model.spoken is not None and not (model.spoken.stated or target_language) and languages.target:
            notes.append(f"No target language was chosen: the decoder is told the source's, {languages.target}.")
    return Prepared(model, source, decoder, text, pair, target, tuple(notes), languages, typed)


def capture_ids(
    model: LoadedModel,
    ids: Sequence[int] | Tensor | NDArray[np.generic],
    target_ids: Sequence[int] | Tensor | NDArray[np.generic] | None = None,
    *,
    plain: bool = False,
) -> Record:
    """Capture what attention saw while the model read these tokens of its vocabulary as they are: nothing is added.

    For probes that no text stands for: random tokens, tokens in another order. `target_ids` are the decoder's, its
    start token included; an encoder-decoder needs them.

    Raises ValueError for no tokens, more than the model can read, a number that is not in the vocabulary, or a side
    that is missing.
    """
    return captured(prepare_ids(model, ids, target_ids), plain=plain)


def prepare_ids(
    model: LoadedModel,
    ids: Sequence[int] | Tensor | NDArray[np.generic],
    target_ids: Sequence[int] | Tensor | NDArray[np.generic] | None = None,
) -> Prepared:
    """What `capture_ids` is given, checked; nothing runs. Raises as it does."""
    require_model(model)
    ids = ids_of(model, ids)
    if model.facts.encoder_decoder != (target_ids is not None):
        raise ValueError("target_ids are for an encoder-decoder, and it needs them")
    target_ids = None if target_ids is None else ids_of(model, target_ids, "target_ids")
    sides: dict[str, list[int]] = {"ids": ids} if target_ids is None else {"ids": ids, "target_ids": target_ids}
    for name, side in sides.items():
        limit = model.facts.context_length if name == "ids" else model.facts.target_length
        if not 0 < len(side) <= (limit or len(side)):
            raise ValueError(f"{name} must be 1 … {limit or 'any number of'} tokens; got {len(side)}")
    source = Encoded(list(ids), None, tokens_of_ids(model.tokenizer, ids), [])
    decoder = None
    if target_ids is not None:
        decoder = Encoded(list(target_ids), None, tokens_of_ids(model.target_tokenizer, target_ids), [])
    return Prepared(model, source, decoder, "", None, None if decoder is None else "")


@said_as(CaptureError)
def captured(prepared: Prepared, *, plain: bool = False) -> Record:
    """Run the model on what was encoded, and keep what attention saw."""
    model, source, decoder = prepared.model, prepared.source, prepared.decoder
    notes = list(prepared.notes)
    model.hold()
    inputs = prepared.inputs()
    target_tokens: tuple[Token, ...] = () if decoder is None else decoder.tokens
    layers: tuple[AttentionLayer, ...]
    others: tuple[str, ...] = ()
    ended = _Ended(plain=plain)
    watched: Watcher | None = None
    if model.exact:
        with layers_that_run(model.model) as ran:
            calls = _run(model, inputs, ended)
        watched = calls.watcher
        target_tokens = target_tokens or _tokens_read_twice(model, source, ended)
        layers = layers_of(calls, model, len(source.ids), len(target_tokens))
        others = other_layers(model.model, ran, [call.module for call in calls.calls])
        notes += _about_others(others)
    else:
        found = _forward(model, inputs, ended, output_attentions=True)
        target_tokens = target_tokens or _tokens_read_twice(model, source, ended)
        layers, more_notes = returned_weights(found, model.facts, len(source.ids), len(target_tokens))
        notes += more_notes
        if not layers:
            nothing = f"{model.facts.architecture} shows neither q and k nor attention weights."
            raise CaptureError(" ".join([*more_notes, nothing]))
    return Record(
        facts=model.facts,
        text=prepared.text,
        pair=prepared.pair,
        target=prepared.target if decoder is not None else None,
        source_tokens=source.tokens,
        target_tokens=target_tokens,
        layers=layers,
        notes=tuple(notes),
        reservations=model.report.reservations,
        source_language=prepared.languages.source,
        target_language=prepared.languages.target,
        chat=prepared.chat,
        other_layers=others,
        ending=_ending(model, ended, watched, len(target_tokens) or len(source.ids)),
    )


def _about_others(others: Sequence[str]) -> list[str]:
    """A note on layers that ran without an attention call; none if there are none."""
    if not others:
        return []
    shown = ", ".join(others[:3]) + (" …" if len(others) > 3 else "")
    count = "1 layer makes" if len(others) == 1 else f"{len(others)} layers make"
    return [f"{count} no attention call that could be observed: {shown}."]


@dataclass(slots=True, eq=False)
class _Ended:
    """What a run ended with."""

    plain: bool = False  # its tensors are ordinary ones, not those of inference mode
    hidden: Tensor | None = None  # the last vector of each token, where the model returns them
    said: dict[str, Tensor] = field(default_factory=dict)  # the numbers of a head for a task
    decoder_ids: list[int] = field(default_factory=list)  # what the decoder was given, where the model decides it


def _run(model: LoadedModel, inputs: dict[str, Tensor], ended: _Ended) -> Calls:
    calls = Calls()
    install(model.model)
    token, watching = collector.set(calls), watcher.set(calls.watcher)
    try:
        _forward(model, inputs, ended)
    finally:
        collector.reset(token)
        watcher.reset(watching)
    if not calls.calls:
        raise CaptureError(f"{model.facts.architecture} made no attention call that could be observed.")
    return calls


def accepted_by(model: nn.Module) -> Set[str]:
    """Names of the keywords that a model takes."""
    if model not in _keywords_of:
        _keywords_of[model] = frozenset(inspect.signature(model.forward).parameters)
    return _keywords_of[model]


def _forward(model: LoadedModel, inputs: dict[str, Tensor], ended: _Ended, **options: bool) -> object:
    """Run the model, with its head if it was fine-tuned for a task; what it returns besides attention is in `ended`."""
    device = model.device
    task = None if "decoder_input_ids" in inputs else model.task  # which decides itself what its decoder reads
    running: AnyModule = model.model if task is None else task.whole
    if task is not None:
        inputs = task.inputs(inputs)
    accepted = accepted_by(running)
    if "use_cache" in accepted or ("kwargs" in accepted and task is None):  # T5Gemma's heads say it themselves
        options["use_cache"] = False
    try:
        without_gradients = torch.no_grad() if ended.plain else torch.inference_mode()
        with without_gradients, ExitStack() as stack:
            if task is not None and model.facts.encoder_decoder:
                ended.decoder_ids = stack.enter_context(what_the_decoder_reads(model.model))
            found = running(**{name: ids.to(device) for name, ids in inputs.items()}, **options)
    except (IndexError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "out of bounds" not in str(error):
            raise
        raise CaptureError(_beyond_a_table(model, inputs, error)) from None
    except (AssertionError, ValueError) as error:
        # Of a class that wants a text of a certain form (three separators, one mask) or a head of a certain size.
        if isinstance(error, ValueError) and task is None:
            raise
        reason = (str(error).strip().splitlines() or ["it does not say why"])[0][:200]
        raise CaptureError(f"{type(running).__name__} does not read this text: {reason}") from None
    hidden = getattr(found, "last_hidden_state", None)
    if isinstance(hidden, Tensor) and task is None:
        ended.hidden = hidden[0]
    if task is not None:
        ended.said = task.said(found)
    return found


def _about_decoder(model: LoadedModel, source: "Encoded", target: str | None) -> list[str]:
    """What is said of a decoder that reads the whole text. Raises CaptureError for a text that the head cannot read."""
    task = model.task
    end = getattr(model.model.config, "eos_token_id", None)
    if task is not None and task.needs_end and end not in source.ids:
        raise CaptureError(
            f"{model.facts.name} labels a text by its end token, and its tokenizer puts none after this text."
        )
    if task is not None and task.lacks_start:
        raise CaptureError(f"The config.json of {model.facts.name} does not say with which token its decoder begins.")
    notes = ["The model's task has its decoder read the whole text once more, moved right by one token."]
    return notes + (["It has no text of its own to write: the decoder's text is not used."] if target else [])


def _tokens_read_twice(model: LoadedModel, source: "Encoded", ended: _Ended) -> tuple[Token, ...]:
    """What the decoder read where the model gave it the source: a start token and the source's own tokens."""
    ids = ended.decoder_ids
    if not ids:
        return ()
    made = tokens_of_ids(model.target_tokenizer, ids)
    if ids[1:] == source.ids[: len(ids) - 1]:
        return (replace(made[0], special=True, word=None), *source.tokens[: len(ids) - 1])
    return made


def _beyond_a_table(model: LoadedModel, inputs: dict[str, Tensor], error: Exception) -> str:
    """What a model has no entry for: one of the tokens, a second sentence, or something else of its own."""
    name, apart = model.facts.architecture, "the model and its tokenizer do not belong together."
    whole: AnyModule = model.model
    parts = (whole.get_encoder(), whole.get_decoder()) if model.facts.encoder_decoder else (whole,)
    names, tokenizers = ("input_ids", "decoder_input_ids"), (model.tokenizer, model.target_tokenizer)
    for side, tokenizer, part in zip(names, tokenizers, parts, strict=False):
        if side not in inputs:
            continue
        table, highest = getattr(part.get_input_embeddings(), "weight", None), int(inputs[side].max())
        n_rows = table.shape[0] if isinstance(table, Tensor) else None
        if n_rows is not None and highest >= n_rows:
            (piece,) = pieces_of(tokenizer, [highest])
            return f"{name} has vectors for {n_rows:,} tokens, and “{piece}” has the number {highest:,}: {apart}"
    n_types = getattr(whole.config, "type_vocab_size", None)
    types = inputs.get("token_type_ids")
    if n_types is not None and types is not None and int(types.max()) >= n_types:
        kinds = f"{n_types} kind{'s' * (n_types != 1)} of sentence"
        return f"{name} has vectors for {kinds}, and its tokenizer marks {int(types.max()) + 1}: {apart}"
    n_tokens = " and ".join(f"{inputs[side].shape[-1]:,}" for side in names if side in inputs)
    said = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
    return f"{name} could not read this text of {n_tokens} tokens: one of its tables has no such entry ({said})."


def _ending(model: LoadedModel, ended: _Ended, watched: Watcher | None, n_tokens: int) -> Ending:
    """What the run ended with; last vectors only if there is one for each token of the side that speaks."""
    hidden = ended.hidden
    if hidden is None or len(hidden) != n_tokens:
        return Ending(model, None, said=ended.said)
    return Ending(model, hidden, None if watched is None else watched.norm_that_gave(hidden), ended.said)
