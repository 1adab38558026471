"""Letting the model write: one token or many, the likeliest each time or drawn at random with a seed.

What is written becomes text again, so that attention can follow it. Nothing but the model's probabilities decides: no
beams, no penalties for repetition, whatever the checkpoint's own settings for text generation are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from attention_core.capturing.encode import CaptureError, decoder_side, languages_of, prompt_of
from attention_core.formats.shown import short_repr
from attention_core.inside.of_torch import AnyModule
from attention_core.models.facts import LoadedModel
from attention_core.models.language_head import LanguageHead
from attention_core.reading.readout import Choice, choices_of
from attention_core.text.languages import Languages
from attention_core.text.tokenizer import Tokenizer
from attention_core.text.tokens import clean_text

How = Literal["greedy", "sampled"]

MAX_NEW_TOKENS = 200
MAX_SECONDS = 60.0

Ended = Literal["length", "end", "limit", "stopped"]
ENDED_WORDS: dict[Ended, str] = {
    "length": "",
    "end": "The model ended its text.",
    "limit": "The text is now as long as the model can read.",
    "stopped": "It was stopped before it was done.",
}


class GenerationError(ValueError):
    """Nothing can be written here; the text of the error is a plain sentence."""


@dataclass(frozen=True, slots=True)
class Continuation:
    """What a model wrote after a text."""

    text: str  # the whole text: what was there and what was added
    added: tuple[Choice, ...]  # the tokens that were written, each with the probability that it had
    ended: Ended  # why it is no longer than this
    same_tokens: bool  # the tokenizer cuts the whole text into the tokens that were there and those that were added
    ids: tuple[int, ...] = ()  # of all these tokens, those that were there first; of an encoder-decoder the decoder's
    source_ids: tuple[int, ...] | None = None  # what the encoder of an encoder-decoder read

    __repr__ = short_repr


def continue_text(  # noqa: PLR0913 (public; capture's texts and the ways of choosing, each with a default)
    model: LoadedModel,
    text: str,
    n: int = 1,
    *,
    target: str | None = None,
    source_language: str | None = None,
    target_language: str | None = None,
    chat: bool = False,
    how: How = "greedy",
    seed: int = 0,
    temperature: float = 1.0,
    stop: Callable[[int], bool] = lambda n_written: False,
) -> Continuation:
    """Let a causal model continue `text`, or an encoder-decoder `target`, its decoder's text, by up to n tokens.

    The languages are those of `capture`: the decoder is given the same first tokens. With `chat` the model answers what
    a user says; the whole text is then the prompt and the answer, to be read without the template.

    "greedy" takes the likeliest token each time. "sampled" draws from the probabilities (of logits ÷ temperature): the
    same seed draws the same tokens on every machine where the logits are the same. `stop` is asked after every token
    with the number written so far.

    Raises GenerationError if the model cannot write, the text leaves no room, or an option is none of those there are.
    Source of the drawing: Gumbel 1954; Maddison et al. 2014, section 2: argmax(logits + Gumbel noise) is a sample.
    """
    head = _writing_head(model, n, how, temperature)
    given = _given(model, text, target, source_language, target_language, chat)
    own = given.own
    limit = model.facts.context_length if given.decoder_ids is None else model.facts.target_length
    room = n if limit is None else min(n, limit - len(own))
    if room < 1:
        raise GenerationError(f"The text fills all {limit:,} tokens that the model can read: nothing can be added.")
    chooser = _Chooser(how, seed, temperature)
    stopper = _Stopper(len(own), room, stop)
    new = _generate(model, given.ids, given.decoder_ids, room, chooser, stopper)
    tokenizer = model.target_tokenizer if given.of_decoder else model.tokenizer
    ended: Ended = (
        "end" if new and new[-1] in end_ids(head.whole, tokenizer) else "length" if len(new) == n else "stopped"
    )
    if ended == "stopped" and len(new) == room < n:
        ended = "limit"
    written = new[:-1] if ended == "end" else new
    added = choices_of(tokenizer, list(zip(written, chooser.probabilities, strict=False)))
    whole, written = _appended(model, given, written)
    all_ids = [*own, *written]
    return Continuation(
        whole,
        added[: len(written)],
        ended,
        _ids_of(model, given, whole) == all_ids,
        tuple(all_ids),
        tuple(given.ids) if given.of_decoder else None,
    )


def _writing_head(model: LoadedModel, n: int, how: How, temperature: float) -> LanguageHead:
    """The head that says next tokens. Raises GenerationError if there is none, or for an option that is none."""
    if model.head is None or model.head.predicts != "next token":
        raise GenerationError(f"{model.facts.name} predicts no next token, so it cannot continue a text.")
    if how not in get_args(How):
        ways = " or ".join(f'"{way}"' for way in get_args(How))
        raise GenerationError(f"Tokens are chosen {ways} (there are no beams); got {how!r}.")
    if not 1 <= n <= MAX_NEW_TOKENS:
        raise GenerationError(f"Between 1 and {MAX_NEW_TOKENS} tokens can be written at a time, not {n}.")
    if not 0 < temperature < 100:
        raise GenerationError(f"The temperature must be above 0 and below 100; got {temperature:g}.")
    return model.head


def append_token(
    model: LoadedModel,
    text: str,
    token: int,
    *,
    target: str | None = None,
    source_language: str | None = None,
    target_language: str | None = None,
    chat: bool = False,
) -> Continuation:
    """The text with one chosen token of the vocabulary after it.

    Raises GenerationError for a token that no text stands for: a special one, or a part of a character.
    """
    given = _given(model, text, target, source_language, target_language, chat)
    tokenizer = model.target_tokenizer if given.of_decoder else model.tokenizer
    if not 0 <= token < len(tokenizer):
        raise GenerationError(f"The vocabulary has no token {token}.")
    (chosen,) = choices_of(tokenizer, [(token, 1.0)])
    if token in tokenizer.all_special_ids:
        raise GenerationError(f"{chosen.text} ends or frames a text: it cannot be typed.")
    whole, written = _appended(model, given, [token])
    if not written:
        raise GenerationError(f"{chosen.text} is a part of a character. Continue by a few tokens to complete it.")
    return Continuation(whole, (chosen,), "length", _ids_of(model, given, whole) == [*given.own, token])


def fill_mask(model: LoadedModel, text: str, which: int, token: int) -> str:
    """The text with its mask number `which` (from 0) replaced by a token of the vocabulary.

    A piece that continues a word (`##ing`) joins the word before the mask.

    Raises GenerationError if there is no such mask.
    """
    tokenizer = model.tokenizer
    parts = text.split(str(tokenizer.mask_token))
    if not 0 <= which < len(parts) - 1:
        raise GenerationError("The text has no such mask (any more).")
    before = str(tokenizer.mask_token).join(parts[: which + 1])
    after = str(tokenizer.mask_token).join(parts[which + 1 :])
    piece = str(tokenizer.convert_ids_to_tokens(token))
    if piece.startswith("##"):
        return before.rstrip() + piece[2:] + after
    word = tokenizer.decode([token], clean_up_tokenization_spaces=False)
    return before + (word.lstrip() if before[-1:].isspace() or not before else word) + after


@dataclass(frozen=True, slots=True)
class _Given:
    """What there is before anything is written."""

    text: str  # that is continued: the decoder's where there is a decoder
    ids: list[int]
    decoder_ids: list[int] | None  # None without a decoder
    languages: Languages

    @property
    def of_decoder(self) -> bool:
        return self.decoder_ids is not None

    @property
    def own(self) -> list[int]:
        """The tokens that are continued."""
        return self.ids if self.decoder_ids is None else self.decoder_ids


def _given(
    model: LoadedModel,
    text: str,
    target: str | None,
    source_language: str | None,
    target_language: str | None,
    chat: bool,
) -> _Given:
    text, _ = clean_text(text)
    try:
        languages = languages_of(model, source_language, target_language)
        text = prompt_of(model, text) if chat else text
    except CaptureError as error:
        raise GenerationError(str(error)) from None
    limit = model.facts.context_length
    encoded = model.encode(
        text, languages=languages, truncation=limit is not None, max_length=limit, add_special_tokens=not chat
    )
    ids = list(encoded["input_ids"])
    if not ids:
        raise GenerationError("The model's tokenizer makes no tokens of this text. Type at least one word.")
    if not model.facts.encoder_decoder:
        if target:
            raise GenerationError(f"{model.facts.name} has no decoder to give a target to; leave it out.")
        return _Given(_without_what_is_added(model, text, ids) if chat else text, ids, None, languages)
    target, _ = clean_text(target or "")
    return _Given(target, ids, decoder_side(model, target, languages).ids, languages)


def _without_what_is_added(model: LoadedModel, prompt: str, ids: list[int]) -> str:
    """A prompt as a text: the tokenizer adds the start token itself, so it goes from the text, if the tokens stay."""
    start = model.tokenizer.bos_token
    shorter = prompt.removeprefix(start) if isinstance(start, str) else prompt
    return shorter if list(model.encode(shorter)["input_ids"]) == ids else prompt


def _ids_of(model: LoadedModel, given: _Given, whole: str) -> list[int]:
    if given.of_decoder:
        return decoder_side(model, whole, given.languages).ids
    return list(model.encode(whole, languages=given.languages)["input_ids"])


def _generate(
    model: LoadedModel,
    ids: list[int],
    decoder_ids: list[int] | None,
    n: int,
    chooser: "_Chooser",
    stopper: "_Stopper",
) -> list[int]:
    """The ids that were written, an end token included."""
    assert model.head is not None
    whole: AnyModule = model.head.whole
    inputs = {"input_ids": torch.tensor([ids], device=model.device)}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    starts: dict[str, int] = {}
    if decoder_ids is not None:
        inputs["decoder_input_ids"] = torch.tensor([decoder_ids], device=model.device)
        starts["decoder_start_token_id"] = decoder_ids[0]  # else mBART's language would get another one before it
    # What is not set here is taken from the checkpoint: its end token, its suppressed tokens. One token more than is
    # wanted: some checkpoints force the end token at the last place.
    config = GenerationConfig(
        max_new_tokens=n + 1,
        max_time=MAX_SECONDS,
        do_sample=False,
        num_beams=1,
        num_return_sequences=1,
        min_length=0,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        encoder_no_repeat_ngram_size=0,
        renormalize_logits=False,
        return_dict_in_generate=False,
        output_attentions=False,
        output_hidden_states=False,
        **starts,
    )
    with torch.inference_mode():
        written = whole.generate(
            **inputs,
            generation_config=config,
            logits_processor=LogitsProcessorList([chooser]),
            stopping_criteria=StoppingCriteriaList([stopper]),
        )
    return written[0, len(ids) if decoder_ids is None else len(decoder_ids) :].tolist()


def end_ids(whole: PreTrainedModel, tokenizer: Tokenizer) -> set[int]:
    """The tokens that end a text. Other special tokens (T5's sentinels, [MASK]) are written like any other."""
    named = (getattr(whole.generation_config, "eos_token_id", None), getattr(whole.config, "eos_token_id", None))
    ends: set[int] = set()
    for given in (*named, tokenizer.eos_token_id):
        ends.update(given if isinstance(given, (list, tuple)) else [] if given is None else [given])
    return ends


class _Chooser(LogitsProcessor):
    """Turns greedy choice into sampling: adds noise from a generator of its own. Notes each choice's probability."""

    def __init__(self, how: How, seed: int, temperature: float) -> None:
        self.how, self.temperature = how, temperature
        self.random = torch.Generator().manual_seed(seed)
        self.probabilities: list[float] = []

    def __call__(
        self, input_ids: Int[Tensor, "1 token"], scores: Float[Tensor, "1 vocabulary"]
    ) -> Float[Tensor, "1 vocabulary"]:
        logits = scores.double().cpu()
        noisy = logits
        if self.how == "sampled":
            uniform = torch.rand(logits.shape, generator=self.random, dtype=torch.float64).clamp_min(1e-300)
            noisy = logits / self.temperature - torch.log(-torch.log(uniform))
        self.probabilities.append(float(torch.softmax(logits[0], dim=0)[noisy[0].argmax()]))
        return noisy.to(scores.device)


class _Stopper(StoppingCriteria):
    """Stops after n new tokens, or when asked to."""

    def __init__(self, n_given: int, n: int, stop: Callable[[int], bool]) -> None:
        self.n_given, self.n, self.stop = n_given, n, stop

    # A tensor; transformers asks for a BoolTensor, which nothing gives.
    def __call__(self, input_ids: Tensor, scores: object, **kwargs: object) -> Any:
        written = input_ids.shape[1] - self.n_given
        done = written >= self.n or self.stop(written)
        return torch.full((input_ids.shape[0],), done, dtype=torch.bool, device=input_ids.device)


def _appended(model: LoadedModel, given: _Given, new: list[int]) -> tuple[str, list[int]]:
    """The text with the new tokens after it; half a character at the end is left out, and its tokens with it."""
    own = given.own

    def text_of(ids: list[int]) -> str:
        return model.decode(ids, target=given.of_decoder)

    while new and text_of([*own, *new]).endswith("\ufffd"):
        new = new[:-1]
    before, after = text_of(own), text_of([*own, *new])
    tail = after[len(before) :] if after.startswith(before) else text_of(new)
    return (given.text + tail if given.text else tail.lstrip()), new
