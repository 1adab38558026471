"""The layers of a record: q, k, v and output of one attention call, or its weights alone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from attention_core.formats.shown import short_repr
from attention_core.formula.attention import AttentionSteps, attend, attention_weights
from attention_core.formula.masks import CAUSAL, Band
from attention_core.record.projections import Found, Projections
from attention_core.record.terms import terms_of

Kind = Literal["encoder self", "decoder self", "cross"]
Origin = Literal["captured", "given"]  # seen while a model ran, or matrices that somebody made elsewhere


Mask = Band | Bool[Tensor, "query key"] | Bool[Tensor, "head query key"]


# The model's own eager weights of one head for a block of query rows: [query key]; None if its eager function gives
# none.
Witness = Callable[[int, slice], Tensor | None]


class AttentionLayer:
    """What every captured layer offers, whether its q and k could be seen or only its weights."""

    __slots__ = ()
    kind: Kind
    index: int  # within its kind, from 0
    exact: ClassVar[bool]  # q, k and v are here; otherwise weights only
    origin: Origin  # who says so: a model that ran here, or somebody who gave the matrices
    edited: ClassVar[bool] = False  # changed while the model ran: nothing is proven of it

    @property
    def n_heads(self) -> int:
        """Query heads."""
        raise NotImplementedError

    @property
    def n_kv_heads(self) -> int:
        """Heads of keys and values; fewer than `n_heads` where several query heads share one."""
        raise NotImplementedError

    @property
    def n_query(self) -> int:
        """Tokens that look: rows of the weights."""
        raise NotImplementedError

    @property
    def n_key(self) -> int:
        """Tokens that are looked at: columns; another number than `n_query` in cross-attention."""
        raise NotImplementedError

    @property
    def causal(self) -> bool:
        """No query reads a key after it."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """In words: "decoder self layer 3"."""
        return f"{self.kind} layer {self.index}"

    def allowed(self, head: int | None = None, rows: slice = slice(None)) -> Bool[Tensor, "query key"] | None:
        """Who may read whom, for a block of query rows; None where everybody may read everything.

        Without a head: what any head may read (heads differ in their masks in very few architectures).
        """
        raise NotImplementedError

    def same_mask(self, other: "AttentionLayer") -> bool:
        """Whether `allowed` is known to be the same for both, so that it need not be made twice."""
        return False

    def weights(self, head: int, rows: slice = slice(None)) -> Float[Tensor, "query key"]:
        """The weights of one head for a block of query rows, in float32."""
        raise NotImplementedError

    def all_weights(self, rows: slice = slice(None)) -> Float[Tensor, "head query key"]:
        """The weights of all heads for a block of query rows: heads · rows · keys memory, twice over."""
        return self.block_weights(slice(None), rows)

    def block_weights(
        self,
        heads: slice,
        rows: slice = slice(None),
        n_keys: int | None = None,
        allowed: Bool[Tensor, "query key"] | None = None,
        n_free: int = 0,
    ) -> Float[Tensor, "head query key"]:
        """The weights of some heads for a block of query rows, over the first `n_keys` keys, up to rounding.

        Those rows must see no key after them (`keys_seen`). `allowed` saves making it again: `allowed(None, rows)` cut
        to the keys, of which every row may read the first `n_free`; heads that differ in their masks do not use it.
        """
        raise NotImplementedError

    def keys_seen(self, rows: slice) -> int:
        """How many of the first keys hold everything that a block of query rows may read."""
        return self.n_key

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a saved trace holds of this layer, by name."""
        raise NotImplementedError

    def numpy(self) -> dict[str, NDArray[np.generic]]:
        """What `tensors` gives, as NumPy arrays of their own; bfloat16, which NumPy lacks, exactly as float32.

        From a GPU too. `weights` and `steps` are float32 already: `.numpy()` is enough there.
        """
        return {
            name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy(force=True).copy()
            for name, tensor in self.tensors().items()
        }

    def observed(self) -> dict[str, Tensor]:
        """What else takes memory: the inputs of linear maps that were observed, by name."""
        return {}


