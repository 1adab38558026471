"""Text as a model reads it: ids, tokens, which of them the tokenizer added, and what is cut."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from torch import nn

from attention_core.formats.shown import short_repr
from attention_core.inside.of_transformers import shift_tokens_right
from attention_core.models.facts import LoadedModel
from attention_core.models.task_head import lines_of
from attention_core.text.chat import ChatError, chat_prompt
from attention_core.text.languages import LanguageError, Languages
from attention_core.text.tokenizer import Encoding, Tokenizer
from attention_core.text.tokens import Token, clean_text, join_blanks, second_sentence, style_of, tokens_from, words_of
from attention_core.text.word_breaks import NOT_KNOWN, has_unspaced, known, split_words

MOST_BEFORE = 4  # tokens that a tokenizer puts before a text; those that we know put at most 2


class CaptureError(ValueError):
    """A text could not be captured; the text of the error is a plain sentence."""


class NoTokensError(CaptureError):
    """A text makes no tokens: there is nothing in it to read."""


def languages_of(model: LoadedModel, source: str | None, target: str | None) -> Languages:
    """The languages of a text and of the decoder's text. Raises CaptureError for one that the model does not know."""
    try:
        return model.languages(source, target)
    except LanguageError as error:
        raise CaptureError(str(error)) from None


@dataclass(frozen=True, slots=True)
class Counted:
    """What a text comes to, before it is captured."""

    n_tokens: int  # specials included
    n_special: int
    cut_from: int | None  # character of the first sentence where the model's limit cuts it; None if all fits


def count_tokens(
    model: LoadedModel,
    text: str,
    pair: str | None = None,
    *,
    source_language: str | None = None,
    chat: bool = False,
) -> Counted:
    """Count the tokens of a text without running the model. A chat template's own are among the special ones."""
    text, _ = clean_text(text)
    _, pair = choices_in(model, clean_text(pair)[0] if pair else None, [])
    languages = languages_of(model, source_language, None)
    if chat:
        return _counted_chat(model, text, pair, languages)
    encoded = model.encode(text, pair, languages=languages)
    ids = encoded["input_ids"]
    n_special = sum(_added(model, encoded, text, languages))
    limit = model.facts.context_length
    if limit is None or len(ids) <= limit:
        return Counted(len(ids), n_special, None)
    end = _end_of_text(encode(model, text, pair, languages).tokens, pair)
    return Counted(len(ids), n_special, None if pair and not text[end:].strip() else end)


def _counted_chat(model: LoadedModel, text: str, pair: str | None, languages: Languages) -> Counted:
    prompt = prompt_of(model, text, pair)
    n = len(model.encode(prompt, languages=languages, add_special_tokens=False)["input_ids"])
    read = encode_chat(model, text, pair, languages)
    n_special = sum(token.special for token in read.tokens)
    if len(read.ids) == n:
        return Counted(n, n_special, None)
    begin, _ = _place_of(text, prompt)
    return Counted(n, n_special, min(len(text), max(0, _end_of_text(read.tokens) - begin)))


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as the model takes it in."""

    ids: list[int]
    types: list[int] | None
    tokens: tuple[Token, ...]
    notes: list[str]
    text: str = ""  # that the tokens' characters are counted in

    __repr__ = short_repr


def encode(model: LoadedModel, text: str, pair: str | None, languages: Languages) -> Encoded:
    """A text, or two, as the model takes it in; cut where the model reads no further, and the notes say so."""
    tokenizer, limit = model.tokenizer, model.facts.context_length
    encoded, cut = _within(model, text, pair, languages, return_offsets_mapping=tokenizer.is_fast)
    tokens = _tokens(tokenizer, encoded, _added(model, encoded, text, languages), (text, pair or ""))
    notes = _about_words(tokenizer, text + (pair or "")) + _about_unknown(tokenizer, tokens)
    return _read(encoded, tokens, text, limit, cut, notes, pair)


def encode_chat(model: LoadedModel, text: str, pair: str | None, languages: Languages) -> Encoded:
    """The chat template around a text. What it writes of special tokens counts as added; a typed one does not."""
    tokenizer, limit = model.tokenizer, model.facts.context_length
    prompt = prompt_of(model, text, pair)
    encoded, cut = _within(
        model, prompt, None, languages, return_offsets_mapping=tokenizer.is_fast, add_special_tokens=False
    )
    begin, end = _place_of(text, prompt)
    known = special_ids(tokenizer)
    spans = encoded["offset_mapping"] if tokenizer.is_fast else [(0, 0)] * len(encoded["input_ids"])
    added = [id_ in known and not begin <= span[0] < end for id_, span in zip(encoded["input_ids"], spans, strict=True)]
    tokens = _tokens(tokenizer, encoded, added, (prompt, ""))
    notes = _about_words(tokenizer, prompt) + _about_unknown(tokenizer, tokens)
    read = _read(encoded, tokens, prompt, limit, cut, notes)
    framing = {token.id for token in tokens if token.special}
    twice = dict.fromkeys(token.piece for token in tokens if token.id in framing and not token.special)
    if twice:
        said = f"The text holds {', '.join(twice)} already, and the chat template is put around it once more."
        read.notes.append(f"{said} Take them out, or switch the template off.")
    return read


def prompt_of(model: LoadedModel, text: str, pair: str | None = None) -> str:
    """The model's chat template around a text. Raises CaptureError if it has none, or for a second sentence."""
    if pair:
        raise CaptureError("A chat template takes one text: take the second sentence away, or switch it off.")
    try:
        return clean_text(chat_prompt(model.tokenizer, text))[0]
    except ChatError as error:
        raise CaptureError(str(error)) from None


