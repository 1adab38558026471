"""Small pictures of large matrices, and exact tiles."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_core.pictures.blocks import LARGEST_SIDE, block_max, block_side, thumbnail_side, tile

NAN = float("nan")


def random_weights(*shape: int, seed: int = 13) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).softmax(dim=-1)


def test_blocks_of_a_case_worked_by_hand():
    """Blocks of 2 × 2 over 3 × 5 cells: the last row of blocks has one query, the last column one key."""
    weights = torch.tensor([[0.1, 0.2, 0.0, 0.0, 0.7], [0.3, 0.4, 0.0, 0.5, 0.0], [0.6, 0.0, 0.2, 0.1, 0.1]])
    assert torch.equal(block_max(weights, 2).values, torch.tensor([[0.4, 0.5, 0.7], [0.6, 0.2, 0.1]]))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 23), st.integers(1, 19), st.integers(1, 7), st.integers(1, 5), st.integers(0, 9))
def test_the_largest_weight_is_never_lost_and_stays_in_its_place(n_query, n_key, rows, columns, seed):
    weights = random_weights(3, n_query, n_key, seed=seed)
    blocks = block_max(weights, (rows, columns)).values
    assert blocks.shape == (3, -(-n_query // rows), -(-n_key // columns))
    assert torch.equal(blocks.amax(dim=(-1, -2)), weights.amax(dim=(-1, -2)))
    query, key = divmod(int(weights[1].argmax()), n_key)
    assert blocks[1, query // rows, key // columns] == weights[1].max()


def test_one_strong_link_among_many_tokens_stays_visible():
    weights = torch.full((1021, 1021), 1e-4)
    weights[700, 13] = 0.9
    blocks = block_max(weights, block_side(1021, 64)).values
    assert blocks.shape == (64, 64)
    assert (blocks > 0.5).sum() == 1 and blocks[700 // 16, 0] == torch.tensor(0.9)


def test_blocks_agree_with_torch_max_pooling():
    weights = random_weights(3, 11, 17)
    expected = torch.nn.functional.max_pool2d(weights, (2, 5), ceil_mode=True)
    assert torch.equal(block_max(weights, (2, 5)).values, expected)


def test_a_block_is_masked_only_if_all_its_cells_are():
    weights = torch.tensor([[0.9, 0.9, 0.9, 0.9], [0.1, 0.9, 0.9, NAN]])
    allowed = torch.tensor([[False, False, False, False], [True, False, False, False]])
    blocks = block_max(weights, 2, allowed)
    assert blocks.masked is not None and blocks.masked.tolist() == [[False, True]]
    assert blocks.values[0, 0] == torch.tensor(0.1)  # what masked cells hold counts for nothing
    assert blocks.values[0, 1].isnan()


def test_a_block_is_nan_if_any_allowed_cell_is():
    weights = torch.tensor([[NAN, 0.9, 0.5, 0.5]])
    assert block_max(weights, (1, 2)).values.isnan().tolist() == [[True, False]]
    assert block_max(weights, (1, 2), torch.ones(1, 4, dtype=torch.bool)).values.isnan().tolist() == [[True, False]]


def test_causal_blocks_are_masked_above_the_diagonal():
    causal = torch.ones(13, 13, dtype=torch.bool).tril()
    blocks = block_max(random_weights(2, 13, 13), 5, causal)
    assert blocks.masked is not None
    assert torch.equal(~blocks.masked, torch.ones(3, 3, dtype=torch.bool).tril())


def test_blocks_of_one_cell_are_the_matrix_itself():
    weights = random_weights(2, 5, 7)
    assert torch.equal(block_max(weights, 1).values, weights)


def test_blocks_leave_the_weights_unchanged():
    weights = random_weights(5, 7)
    before = weights.clone()
    block_max(weights, 2, torch.zeros(5, 7, dtype=torch.bool))
    assert torch.equal(weights, before)


def test_an_empty_block_is_refused():
    with pytest.raises(ValueError, match="at least 1 × 1 cells; got 0 × 3"):
        block_max(random_weights(5, 7), (0, 3))


@pytest.mark.parametrize(
    ("n_tokens", "side", "block"), [(1, 64, 1), (64, 64, 1), (65, 64, 2), (512, 64, 8), (4096, 64, 64)]
)
def test_blocks_are_as_small_as_the_side_permits(n_tokens, side, block):
    assert block_side(n_tokens, side) == block
    assert -(-n_tokens // block) <= side


def test_thumbnails_fill_their_budget():
    assert thumbnail_side(72, 400_000) == LARGEST_SIDE
    assert thumbnail_side(1200, 400_000) == 18  # 1200 · 18² = 388,800; 19² would be 433,200
    assert thumbnail_side(1_000_000, 400_000) == 8
    assert thumbnail_side(0, 400_000) == LARGEST_SIDE


def test_tiles_cover_the_matrix_exactly():
    weights = random_weights(3, 11, 17)
    rows = [torch.cat([tile(weights, row, col, 7) for col in range(0, 17, 7)], dim=-1) for row in range(0, 11, 7)]
    assert torch.equal(torch.cat(rows, dim=-2), weights)


@pytest.mark.parametrize(("row", "column"), [(-1, 0), (5, 0), (0, 7)])
def test_a_tile_outside_the_matrix_is_refused(row, column):
    with pytest.raises(ValueError, match=f"inside the 5 × 7 matrix; got row {row}, column {column}"):
        tile(random_weights(5, 7), row, column)
