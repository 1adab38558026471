"""Which tokens of two texts belong together: by edit distance on tokens, or on words where the tokenizers differ.

Nothing is trimmed: what has no partner stays in the alignment, with None on the other side.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from attention_core.formats.shown import short_repr
from attention_core.text.tokens import Token

By = Literal["tokens", "words", "given"]
Pairs = Sequence[tuple[int, int]]  # of places, one in each text


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One row or column of a comparison: the tokens of each side that it stands for; () where a side has none."""

    a: tuple[int, ...]
    b: tuple[int, ...]
    same: bool  # both sides are there and read alike; False for a replaced one too

    @property
    def matched(self) -> bool:
        """Both sides have it."""
        return bool(self.a and self.b)


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Places in the order of both texts."""

    by: By
    places: tuple[Place, ...]

    __repr__ = short_repr

    @property
    def n_unmatched(self) -> int:
        """Places that only one side has."""
        return sum(not place.matched for place in self.places)


def align_tokens(a: Sequence[Token], b: Sequence[Token], fixed: Pairs = ()) -> Alignment:
    """Tokens of one tokenizer, paired at the least number of insertions, deletions and replacements.

    `fixed` are pairs (token of a, token of b) that stay together; see `aligned_around`.
    """
    pairs = aligned_around(fixed, [token.id for token in a], [token.id for token in b])
    return Alignment("tokens", tuple(_place(i, j, a, b) for i, j in pairs))


def align_words(a: Sequence[Token], b: Sequence[Token], fixed: Pairs = ()) -> Alignment:
    """Words of two tokenizers, told by the tokens' places in their texts; special tokens stand for themselves.

    `fixed` are pairs of tokens whose words stay together; see `aligned_around`.
    """
    words_a, words_b = _words(a), _words(b)
    _check_rising(fixed, len(a), len(b))
    of_a, of_b = _word_of(words_a), _word_of(words_b)
    together = tuple(dict.fromkeys((of_a[i], of_b[j]) for i, j in fixed))
    pairs = aligned_around(together, [word for word, _ in words_a], [word for word, _ in words_b])
    return Alignment(
        "words",
        tuple(
            Place(
                () if i is None else words_a[i][1],
                () if j is None else words_b[j][1],
                i is not None and j is not None and words_a[i][0] == words_b[j][0],
            )
            for i, j in pairs
        ),
    )


def given_alignment(pairs: Sequence[tuple[int, int]], a: Sequence[Token], b: Sequence[Token]) -> Alignment:
    """The caller's pairs (token of a, token of b), both rising; all other tokens stay without a partner.

    Raises ValueError for places that do not exist, or pairs that cross.
    """
    _check_rising(pairs, len(a), len(b))
    places: list[Place] = []
    i = j = 0
    for one, other in [*pairs, (len(a), len(b))]:
        places += [Place((n,), (), False) for n in range(i, one)]
        places += [Place((), (n,), False) for n in range(j, other)]
        if one < len(a):
            places.append(_place(one, other, a, b))
        i, j = one + 1, other + 1
    return Alignment("given", tuple(places))


def least_edits(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int | None, int | None]]:
    """Pairs at the least edit distance; None where one side has nothing. Equal items are paired where they can be.

    Source: Wagner & Fischer 1974, the string-to-string correction problem.
    """
    cost = [[i + j if not i or not j else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i, one in enumerate(a, 1):
        row, above = cost[i], cost[i - 1]
        for j, other in enumerate(b, 1):
            row[j] = min(above[j - 1] + (one != other), above[j] + 1, row[j - 1] + 1)
    pairs: list[tuple[int | None, int | None]] = []
    i, j = len(a), len(b)
    while i or j:
        if i and j and cost[i][j] == cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


def aligned_around(fixed: Pairs, a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int | None, int | None]]:
    """`least_edits` of what lies before, between and after pairs that stay together, whatever they cost.

    Raises ValueError for pairs that cross, or of places that there are not.
    """
    _check_rising(fixed, len(a), len(b))
    found: list[tuple[int | None, int | None]] = []
    i = j = 0
    for one, other in [*fixed, (len(a), len(b))]:
        found += [
            (None if x is None else x + i, None if y is None else y + j) for x, y in least_edits(a[i:one], b[j:other])
        ]
        if one < len(a):
            found.append((one, other))
        i, j = one + 1, other + 1
    return found


def _check_rising(pairs: Pairs, n_a: int, n_b: int) -> None:
    last = (-1, -1)
    for pair in pairs:
        if not (last[0] < pair[0] < n_a and last[1] < pair[1] < n_b):
            raise ValueError(f"pairs are rising places, 0 … {n_a - 1} and 0 … {n_b - 1}; got {pair} after {last}")
        last = pair


def _word_of(words: Sequence[tuple[Hashable, tuple[int, ...]]]) -> dict[int, int]:
    """The word that each token is of."""
    return {token: word for word, (_, tokens) in enumerate(words) for token in tokens}


def _place(i: int | None, j: int | None, a: Sequence[Token], b: Sequence[Token]) -> Place:
    same = i is not None and j is not None and a[i].id == b[j].id
    return Place(() if i is None else (i,), () if j is None else (j,), same)


def _words(tokens: Sequence[Token]) -> list[tuple[Hashable, tuple[int, ...]]]:
    """Each word and its tokens. A special token is its own, by its piece; parts of a word that touch are one."""
    found: list[tuple[list[str], list[int], int | None]] = []
    for i, token in enumerate(tokens):
        if not token.special and token.word is not None and found and found[-1][2] == token.word:
            found[-1][0].append(token.text)
            found[-1][1].append(i)
        else:
            found.append(([token.text], [i], None if token.special else token.word))
    return [("".join(texts).strip("·▁ #").casefold(), tuple(places)) for texts, places, _ in found]
