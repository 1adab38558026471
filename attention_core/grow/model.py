"""A transformer of attention alone: embeddings, layers of heads around a residual stream, an unembedding.

No feed-forward layers, so that whatever it learns is learned by attention (Elhage et al. 2021, "A Mathematical
Framework for Transformer Circuits"; two layers are the fewest in which induction can form).
"""

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from attention_core.formula.attention import attend, merge_heads, split_heads
from attention_core.formula.masks import causal_mask

ROTARY_BASE = 10_000.0


class AttentionOnly(nn.Module):
    """Causal, `n_layers` × `n_heads` heads of d_model ÷ n_heads channels, no biases.

    `maps` computes with our formula, which keeps every intermediate; `forward`, for learning, with torch's fused
    kernel, which is three times as fast. A test says that both agree.
    """

    def __init__(
        self,
        d_vocab: int,
        n_tokens: int,
        *,
        n_layers: int = 2,
        n_heads: int = 4,
        d_model: int = 64,
        positions: str = "learned",
        norm: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"d_model must divide by the number of heads; got {d_model} for {n_heads} heads")
        self.n_heads, self.rotary = n_heads, positions == "rotary"
        self.embed = nn.Embedding(d_vocab, d_model)
        self.positions = nn.Embedding(n_tokens, d_model) if positions == "learned" else None
        self.layers = nn.ModuleList(_Layer(d_model, norm) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model) if norm else nn.Identity()
        self.unembed = nn.Linear(d_model, d_vocab, bias=False)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():  # norms keep their ones and zeros
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=d_model**-0.5, generator=generator)
        for table in filter(None, (self.embed, self.positions)):
            nn.init.normal_(table.weight, std=1.0, generator=generator)

    def forward(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token vocab"]:
        """Logits of what comes after each token."""
        x = self._embedded(tokens)
        for layer in self._layers():
            q, k, v = self._qkv(layer, x)
            x = x + layer.o(merge_heads(functional.scaled_dot_product_attention(q, k, v, is_causal=True)))
        return self.unembed(self.norm(x))

    def maps(
        self, tokens: Int[Tensor, "batch token"]
    ) -> tuple[Float[Tensor, "batch token vocab"], Float[Tensor, "layer batch head query key"]]:
        """The logits, and every head's weights, all through `attend`."""
        x, found = self._embedded(tokens), []
        allowed = causal_mask(tokens.shape[1])
        for layer in self._layers():
            steps = attend(*self._qkv(layer, x), allowed=allowed)
            found.append(steps.weights)
            x = x + layer.o(merge_heads(steps.output))
        return self.unembed(self.norm(x)), torch.stack(found)

    def _layers(self) -> "list[_Layer]":
        return [cast(_Layer, layer) for layer in self.layers]

    def _embedded(self, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token d_model"]:
        x = self.embed(tokens)
        return x if self.positions is None else x + self.positions.weight[: tokens.shape[1]]

    def _qkv(
        self, layer: "_Layer", x: Float[Tensor, "batch token d_model"]
    ) -> tuple[Float[Tensor, "batch head token d_head"], ...]:
        y = layer.norm(x)
        q, k, v = (split_heads(projection(y), self.n_heads) for projection in (layer.q, layer.k, layer.v))
        return (rotate(q), rotate(k), v) if self.rotary else (q, k, v)


class _Layer(nn.Module):
    def __init__(self, d_model: int, norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model) if norm else nn.Identity()
        self.q, self.k, self.v, self.o = (nn.Linear(d_model, d_model, bias=False) for _ in range(4))


def rotate(x: Float[Tensor, "*batch token d_head"]) -> Float[Tensor, "*batch token d_head"]:
    """Rotary positions: channels 2i and 2i + 1 of token t turn by t · base^(−2i ÷ d_head) (Su et al. 2021, eq. 34)."""
    n_tokens, d_head = x.shape[-2:]
    angles = torch.arange(n_tokens)[:, None] * ROTARY_BASE ** (-torch.arange(0, d_head, 2) / d_head)
    cos, sin = angles.cos(), angles.sin()
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)
