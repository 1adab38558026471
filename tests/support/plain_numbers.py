"""Slow, plain implementations of what the app computes, for tests to compare with."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formats.palette import channels
from attention_core.formats.wire import U1_MASKED, U1_ONE
from attention_core.record.layers import LayerTrace
from attention_core.record.projections import Projection


def contribution_vectors(layer: LayerTrace, query: int) -> Float[Tensor, "head key d_model"]:
    """a · v · W_O of every head and key for one query. With the bias of W_O they sum to what the layer wrote."""
    o = layer.projections.o
    row = layer.all_weights(slice(query, query + 1))[:, 0]
    values = layer.v[[layer.kv_head(head) for head in range(layer.n_heads)]].float()
    slots = [o.matrix()[o.slots[head].to(o.written.device)] for head in range(layer.n_heads)]
    return torch.stack([(row[h, :, None] * values[h]) @ slots[h] for h in range(layer.n_heads)])


def without_bias(projection: Projection) -> Projection:
    """A projection that has lost its bias: a fault that the proof must see."""
    return replace(projection, parts=tuple(replace(part, bias=None) for part in projection.parts))


def decode_u1(codes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Codes of `encode_u1` as (weights, masked): NaN where the cell was NaN, ±∞ or masked."""
    codes = np.asarray(codes)
    weights = codes.astype(np.float32) / np.float32(U1_ONE)
    weights[codes > U1_ONE] = np.nan
    return weights, codes == U1_MASKED


def oklab(hex_colour: str) -> tuple[float, float, float]:
    """Perceived lightness (0 = black, 1 = white) and the axes green–red and blue–yellow. Source: Ottosson 2020."""
    red, green, blue = (_linear(channel) for channel in channels(hex_colour))
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _linear(channel: int) -> float:
    """One sRGB channel, 0 to 255, as linear light, 0 to 1."""
    value = channel / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
