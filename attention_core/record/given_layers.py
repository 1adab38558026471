"""Layers whose weights were given together with q, k and v: recomputed, and proven against what was given."""

from dataclasses import dataclass, field, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.formats.shown import short_repr
from attention_core.formula.masks import CAUSAL, EVERYTHING
from attention_core.record.given_arrays import GivenError
from attention_core.record.layers import AttentionLayer, Kind, LayerTrace, Mask, WeightsOnly
from attention_core.record.proof import Check, compare

MOST_TIMES = 32  # components of a value to those of a query; in real models 1 or 2


@dataclass(frozen=True, slots=True)
class GivenWeights:
    """The witness of a layer that was given: its weights came with it, and so did not stay with a model."""

    given: Float[Tensor, "head query key"]

    __repr__ = short_repr

    def __call__(self, head: int, rows: slice) -> Float[Tensor, "query key"]:
        return self.given[head, rows]


@dataclass(frozen=True, slots=True, eq=False)
class GivenLayer(LayerTrace):
    """Weights, q, k and v that somebody gave, of which the formula makes the same weights again.

    Pictures show what was given, to the bit; the steps are recomputed, and the proof compares the two. `output` is the
    given weights times v: no model's own, so nothing is compared with it.
    """

    origin = "given"
    has_output = False

    given: Float[Tensor, "head query key"] = field(kw_only=True)

    __repr__ = short_repr

    @property
    def witness_dtype(self) -> torch.dtype:
        return self.given.dtype

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
        return {**LayerTrace.tensors(self), "given": self.given}


def given_layer(layer: LayerTrace, given: Float[Tensor, "head query key"]) -> GivenLayer:
    """The same q, k, v and mask, with the weights that were given beside them as what is shown and as the witness."""
    own = {one.name: getattr(layer, one.name) for one in fields(LayerTrace)}
    return GivenLayer(**{**own, "witness": GivenWeights(given)}, given=given)


def layer_with_inputs(  # noqa: PLR0913 (one layer of what was given; four are options)
    kind: Kind,
    index: int,
    given: Float[Tensor, "head query key"],
    q: Tensor,  # [head query d_head], k [kv_head key d_head], v [kv_head key d_value]: whether they are is asked below
    k: Tensor,
    v: Tensor,
    *,
    scale: float | None = None,
    allowed: Tensor | None = None,
    sums_to_one: bool = True,
) -> tuple[AttentionLayer, str]:
    """The layer with its q, k and v where softmax(q·k × scale) makes the weights again; else the weights alone.

    And a sentence where it does not. `scale` is 1/√d_head unless given. Without `allowed` every key may be read, or, if
    every weight above the diagonal is exactly 0, those before the query and itself.

    Raises GivenError for shapes that do not belong together, numbers that are none and a query that may read nothing.
    """
    where = f"{kind} layer {index}"
    alone = WeightsOnly(kind, index, given, origin="given", sums_to_one=sums_to_one)
    n_heads, n_query, n_key = given.shape
    n_kv = k.shape[0]
    if q.shape[:2] != (n_heads, n_query) or k.shape[1] != n_key or k.shape[2] != q.shape[2] or n_heads % n_kv:
        raise GivenError(f"{where}: q {_shape(q)} and k {_shape(k)} do not belong to weights {_shape(given)}.")
    if v.shape[:2] != k.shape[:2]:
        raise GivenError(f"{where}: v {_shape(v)} does not belong to k {_shape(k)}.")
    if v.shape[2] > MOST_TIMES * q.shape[2]:  # what comes out is as wide as v: a small file must stay small
        raise GivenError(
            f"{where}: v has {v.shape[2]} components and q {q.shape[2]}; at most {MOST_TIMES} times as many."
        )
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if not bool(torch.isfinite(tensor).all()):
            raise GivenError(f"{where}: {name} holds numbers that are none (NaN or infinite).")
    mask: Mask = CAUSAL if alone.causal else EVERYTHING
    if allowed is not None:
        if allowed.shape != (n_query, n_key):
            raise GivenError(f"{where}: allowed has the shape {_shape(allowed)}; the weights {n_query} × {n_key}.")
        if not bool(allowed.any(dim=-1).all()):
            raise GivenError(f"{where}: allowed lets a query read nothing.")
        mask = allowed
    of_kv = torch.arange(n_heads) * n_kv // n_heads
    output = torch.stack([given[head].float() @ v[of_kv[head]].float() for head in range(n_heads)])
    factor = q.shape[-1] ** -0.5 if scale is None else float(scale)
    layer = given_layer(LayerTrace(kind, index, q, k, v, output, factor, mask), given)
    failed = [check for head in range(n_heads) if not (check := _closes(layer, head)).holds]
    if not failed:
        return layer, ""
    off = max(check.difference for check in failed)
    return alone, (
        f"{where}: softmax(q·k × {layer.scale:.4g}) differs from the given weights by up to {off:.2g}, so these q "
        "and k are not all that they were made from (a rotary embedding, a bias, another mask or scale?). Only the "
        "weights are shown."
    )


def _closes(layer: GivenLayer, head: int) -> Check:
    made, given = LayerTrace.steps(layer, head).weights, layer.given[head].float()
    allowed = layer.allowed(head)
    if allowed is not None and bool(given.masked_fill(allowed, 0.0).any()):
        leaked = float(given.masked_fill(allowed, 0.0).max())
        return Check("mask", leaked, 0.0, False, "a masked key's weight is exactly 0")
    return compare("weights", made, given, layer.given.dtype)


def _shape(tensor: Tensor) -> str:
    return "[" + " × ".join(map(str, tensor.shape)) + "]"
