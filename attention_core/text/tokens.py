"""Tokens: pieces of a vocabulary as a person can read them, words from pieces, and text that is fit for a tokenizer.

A token is shown as it is. What cannot be seen gets a sign: a blank `·`, a line end `⏎`, a tab `⇥`, a join to the piece
before `‿`, a control character its picture (`␀`), any other invisible character its code point (`⟨U+202E⟩`), a byte
that is no whole character its two digits (`⟨E2⟩`). Everything else, `<script>` too, is literal: data, never markup.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from weakref import WeakKeyDictionary

from attention_core.text.tokenizer import Tokenizer

Style = Literal["byte-level", "sentencepiece", "wordpiece", "plain"]
STYLES: tuple[Style, ...] = ("byte-level", "sentencepiece", "wordpiece", "plain")

MAX_CHARACTERS = 100_000  # longest text that is read
STYLE_PIECES = 5_000  # of a vocabulary, evenly spread, tell its style in some milliseconds
BLANK, LINE_END, TAB, JOIN = "·", "⏎", "⇥", "‿"


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a model's input: a piece of the vocabulary, and where in the text it stands."""

    text: str  # as shown
    id: int  # in the vocabulary
    span: tuple[int, int]  # characters of the source text, end excluded; empty, like (0, 0), if it has none
    special: bool  # added by the tokenizer ([CLS], </s>), not read from the text
    piece: str  # the vocabulary's own string
    word: int | None  # index of the word that it belongs to; None for special tokens


_styles: WeakKeyDictionary[Tokenizer, Style] = WeakKeyDictionary()


@lru_cache(maxsize=20_000)  # most texts are made of the same few thousand pieces
def display(piece: str, *, style: Style) -> str:
    """A vocabulary's string as it is shown: `Ġthe` and `▁the` → `·the`, `##ing` → `‿ing`, `<0xE2>` → `⟨E2⟩`."""
    if style == "byte-level":
        return _visible(_text_of_bytes(piece))
    if style == "sentencepiece":
        byte = re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", piece)
        if byte:
            return {"0A": LINE_END, "09": TAB}.get(byte[1].upper(), f"⟨{byte[1].upper()}⟩")
        return _visible(piece.replace("▁", " "))
    if style == "wordpiece" and len(piece) > 2 and piece.startswith("##"):
        return JOIN + _visible(piece[2:])
    if style not in STYLES:
        raise ValueError(f"the style of a vocabulary is one of {', '.join(STYLES)}; got {style!r}")
    return _visible(piece)


