"""Three ways to tell attention about positions: sinusoids added to x, rotary embedding of q and k, ALiBi's bias.

Positions count from 0. Everything is float64.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

BASE = 10_000.0  # the slowest pair of a long vector turns once in about 2π · BASE words


def sinusoidal(n_tokens: int, d_model: int) -> Float[Tensor, "token d_model"]:
    """Sine and cosine of the position, in pairs that turn more and more slowly; added to the embeddings.

    PE(pos, 2i) = sin(pos / 10000^(2i/d_model)), PE(pos, 2i+1) the cosine. An odd last component is a sine alone.
    Source: Vaswani et al. 2017, section 3.5.
    """
    angles = _angles(n_tokens, d_model)
    table = torch.empty(n_tokens, angles.shape[1] * 2, dtype=torch.float64)
    table[:, 0::2], table[:, 1::2] = angles.sin(), angles.cos()
    return table[:, :d_model]


def rotary(x: Float[Tensor, "*batch token d_head"]) -> Float[Tensor, "*batch token d_head"]:
    """Turn each pair of components (0 and 1, 2 and 3, …) by the position times the pair's speed.

    The dot product of two turned vectors depends on their distance alone. An odd last component stays as it is.
    Source: Su et al. 2021 (RoFormer), equation 34.
    """
    d_head = x.shape[-1]
    even = d_head - d_head % 2
    angles = _angles(x.shape[-2], even).to(x)
    cos, sin = angles.cos(), angles.sin()
    first, second = x[..., 0:even:2], x[..., 1:even:2]
    turned = torch.stack([first * cos - second * sin, first * sin + second * cos], dim=-1).flatten(-2)
    return torch.cat([turned, x[..., even:]], dim=-1)


def alibi_slopes(n_heads: int) -> Float[Tensor, " head"]:
    """How steeply each head's penalty grows: 2^(-8/n), 2^(-16/n), … for a power of two.

    For another n: the slopes of the next smaller power of two, then every other one of the next larger.
    Source: Press et al. 2022 (ALiBi), section 3, and the authors' code for other numbers of heads.
    """
    whole = 2 ** math.floor(math.log2(n_heads))
    slopes = [2 ** (-8 * (i + 1) / whole) for i in range(whole)]
    between = [2 ** (-8 * (i + 1) / (2 * whole)) for i in range(0, 2 * whole, 2)]
    return torch.tensor((slopes + between)[:n_heads], dtype=torch.float64)


def alibi_bias(n_tokens: int, slopes: Float[Tensor, " head"]) -> Float[Tensor, "head query key"]:
    """-slope · distance, added to the scaled scores: looking far costs. Symmetric, so that it serves both directions.

    Source: Press et al. 2022, section 3 (there for keys before the query).
    """
    position = torch.arange(n_tokens, dtype=slopes.dtype)
    distance = (position[None, :] - position[:, None]).abs()
    return -slopes[:, None, None] * distance


def _angles(n_tokens: int, width: int) -> Float[Tensor, "token pair"]:
    pairs = torch.arange(0, width, 2, dtype=torch.float64)
    speeds = BASE ** (-pairs / max(width, 1))
    return torch.arange(n_tokens, dtype=torch.float64)[:, None] * speeds