def _place_of(text: str, prompt: str) -> tuple[int, int]:
    """The characters of a prompt that are the text, without the blanks around it; none if the template changes it."""
    words = text.strip()
    begin = prompt.find(words)
    return (begin, begin + len(words)) if begin >= 0 else (0, 0)


def _within(
    model: LoadedModel, text: str, pair: str | None, languages: Languages, **options: bool
) -> tuple[Encoding, int]:
    """A text as the tokenizer gives it, as far as the model reads, and how many tokens that leaves out."""
    limit = model.facts.context_length
    encoded = model.encode(text, pair, languages=languages, **options)
    n_all = len(encoded["input_ids"])
    if limit is not None and n_all > limit:
        encoded = model.encode(text, pair, languages=languages, truncation=True, max_length=limit, **options)
    return encoded, n_all - len(encoded["input_ids"])


def _about_words(tokenizer: Tokenizer, text: str) -> list[str]:
    """A sentence where the words of a script without blanks are not known."""
    return [NOT_KNOWN] if has_unspaced(text) and not (known() and tokenizer.is_fast) else []


def unknown_note(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """A sentence if at least half of a text's own tokens stand for what the tokenizer does not know; else ""."""
    n = list(ids).count(tokenizer.unk_token_id)  # asked once: the tokenizer looks it up each time
    if not n or 2 * n < len(ids):
        return ""
    return (
        f"The tokenizer does not know most of this text: {n:,} of {len(ids):,} tokens are {tokenizer.unk_token}, "
        "so the picture says little about it."
    )


def _about_unknown(tokenizer: Tokenizer, tokens: Sequence[Token]) -> list[str]:
    said = unknown_note(tokenizer, [token.id for token in tokens if not token.special])
    return [said] if said else []


def _read(
    encoded: Encoding,
    tokens: tuple[Token, ...],
    text: str,
    limit: int | None,
    cut: int,
    notes: list[str],
    pair: str | None = None,
) -> Encoded:
    ids = list(encoded["input_ids"])
    if not ids or all(token.special for token in tokens):
        raise NoTokensError("The model's tokenizer makes no tokens of this text. Type at least one word that it knows.")
    if cut:
        rest = _cut_where(tokens, text, pair)
        notes.append(f"The model reads at most {limit:,} tokens: {cut:,} of {len(ids) + cut:,} were cut{rest}.")
    return Encoded(ids, encoded.get("token_type_ids"), tokens, notes + _twice(tokens), text)


def _twice(tokens: Sequence[Token]) -> list[str]:
    """A sentence for each special token that was typed where the model is given the same one anyway."""
    doubled = {a.piece: None for a, b in pairwise(tokens) if a.id == b.id and a.special != b.special}
    return [
        f"{piece} was typed where the model is given one anyway: it is read twice. Take it out of the text."
        for piece in doubled
    ]


def special_ids(tokenizer: Tokenizer) -> set[int]:
    """The tokens that frame texts: a word that a tokenizer lacks and a [MASK] are read from the text like any other.

    What the tokenizer says of them counts, never how they look: those with a role (`all_special_ids`), and added ones
    that are marked special (places kept for later).
    """
    listed = getattr(tokenizer, "lang_code_to_id", {}).values()  # M2M100 does not call its languages special
    added = (id_ for id_, token in getattr(tokenizer, "added_tokens_decoder", {}).items() if token.special)
    return {*tokenizer.all_special_ids, *listed, *added} - {tokenizer.unk_token_id, tokenizer.mask_token_id}


def tokens_of_ids(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[Token, ...]:
    """Tokens without a text of their own: what the tokenizer calls these ids."""
    pieces, known = pieces_of(tokenizer, ids), special_ids(tokenizer)
    specials = [id_ in known for id_ in ids]
    style = style_of(tokenizer)
    return tokens_from(pieces, ids, [(0, 0)] * len(ids), specials, words_of(pieces, specials, style), style)


def pieces_of(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    """The tokenizer's own pieces, with its marks for spaces; some tokenizers give bytes, which are shown as text."""
    return [piece if isinstance(piece, str) else str(piece) for piece in tokenizer.convert_ids_to_tokens(list(ids))]


def _added(
    model: LoadedModel, encoded: Encoding, text: str, languages: Languages, *, target: bool = False
) -> list[bool]:
    """Which tokens the tokenizer put around a text: a special token that was typed is read like any other.

    Tokenizers written in Python do not say it. Of theirs, what the text alone gives without special tokens was typed;
    a second sentence, and a place where the two disagree, go by the vocabulary.
    """
    tokenizer = model.target_tokenizer if target else model.tokenizer
    if tokenizer.is_fast:
        return [sequence is None for sequence in encoded.sequence_ids(0)]
    ids, known = list(encoded["input_ids"]), special_ids(tokenizer)
    alone = model.encode(text, target=target, languages=languages, add_special_tokens=False)
    typed = list(alone["input_ids"])
    same = [_n_same(ids[first:], typed) for first in range(MOST_BEFORE + 1)]
    first = same.index(max(same))
    return [id_ in known and not first <= place < first + same[first] for place, id_ in enumerate(ids)]


def _n_same(a: Sequence[int], b: Sequence[int]) -> int:
    """How many of the first entries are the same."""
    return next(
        (place for place, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b))
    )


def _tokens(
    tokenizer: Tokenizer, encoded: Encoding, specials: Sequence[bool], texts: tuple[str, str] = ("", "")
) -> tuple[Token, ...]:
    ids = list(encoded["input_ids"])
    pieces = pieces_of(tokenizer, ids)
    spans = [tuple(span) for span in encoded["offset_mapping"]] if tokenizer.is_fast else [(0, 0)] * len(ids)
    style = style_of(tokenizer)
    words = _words(encoded, len(ids)) if tokenizer.is_fast else []
    if len({word for word in words if word is not None}) <= 1:  # some tokenizers call the whole text one word
        words = words_of(pieces, specials, style)
    if any(map(has_unspaced, texts)):  # a tokenizer written in Python does not say where its pieces stand
        words = _unspaced_words(texts, encoded, spans, words) if tokenizer.is_fast else list(range(len(ids)))
    words = join_blanks(pieces, words, specials)
    return tokens_from(pieces, ids, spans, specials, words, style)


def _unspaced_words(
    texts: tuple[str, str], encoded: Encoding, spans: Sequence[tuple[int, int]], words: Sequence[int | None]
) -> list[int | None]:
    """The words of each sentence, cut where its script writes no blanks; each token alone where that is not known."""
    made: list[int | None] = [None] * len(words)
    sequences = encoded.sequence_ids(0)
    for which, text in enumerate(texts):
        own = [place for place, sequence in enumerate(sequences) if sequence == which]
        cut = split_words(text, [spans[place] for place in own], [words[place] for place in own])
        for n, place in enumerate(own):
            number = n if cut is None else cut[n]
            made[place] = None if words[place] is None or number is None else number + which * len(words)
    return made


def _words(encoded: Encoding, n_tokens: int) -> list[int | None]:
    """The word each token belongs to; words of a second sentence are counted on from the first."""
    words: list[int | None] = []
    for sequence, word in zip(encoded.sequence_ids(0), encoded.word_ids(0), strict=True):
        words.append(None if word is None else word + (sequence or 0) * n_tokens)
    return words


def _cut_where(tokens: Sequence[Token], text: str, pair: str | None) -> str:
    """The last words that are read, as the end of a sentence; of a pair, of each sentence that is cut."""
    end = _end_of_text(tokens, pair)
    if not pair:
        return f", up to “{text[max(0, end - 20) : end]}”" if end else ""
    ends = [
        ("first", text, end),
        ("second", pair, max((tokens[i].span[1] for i in second_sentence(tokens)), default=0)),
    ]
    said = [
        f"the {which} sentence after “{sentence[max(0, last - 20) : last]}”"
        for which, sentence, last in ends
        if last and sentence[last:].strip()
    ]
    return f": {' and '.join(said)}" if said else ""


def _end_of_text(tokens: Sequence[Token], pair: str | None = None) -> int:
    """The character of the (first) sentence at which what is read of it ends."""
    second = set(second_sentence(tokens) if pair else ())
    own = (token for place, token in enumerate(tokens) if place not in second and not token.special)
    return max((token.span[1] for token in own), default=0)


def decoder_side(model: LoadedModel, target: str, languages: Languages | None = None) -> Encoded:
    """The decoder's input as in its training: the labels (the target as its tokenizer writes it) moved right by one.

    So first the start token, then what the tokenizer puts before a text (BART: a second <s>; T5: nothing; NLLB: the
    language), then the text, and nothing of what it puts after.
    """
    languages = languages or model.languages()
    tokenizer = model.target_tokenizer
    encoded = model.encode(target or "a", target=True, languages=languages, return_offsets_mapping=tokenizer.is_fast)
    added = _added(model, encoded, target or "a", languages, target=True)
    labels = _tokens(tokenizer, encoded, added, (target or "a", ""))
    before = list(takewhile(lambda token: token.special, labels))
    own = [token for token in labels if not token.special] if target else []
    start = _start(model.model, [token.id for token in labels])
    piece = str(tokenizer.convert_ids_to_tokens(start))
    if len(before) > 1 and before[0].id == start:  # SeamlessM4T's labels begin with the start token already
        before = before[1:]
    limit = (model.facts.target_length or len(own) + 1 + len(before)) - 1 - len(before)
    notes = [f"The decoder's text was cut to {limit:,} tokens."] if len(own) > limit else []
    start_token = Token(text=piece, id=start, span=(0, 0), special=True, piece=piece, word=None)
    tokens = (start_token, *before, *own[:limit])
    return Encoded([token.id for token in tokens], None, tokens, notes + _twice(tokens), target)


def _start(model: nn.Module, labels: Sequence[int]) -> int:
    """What stands before the labels when they are moved right: one token for all texts, or the last label.

    mBART and PLBart end a target with its language and so begin with it; FSMT begins with the end token.
    """
    shift = shift_tokens_right(model)
    if shift is not None and "decoder_start_token_id" not in inspect.signature(shift).parameters:
        return labels[-1]
    start = getattr(model.config, "decoder_start_token_id", None)
    if start is None:
        start = getattr(model.config, "bos_token_id", None) or 0
    return start


def choices_in(model: LoadedModel, pair: str | None, notes: list[str]) -> tuple[str | None, str | None]:
    """The second sentence as it is kept and as it is captured; a model for multiple choice has a choice in each line.

    The line that is captured stands first, so that its tokens' places are those in the whole.
    """
    if model.task is None or model.task.task != "choices":
        return pair, pair
    lines = lines_of(pair)
    if len(lines) > 1:
        notes.append(f"The second sentence holds {len(lines)} choices, one a line: the pictures show the first.")
    return "\n".join(lines) or None, lines[0] if lines else None
