"""Words of scripts that write no blanks between them: where they end, by ICU's dictionaries.

Chinese, Japanese, Thai, Lao, Khmer and Burmese are cut by the dictionary break iterator of ICU. The rules of Unicode
alone (TR29) would cut them into single letters, and a tokenizer calls a whole sentence one word. Scripts with blanks
keep the words of their tokenizer.

ICU comes in icu4py, which has no wheel for some machines: there `known()` is False, and words are not known.
Source: Unicode Standard Annex 29, section 4; ICU, "Boundary Analysis", dictionary-based break iterator.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

_UNSPACED = (
    "\u0e00-\u0e7f\u0e80-\u0eff"  # Thai, Lao
    "\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff"  # Myanmar
    "\u1780-\u17ff"  # Khmer
    "\u1950-\u197f\u1980-\u19df\u1a20-\u1aaf"  # Tai Le, New Tai Lue, Tai Tham
    "\u3005-\u3007\u3031-\u3035\u303b\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Japanese
    "\u2e80-\u2fdf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
)
_HAS_UNSPACED = re.compile(f"[{_UNSPACED}]")

NOT_KNOWN = (
    "This text has words without blanks between them, and where they end is not known here: words are not shown."
)


def has_unspaced(text: str) -> bool:
    """Does the text hold a letter of a script whose words are not separated by blanks?"""
    return _HAS_UNSPACED.search(text) is not None


def known() -> bool:
    """Is ICU here?"""
    try:
        from icu4py.breakers import WordBreaker  # noqa: F401
    except ImportError:
        return False
    return True


def breaks(text: str) -> tuple[int, ...]:
    """Where ICU begins a word, as places in the text's characters; 0 is the first. Needs ICU (`known`)."""
    from icu4py.breakers import WordBreaker

    places, at = [], 0
    # Its pieces, not its places: those count a character beyond U+FFFF twice. The dictionaries go by script.
    for piece in WordBreaker(text, ""):
        places.append(at)
        at += len(piece)
    return tuple(places)


def split_words(
    text: str, spans: Sequence[tuple[int, int]], words: Sequence[int | None]
) -> tuple[int | None, ...] | None:
    """The words of tokens that stand at these places of the text; None where ICU is needed and not here.

    Letters of an unspaced script have the words of ICU, others those of the tokenizer; a piece that holds the end of
    one word and the start of another belongs to the word in which it begins. Bytes of one character have its place, and
    so its word.
    """
    if not has_unspaced(text):
        return tuple(words)
    if not known():
        return None
    starts = breaks(text)
    # How many segments of an unspaced script have begun: words of others on both sides of one are two.
    n_unspaced = list(accumulate(_is_unspaced(text, start) for start in starts))
    made: list[int | None] = []
    n, before = -1, None  # the number of the current word, and what tells it from the next
    for (start, stop), word in zip(spans, words, strict=True):
        at = _first_letter(text, start, stop)
        name: tuple[int, int] | int | None = None
        if word is not None:
            # Of an unspaced script ICU alone decides: some tokenizers cut it at every mark. Others keep their words.
            segment = bisect_right(starts, at)
            name = segment if _is_unspaced(text, at) else (word, n_unspaced[segment - 1])
            if name != before:
                n += 1
        made.append(None if name is None else n)
        before = name
    return tuple(made)


def _is_unspaced(text: str, at: int) -> bool:
    return 0 <= at < len(text) and _HAS_UNSPACED.match(text[at]) is not None


def _first_letter(text: str, start: int, stop: int) -> int:
    """Where a piece begins without the blank before it."""
    while start < stop - 1 and text[start].isspace():
        start += 1
    return start
