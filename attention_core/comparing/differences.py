"""Two traces side by side: aligned weights, their signed difference, how far rows and heads are apart, readouts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import SupportsIndex

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.comparing.alignment import Alignment, align_tokens, align_words, given_alignment
from attention_core.formats.shown import short_repr
from attention_core.reading.readout import Readout, read_out
from attention_core.record.record import Record
from attention_core.text.tokens import Token

Other = tuple[SupportsIndex | str, SupportsIndex]  # a layer and a head of B


@dataclass(frozen=True, eq=False)
class Comparison:
    """Trace A and trace B. Rows and columns are places of an alignment; in words, a row is the mean of its tokens'
    rows and a column the sum of its tokens' columns."""

    a: Record
    b: Record
    source: Alignment
    target: Alignment | None  # of the decoders' texts, where both have one

    __repr__ = short_repr

    def rows(self, layer: SupportsIndex | str) -> Alignment:
        """The places that look, in a layer."""
        return self._side(self.a.query_tokens(layer))

    def columns(self, layer: SupportsIndex | str) -> Alignment:
        """The places that are looked at, in a layer."""
        return self._side(self.a.key_tokens(layer))

    def weights(
        self, layer: SupportsIndex | str, head: SupportsIndex, *, other: Other | None = None
    ) -> tuple[Float[Tensor, "row column"], Float[Tensor, "row column"]]:
        """A's weights and B's on the same rows and columns; NaN where a side has no such row or column.

        `other` is B's layer and head, where they are not the same. Raises ValueError naming what there is.
        """
        there, theirs = other or (layer, head)
        sides = ((self.a, layer, head, "a"), (self.b, there, theirs, "b"))
        if self.a.layer(layer).kind.split()[-1] != self.b.layer(there).kind.split()[-1]:
            raise ValueError(f"{self.a.layer(layer).label} and {self.b.layer(there).label} look at different things")
        rows, columns = self.rows(layer), self.columns(layer)
        found = []
        for trace, one, which, name in sides:
            place, number = trace.place(one, which)
            found.append(_on(trace.layers[place].weights(number), rows, columns, name))
        return found[0], found[1]

    def difference(
        self, layer: SupportsIndex | str, head: SupportsIndex, *, other: Other | None = None
    ) -> Float[Tensor, "row column"]:
        """A − B, −1 to 1; NaN where one side has no such row or column. B − A has every sign turned."""
        a, b = self.weights(layer, head, other=other)
        return a - b

    def total_variation(
        self, layer: SupportsIndex | str, head: SupportsIndex, *, other: Other | None = None
    ) -> Float[Tensor, " row"]:
        """½ Σ|A − B| of each row, 0 (the same) to 1 (nothing in common); NaN for a row that one side has not.

        A column that one side has not counts with all of the other's weight.
        """
        a, b = self.weights(layer, head, other=other)
        matched = ~(a.isnan().all(dim=-1) | b.isnan().all(dim=-1))
        apart = 0.5 * (a.nan_to_num(nan=0.0) - b.nan_to_num(nan=0.0)).abs().sum(dim=-1)
        return apart.masked_fill(~matched, torch.nan)

    def of_heads(self, layer: SupportsIndex | str) -> Float[Tensor, " head"]:
        """The mean total variation of each head's matched rows: how differently it looks in the two traces."""
        n_heads = self.a.layer(layer).n_heads
        return torch.stack([self.total_variation(layer, head).nanmean() for head in range(n_heads)])

    @cached_property
    def readouts(self) -> tuple[Readout, Readout]:
        """What the model says in each."""
        return read_out(self.a), read_out(self.b)

    @property
    def says(self) -> str:
        """How the texts were aligned, and what has no partner."""
        n = len(self.source.places)
        unmatched = self.source.n_unmatched
        kept = f"{unmatched} of {n} places stand on one side only" if unmatched else f"all {n} places have a partner"
        return f"Aligned by {self.source.by}: {kept}."

    def _side(self, tokens: tuple[Token, ...]) -> Alignment:
        return self.target if self.target is not None and tokens is self.a.target_tokens else self.source


def compare(a: Record, b: Record, align: str | Sequence[tuple[int, int]] | None = None) -> Comparison:
    """Two traces side by side; A − B.

    `align` is "tokens" (edit distance on the numbers of tokens: one tokenizer), "words" (two tokenizers), pairs
    (token of A, token of B), or None: tokens where both have one tokenizer's, else words.

    Raises ValueError for another `align`, or pairs that do not go together.
    """
    decoders = bool(a.target_tokens), bool(b.target_tokens)
    if decoders[0] != decoders[1]:
        raise ValueError("one of these traces has a decoder's text and the other has none: they have no rows in common")
    source = _aligned(a.source_tokens, b.source_tokens, align)
    usual = None if align is not None and not isinstance(align, str) else align
    return Comparison(a, b, source, _aligned(a.target_tokens, b.target_tokens, usual) if decoders[0] else None)


def _aligned(a: tuple[Token, ...], b: tuple[Token, ...], align: str | Sequence[tuple[int, int]] | None) -> Alignment:
    if align is None:
        align = "tokens" if _one_vocabulary(a, b) else "words"
    if align == "tokens":
        return align_tokens(a, b)
    if align == "words":
        return align_words(a, b)
    if isinstance(align, str):
        raise ValueError(f'align is "tokens", "words", pairs of places or None; got {align!r:.40}')
    return given_alignment(align, a, b)


def _one_vocabulary(a: Sequence[Token], b: Sequence[Token]) -> bool:
    """No number stands for two pieces, and no piece has two numbers, in what both texts show of their vocabularies."""
    by_id = {token.id: token.piece for token in a}
    by_piece = {token.piece: token.id for token in a}
    return all(by_id.get(t.id, t.piece) == t.piece and by_piece.get(t.piece, t.id) == t.id for t in b) and bool(
        {t.id for t in a} & {t.id for t in b}
    )


def _on(
    weights: Float[Tensor, "query key"], rows: Alignment, columns: Alignment, side: str
) -> Float[Tensor, "row column"]:
    """Weights on the places of a comparison."""
    summed = weights.new_full((weights.shape[0], len(columns.places)), torch.nan)
    for j, place in enumerate(columns.places):
        if tokens := getattr(place, side):
            summed[:, j] = weights[:, list(tokens)].sum(dim=1)
    found = weights.new_full((len(rows.places), len(columns.places)), torch.nan)
    for i, place in enumerate(rows.places):
        if tokens := getattr(place, side):
            found[i] = summed[list(tokens)].mean(dim=0)
    return found