@dataclass(frozen=True, slots=True, eq=False)
class LayerTrace(AttentionLayer):
    """One attention call as the model made it: after rotary embedding and q/k norms, before the output projection.

    With grouped heads n_kv_heads is smaller than n_heads: heads 0 … n_heads/n_kv_heads - 1 share key/value head 0,
    and so on.

    The tensors are those of the run, made in inference mode: autograd does not take them, and they cannot be changed in
    place. `tensor.clone()` can, and so can all tensors of `capture(…, plain=True)`. What `weights` and `steps` compute
    is ordinary either way.
    """

    GO_ON: ClassVar[str] = ".weights(head) · .all_weights() · .steps(head) · .numpy() · .projections · .terms"

    exact = True
    origin = "captured"
    has_output: ClassVar[bool] = True  # `output` is the model's own, so that the proof can compare with it

    kind: Kind
    index: int
    q: Float[Tensor, "head query d_head"]
    k: Float[Tensor, "kv_head key d_head"]
    v: Float[Tensor, "kv_head key d_value"]
    output: Float[Tensor, "head query d_value"]  # the model's own, per head
    scale: float
    mask: Mask
    bias: Float[Tensor, "#head query key"] | None = None
    softcap: float | None = None
    sink_logit: Float[Tensor, " head"] | Float[Tensor, "head query"] | None = None
    witness: Witness | None = field(default=None, repr=False)  # keeps the model alive; None in a trace from a file
    found: Found | None = field(default=None, repr=False)  # the linear maps around the call, searched when first asked

    __repr__ = short_repr

    @property
    def witness_dtype(self) -> torch.dtype:
        """The precision in which the witness gives its weights."""
        return torch.float32

    @property
    def projections(self) -> Projections | None:
        """The linear maps that made q, k and v and the one that read the output; None if none were looked for."""
        return None if self.found is None else self.found()

    @property
    def x_query(self) -> Float[Tensor, "token d_in"] | None:
        """What the query projection reads, where it could be observed."""
        projections = self.projections
        return None if projections is None or projections.q is None else projections.q.x

    @property
    def x_key(self) -> Float[Tensor, "token d_in"] | None:
        """What the key projection reads, where it could be observed; in cross-attention the encoder's side."""
        projections = self.projections
        return None if projections is None or projections.k is None else projections.k.x

    @property
    def terms(self) -> tuple[str, ...]:
        """What this layer's attention has beyond the plain formula, by name: "grouped heads", "rotary" …"""
        return terms_of(
            self.projections,
            grouped=self.n_kv_heads < self.n_heads,
            mask=self.mask,
            bias=self.bias,
            softcap=self.softcap,
            sink_logit=self.sink_logit,
        )

    @property
    def n_heads(self) -> int:
        return self.q.shape[0]

    @property
    def n_kv_heads(self) -> int:
        return self.k.shape[0]

    @property
    def n_query(self) -> int:
        return self.q.shape[1]

    @property
    def n_key(self) -> int:
        return self.k.shape[1]

    @property
    def causal(self) -> bool:
        if isinstance(self.mask, Band):
            return self.mask.causal
        return not bool(self.mask.triu(1).any())

    def kv_head(self, head: int) -> int:
        """The key/value head that query head `head` reads."""
        return head * self.n_kv_heads // self.n_heads

    def allowed(self, head: int | None = None, rows: slice = slice(None)) -> Bool[Tensor, "query key"] | None:
        if isinstance(self.mask, Band):
            if self.mask.everything:
                return None
            return self.mask.allowed(self.n_query, self.n_key, rows, self.q.device)
        if self.mask.dim() == 2:
            return self.mask[rows]
        return self.mask[:, rows].any(dim=0) if head is None else self.mask[head, rows]

    def same_mask(self, other: AttentionLayer) -> bool:
        if not isinstance(other, LayerTrace) or (self.n_query, self.n_key) != (other.n_query, other.n_key):
            return False
        return self.mask is other.mask or (isinstance(self.mask, Band) and self.mask == other.mask)

    def weights(self, head: int, rows: slice = slice(None)) -> Float[Tensor, "query key"]:
        return self.steps(head, rows).weights

    def keys_seen(self, rows: slice) -> int:
        if not isinstance(self.mask, Band) or self.mask.ahead is None:
            return self.n_key
        stop = rows.indices(self.n_query)[1]
        return min(max(1, stop + self.mask.ahead), self.n_key)

    def steps(self, head: int, rows: slice = slice(None)) -> AttentionSteps:
        """Every intermediate tensor of one head, for a block of query rows, in float32."""
        kv_head = self.kv_head(head)
        bias = None
        if self.bias is not None:
            bias = self.bias[head if self.bias.shape[0] > 1 else 0, rows].float()
        return attend(
            self.q[head, rows].float(),
            self.k[kv_head].float(),
            self.v[kv_head].float(),
            scale=self.scale,
            allowed=self.allowed(head, rows),
            bias=bias,
            softcap=self.softcap,
            sink_logit=self._sink_logit(head, rows),
        )

    def block_weights(
        self,
        heads: slice,
        rows: slice = slice(None),
        n_keys: int | None = None,
        allowed: Bool[Tensor, "query key"] | None = None,
        n_free: int = 0,
    ) -> Float[Tensor, "head query key"]:
        kv_heads = [self.kv_head(head) for head in range(*heads.indices(self.n_heads))]
        keys = slice(n_keys)
        k = self.k[heads] if self.n_kv_heads == self.n_heads else self.k[kv_heads]
        bias = None
        if self.bias is not None:
            bias = self.bias[heads if self.bias.shape[0] > 1 else slice(None), rows, keys].float()
        by_head = isinstance(self.mask, Tensor) and self.mask.dim() == 3
        if by_head or allowed is None:
            allowed, n_free = self._allowed_by_head(heads, rows, keys), 0
        return attention_weights(
            self.q[heads, rows].float(),
            k[:, keys].float(),
            scale=self.scale,
            allowed=allowed,
            bias=bias,
            softcap=self.softcap,
            sink_logit=self._sink_logit(heads, rows),
            n_free=n_free,
        )

    def _sink_logit(self, heads: int | slice, rows: slice) -> Float[Tensor, "*head_row"] | None:
        if self.sink_logit is None:
            return None
        own = self.sink_logit[heads].float()
        return own[..., rows] if self.sink_logit.dim() == 2 else own

    def _allowed_by_head(self, heads: slice, rows: slice, keys: slice) -> Tensor | None:
        if isinstance(self.mask, Tensor) and self.mask.dim() == 3:
            return self.mask[heads, rows, keys]
        allowed = self.allowed(None, rows)
        return None if allowed is None else allowed[:, keys]

    def tensors(self) -> dict[str, Tensor]:
        named = {"q": self.q, "k": self.k, "v": self.v, "output": self.output}
        if isinstance(self.mask, Tensor):
            named["mask"] = self.mask
        if self.bias is not None:
            named["bias"] = self.bias
        if self.sink_logit is not None:
            named["sink_logit"] = self.sink_logit
        return named

    def observed(self) -> dict[str, Tensor]:
        return {} if self.found is None else self.found.tensors()


