"""The last tensors of a captured run, from which `reading/readout` tells what the model says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from attention_core.formats.shown import short_repr
from attention_core.models.facts import LoadedModel
from attention_core.observe.seen import FedNorm


@dataclass(frozen=True, slots=True, eq=False)
class Ending:
    """What a captured run ended with: the model, and the last vector of each token of the side that speaks."""

    model: LoadedModel
    # After the last layer and its norm; of the decoder, if there is one. None where the model does not return them.
    hidden: Float[Tensor, "token d_model"] | None
    last_norm: FedNorm | None = None  # the norm that gave them, with all tokens before and after it, if there was one
    # The numbers of a head for a task, by transformers' name.
    said: Mapping[str, Float[Tensor, "*number"]] = field(default_factory=dict)

    __repr__ = short_repr
