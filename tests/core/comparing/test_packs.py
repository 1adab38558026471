"""What a browser draws of two runs is what `compare` gives: cells, heads in order, and what a side has not."""

import numpy as np
import pytest
import torch

from attention_core import capture, compare
from attention_core.comparing import packs
from attention_core.comparing.alignment import aligned_around
from attention_core.comparing.packs import against_pack, cells_pack, changed_pack, strongest_of_blocks
from attention_core.formats import wire
from tests.support.tiny import SENTENCE, family

LONGER = "the cat then sat on a mat while the dog slept"


@pytest.fixture(scope="module")
def both():
    model = family("bert")
    return compare(capture(model, SENTENCE), capture(model, LONGER))


def test_cells_are_the_differences_of_the_comparison(both):
    header, arrays = wire.unpack(cells_pack(both, (1, 2), (1, 2)))
    np.testing.assert_allclose(arrays["difference"], both.difference(1, 2).numpy(), atol=1e-7)
    np.testing.assert_allclose(arrays["apart"], both.total_variation(1, 2).numpy(), atol=1e-7)
    (alone,) = [i for i, row in enumerate(header["rows"]) if row["a"] is None]
    assert header["rows"][alone]["b"] == "then" and set(arrays["of_a"][alone]) == {packs.NOT_THERE}
    assert header["top"] == pytest.approx(float(both.difference(1, 2).nan_to_num().abs().max()), abs=1e-6)


def test_other_heads_and_means_stand_beside_each_other(both):
    _, arrays = wire.unpack(cells_pack(both, (0, 1), (1, "mean")))
    mean = both.all_weights(1)[1].mean(dim=0)
    np.testing.assert_allclose(arrays["b"], mean.numpy(), atol=1e-6)
    with pytest.raises(ValueError, match="mean"):
        cells_pack(both, (0, 1), (1, "median"))


def test_what_may_not_be_read_is_masked_and_no_zero():
    model = family("gpt2")
    two = compare(capture(model, SENTENCE), capture(model, LONGER))
    _, arrays = wire.unpack(cells_pack(two, (0, 1), (0, 1)))
    n = len(two.source.places)
    ahead = np.triu(np.ones((n, n), dtype=bool), 1)
    shared = (arrays["of_a"] != packs.NOT_THERE) & (arrays["of_b"] != packs.NOT_THERE)
    assert (arrays["of_a"][ahead & shared] == packs.MASKED).all()
    assert np.isnan(arrays["difference"][ahead]).all() and np.isfinite(arrays["difference"][~ahead & shared]).all()


def test_heads_come_most_changed_first_and_closest_first(both):
    header, arrays = wire.unpack(changed_pack(both))
    every = torch.cat([both.of_heads(layer) for layer in range(len(both.a.layers))]).numpy()
    np.testing.assert_allclose(arrays["changed"], every, atol=1e-7)
    assert (np.diff(every[arrays["order"]]) <= 0).all() and header["why"] == ""
    same = compare(both.a, both.a)
    _, closest = wire.unpack(against_pack(same, 1, 2))
    n_heads = both.a.layers[0].n_heads
    assert closest["order"][0] == n_heads + 2
    assert closest["distance"][n_heads + 2] < 1e-6  # one head and all at once are rounded in another order


def test_models_with_other_heads_have_no_same_ones():
    two = compare(capture(family("bert"), SENTENCE), capture(family("gpt2"), SENTENCE))
    one = two.a.layers[0].n_heads, len(two.a.layers)
    if one == (two.b.layers[0].n_heads, len(two.b.layers)):
        assert two.why_no_same_heads == ""
    header, arrays = wire.unpack(changed_pack(two))
    assert (header["why"] == "") == bool(len(arrays["changed"]))


def test_the_strongest_of_a_block_keeps_its_sign():
    values = torch.tensor([[0.1, -0.4, 0.3], [0.2, 0.0, -0.3]])
    found = strongest_of_blocks(values, 2)
    torch.testing.assert_close(found, torch.tensor([[-0.4, 0.3]]))


def test_signed_codes_have_zero_in_the_middle():
    codes = wire.encode_s1(np.array([-1, 0, 1, np.nan, 0.5]), np.array([False, False, False, False, True]))
    assert codes.tolist() == [1, 127, 253, wire.U1_NAN, wire.U1_MASKED]
    with pytest.raises(ValueError, match="from -1 to 1"):
        wire.encode_s1(np.array([1.2]))


def test_texts_that_are_too_long_are_refused_with_their_numbers(both, monkeypatch):
    monkeypatch.setattr(packs, "MOST_PLACES", 5)
    with pytest.raises(ValueError, match=r"12 and 13 tokens make 13 rows; up to 5"):
        changed_pack(both)


def test_tokens_that_are_put_together_stay_and_the_rest_is_aligned_around_them(both):
    """abc → bcd: b with c by hand leaves a alone, then b; c has d."""
    assert aligned_around([(1, 1)], "abc", "bcd") == [(0, 0), (1, 1), (2, 2)]
    assert aligned_around([], "abc", "bcd") == [(0, None), (1, 0), (2, 1), (None, 2)]
    moved = compare(both.a, both.b, fixed=[(2, 3)])
    assert any(place.a == (2,) and place.b == (3,) for place in moved.source.places)
    with pytest.raises(ValueError, match="rising places"):
        compare(both.a, both.b, fixed=[(3, 5), (2, 6)])


def test_words_are_put_together_by_their_tokens():
    a, b = capture(family("bert"), SENTENCE), capture(family("gpt2"), LONGER)
    moved = compare(a, b, "words", fixed=[(2, 2)])
    assert any(2 in place.a and 2 in place.b for place in moved.source.places)
