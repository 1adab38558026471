"""Lab states as links: every state comes back, damaged links are refused."""

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_core.lab.edits import randomised, with_cell
from attention_core.lab.link import LINK_LIMIT, TEXT_LIMIT, from_link, to_link
from attention_core.lab.presets import PRESETS
from attention_core.lab.state import LabState, RealHead, Switches
from tests.support.lab_states import EVERY_SWITCH, random_state, real_state

STATES = {
    **{name: preset.state for name, preset in PRESETS.items()},
    **{str(switches): random_state(switches) for switches in EVERY_SWITCH},
    "real": real_state(),
    "real, not edited": real_state(edited=False),
    "real, all cells edited": randomised(real_state(), 3),
    "other letters": random_state(words=("寿司🍣", "<b>", "&amp;", '"', "שלום")),
    "largest": random_state(words=tuple("abcdefgh"), d_model=16, d_head=16, n_heads=4),
}


def unpacked(text: str) -> tuple[dict, bytes]:
    data = zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    size = int.from_bytes(data[:3], "little")
    return json.loads(data[3 : 3 + size]), data[3 + size :]


def packed(header: object, body: bytes) -> str:
    """What somebody who knows the format could send: the checksum is right."""
    head = json.dumps(header).encode()
    return encoded(zlib.compress(len(head).to_bytes(3, "little") + head + body, 9))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize("name", STATES)
def test_a_link_gives_every_cell_back_bit_for_bit(name: str):
    state = STATES[name]
    text = to_link(state)
    back = from_link(text)
    assert back == state
    assert repr(back) == repr(state)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.lists(st.floats(-10_000, 10_000), min_size=12, max_size=12))
def test_any_numbers_come_back_bit_for_bit(values: list[float]):
    state = random_state()
    for place, value in enumerate(values):
        state = with_cell(state, state.matrices[place % 5], place % 5, place % 6, value)
    assert repr(from_link(to_link(state))) == repr(state)


def test_presets_and_eight_tokens_of_a_head_of_32_fit_an_address():
    """Real values have 24 random bits each; the preset on scaling has 2,048 cells."""
    for name, preset in PRESETS.items():
        assert len(to_link(preset.state)) <= (LINK_LIMIT if name == "scaling" else 400), name
    assert len(to_link(large_real(32))) <= LINK_LIMIT


def large_real(d_head: int) -> LabState:
    """Eight tokens whose components look like a model's: float32, all bits used."""
    import torch

    q, k, v = (tuple(map(tuple, torch.randn(8, d_head).tolist())) for _ in range(3))
    words = ("[CLS]", "the", "animal", "didn", "cross", "street", "because", "tired")
    note = "Weights here are over these 8 tokens alone. In the model they share a row with 8 other tokens."
    real = RealHead("MiniLM", "encoder self layer 2", 2, 3, tuple(range(8)), d_head**-0.5, q, k, v, notes=(note,))
    return LabState(words, q=q, k=k, v=v, real=real)


def test_the_largest_real_head_with_every_cell_edited_is_read_though_it_is_no_address():
    state = large_real(256)
    q, k, v = (tuple(tuple(value / 3 for value in row) for row in state.cells(name)) for name in state.matrices)
    state = LabState(state.words, q=q, k=k, v=v, real=state.real)
    text = to_link(state)
    assert LINK_LIMIT < len(text) <= TEXT_LIMIT
    assert from_link(text) == state


def test_a_changed_character_is_never_taken_for_another_state():
    """Each character of a link exchanged for another: refused, or (unused bits at the end) the same state."""
    state = PRESETS["animal"].state
    text = to_link(state)
    for place, was in enumerate(text):
        for other in "A", "x", "_":
            if other == was:
                continue
            try:
                assert from_link(text[:place] + other + text[place + 1 :]) == state
            except ValueError as error:
                assert str(error).startswith("This link to the Lab")


@pytest.mark.parametrize("cut", [0, 1, 10, 100, -1, -7])
def test_a_link_that_was_cut_is_refused(cut: int):
    with pytest.raises(ValueError, match="This link to the Lab is damaged"):
        from_link(to_link(PRESETS["animal"].state)[:cut])


@given(st.text(max_size=200))
def test_any_text_is_refused_in_a_sentence(text: str):
    with pytest.raises(ValueError, match="This link to the Lab is damaged. Ask for it again"):
        from_link(text)


@given(st.binary(max_size=300))
def test_any_bytes_with_a_right_checksum_are_refused_in_a_sentence(data: bytes):
    with pytest.raises(ValueError, match="^This link to the Lab"):
        from_link(encoded(zlib.compress(data)))


def test_a_link_that_unpacks_to_very_much_is_refused_before_it_is_unpacked():
    bomb = encoded(zlib.compress(bytes(100_000_000), 9))
    assert len(bomb) < TEXT_LIMIT
    with pytest.raises(ValueError, match="It unpacks to more than 160,000 bytes"):
        from_link(bomb)


