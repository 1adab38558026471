"""Tokens from pieces alone: for texts that were cut into tokens elsewhere, by a tokenizer that is not here."""

import re
from collections.abc import Sequence
from dataclasses import replace

from attention_core.text.tokens import JOIN, Token, guess_style, tokens_from, words_of

MOST_CHARACTERS = 1_000  # of one piece; the longest of real vocabularies have some hundred

# What tokenizers add to a text by themselves, as it is usually written. [MASK] and [UNK] stand for something in the
# text, and <0x0A> is a byte.
_SPECIAL = re.compile(r"\[(CLS|SEP|PAD|BOS|EOS)\]|</?s>|<(pad|cls|sep|bos|eos)>|<\|[^|<>]+\|>")
_EMPTY = "⟨empty⟩"


def tokens_of_pieces(pieces: Sequence[str | Token], what: str = "tokens") -> tuple[Token, ...]:
    """Tokens from a tokenizer's pieces (`Ġcat`, `##ing`, `▁the`) or from plain words; a `Token` stays as it is.

    How blanks and joins are written is told from the pieces, and from them which belong to one word. Ids are numbers of
    our own: the same piece has the same one. Tokenizers' usual marks ([CLS], </s>, <|endoftext|> …) count as special.
    They have no places in a text: their spans are empty.

    Raises ValueError, calling them `what`, for anything else than text, for broken characters and for very long pieces.
    """
    if isinstance(pieces, str):
        raise ValueError(
            f"{what} must be a list of texts, one for each token; got one text of {len(pieces)} characters"
        )
    texts = [_checked(piece, f"{what}[{index}]") for index, piece in enumerate(pieces)]
    specials = [_SPECIAL.fullmatch(text) is not None for text in texts]
    style = guess_style(text for text, special in zip(texts, specials, strict=True) if not special)
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    made = tokens_from(
        texts,
        [numbers[text] for text in texts],
        [(0, 0)] * len(texts),
        specials,
        words_of(texts, specials, style),
        style,
    )
    return tuple(
        piece if isinstance(piece, Token) else token if token.text else replace(token, text=_EMPTY)
        for piece, token in zip(pieces, made, strict=True)
    )


def text_of(tokens: Sequence[Token]) -> str:
    """About the text that these tokens were made from, special ones left out; for display, not to be read again."""
    said = ""
    last: int | None = None
    for token in tokens:
        if token.special:
            continue
        text = token.text
        joins = text.startswith(JOIN) or text[:1] in "·⏎⇥" or (last is not None and token.word == last)
        said += ("" if joins or not said else " ") + text.removeprefix(JOIN)
        last = token.word
    return said.replace("·", " ").replace("⏎", "\n").replace("⇥", "\t").strip()


def _checked(piece: object, where: str) -> str:
    text = piece.piece if isinstance(piece, Token) else piece
    if not isinstance(text, str):
        raise ValueError(f"{where} must be a text; got {type(text).__name__}. Ids alone say nothing: give their pieces")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{where} is {len(text):,} characters long; a token has at most {MOST_CHARACTERS:,}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{where} holds half a character (a lone surrogate)") from None
    return str(text)  # NumPy has texts of its own
