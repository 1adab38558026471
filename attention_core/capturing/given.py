"""Read the attention weights that a model returns itself (`attentions`), for architectures that hide q and k.

What does not look like weights between tokens is left out, and a sentence says so."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.models.facts import ModelFacts
from attention_core.record.layers import Kind, WeightsOnly


def returned_weights(
    found: object, facts: ModelFacts, n_source: int, n_target: int
) -> tuple[tuple[WeightsOnly, ...], list[str]]:
    """The layers in a model's output, and sentences about what was left out of them.

    Some architectures return scores, or numbers of a mechanism that is not attention, under that name, and some attend
    between other things than tokens (blocks, pooled positions). Both are left out.
    """
    fields: dict[str, tuple[Kind, int, int]] = {"attentions": ("encoder self", n_source, n_source)}
    if facts.encoder_decoder:
        fields = {
            "encoder_attentions": ("encoder self", n_source, n_source),
            "decoder_attentions": ("decoder self", n_target, n_target),
            "cross_attentions": ("cross", n_target, n_source),
        }
    layers: list[WeightsOnly] = []
    notes: list[str] = []
    for name, (kind, n_query, n_key) in fields.items():
        left_out: dict[str, int] = {}
        for index, given in enumerate(getattr(found, name, None) or ()):
            weights = given[0] if isinstance(given, Tensor) and given.dim() == 4 else None
            if weights is None or weights.shape[1:] != (n_query, n_key):
                why = "not between tokens"
            elif not _are_weights(weights):
                why = "no weights: their rows do not sum to 1"
            else:
                layer = WeightsOnly(kind, index, weights)
                layers.append(replace(layer, kind="decoder self") if name == "attentions" and layer.causal else layer)
                continue
            left_out[why] = left_out.get(why, 0) + 1
        for why, count in left_out.items():
            notes.append(f"{facts.architecture} returns {count} {name} that are {why}. They are left out.")
    return tuple(layers), notes


def _are_weights(given: Float[Tensor, "head query key"]) -> bool:
    sums = given.float().sum(dim=-1)
    return bool((given >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-2)
