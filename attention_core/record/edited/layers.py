"""Layers that were edited while the model ran: what they show is the edited run's, and nothing is proven of them."""

from dataclasses import dataclass, field, fields, replace
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.formats.shown import short_repr
from attention_core.formula.attention import AttentionSteps
from attention_core.record.layers import LayerTrace


@dataclass(frozen=True, slots=True, eq=False)
class EditedLayer(LayerTrace):
    """One attention call under edits. q, k, v and `output` are those of the edited run.

    `edited_weights` are its weights where scores or weights were edited; rows need not sum to 1. None where only what
    heads give was edited: then the weights are the formula's.
    """

    edited: ClassVar[bool] = True

    edited_weights: Float[Tensor, "head query key"] | None = field(kw_only=True)

    __repr__ = short_repr

    def weights(self, head: int, rows: slice = slice(None)) -> Float[Tensor, "query key"]:
        if self.edited_weights is None:
            return LayerTrace.weights(self, head, rows)
        return self.edited_weights[head, rows].float().clone()

    def steps(self, head: int, rows: slice = slice(None)) -> AttentionSteps:
        """The scores as the model makes them of this q and k; weights and output as they were edited."""
        steps = LayerTrace.steps(self, head, rows)
        if self.edited_weights is None:
            return steps
        return replace(
            steps, weights=self.edited_weights[head, rows].float().clone(), output=self.output[head, rows].float()
        )

    def block_weights(
        self,
        heads: slice,
        rows: slice = slice(None),
        n_keys: int | None = None,
        allowed: Bool[Tensor, "query key"] | None = None,
        n_free: int = 0,
    ) -> Float[Tensor, "head query key"]:
        if self.edited_weights is None:
            return LayerTrace.block_weights(self, heads, rows, n_keys, allowed, n_free)
        return self.edited_weights[heads, rows, :n_keys].float()

    def allowed(self, head: int | None = None, rows: slice = slice(None)) -> Bool[Tensor, "query key"] | None:
        """Who may read whom; where the mask was edited too, what has any weight may."""
        own = LayerTrace.allowed(self, head, rows)
        if own is None or self.edited_weights is None:
            return own
        weights = self.edited_weights[:, rows] if head is None else self.edited_weights[head, rows][None]
        return own | (weights > 0).any(dim=0)

    def tensors(self) -> dict[str, Tensor]:
        own = LayerTrace.tensors(self)
        return own if self.edited_weights is None else {**own, "edited_weights": self.edited_weights}


def edited_layer(layer: LayerTrace, weights: Float[Tensor, "head query key"] | None) -> EditedLayer:
    """The same layer as an edited one, with the weights of the edited run where they are not the formula's.

    Without a witness: the model's own function would compute another thing.
    """
    own = {one.name: getattr(layer, one.name) for one in fields(LayerTrace)}
    return EditedLayer(**{**own, "witness": None}, edited_weights=weights)
