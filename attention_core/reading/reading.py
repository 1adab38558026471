"""How weights are read: tokens that are hidden, rows renormalised, words for pieces, mean and maximum over heads.

Nothing here changes what the model computed. It decides which rows and columns a picture has and how several weights
become one, and it says so in words (`describe`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.text.tokens import Token, join_texts


@dataclass(frozen=True, slots=True)
class Reading:
    """What a picture leaves out and puts together."""

    hide_special: bool = False
    hide_first: bool = False  # the first token of the input, the usual attention sink
    renormalise: bool = False  # divide each row by the sum of what is left of it
    words: bool = False  # one row and column per word instead of per piece
    by_norm: bool = False  # ‖a·v·W_O‖ as a share of its row, instead of the weight a (see `contribution`)

    @property
    def hides(self) -> bool:
        """Some tokens are left out, so rows may sum to less than 1."""
        return self.hide_special or self.hide_first


@dataclass(frozen=True, slots=True)
class Item:
    """One row or column of a picture."""

    text: str
    pieces: tuple[int, ...]  # indices of the tokens in it, at least one
    special: bool


def items(tokens: Sequence[Token], reading: Reading) -> tuple[Item, ...]:
    """The rows or columns that `reading` leaves of `tokens`, in order; a special token never joins a word.

    Raises ValueError if nothing would be left.
    """
    kept = [
        index
        for index, token in enumerate(tokens)
        if not (reading.hide_special and token.special) and not (reading.hide_first and index == 0)
    ]
    if not kept:
        hidden = " and ".join(
            words
            for words, hides in (("special tokens", reading.hide_special), ("the first token", reading.hide_first))
            if hides
        )
        raise ValueError(
            f"Hiding {hidden} would leave nothing of {len(tokens)} tokens to show."
            if tokens
            else "There are no tokens."
        )

    def word(index: int) -> tuple[int, int]:
        token = tokens[index]
        return (0, token.word) if reading.words and token.word is not None and not token.special else (1, index)

    groups = (tuple(group) for _, group in groupby(kept, key=word))
    return tuple(
        Item(
            text=join_texts(tokens[piece].text for piece in group)
            if reading.words and not tokens[group[0]].special
            else tokens[group[0]].text,
            pieces=group,
            special=tokens[group[0]].special,
        )
        for group in groups
    )


def read_weights(
    weights: Float[Tensor, "*batch query key"],
    queries: Sequence[Item],
    keys: Sequence[Item],
    *,
    renormalise: bool = False,
) -> Float[Tensor, "*batch row column"]:
    """Weights between the items of a picture: summed over a column's pieces, averaged over a row's.

    So a full row still sums to 1. With `renormalise` each row is divided by its sum; one with nothing left becomes NaN.
    """
    read = _gather(_gather(weights, keys, dim=-1), queries, dim=-2)
    sizes = torch.tensor([len(item.pieces) for item in queries], dtype=weights.dtype, device=weights.device)
    if any(len(item.pieces) > 1 for item in queries):
        read = read / sizes[:, None]
    return read / read.sum(dim=-1, keepdim=True) if renormalise else read


def read_allowed(
    allowed: Bool[Tensor, "query key"] | None, queries: Sequence[Item], keys: Sequence[Item]
) -> Bool[Tensor, "row column"] | None:
    """A cell may be read if any of its pairs of pieces may; None, as ever, allows every pair."""
    if allowed is None:
        return None
    return _gather(_gather(allowed.to(torch.float32), keys, dim=-1), queries, dim=-2) > 0


def hidden_share(
    weights: Float[Tensor, "*batch query key"], queries: Sequence[Item], keys: Sequence[Item]
) -> Float[Tensor, "*batch row"]:
    """The attention of each row that went to hidden keys, 0 to 1, averaged over the row's pieces."""
    shown = {piece for item in keys for piece in item.pieces}
    hidden = [key for key in range(weights.shape[-1]) if key not in shown]
    went = Item(text="", pieces=tuple(hidden), special=False)
    if not hidden:
        return weights.new_zeros(*weights.shape[:-2], len(queries))
    return read_weights(weights, queries, (went,)).squeeze(-1)


def describe(reading: Reading) -> tuple[str, ...]:
    """The lines to print on a picture, so that it says how it was made; none for a plain one."""
    lines: list[str] = []
    if reading.by_norm:
        lines.append("Norm-based: ‖a·v·W_O‖, what each key really adds, as a share of its row; not the weights.")
    if reading.hides:
        what = {
            (True, False): "Special tokens",
            (False, True): "First token",
            (True, True): "Special tokens and first token",
        }[reading.hide_special, reading.hide_first]
        how = "renormalised: they sum to 1" if reading.renormalise else "not renormalised: they can sum to less than 1"
        lines.append(f"{what} hidden, rows {how}.")
    elif reading.renormalise:
        lines.append("Rows renormalised: they sum to 1.")
    if reading.words:
        lines.append("Words: weights summed over a word's keys, averaged over its queries.")
    return tuple(lines)


def over_heads(
    weights: Float[Tensor, "*batch head query key"], how: Literal["mean", "max"]
) -> Float[Tensor, "*batch query key"]:
    """The mean or the maximum over heads, cell by cell; rows of a maximum sum to 1 or more.

    Raises ValueError for another `how`.
    """
    if how == "mean":
        return weights.mean(dim=-3)
    if how == "max":
        return weights.amax(dim=-3)
    raise ValueError(f'heads are combined by "mean" or "max"; got {how!r}')


def _gather(
    values: Float[Tensor, "*batch query key"], groups: Sequence[Item], dim: int
) -> Float[Tensor, "*batch row column"]:
    """The sum of `values` over each group of pieces, in order, along `dim` (-1 or -2)."""
    # Items stand in order and share no piece, so where they span as many pieces as there are items, each is one piece.
    # Then it is a view, which costs nothing: the usual case, only an end is hidden.
    first, last = groups[0].pieces[0], groups[-1].pieces[-1]
    if last - first + 1 == len(groups):
        return values.narrow(dim, first, len(groups))
    pieces = [piece for item in groups for piece in item.pieces]
    chosen = values.index_select(dim, torch.tensor(pieces, device=values.device))
    if len(pieces) == len(groups):
        return chosen
    group = torch.tensor([g for g, item in enumerate(groups) for _ in item.pieces], device=values.device)
    shape = list(chosen.shape)
    shape[dim] = len(groups)
    # Not a product with a 0/1 matrix: there 0 × NaN would spread one NaN over its whole row.
    return values.new_zeros(shape).index_add(dim, group, chosen)
