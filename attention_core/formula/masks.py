"""Who may read whom: booleans `allowed[query, key]`, True where the query may read the key; masks combine with &.

A band (every key at most `back` before and `ahead` after the query) covers full, causal and sliding-window attention in
two numbers, so a captured text costs memory in proportion to its length; a mask of another shape stays a tensor.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Band:
    """Query i may read key j where -back ≤ j - i ≤ ahead; None leaves that side open."""

    back: int | None = None
    ahead: int | None = None

    @property
    def everything(self) -> bool:
        """Every query may read every key: no mask at all."""
        return self.back is None and self.ahead is None

    @property
    def causal(self) -> bool:
        """No query reads the future."""
        return self.ahead is not None and self.ahead <= 0

    def allowed(
        self, n_query: int, n_key: int, rows: slice = slice(None), device: torch.device | str = "cpu"
    ) -> Bool[Tensor, "query key"]:
        """The band as booleans, for a block of query rows."""
        query = torch.arange(n_query, device=device)[rows, None]
        offset = torch.arange(n_key, device=device)[None, :] - query
        allowed = torch.ones_like(offset, dtype=torch.bool)
        if self.back is not None:
            allowed &= offset >= -self.back
        if self.ahead is not None:
            allowed &= offset <= self.ahead
        return allowed


EVERYTHING = Band()
CAUSAL = Band(ahead=0)


def causal_mask(n_tokens: int) -> Bool[Tensor, "query key"]:
    """No token reads the future: query i may read keys 0…i."""
    return CAUSAL.allowed(n_tokens, n_tokens)


def window_mask(n_tokens: int, back: int, ahead: int = 0) -> Bool[Tensor, "query key"]:
    """Query i may read keys i-back … i+ahead."""
    return Band(back, ahead).allowed(n_tokens, n_tokens)


def as_band(allowed: Bool[Tensor, "query key"]) -> Band | None:
    """The band that `allowed` is, or None if it has another shape. The comparison is exact, cell by cell."""
    n_query, n_key = allowed.shape
    if not bool(allowed.any(dim=-1).all()):
        return None
    position = torch.arange(n_query, device=allowed.device)
    flags = allowed.to(torch.uint8)
    first = flags.argmax(dim=-1)
    last = n_key - 1 - flags.flip(-1).argmax(dim=-1)
    # A side is open if even the row that reaches farthest is stopped by the edge of the matrix alone.
    back = None if bool((first == 0).all()) else int((position - first).max())
    ahead = None if bool((last == n_key - 1).all()) else int((last - position).max())
    band = Band(back, ahead)
    return band if torch.equal(band.allowed(n_query, n_key, device=allowed.device), allowed) else None
