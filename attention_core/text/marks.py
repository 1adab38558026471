"""Mark the tokens that a head metric asks about (separators, punctuation …), and find pairs of equal tokens."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from attention_core.text.tokens import BLANK, JOIN, Token

RAREST = 0.1  # the share of a text's tokens that counts as rare


@dataclass(frozen=True, slots=True, eq=False)
class KeyMarks:
    """What is marked among the keys of a layer, True for the keys that a metric asks about."""

    first: Bool[Tensor, " key"]
    separator: Bool[Tensor, " key"]  # special, and not the first
    punctuation: Bool[Tensor, " key"]
    rare: Bool[Tensor, " key"]

    @property
    def sink(self) -> Bool[Tensor, " key"]:
        """The usual places of rest: the first token and all special ones."""
        return self.first | self.separator


def key_marks(tokens: Sequence[Token]) -> KeyMarks:
    """The marks on a text's tokens."""
    special = torch.tensor([token.special for token in tokens])
    first = torch.arange(len(tokens)) == 0
    return KeyMarks(
        first=first,
        separator=special & ~first,
        punctuation=torch.tensor([is_punctuation(token) for token in tokens]),
        rare=rarest(token_ids(tokens), special),
    )


def token_ids(tokens: Sequence[Token]) -> Int[Tensor, " token"]:
    """A number for each token, for comparing tokens with each other."""
    return torch.tensor([token.id for token in tokens])


def is_punctuation(token: Token) -> bool:
    """Is all that is seen of the token, blanks and joins aside, punctuation (Unicode category P)?"""
    shown = token.text.strip(BLANK + JOIN)
    return not token.special and bool(shown) and all(unicodedata.category(sign)[0] == "P" for sign in shown)


def rarest(ids: Int[Tensor, " token"], special: Bool[Tensor, " token"]) -> Bool[Tensor, " token"]:
    """The tenth of the tokens with the largest numbers in the vocabulary, at least one; special ones never count.

    Equal tokens are rare together: the mark can be on more than a tenth.
    """
    own = ids[~special]
    if not len(own):
        return torch.zeros_like(special)
    least = own.sort(descending=True).values[math.ceil(RAREST * len(own)) - 1]
    return (ids >= least) & ~special


def same_token(
    query_ids: Int[Tensor, " query"], key_ids: Int[Tensor, " key"], start: int = 0
) -> Bool[Tensor, "query key"]:
    """True where query and key are the same token at different places; the first query stands at place `start`."""
    own = torch.arange(start, start + len(query_ids))[:, None] == torch.arange(len(key_ids))
    return (query_ids[:, None] == key_ids) & ~own


def after_earlier(
    query_ids: Int[Tensor, " query"], key_ids: Int[Tensor, " key"], start: int = 0
) -> Bool[Tensor, "query key"]:
    """True where the key follows an earlier occurrence of the query's token and lies before the query."""
    follows = torch.zeros(len(query_ids), len(key_ids), dtype=torch.bool)
    follows[:, 1:] = query_ids[:, None] == key_ids[:-1]
    before = torch.arange(len(key_ids)) < torch.arange(start, start + len(query_ids))[:, None]
    return follows & before
