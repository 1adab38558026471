"""What a model passed as its attention mask, taken apart: who may read whom, and what is added to the scores.

Models pass nothing, booleans (True = may read) or numbers; numbers hide a key (the dtype's minimum, -inf) or are a bias
(ALiBi, and whatever else an architecture adds to its scores).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_core.formats.shown import short_repr
from attention_core.formula.masks import CAUSAL, EVERYTHING, Band, as_band


@dataclass(frozen=True, slots=True, eq=False)
class PassedMask:
    """The mask of one attention call."""

    allowed: Band | Bool[Tensor, "query key"] | Bool[Tensor, "head query key"]
    bias: Float[Tensor, "#head query key"] | None = None  # 0 where nothing may be read

    __repr__ = short_repr

    def additive(
        self, q: Float[Tensor, "1 _ query _"], k: Float[Tensor, "1 _ key _"], heads: slice, rows: slice
    ) -> Float[Tensor, "1 _ row key"] | None:
        """As eager functions want it, for some heads and query rows: the bias, and the dtype's minimum where masked."""
        if isinstance(self.allowed, Band):
            everything = self.allowed.everything
            allowed = None if everything else self.allowed.allowed(q.shape[-2], k.shape[-2], rows, q.device)
        else:
            allowed = self.allowed[heads, rows] if self.allowed.dim() == 3 else self.allowed[rows]
        if self.bias is not None:
            added = (self.bias[heads] if self.bias.shape[0] > 1 else self.bias)[:, rows].to(q.dtype)
        elif allowed is not None:
            added = torch.zeros(1, *allowed.shape[-2:], dtype=q.dtype, device=q.device)
        else:
            return None
        return (added if allowed is None else added.masked_fill(~allowed, torch.finfo(q.dtype).min))[None]


def read_mask(
    mask: Tensor | None,
    module: nn.Module,
    q: Float[Tensor, "1 _ query _"],
    k: Float[Tensor, "1 _ key _"],
    is_causal: bool | None,
    seen: dict[int, PassedMask],
) -> PassedMask:
    """The mask of a call as a rule, or as booleans if no rule describes it. `seen` remembers tensors already read.

    None does not mean "may read all": SDPA is then causal (upper left) when there is more than one query and neither
    the keyword nor the module says otherwise (transformers, sdpa_attention_forward).
    """
    n_query, n_key = q.shape[-2], k.shape[-2]
    if mask is None:
        causal = is_causal if is_causal is not None else getattr(module, "is_causal", True)
        return PassedMask(CAUSAL if causal and n_query > 1 else EVERYTHING)
    if id(mask) not in seen:
        n_heads = mask.shape[-3] if mask.dim() > 2 else 1
        own = mask.expand(1, n_heads, n_query, n_key)[0]
        allowed, bias = (own, None) if own.dtype == torch.bool else taken_apart(own)
        if bool((allowed == allowed[:1]).all()):  # all heads alike
            plain = allowed[0]
            seen[id(mask)] = PassedMask(as_band(plain) or plain, bias)
        else:
            seen[id(mask)] = PassedMask(allowed, bias)
    return seen[id(mask)]


def taken_apart(mask: Float[Tensor, "*head query key"]) -> tuple[Tensor, Tensor | None]:
    """Booleans and a bias: finfo.min or -inf hides a key, any other number is added to its score."""
    allowed = mask > torch.finfo(mask.dtype).min / 2
    bias = mask.masked_fill(~allowed, 0.0)
    return allowed, bias if bool(bias.any()) else None
