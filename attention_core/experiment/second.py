"""A second text's run, from which an edit takes something: read once, kept as long as the experiment."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from attention_core.experiment.edits import ExperimentError
from attention_core.experiment.sites import Noting, Sites
from attention_core.formats.shown import short_repr
from attention_core.record.layers import LayerTrace
from attention_core.record.record import Record


@dataclass(frozen=True, slots=True, eq=False)
class Second:
    """What a text's unedited run gave: its record, what W_O read in it and the residual stream before each block."""

    record: Record
    noting: Noting
    sites: Sites

    __repr__ = short_repr

    def read(self, layer: int) -> Float[Tensor, "token channel"]:
        """What W_O read in a layer (or the function's output, where the edit is made there)."""
        return self.noting.read[layer]

    def stream(self, layer: int) -> Float[Tensor, "token d_model"]:
        """The residual stream that enters the block which begins at this layer."""
        block = self.sites.block_of(layer)
        if block is None or block >= len(self.noting.stream):
            raise ExperimentError(f"no block that begins at layer {layer} was observed in “{self.record.text[:60]}”")
        return self.noting.stream[block][0]

    def layer(self, layer: int) -> LayerTrace:
        """The layer with its q, k and v."""
        return self.record.exact(layer)

    def weights(self, layer: int, head: int) -> Float[Tensor, "query key"]:
        """The weights of a head."""
        return self.record.layers[layer].weights(head)
