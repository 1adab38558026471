"""Links between words: which cells of a matrix join two words of the text, and the strongest of them.

Most weight of most heads lies on marks that mean nothing ([CLS], a full stop, the first token of a causal model). What
a person wants to see first is a link from one word to another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from attention_core.record.record import Record
from attention_core.text.tokens import Token


@dataclass(frozen=True, slots=True)
class Link:
    """One query looking at one key in one head."""

    layer: int  # index into trace.layers
    head: int
    query: int  # places among the layer's query and key tokens
    key: int
    weight: float  # 0 to 1


def is_word(token: Token) -> bool:
    """Is this a word or a piece of one: not added by the tokenizer, and not punctuation alone?"""
    return not token.special and any(character.isalnum() for character in token.text)


def word_cells(trace: Record, layer: int) -> Bool[Tensor, "query key"]:
    """True where a word may read another word of the text.

    Left out are special tokens, punctuation, pieces of the same word, and the first key of a causal layer, where heads
    rest whatever the text says.
    """
    queries, keys = trace.query_tokens(layer), trace.key_tokens(layer)
    one = trace.layers[layer]
    cells = _marked(queries)[:, None] & _marked(keys)
    if one.kind != "cross":
        words = [_words(tokens) for tokens in (queries, keys)]
        cells &= words[0][:, None] != words[1]
        if one.causal:
            cells[:, 0] = False
    allowed = one.allowed()
    return cells if allowed is None else cells & allowed.cpu()


def strongest_link(trace: Record, layer: int, head: int) -> Link | None:
    """The largest weight of a head from one word to another; None if no word may read another, or none has weight."""
    return _strongest(trace, layer, head, torch.ones(1, 1, dtype=torch.bool))


def _strongest(trace: Record, layer: int, head: int, among: Bool[Tensor, "some_query 1"]) -> Link | None:
    """The same among some queries."""
    weights = trace.weights(layer, head).cpu().nan_to_num(0.0)
    cells = word_cells(trace, layer) & among
    if not cells.any():
        return None
    place = int(weights.masked_fill(~cells, 0).argmax())
    query, key = divmod(place, weights.shape[1])
    weight = float(weights[query, key])
    return Link(layer, head, query, key, weight) if weight > 0 else None


def opening_link(trace: Record, layer: int, head: int) -> Link | None:
    """The strongest link, of a query from the middle of the text where a causal mask hides keys.

    There a query at the end sees everything and one at the beginning nothing: in the middle the mask shows. Where no
    word of the middle third reads another, the strongest of all.
    """
    one = trace.layers[layer]
    if one.kind == "cross" or not one.causal:
        return strongest_link(trace, layer, head)
    middle = torch.zeros(one.n_query, 1, dtype=torch.bool)
    middle[one.n_query // 3 : one.n_query - one.n_query // 3] = True
    return _strongest(trace, layer, head, middle) or strongest_link(trace, layer, head)


def _marked(tokens: Sequence[Token]) -> Bool[Tensor, " token"]:
    return torch.tensor([is_word(token) for token in tokens], dtype=torch.bool)


def _words(tokens: Sequence[Token]) -> Tensor:
    """The word of each token; tokens without one are words of their own."""
    return torch.tensor([-1 - i if token.word is None else token.word for i, token in enumerate(tokens)])
