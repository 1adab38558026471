"""Two traces side by side: aligned weights, their signed difference, how far rows and heads are apart, readouts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import SupportsIndex

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.comparing.alignment import Alignment, Pairs, align_tokens, align_words, given_alignment
from attention_core.formats.shown import short_repr
from attention_core.reading.readout import Readout, read_out
from attention_core.record.choosing import layer_at
from attention_core.record.layers import AttentionLayer
from attention_core.record.record import Record
from attention_core.text.tokens import Token

Layer = SupportsIndex | str
Head = SupportsIndex | str  # one, or "mean" or "max": all heads of a layer as one
Other = tuple[Layer, Head]  # a layer and a head of B


@dataclass(frozen=True, eq=False)
class Comparison:
    """Trace A and trace B. Rows and columns are places of an alignment; in words, a row is the mean of its tokens'
    rows and a column the sum of its tokens' columns."""

    a: Record
    b: Record
    source: Alignment
    target: Alignment | None  # of the decoders' texts, where both have one

    __repr__ = short_repr

    def rows(self, layer: Layer) -> Alignment:
        """The places that look, in a layer."""
        return self._side(self.a.query_tokens(layer))

    def columns(self, layer: Layer) -> Alignment:
        """The places that are looked at, in a layer."""
        return self._side(self.a.key_tokens(layer))

    def weights(
        self, layer: Layer, head: Head, *, other: Other | None = None
    ) -> tuple[Float[Tensor, "row column"], Float[Tensor, "row column"]]:
        """A's weights and B's on the same rows and columns; NaN where a side has no such row or column.

        `other` is B's layer and head, where they are not the same. Raises ValueError naming what there is.
        """
        there, theirs = other or (layer, head)
        self._check_alike(layer, there)
        rows, columns = self.rows(layer), self.columns(layer)
        a, b = _head_of(self.a, layer, head), _head_of(self.b, there, theirs)
        return _on(a, rows, columns, "a"), _on(b, rows, columns, "b")

    def all_weights(
        self, layer: Layer, *, other: Layer | None = None
    ) -> tuple[Float[Tensor, "head row column"], Float[Tensor, "other row column"]]:
        """The same of all heads of a layer, and of B's layer `other` (None: the same)."""
        there = layer if other is None else other
        self._check_alike(layer, there)
        rows, columns = self.rows(layer), self.columns(layer)
        a, b = (_layer_of(trace, one).all_weights().cpu() for trace, one in ((self.a, layer), (self.b, there)))
        return _on(a, rows, columns, "a"), _on(b, rows, columns, "b")

    def readable(
        self, layer: Layer, *, other: Layer | None = None
    ) -> tuple[Bool[Tensor, "row column"], Bool[Tensor, "row column"]]:
        """Which cells A, and B, may read: False where a mask forbids all of one, or where a side has no such cell."""
        there = layer if other is None else other
        rows, columns = self.rows(layer), self.columns(layer)
        found = []
        for trace, one, side in ((self.a, layer, "a"), (self.b, there, "b")):
            attention = _layer_of(trace, one)
            allowed = attention.allowed()
            cells = torch.ones(attention.n_query, attention.n_key) if allowed is None else allowed.cpu().float()
            found.append(_on(cells, rows, columns, side).nan_to_num(nan=0.0) > 0)
        return found[0], found[1]

    def difference(self, layer: Layer, head: Head, *, other: Other | None = None) -> Float[Tensor, "row column"]:
        """A − B, −1 to 1; NaN where one side has no such row or column. B − A has every sign turned."""
        a, b = self.weights(layer, head, other=other)
        return a - b

    def total_variation(self, layer: Layer, head: Head, *, other: Other | None = None) -> Float[Tensor, " row"]:
        """½ Σ|A − B| of each row, 0 (the same) to 1 (nothing in common); NaN for a row that one side has not.

        A column that one side has not counts with all of the other's weight.
        """
        return apart(*self.weights(layer, head, other=other))

    def of_heads(self, layer: Layer) -> Float[Tensor, " head"]:
        """The mean total variation of each head's matched rows: how differently it looks in the two traces.

        Raises ValueError where B's layer has another number of heads.
        """
        a, b = self.all_weights(layer)
        if len(a) != len(b):
            raise ValueError(f"A has {len(a)} heads in this layer and B has {len(b)}: none is the same one")
        return apart(a, b).nanmean(dim=-1)

    def against(self, layer: Layer, head: Head) -> tuple[Float[Tensor, " other"] | None, ...]:
        """How far each head of B, layer by layer, looks from one of A: mean total variation of the matched rows.

        None for a layer of B that looks at other things.
        """
        one = _on(_head_of(self.a, layer, head), self.rows(layer), self.columns(layer), "a")
        found: list[Tensor | None] = []
        for there in range(len(self.b.layers)):
            if self._look_at(self.a, layer) != self._look_at(self.b, there):
                found.append(None)
                continue
            theirs = _on(self.b.layers[there].all_weights().cpu(), self.rows(layer), self.columns(layer), "b")
            found.append(apart(one.expand_as(theirs), theirs).nanmean(dim=-1))
        return tuple(found)

    @property
    def why_no_same_heads(self) -> str:
        """Why no head of A is the same head in B, as a sentence; "" where the two have the same layers and heads."""
        shapes = [
            [(layer.n_heads, self._look_at(trace, i)) for i, layer in enumerate(trace.layers)]
            for trace in (self.a, self.b)
        ]
        if shapes[0] == shapes[1]:
            return ""
        a, b = (f"{len(shape)} layers with {sum(n for n, _ in shape)} heads" for shape in shapes)
        return f"A has {a}, B has {b}: no head of one is the same head in the other."

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

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not the same about the two beside their weights, in sentences: lengths, tokenizers, limits."""
        said = []
        a, b = len(self.a.source_tokens), len(self.b.source_tokens)
        if a != b:
            said.append(f"A has {a} tokens and B has {b}.")
        if self.source.by == "words":
            said.append(
                "Two tokenizers: words are compared. A word’s row is the mean of its tokens’ rows, its column the sum."
            )
        limits = [trace.facts.context_length for trace in (self.a, self.b)]
        if limits[0] != limits[1]:
            most = [f"at most {limit:,} tokens" if limit else "without a stated limit" for limit in limits]
            said.append(f"A’s model reads {most[0]}, B’s {most[1]}.")
        for name, trace in (("A", self.a), ("B", self.b)):
            said += [f"{name}: {note}" for note in trace.notes]
        return tuple(said)

    def _check_alike(self, layer: Layer, there: Layer) -> None:
        if self._look_at(self.a, layer) != self._look_at(self.b, there):
            a, b = _layer_of(self.a, layer).label, _layer_of(self.b, there).label
            raise ValueError(f"{a} and {b} look at different things")

    def _look_at(self, trace: Record, layer: Layer) -> str:
        return _layer_of(trace, layer).kind.split()[-1]

    def _side(self, tokens: tuple[Token, ...]) -> Alignment:
        return self.target if self.target is not None and tokens is self.a.target_tokens else self.source


def apart(a: Float[Tensor, "*batch row column"], b: Float[Tensor, "*batch row column"]) -> Float[Tensor, "*batch row"]:
    """½ Σ|a − b| of each row of aligned weights; NaN for a row that one side has not."""
    matched = ~(a.isnan().all(dim=-1) | b.isnan().all(dim=-1))
    distance = 0.5 * (a.nan_to_num(nan=0.0) - b.nan_to_num(nan=0.0)).abs().sum(dim=-1)
    return distance.masked_fill(~matched, torch.nan)


def compare(
    a: Record, b: Record, align: str | Sequence[tuple[int, int]] | None = None, *, fixed: Pairs = ()
) -> Comparison:
    """Two traces side by side; A − B.

    `align` is "tokens" (edit distance on the numbers of tokens: one tokenizer), "words" (two tokenizers), pairs
    (token of A, token of B), or None: tokens where both have one tokenizer's, else words. `fixed` are pairs of tokens
    of the source texts that stay together while the rest is aligned around them.

    Raises ValueError for another `align`, or pairs that do not go together.
    """
    decoders = bool(a.target_tokens), bool(b.target_tokens)
    if decoders[0] != decoders[1]:
        raise ValueError("one of these traces has a decoder's text and the other has none: they have no rows in common")
    source = _aligned(a.source_tokens, b.source_tokens, align, fixed)
    usual = None if align is not None and not isinstance(align, str) else align
    return Comparison(a, b, source, _aligned(a.target_tokens, b.target_tokens, usual) if decoders[0] else None)


def _aligned(
    a: tuple[Token, ...], b: tuple[Token, ...], align: str | Sequence[tuple[int, int]] | None, fixed: Pairs = ()
) -> Alignment:
    if align is None:
        align = "tokens" if _one_vocabulary(a, b) else "words"
    if align == "tokens":
        return align_tokens(a, b, fixed)
    if align == "words":
        return align_words(a, b, fixed)
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


def _layer_of(trace: Record, layer: Layer) -> AttentionLayer:
    return trace.layers[layer_at(trace.layers, layer)]


def _head_of(trace: Record, layer: Layer, head: Head) -> Float[Tensor, "query key"]:
    """The weights of one head, or of the mean or maximum over a layer's heads."""
    if isinstance(head, str):
        if head not in ("mean", "max"):
            raise ValueError(f'a head is a number, "mean" or "max"; got {head!r:.40}')
        weights = _layer_of(trace, layer).all_weights().cpu()
        return weights.mean(dim=0) if head == "mean" else weights.amax(dim=0)
    place, number = trace.place(layer, head)
    return trace.layers[place].weights(number).cpu()


def _on(
    weights: Float[Tensor, "*batch query key"], rows: Alignment, columns: Alignment, side: str
) -> Float[Tensor, "*batch row column"]:
    """Weights on the places of a comparison."""
    of_rows, n_rows = _places_of(rows, side)
    of_columns, n_columns = _places_of(columns, side)
    *batch, n_query, _ = weights.shape
    summed = weights.new_zeros(*batch, n_query, len(n_columns)).index_add_(-1, of_columns, weights)
    found = weights.new_zeros(*batch, len(n_rows), len(n_columns)).index_add_(-2, of_rows, summed)
    found /= n_rows.clamp_min(1)[:, None]
    return found.masked_fill_((n_rows == 0)[:, None] | (n_columns == 0), torch.nan)


def _places_of(alignment: Alignment, side: str) -> tuple[Tensor, Tensor]:
    """The place of each token of a side, and how many tokens each place has there."""
    places = [getattr(place, side) for place in alignment.places]
    at = {token: i for i, tokens in enumerate(places) for token in tokens}
    return torch.tensor([at[token] for token in range(len(at))]), torch.tensor([len(tokens) for tokens in places])
