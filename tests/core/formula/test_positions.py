"""Sinusoids, rotary embedding and ALiBi against their papers' formulas."""

import math

import pytest
import torch
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb, create_sinusoidal_positions
from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding

from attention_core.formula.positions import alibi_bias, alibi_slopes, rotary, sinusoidal


def test_the_first_places_of_the_sinusoid_by_hand():
    """d_model = 4: speeds 1 and 1/100."""
    expected = [[0, 1, 0, 1], [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]]
    torch.testing.assert_close(sinusoidal(2, 4), torch.tensor(expected, dtype=torch.float64))


def test_the_sinusoid_agrees_with_a_model_of_transformers():
    """Marian keeps all sines before all cosines."""
    theirs = MarianSinusoidalPositionalEmbedding(7, 10)
    theirs = theirs.create_weight().double() if hasattr(theirs, "create_weight") else theirs.weight.double()
    ours = sinusoidal(7, 10)
    torch.testing.assert_close(torch.cat([ours[:, 0::2], ours[:, 1::2]], dim=-1), theirs, rtol=0, atol=1e-6)


def test_an_odd_width_ends_with_a_sine():
    assert sinusoidal(5, 7).shape == (5, 7)
    torch.testing.assert_close(sinusoidal(5, 7)[:, 6], (torch.arange(5) * 10_000 ** (-6 / 7)).double().sin())


def test_rotary_turns_a_pair_by_its_place_by_hand():
    """The vector (1, 0) at place 2 is turned by 2 radians."""
    turned = rotary(torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(turned[2], torch.tensor([math.cos(2), math.sin(2)], dtype=torch.float64))


def test_rotary_agrees_with_a_model_of_transformers():
    """GPT-J turns neighbouring components, as the paper does."""
    x = torch.randn(3, 7, 10)
    sin, cos = create_sinusoidal_positions(7, 10).chunk(2, dim=-1)
    theirs = apply_rotary_pos_emb(x[None].transpose(1, 2), sin[None], cos[None]).transpose(1, 2)[0]
    torch.testing.assert_close(rotary(x), theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("width", [2, 5, 6])
def test_the_product_of_turned_vectors_depends_on_their_distance_alone(width: int):
    q, k = torch.randn(width, dtype=torch.float64), torch.randn(width, dtype=torch.float64)
    scores = rotary(q.expand(7, width)) @ rotary(k.expand(7, width)).mT
    for offset in range(-6, 7):
        along = scores.diagonal(offset)
        torch.testing.assert_close(along, along[:1].expand_as(along))
    assert scores.std() > 0.1


def test_rotary_keeps_lengths_and_an_odd_last_component():
    x = torch.randn(3, 7, 5, dtype=torch.float64)
    torch.testing.assert_close(rotary(x).norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(rotary(x)[..., 4], x[..., 4])


def test_slopes_of_eight_heads_are_halves_of_halves():
    assert alibi_slopes(8).tolist() == [2.0**-n for n in range(1, 9)]


@pytest.mark.parametrize("n_heads", [1, 2, 3, 4, 8, 12])
def test_alibi_agrees_with_a_model_of_transformers(n_heads: int):
    """BLOOM's bias is slope · key position: in a causal row the same up to a constant, which softmax takes away."""
    theirs = build_alibi_tensor(torch.ones(1, 5), n_heads, torch.float32).double()  # [head, 1, key]
    ours = alibi_bias(5, alibi_slopes(n_heads))
    causal = torch.ones(5, 5).tril().bool()
    difference = (ours - theirs).masked_fill(~causal, 0.0)
    for query in range(5):
        row = difference[:, query, : query + 1]
        torch.testing.assert_close(row, row[:, :1].expand_as(row), rtol=0, atol=1e-6)


def test_alibi_is_zero_at_the_word_itself_and_falls_to_both_sides():
    bias = alibi_bias(5, torch.tensor([0.5]))[0]
    assert bias.diagonal().tolist() == [0.0] * 5
    assert bias[2].tolist() == [-1.0, -0.5, 0.0, -0.5, -1.0]