def test_a_link_that_is_too_long_is_refused_unread():
    with pytest.raises(ValueError, match="is too long: 160,001 characters"):
        from_link("A" * (TEXT_LIMIT + 1))
    text = to_link(STATES["scaling"])
    with pytest.raises(ValueError, match="at most 100 are read"):
        from_link(text, limit=100)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"v": 2}, "It was made for version 2 of the Lab; this is version 1"),
        ({"v": "1"}, "damaged"),
        ({"w": ["a", "b"]}, "takes 3 to 8 words; got 2"),
        ({"w": ["a", "b", 3]}, "damaged"),
        ({"w": 7}, "damaged"),
        ({"h": 3}, "cannot be shared evenly among 3 heads"),
        ({"h": 2**31}, "damaged"),
        ({"h": True}, "damaged"),
        ({"h": 1e300}, "damaged"),
        ({"s": {"magic": 1}}, "damaged"),
        ({"s": {"causal": "yes"}}, "damaged"),
        ({"s": {"temperature": 0}}, "The temperature is a number from 0.05 to 100; got 0"),
        ({"s": {"temperature": "NaN"}}, "The temperature is a number"),
        ({"s": {"softmax": "soft"}}, "damaged"),
        ({"s": {"positions": ["rotary"]}}, "damaged"),
        ({"s": {"window": 99}}, "The window reaches 0 to 7 words; got 99"),
        ({"s": {"causal": True, "padding": [0]}}, "“the” would have nothing to look at"),
        ({"s": []}, "damaged"),
        ({"f": ["a"]}, "4 components need 4 names or none; got 1"),
        ({"m": []}, "damaged"),
        ({"m": [[7, 4, "b", 1]] * 6}, "damaged"),
        ({"m": [[10**9, 10**9, "d", 0]] * 5}, "It has a matrix of 1000000000 × 1000000000"),
        ({"m": [[0, 4, "b", 1]] * 5}, "It has a matrix of 0 × 4"),
        ({"m": [[7, 4, "O", 1]] * 5}, "damaged"),
        ({"m": [[7, 4, "b", 999]] * 5}, "damaged"),
        ({"m": [[-7, 4, "b", 1]] * 5}, "damaged"),
        ({"m": [[7, 4]] * 5}, "damaged"),
        ({"r": {}}, "damaged"),
    ],
    ids=str,
)
def test_a_tampered_header_is_refused_in_a_sentence(changes: dict, says: str):
    header, body = unpacked(to_link(PRESETS["animal"].state))
    with pytest.raises(ValueError, match=says) as error:
        from_link(packed(header | changes, body))
    assert str(error.value).startswith("This link to the Lab")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, 10_001.0])
def test_a_link_with_a_number_that_no_cell_may_hold_is_refused(value: float):
    """As float64, spliced in beside a right checksum; byte planes are stored one after another."""
    import numpy as np

    header, _ = unpacked(to_link(random_state()))
    shapes = [(rows, columns) for rows, columns, _, _ in header["m"]]
    numbers = [np.zeros(shape) for shape in shapes]
    numbers[1][3, 2] = value
    planes = [b"".join(one.reshape(-1, 1).view(np.uint8).T[place].tobytes() for one in numbers) for place in range(8)]
    header["m"] = [[*shape, "d", 0] for shape in shapes]
    with pytest.raises(ValueError, match=r"^This link to the Lab cannot be used. W_Q has .* in row 4, column 3"):
        from_link(packed(header, b"".join(planes)))


def test_nan_in_the_header_is_refused():
    header, body = unpacked(to_link(real_state()))
    header["e"][0][3] = float("nan")
    with pytest.raises(ValueError, match="It has NaN in a cell"):
        from_link(packed(header, body))


@pytest.mark.parametrize("edit", [[3, 0, 0, 1.0], [0, 5, 0, 1.0], [0, 0, 7, 1.0], [0, -1, 0, 1.0], [0, 0, 0, "x"], [0]])
def test_an_edit_of_a_cell_that_is_not_there_is_refused(edit: list):
    header, body = unpacked(to_link(real_state()))
    with pytest.raises(ValueError, match="damaged"):
        from_link(packed(header | {"e": [edit]}, body))


def test_a_header_of_a_thousand_brackets_is_refused():
    head = b"[" * 50_000
    with pytest.raises(ValueError, match="damaged"):
        from_link(encoded(zlib.compress(len(head).to_bytes(3, "little") + head)))


def test_a_link_made_today_can_be_read_tomorrow():
    """Written by version 1; a change of the format needs a new version that still reads this."""
    assert from_link(TODAY) == PRESETS["order"].state
    assert from_link(TODAY).switches == Switches()


TODAY = (
    "eNpLZmCoVipTsjLUUSpXsopWSslPV9JRSsosSS0G0rmJeUqxQAooE22sYwKUUNIxjNWJNtEx"
    "Isg2gquPreViYmBl4GL-w_GPi4GL9TcXMwfDN1Yurr8_WJjYuBiAQqy_mbiAShiABAAm3yB6"
)
