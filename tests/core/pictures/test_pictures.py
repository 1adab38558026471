"""What goes to the browser, decoded again and compared with the trace."""

import math

import numpy as np
import pytest
import torch

from attention_core import capture
from attention_core.formats import wire
from attention_core.formula.metrics import entropy, reach
from attention_core.pictures import head as pictures
from attention_core.pictures import overview as overviews
from attention_core.pictures.head import head_pack, line_pack, picture_blocks, tile_pack, weights_of
from attention_core.pictures.overview import overview
from attention_core.reading.reading import Reading
from attention_core.record import groups
from tests.support import tiny
from tests.support.plain_numbers import decode_u1

DECODER_TEXT = "the dog slept and then it ran"


@pytest.fixture(scope="module")
def causal():
    return capture(tiny.family("llama"), tiny.SENTENCE)


@pytest.fixture(scope="module")
def both_ways():
    return capture(tiny.family("bert"), tiny.SENTENCE)


@pytest.fixture(scope="module")
def encoder_decoder():
    return capture(tiny.family("bart"), tiny.SENTENCE, target=DECODER_TEXT)


def picture_of(header, arrays, layer, head):
    """One head's codes from an overview."""
    place = header["layers"][layer]
    size = place["rows"] * place["cols"]
    start = place["offset"] + head * size
    return arrays["heads"][start : start + size].reshape(place["rows"], place["cols"])


def test_the_overview_holds_every_head_whole_while_the_text_is_short(causal):
    header, arrays = wire.unpack(overview(causal, Reading()))
    assert header["full"]
    for layer in range(2):
        for head in range(6):
            weights, masked = wire.decode_u2(picture_of(header, arrays, layer, head))
            np.testing.assert_array_equal(masked, np.triu(np.ones((12, 12), bool), 1))
            np.testing.assert_allclose(weights[~masked], causal.weights(layer, head).numpy()[~masked], atol=8e-6)


def test_the_overview_of_a_long_text_is_block_maxima_that_keep_the_strongest_link(both_ways, monkeypatch):
    monkeypatch.setattr(overviews, "WHOLE_BYTES", 0)
    monkeypatch.setattr(overviews, "thumbnail_side", lambda n_heads, budget: 5)
    header, arrays = wire.unpack(overview(both_ways, Reading()))
    assert not header["full"]
    codes = picture_of(header, arrays, 1, 2)
    assert codes.shape == (4, 4)  # 12 tokens in blocks of 3
    weights, _ = decode_u1(codes)
    expected = both_ways.weights(1, 2).reshape(4, 3, 4, 3).amax(dim=(1, 3))
    np.testing.assert_allclose(weights, expected.numpy(), atol=2.1e-3)


def test_the_overviews_numbers_are_the_metrics(both_ways):
    header, _ = wire.unpack(overview(both_ways, Reading()))
    weights = both_ways.layers[1].all_weights()
    for name, expected in (
        ("entropy", entropy(weights).mean(dim=-1)),
        ("reach", reach(weights).mean(dim=-1)),
        ("peak", weights.amax(dim=(-2, -1))),
    ):
        assert header["summary"][name][1] == pytest.approx(expected.tolist(), abs=6e-5)


def test_aggregates_are_the_mean_and_the_maximum_over_heads(encoder_decoder):
    header, arrays = wire.unpack(overview(encoder_decoder, Reading()))
    by_name = {(a["layer"], a["head"]): a for a in header["aggregates"]}
    assert set(by_name) == {
        *((layer, how) for layer in range(4) for how in ("mean", "max")),
        *(
            (f"all:{group}", how)
            for group in ("encoder:self", "decoder:self", "decoder:cross")
            for how in ("mean", "max")
        ),
    }
    every = torch.cat([encoder_decoder.layers[i].all_weights() for i in (0, 1)])
    for how, expected in (("mean", every.mean(dim=0)), ("max", every.amax(dim=0))):
        place = by_name["all:encoder:self", how]
        codes = arrays["aggregates"][place["offset"] : place["offset"] + place["rows"] * place["cols"]]
        np.testing.assert_allclose(decode_u1(codes)[0], expected.numpy().ravel(), atol=2.1e-3)


