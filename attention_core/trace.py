"""What one text did inside one model: q, k, v and output of every attention layer.

A trace keeps q, k and v, not the attention matrices: O(layers · tokens · d_model) memory where the matrices would take
O(layers · heads · tokens²). The weights of a head are computed when somebody looks at them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.formula.attention import AttentionSteps, attend, attention_weights
from attention_core.formula.masks import CAUSAL, Band
from attention_core.models.facts import ModelFacts
from attention_core.projections import Found, Projections
from attention_core.terms import terms_of
from attention_core.text.tokens import Token

if TYPE_CHECKING:
    from attention_core.downloads import HeadPicture
    from attention_core.ending import Ending
    from attention_core.ledger import Ledger
    from attention_core.proof import Check
    from attention_core.reading import Item
    from attention_core.readout import Readout
    from attention_core.verdict import Verdict

Kind = Literal["encoder self", "decoder self", "cross"]
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

    @property
    def n_heads(self) -> int:
        raise NotImplementedError

    @property
    def n_kv_heads(self) -> int:
        raise NotImplementedError

    @property
    def n_query(self) -> int:
        raise NotImplementedError

    @property
    def n_key(self) -> int:
        raise NotImplementedError

    @property
    def causal(self) -> bool:
        """No query reads a key after it."""
        raise NotImplementedError

    @property
    def label(self) -> str:
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

    def observed(self) -> dict[str, Tensor]:
        """What else takes memory: the inputs of linear maps that were observed, by name."""
        return {}


@dataclass(frozen=True, slots=True, eq=False)
class LayerTrace(AttentionLayer):
    """One attention call as the model made it: after rotary embedding and q/k norms, before the output projection.

    With grouped heads n_kv_heads is smaller than n_heads: heads 0 … n_heads/n_kv_heads - 1 share key/value head 0,
    and so on.
    """

    exact = True

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

    def _sink_logit(self, heads: int | slice, rows: slice) -> Tensor | None:
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
    """A layer of an architecture that hides q and k: the weights that the model itself returned, and nothing else.

    They take heads · tokens² memory. Causal if every weight above the diagonal is exactly 0.
    """

    exact = False

    kind: Kind
    index: int
    given: Float[Tensor, "head query key"]

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
        if isinstance(layer, LayerTrace):
            found = layer.projections if projections else None
            names = [name for name in ("q", "k", "v") if getattr(found, name, None) is not None]
            names += ["mask", "weights"] if witness and layer.witness is not None else []
            names += ["output"] + (["W_O"] if found is not None and found.o is not None else [])
        common = tuple(names) if common is None else tuple(name for name in common if name in names)
    return common or ()


@dataclass(frozen=True, eq=False)
class Trace:
    """One text through one model: its tokens and every attention layer in the order in which the model called them."""

    facts: ModelFacts
    text: str
    pair: str | None
    target: str | None
    source_tokens: tuple[Token, ...]
    target_tokens: tuple[Token, ...]  # the decoder's side of an encoder-decoder; empty otherwise
    layers: tuple[AttentionLayer, ...]
    notes: tuple[str, ...] = ()  # sentences for the reader: what was cut or changed
    reservations: tuple[str, ...] = ()  # sentences: in what the model that ran may differ from the one that was saved
    opened: bool = False  # from a file: the model is not here
    other_layers: tuple[str, ...] = ()  # of a hybrid: names of the layers in which no attention was observed
    source_language: str | None = None  # that the tokenizer was told, by its own name; None if it is told none
    target_language: str | None = None
    chat: str | None = None  # what was typed, where the model's chat template made `text` of it
    ending: "Ending | None" = field(
        default=None, repr=False
    )  # what the model can say more; None in a trace from a file
    opened: bool = False  # it came from a file, without its model
    # What `pictures` reads off the tokens, once for all layers and heads.
    read: "dict[tuple[Any, ...], tuple[Item, ...]]" = field(default_factory=dict, init=False, repr=False)

    @property
    def tokens(self) -> tuple[Token, ...]:
        return self.source_tokens

    @cached_property
    def nbytes(self) -> int:
        """Memory that the captured tensors hold; storage that several of them share is counted once."""
        storages = {storage.data_ptr(): storage.nbytes() for storage in map(Tensor.untyped_storage, self.captured())}
        return sum(storages.values())

    def captured(self) -> list[Tensor]:
        """Every tensor of the run that takes memory for each token; several may be views of one storage."""
        tensors = [
            tensor for layer in self.layers for tensor in (*layer.tensors().values(), *layer.observed().values())
        ]
        if self.ending is not None:
            if self.ending.hidden is not None:
                tensors.append(self.ending.hidden)
            if self.ending.last_norm is not None:
                tensors.append(self.ending.last_norm.before)
        return tensors

    @property
    def checks(self) -> tuple[str, ...]:
        """Names of the checks that the proof makes in every layer: beside the model more than in a file."""
        return checks_of(self.layers)

    def query_tokens(self, layer: int) -> tuple[Token, ...]:
        """The tokens that look, in this layer."""
        decoder_side = self.layers[layer].kind != "encoder self" and self.target_tokens
        return self.target_tokens if decoder_side else self.source_tokens

    def key_tokens(self, layer: int) -> tuple[Token, ...]:
        """The tokens that are looked at, in this layer."""
        decoder_side = self.layers[layer].kind == "decoder self" and self.target_tokens
        return self.target_tokens if decoder_side else self.source_tokens

    def steps(self, layer: int, head: int, rows: slice = slice(None)) -> AttentionSteps:
        """Every intermediate tensor of one head; `rows` picks a block of queries.

        Raises ValueError for a layer whose architecture hides q and k.
        """
        self._require(layer, head)
        return self.exact(layer).steps(head, rows)

    def exact(self, layer: int) -> LayerTrace:
        """The layer with its q, k and v. Raises ValueError if the architecture hides them."""
        found = self.layers[layer]
        if not isinstance(found, LayerTrace):
            raise ValueError(f"layer {layer}: {self.facts.architecture} hides q and k; only its weights are known")
        return found

    def weights(self, layer: int, head: int, rows: slice = slice(None)) -> Float[Tensor, "query key"]:
        """The attention weights of one head: rows look at columns."""
        self._require(layer, head)
        return self.layers[layer].weights(head, rows)

    def proof(self, layer: int, head: int) -> "tuple[Check, ...]":
        """Our formula against the model's own numbers, one check per step; never empty."""
        from attention_core.proof import prove

        self._require(layer, head)
        return prove(self.layers[layer], head)

    def verdict(self, layer: int | None = None, head: int | None = None) -> "Verdict":
        """What the proof comes to, in words: of one head, of all heads of a layer, or of all that was captured.

        "checked", "checked except" with what was not, "cannot be checked" with why, or "differs" with the step that
        does. Of many heads every one is proven first.
        """
        from attention_core.verdict import verdict_of, verdict_of_all

        if layer is None:
            if head is not None:
                raise ValueError("a head is one of a layer: name the layer too")
            return verdict_of_all(self)
        self._require(layer, head or 0)
        return verdict_of_all(self, layer) if head is None else verdict_of(self, layer, head)

    def readout(self) -> "Readout":
        """What the model says: the next token, the masked words, how alike two sentences are, or what it predicts."""
        from attention_core.readout import read_out

        return read_out(self)

    def ledger(self, layer: int, head: int, query: int) -> "Ledger":
        """One head and one query in real numbers, step by step, for a notebook to show."""
        from attention_core.ledger import ledger

        return ledger(self, layer, head, query)

    def picture(self, layer: int | str, head: "int | Literal['mean', 'max']") -> "HeadPicture":
        """One head's heatmap, for a notebook to show."""
        from attention_core.downloads import HeadPicture

        return HeadPicture(self, layer, head)

    def _repr_html_(self) -> str:
        from attention_core.downloads import atlas_html

        return atlas_html(self)

    def _require(self, layer: int, head: int) -> None:
        if not 0 <= layer < len(self.layers):
            raise ValueError(f"layer must be 0 … {len(self.layers) - 1}; got {layer}")
        if not 0 <= head < self.layers[layer].n_heads:
            raise ValueError(f"head must be 0 … {self.layers[layer].n_heads - 1} in layer {layer}; got {head}")