@dataclass(frozen=True, slots=True, eq=False)
class WeightsOnly(AttentionLayer):
    """Weights and nothing else: of an architecture that hides q and k, or given as matrices that were made elsewhere.

    They take heads · tokens² memory. Causal if every weight above the diagonal is exactly 0.
    """

    GO_ON: ClassVar[str] = ".weights(head) · .all_weights() · .numpy(); no q and k: there are no steps"

    exact = False

    kind: Kind
    index: int
    given: Float[Tensor, "head query key"]
    origin: Origin = "captured"
    sums_to_one: bool = True  # False: whoever gave the matrices says that their rows need not sum to 1

    __repr__ = short_repr

    @property
    def n_heads(self) -> int:
        return self.given.shape[0]

    @property
    def n_kv_heads(self) -> int:
        return self.given.shape[0]

    @property
    def n_query(self) -> int:
        return self.given.shape[1]

    @property
    def n_key(self) -> int:
        return self.given.shape[2]

    @property
    def causal(self) -> bool:
        return self.n_query > 1 and not bool(self.given.triu(1).any())

    def allowed(self, head: int | None = None, rows: slice = slice(None)) -> Bool[Tensor, "query key"] | None:
        return CAUSAL.allowed(self.n_query, self.n_key, rows) if self.causal else None

    def weights(self, head: int, rows: slice = slice(None)) -> Float[Tensor, "query key"]:
        return self.given[head, rows].float()

    def block_weights(
        self,
        heads: slice,
        rows: slice = slice(None),
        n_keys: int | None = None,
        allowed: Bool[Tensor, "query key"] | None = None,
        n_free: int = 0,
    ) -> Float[Tensor, "head query key"]:
        return self.given[heads, rows, :n_keys].float()

    def tensors(self) -> dict[str, Tensor]:
        return {"given": self.given}


def checks_of(layers: Iterable[AttentionLayer], *, projections: bool = True, witness: bool = True) -> tuple[str, ...]:
    """What the proof of each of these layers can compare, by name, in its order; only what all of them have."""
    common: tuple[str, ...] | None = None
    for layer in layers:
        names = ["row sums"]
        if layer.edited:
            names = ["range"]
        elif isinstance(layer, LayerTrace):
            found = layer.projections if projections else None
            names = [name for name in ("q", "k", "v") if getattr(found, name, None) is not None]
            witnessed = layer.witness is not None and (witness or layer.origin == "given")  # given ones stay with it
            names += ["mask", "weights"] if witnessed else []
            names += ["output"] if layer.has_output else []
            names += ["W_O"] if found is not None and found.o is not None else []
        elif isinstance(layer, WeightsOnly) and not layer.sums_to_one:
            names = ["range"]
        common = tuple(names) if common is None else tuple(name for name in common if name in names)
    return common or ()