def test_an_overview_in_blocks_of_rows_is_the_same(encoder_decoder, monkeypatch):
    header, at_once = wire.unpack(overview(encoder_decoder, Reading()))
    monkeypatch.setattr(groups, "CELLS_PER_BLOCK", 3 * 12 * 2)  # blocks of two rows
    again, in_blocks = wire.unpack(overview(encoder_decoder, Reading()))
    assert (again["layers"], again["aggregates"]) == (header["layers"], header["aggregates"])
    for name, codes in at_once.items():  # a sum in another order may round to the next code
        assert np.abs(in_blocks[name].astype(int) - codes.astype(int)).max() <= 1


def test_each_stack_has_its_own_tokens(encoder_decoder):
    header, _ = wire.unpack(overview(encoder_decoder, Reading()))
    assert [(layer["stack"], layer["kind"], layer["queries"], layer["keys"]) for layer in header["layers"]] == [
        ("encoder", "self", "source", "source"),
        ("encoder", "self", "source", "source"),
        ("decoder", "self", "target", "target"),
        ("decoder", "cross", "target", "source"),
    ]
    assert (header["layers"][3]["rows"], header["layers"][3]["cols"]) == (9, 12)


def test_a_short_head_is_sent_exactly_with_its_scores(causal):
    header, arrays = wire.unpack(head_pack(causal, Reading(), 1, 4))
    allowed = ~torch.ones(12, 12, dtype=torch.bool).triu(1)
    steps = causal.steps(1, 4)
    assert np.isnan(arrays["weights"][~allowed.numpy()]).all()
    np.testing.assert_array_equal(arrays["weights"][allowed.numpy()], steps.weights[allowed].numpy())
    np.testing.assert_array_equal(arrays["scores"], steps.scores.numpy())
    assert header["proof"]["holds"]
    assert [check["name"] for check in header["proof"]["checks"]] == ["q", "k", "v", "mask", "weights", "output", "W_O"]
    assert header["rowsum"] == pytest.approx([1, 1], abs=1e-4)


def test_the_strongest_links_are_the_largest_weights(both_ways):
    header, _ = wire.unpack(head_pack(both_ways, Reading(), 0, 1))
    weights = both_ways.weights(0, 1)
    assert [link["w"] for link in header["strongest"]] == weights.flatten().sort(descending=True).values[:12].tolist()
    for link in header["strongest"]:
        assert weights[link["q"], link["k"]].item() == link["w"]


def test_hidden_tokens_leave_rows_and_columns_and_their_share_is_told(both_ways):
    reading = Reading(hide_special=True)
    header, arrays = wire.unpack(head_pack(both_ways, reading, 0, 1))
    weights = both_ways.weights(0, 1)
    np.testing.assert_array_equal(arrays["weights"], weights[1:-1, 1:-1].numpy())
    expected = (weights[1:-1, 0] + weights[1:-1, -1]).tolist()
    assert header["hidden"] == pytest.approx(expected, abs=6e-5)
    note = wire.unpack(overview(both_ways, reading))[0]["note"]
    assert note == ["Special tokens hidden, rows not renormalised: they can sum to less than 1."]


def test_rows_can_be_renormalised_after_hiding(both_ways):
    _, arrays = wire.unpack(head_pack(both_ways, Reading(hide_special=True, renormalise=True), 0, 1))
    np.testing.assert_allclose(arrays["weights"].sum(axis=1), 1, atol=1e-6)


def test_a_mean_has_no_scores_and_no_proof_of_its_own(both_ways):
    header, arrays = wire.unpack(head_pack(both_ways, Reading(), "all:encoder:self", "mean"))
    assert header["proof"] is None
    assert list(arrays) == ["weights"]


