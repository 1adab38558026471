"""Packs and weight codes: what is written is read back, and masked is not zero."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from attention_core.formats import wire
from tests.support.plain_numbers import decode_u1


def test_a_pack_is_a_length_a_header_and_buffers_that_each_begin_at_a_multiple_of_four():
    """The header `{"a":7,"bufs":[…]}` is padded with spaces; three bytes of u1 are followed by one zero byte."""
    data = wire.pack({"a": 7}, small=np.array([1, 2, 3], np.uint8), exact=np.array([[0.5], [2.0]], np.float32))
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    assert (4 + length) % 4 == 0
    assert header == {
        "a": 7,
        "bufs": [
            {"name": "small", "dtype": "|u1", "shape": [3], "off": 0},
            {"name": "exact", "dtype": "<f4", "shape": [2, 1], "off": 4},
        ],
    }
    assert data[4 + length :] == b"\x01\x02\x03\x00" + np.array([0.5, 2.0], "<f4").tobytes()


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.text(max_size=5).filter(lambda name: name != "bufs"), st.text(max_size=5), max_size=3),
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16, np.int32, np.float32]),
        hnp.array_shapes(min_dims=0, min_side=0, max_side=5),
    ),
)
def test_unpack_undoes_pack_for_any_text_and_array(meta, array):
    got, arrays = wire.unpack(wire.pack(meta, array=array))
    assert got == meta
    assert arrays["array"].dtype == array.dtype
    np.testing.assert_array_equal(arrays["array"], array)


def test_a_transposed_or_big_endian_array_arrives_in_reading_order():
    array = np.arange(15, dtype=">f4").reshape(3, 5).T
    np.testing.assert_array_equal(wire.unpack(wire.pack({}, array=array))[1]["array"], array)


def test_lone_surrogates_in_the_header_survive():
    assert wire.unpack(wire.pack({"t": "a\ud800"}))[0] == {"t": "a\ud800"}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_nan_in_the_header_is_refused_because_json_has_no_word_for_it(number):
    with pytest.raises(ValueError, match="JSON"):
        wire.pack({"entropy": [number]})


def test_a_dtype_without_a_typed_array_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'weights' must be one of u1, u2, f4, i4; got float64"):
        wire.pack({}, weights=np.zeros(3))


def test_the_name_of_the_buffer_list_is_taken():
    with pytest.raises(ValueError, match="bufs"):
        wire.pack({"bufs": []})


def test_a_pack_cut_short_anywhere_is_refused():
    data = wire.pack({"a": "b"}, array=np.arange(3, dtype=np.int32))
    for length in range(len(data)):
        with pytest.raises(ValueError, match="pack"):
            wire.unpack(data[:length])


def test_codes_of_a_case_worked_by_hand():
    """0.5 × 65533 = 32766.5 and rounds to the even 32766; 0.5 × 253 = 126.5 to 126. 1 is 65533 and 253."""
    weights = np.array([[0, 0.5, 1], [np.nan, np.inf, 0.25]], np.float32)
    masked = np.array([[False, False, False], [False, False, True]])
    assert wire.encode_u2(weights, masked).tolist() == [[0, 32766, 65533], [65534, 65534, 65535]]
    assert wire.encode_u1(weights, masked).tolist() == [[0, 126, 253], [254, 254, 255]]


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.float32, (3, 5), elements=st.floats(0, 1, width=32)), hnp.arrays(np.bool_, (3, 5)))
def test_decoding_gives_each_weight_back_to_half_a_step_and_the_mask_exactly(weights, masked):
    for encode, decode, one in ((wire.encode_u2, wire.decode_u2, 65533), (wire.encode_u1, decode_u1, 253)):
        got, got_masked = decode(encode(weights, masked))
        np.testing.assert_array_equal(got_masked, masked)
        # half a step, and a little for the rounding of float32
        np.testing.assert_allclose(got[~masked], weights[~masked], rtol=0, atol=0.5 / one + 1e-7)
        assert np.isnan(got[masked]).all()


def test_a_mask_is_shared_by_all_heads():
    masked = np.triu(np.ones((3, 5), bool), k=1)
    codes = wire.encode_u1(np.full((2, 3, 5), 0.2, np.float32), masked)
    assert ((codes == wire.U1_MASKED) == masked).all()


def test_a_masked_cell_may_hold_anything():
    weights = np.array([np.nan, -np.inf, 7.0, 0.5], np.float32)
    masked = np.array([True, True, True, False])
    assert wire.encode_u2(weights, masked).tolist() == [65535, 65535, 65535, 32766]


def test_a_weight_just_over_one_counts_as_one_and_more_is_refused():
    assert wire.encode_u1(np.array([1.0005], np.float32)).tolist() == [253]
    with pytest.raises(ValueError, match=r"weights must lie in \[0, 1\]; got 0 to 1.01"):
        wire.encode_u1(np.array([0.5, 1.01], np.float32))


def test_a_negative_weight_is_refused_also_beside_nan():
    with pytest.raises(ValueError, match="got -0.001 to 0.5"):
        wire.encode_u2(np.array([np.nan, -0.001, 0.5], np.float32))


def test_encoding_leaves_its_input_unchanged():
    weights, masked = np.array([np.nan, 1.0005, 0.5], np.float32), np.array([False, False, True])
    before = weights.copy()
    wire.encode_u2(weights, masked)
    np.testing.assert_array_equal(weights, before)


@pytest.mark.parametrize(
    ("value", "digits", "sent"),
    [(0.123456, None, 0.123456), (0.123456, 4, 0.1235), (math.nan, 4, None), (-math.inf, None, None), (0.0, 2, 0.0)],
)
def test_a_single_number_is_sent_as_it_is_or_as_null(value: float, digits: int | None, sent: float | None):
    assert wire.number(value, digits) == sent
    assert wire.unpack(wire.pack({"one": wire.number(value, digits)}))[0] == {"one": sent}