def style_of(tokenizer: Tokenizer) -> Style:
    """How a tokenizer of transformers writes blanks and joins: told from its vocabulary, not from the text at hand.

    A text without a blank, or in a script that a vocabulary spells in bytes, has no piece that would tell.
    """
    found = _styles.get(tokenizer)
    if found is None:
        if tokenizer.is_fast:
            n = len(tokenizer)
            pieces = tokenizer.convert_ids_to_tokens(list(range(0, n, max(1, n // STYLE_PIECES))))
        else:
            pieces = tokenizer.get_vocab()
        found = _styles[tokenizer] = guess_style(str(piece) for piece in pieces if piece)
    return found


def guess_style(pieces: Iterable[str]) -> Style:
    """The style that most pieces of a vocabulary speak for; "plain" if none does."""
    votes: dict[Style, int] = {"byte-level": 0, "sentencepiece": 0, "wordpiece": 0}
    for piece in pieces:
        if "Ġ" in piece or "Ċ" in piece:
            votes["byte-level"] += 1
        elif "▁" in piece or (len(piece) == 6 and piece.startswith("<0x")):
            votes["sentencepiece"] += 1
        elif piece.startswith("##") and piece[2:3].isalnum():  # a vocabulary of code holds "###" as well
            votes["wordpiece"] += 1
    winner = max(votes, key=lambda style: votes[style])
    return winner if votes[winner] else "plain"


def tokens_from(
    pieces: Sequence[str],
    ids: Sequence[int],
    spans: Sequence[tuple[int, int]],
    specials: Sequence[bool],
    words: Sequence[int | None],
    style: Style,
) -> tuple[Token, ...]:
    """Tokens from a tokenizer's parallel lists.

    Raises ValueError if the lists differ in length.
    """
    lists = {"pieces": pieces, "ids": ids, "spans": spans, "specials": specials, "words": words}
    if len({len(values) for values in lists.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in lists.items())
        raise ValueError(f"a token needs one entry in each list; got lengths {lengths}")
    return tuple(
        Token(
            text=display(piece, style="plain" if special else style),
            id=int(id_),
            span=(int(span[0]), int(span[1])),
            special=bool(special),
            piece=piece,
            word=None if special or word is None else int(word),
        )
        for piece, id_, span, special, word in zip(pieces, ids, spans, specials, words, strict=True)
    )


def words_of(pieces: Sequence[str], specials: Sequence[bool], style: Style) -> tuple[int | None, ...]:
    """The word that each piece belongs to, for tokenizers that do not say; None for special tokens.

    A word begins at a blank (byte-level, sentencepiece), at a piece without `##` (wordpiece), at and after a piece of
    punctuation, and after a special token. In the plain style every piece is a word.
    """
    words: list[int | None] = []
    word, joins = -1, False  # joins: the next piece may continue the current word
    for piece, special in zip(pieces, specials, strict=True):
        if special:
            words.append(None)
            joins = False
            continue
        shown = display(piece, style=style)
        continues = shown.startswith(JOIN) if style == "wordpiece" else style != "plain" and shown[:1] not in _BREAKS
        punctuation = _is_punctuation(shown.strip(BLANK + JOIN))
        if not (joins and continues and not punctuation):
            word += 1
        words.append(word)
        joins = not punctuation and shown[-1:] not in _BREAKS
    return tuple(words)


def join_blanks(pieces: Sequence[str], words: Sequence[int | None], specials: Sequence[bool]) -> tuple[int | None, ...]:
    """The same words, but a lone `▁` is none: it belongs to the word after it, at the end to the one before."""
    joined = list(words)
    for place in reversed(range(len(joined))):
        if pieces[place] == "▁" and not specials[place]:
            after = joined[place + 1] if place + 1 < len(joined) and not specials[place + 1] else None
            before = words[place - 1] if place and not specials[place - 1] else None
            joined[place] = next((word for word in (after, before) if word is not None), joined[place])
    return tuple(joined)


def second_sentence(tokens: Sequence[Token]) -> list[int]:
    """Indices of the tokens of the second sentence, special ones left out.

    It begins where the places in the text begin anew; of tokenizers that know no places, after the special tokens that
    stand between the two.
    """
    plain = [i for i, token in enumerate(tokens) if not token.special]
    known = any(tokens[i].span != (0, 0) for i in plain)
    for before, here in zip(plain, plain[1:], strict=False):
        a, b = tokens[before].span, tokens[here].span
        if (known and b[0] < a[0]) or (here - before > 1 and b[0] <= a[0]):
            return [i for i in plain if i >= here]
    return []


def join_texts(texts: Iterable[str]) -> str:
    """The shown texts of neighbouring pieces as the text of one word: joins closed, split characters made whole."""
    text = "".join(text.removeprefix(JOIN) for text in texts)
    text = re.sub("(?:⟨[0-9A-F]{2}⟩)+", _whole_characters, text)
    return text.removeprefix(BLANK) or BLANK


def clean_text(text: str) -> tuple[str, list[str]]:
    """What of a text may enter a tokenizer, and one sentence for each thing that was changed.

    Control characters other than line end and tab are removed, lone surrogates become U+FFFD, and a text longer than
    `MAX_CHARACTERS` is cut. Line ends become `\\n`, as in every text box, without a word.
    """
    sentences: list[str] = []
    text = re.sub("\r\n?", "\n", text)
    text, n_controls = re.subn("[\x00-\x08\x0b-\x1f\x7f]", "", text)
    if n_controls:
        sentences.append(f"{n_controls:,} control character{_was(n_controls)} removed.")
    text = re.sub("[\ud800-\udbff][\udc00-\udfff]", _pair_of_surrogates, text)
    text, n_surrogates = re.subn("[\ud800-\udfff]", "\ufffd", text)
    if n_surrogates:
        sentences.append(f"{n_surrogates:,} broken character{_was(n_surrogates)} replaced by �.")
    if len(text) > MAX_CHARACTERS:
        sentences.append(
            f"The text is {len(text):,} characters long; the first {MAX_CHARACTERS:,} are read, "
            f"the last {len(text) - MAX_CHARACTERS:,} were cut off."
        )
        text = text[:MAX_CHARACTERS]
    return text, sentences


_BREAKS = (BLANK, LINE_END, TAB)


def _byte_alphabet() -> dict[str, int]:
    """The 256 printable characters that stand for bytes. Source: GPT-2's encoder.py, `bytes_to_unicode`."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    others = (byte for byte in range(256) if byte not in printable)
    return alphabet | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTE_OF = _byte_alphabet()


def _text_of_bytes(piece: str) -> str:
    """The text that a byte-level piece stands for; a byte that is no whole character becomes a surrogate U+DC80…DCFF.

    A character outside the alphabet (in added tokens) stands for itself.
    """
    data = b"".join(
        bytes([_BYTE_OF[character]]) if character in _BYTE_OF else character.encode("utf-8", "surrogatepass")
        for character in piece
    )
    return data.decode("utf-8", "surrogateescape")


def _visible(text: str) -> str:
    if text.isascii() and text.isalnum():  # most pieces
        return text
    return "".join(_sign(text, place) for place in range(len(text)))


def _sign(text: str, place: int) -> str:
    """The character at `place` of `text`, or the sign for it if it cannot be seen."""
    character = text[place]
    code = ord(character)
    if character in " \n\t":
        return {" ": BLANK, "\n": LINE_END, "\t": TAB}[character]
    if code < 0x20 or code == 0x7F:
        return chr(0x2421 if code == 0x7F else 0x2400 + code)
    if code < 0x7F:
        return character
    if 0xDC80 <= code <= 0xDCFF:
        return f"⟨{code - 0xDC00:02X}⟩"
    if character == "\u200d" and _joins_emoji(text, place):
        return character
    if character in _VARIATION:  # says how the character before it looks (text or emoji): part of that one
        return character if place else f"⟨U+{code:04X}⟩"
    if character in _LOOKS_EMPTY or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"):
        return f"⟨U+{code:04X}⟩"
    return character


_VARIATION = {chr(code) for code in range(0xFE00, 0xFE10)}
_LOOKS_EMPTY = set("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and marks by category, blank on screen


def _joins_emoji(text: str, place: int) -> bool:
    """A zero-width joiner between two pictures, as in a family or a profession."""
    before = text[:place].rstrip("".join(_VARIATION) + "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
    return unicodedata.category(before[-1:] or " ") == "So" == unicodedata.category(text[place + 1 : place + 2] or " ")


def _is_punctuation(text: str) -> bool:
    return bool(text) and all(unicodedata.category(character)[0] in "PS" for character in text) and "⟨" not in text


def _whole_characters(match: re.Match[str]) -> str:
    data = bytes.fromhex(match[0].replace("⟨", "").replace("⟩", ""))
    return _visible(data.decode("utf-8", "surrogateescape"))


def _pair_of_surrogates(match: re.Match[str]) -> str:
    return match[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _was(n: int) -> str:
    return " was" if n == 1 else "s were"