def test_a_long_head_is_a_picture_with_exact_lines_and_tiles(causal, monkeypatch):
    for name, value in (("EXACT_CELLS", 0), ("PICTURE_SIDE", 5), ("TILE_SIDE", 4)):
        monkeypatch.setattr(pictures, name, value)
    monkeypatch.setattr("attention_core.record.groups.CELLS_PER_BLOCK", 1)
    weights = causal.weights(0, 3)
    header, arrays = wire.unpack(head_pack(causal, Reading(), 0, 3))
    assert header["factor"] == 3
    small, masked = wire.decode_u2(arrays["picture"])
    np.testing.assert_allclose(small[~masked], weights.reshape(4, 3, 4, 3).amax(dim=(1, 3)).numpy()[~masked], atol=8e-6)
    _, arrays = wire.unpack(tile_pack(causal, Reading(), 0, 3, 4, 0))
    np.testing.assert_allclose(wire.decode_u2(arrays["picture"])[0][:, :4], weights[4:8, :4].numpy(), atol=8e-6)
    _, row = wire.unpack(line_pack(causal, Reading(), 0, 3, "query", 7))
    np.testing.assert_allclose(row["weights"][:8], weights[7, :8].numpy(), atol=1e-7)
    assert np.isnan(row["weights"][8:]).all()
    np.testing.assert_allclose(row["scores"], causal.steps(0, 3).scores[7].numpy(), atol=1e-5)
    _, column = wire.unpack(line_pack(causal, Reading(), 0, 3, "key", 7))
    np.testing.assert_allclose(column["weights"][7:], weights[7:, 7].numpy(), atol=1e-7)
    np.testing.assert_allclose(column["scores"], causal.steps(0, 3).scores[:, 7].numpy(), atol=1e-5)


def test_blocks_of_rows_put_together_are_the_whole(causal, monkeypatch):
    whole, allowed = weights_of(causal, Reading(words=True), 1, "max")
    monkeypatch.setattr(groups, "CELLS_PER_BLOCK", 6 * 12 * 5)  # blocks of 5 rows
    assert len(list(picture_blocks(causal, Reading(words=True), 1, "max"))) == 3
    in_blocks, allowed_in_blocks = weights_of(causal, Reading(words=True), 1, "max")
    torch.testing.assert_close(in_blocks, whole)
    assert allowed is not None and torch.equal(allowed, allowed_in_blocks)


@pytest.mark.parametrize(("layer", "head"), [(2, 0), (-1, 0), (0, 6), ("all:encoder:self", "mean"), (0, "median")])
def test_a_picture_that_does_not_exist_is_refused(causal, layer, head):
    with pytest.raises(ValueError, match="(layer|head|picture)"):
        head_pack(causal, Reading(), layer, head)


def test_attention_that_went_to_hidden_keys_alone_is_no_number(causal):
    """The first word of a causal model without its first token: nothing is left to renormalise."""
    reading = Reading(hide_first=True, renormalise=True)
    weights, _ = weights_of(causal, reading, 0, 0)
    assert math.isclose(weights[0, 0].item(), 1.0, abs_tol=1e-6)
    header, _ = wire.unpack(head_pack(causal, reading, 0, 0))
    assert header["hidden"][0] > 0


def test_norm_based_pictures_show_what_each_key_adds_and_say_so(both_ways):
    """By hand: weight · ‖v · W_O‖ of every cell, divided by its row's sum."""
    reading = Reading(by_norm=True)
    layer = both_ways.layers[0]
    o = layer.projections.o
    lengths = (layer.v[1] @ o.matrix()[o.slots[1]]).norm(dim=-1)
    expected = layer.weights(1) * lengths
    expected = expected / expected.sum(dim=-1, keepdim=True)
    _, arrays = wire.unpack(head_pack(both_ways, reading, 0, 1))
    np.testing.assert_allclose(arrays["weights"], expected, atol=1e-6)
    assert np.abs(arrays["weights"] - layer.weights(1).numpy()).max() > 0.01  # it is another picture
    header, arrays = wire.unpack(overview(both_ways, reading))
    assert header["note"] == [
        "Norm-based: ‖a·v·W_O‖, what each key really adds, as a share of its row; not the weights."
    ]
    whole = wire.decode_u2(arrays["heads"])[0].reshape(-1, *expected.shape)
    np.testing.assert_allclose(whole[1], expected, atol=8e-6)
    _, line = wire.unpack(line_pack(both_ways, reading, 0, 1, "query", 3))
    np.testing.assert_allclose(line["weights"], expected[3], atol=1e-6)
