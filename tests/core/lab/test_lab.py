"""Lab states and their history: what is accepted, what is refused, undo and redo."""

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_core.lab.edits import with_cell
from attention_core.lab.state import MAX_VALUE, History, LabState, Switches, allowed_pairs, cells_of, parse_cell
from tests.support.lab_states import random_state, real_state


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5", 0.5), (" -2 ", -2.0), ("1e-3", 0.001), ("−1,5", -1.5), ("+3", 3.0), ("-0", 0.0), ("10000", 10_000.0)],
)
def test_a_cell_reads_what_people_type(text: str, value: float):
    found = parse_cell(text)
    assert found == value
    assert str(found) != "-0.0"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "The cell is empty"),
        ("   ", "The cell is empty"),
        ("nan", "“nan” is not a number"),
        ("inf", "“inf” is infinite: a cell holds numbers from -10,000 to 10,000"),
        ("-∞", "“-∞” is infinite"),
        ("1e300", "“1e300” is too large: a cell holds"),
        ("1e999", "“1e999” is infinite"),
        ("-10000.1", "too large"),
        ("abc", "“abc” is not a number"),
        ("1_0", "“1_0” is not a number"),
        ("1,000,0", "is not a number"),
        ("9" * 5000, "is not a number"),
        ("<b>1</b>", "“<b>1</b>” is not a number"),
    ],
)
def test_a_cell_that_holds_no_number_is_explained(text: str, says: str):
    with pytest.raises(ValueError) as error:
        parse_cell(text)
    assert says in str(error.value)
    assert str(error.value).endswith(".") and len(str(error.value)) < 120


@given(st.text(max_size=12))
def test_a_cell_reads_a_finite_number_or_says_why_not(text: str):
    try:
        assert abs(parse_cell(text)) <= MAX_VALUE
    except ValueError as error:
        assert str(error).endswith(".")


def test_a_state_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        random_state().n_heads = 1  # type: ignore[misc]


def test_states_with_the_same_numbers_are_equal_and_hash_alike():
    assert random_state() == random_state()
    assert hash(random_state()) == hash(random_state())
    assert random_state(seed=1) != random_state(seed=2)


def test_sizes_are_known():
    state = random_state()
    assert (state.n_words, state.d_model, state.d_head, state.d_value, state.direct) == (5, 7, 3, 3, False)
    real = real_state()
    assert (real.n_words, real.d_model, real.d_head, real.d_value, real.direct) == (5, 0, 7, 3, True)
    assert real.matrices == ("q", "k", "v")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"words": ("a", "b")}, "3 to 8 words; got 2"),
        ({"words": ("a",) * 9}, "3 to 8 words; got 9"),
        ({"words": ("a", "b", " ", "d", "e")}, "A word is empty"),
        ({"words": ("a", "b", "c\nd", "e", "f")}, "A word is one line of text"),
        ({"words": ("a", "b", "c" * 25, "e", "f")}, "at most 24 characters"),
        ({"words": ("a", "b", "c", "d")}, "X must be 4 × 7; got 5 × 7"),
        ({"n_heads": 0}, "1 to 4 heads; got 0"),
        ({"n_heads": 5}, "1 to 4 heads; got 5"),
        ({"n_heads": 4}, "6 columns cannot be shared evenly among 4 heads"),
        ({"x": ((1.0,),) * 5}, "2 to 16 numbers; got 1"),
        ({"w_q": ()}, "Heads times d_k must be 1 to 64; got 0"),
        ({"w_k": ((0.0,) * 5,) * 7}, "W_K must be 7 × 6; got 7 × 5"),
        ({"w_o": ((0.0,) * 6,) * 7}, "W_O must be 6 × 7; got 7 × 6"),
        ({"w_v": ((0.0,) * 6,) * 6 + ((0.0,) * 5,)}, "W_V must be 7 × 6; got 7 × 5/6"),
        ({"features": ("a",)}, "7 components need 7 names or none; got 1"),
        ({"features": ("",) * 7}, "A component's name is empty"),
        ({"q": ((0.0,),) * 5}, "only for a real head"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(changes: dict, says: str):
    with pytest.raises(ValueError, match=says) as error:
        replace(random_state(), **changes)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300, 10_000.5])
def test_a_number_that_no_cell_may_hold_is_refused_wherever_it_comes_from(value: float):
    state = random_state()
    with pytest.raises(ValueError, match=r"W_Q has .* in row 2, column 3"):
        replace(state, w_q=(state.w_q[0], (0.0, 0.0, value, 0.0, 0.0, 0.0), *state.w_q[2:]))
    with pytest.raises(ValueError, match="a cell"):
        with_cell(state, "w_q", 1, 2, value)
    with pytest.raises(ValueError, match="a cell"):
        cells_of([[value]])


@pytest.mark.parametrize(
    ("switches", "says"),
    [
        ({"temperature": 0.0}, "The temperature is a number from 0.05 to 100"),
        ({"temperature": float("nan")}, "The temperature is a number"),
        ({"window": -1}, "The window reaches 0 to 7"),
        ({"window": 8}, "The window reaches 0 to 7"),
        ({"padding": (5,)}, "Padding names words from 0 to 4"),
        ({"padding": (2, 1)}, "in order and once"),
        ({"padding": (1, 1)}, "in order and once"),
    ],
)
def test_a_switch_out_of_range_is_refused_in_a_sentence(switches: dict, says: str):
    with pytest.raises(ValueError, match=says):
        random_state(Switches(**switches))


@pytest.mark.parametrize(
    ("switches", "named"),
    [
        (Switches(causal=True, padding=(0,)), "“the” would"),
        (Switches(causal=True, padding=(0, 1, 2)), "“the”, “cat”, “sat” would"),
        (Switches(window=0, padding=(3,)), "“down” would"),
        (Switches(padding=(0, 1, 2, 3, 4)), "“the”, “cat”, “sat”, “down”, “here” would"),
    ],
)
def test_a_row_with_nothing_to_attend_to_is_explained(switches: Switches, named: str):
    with pytest.raises(ValueError, match="nothing to look at: the masks leave no word to it") as error:
        random_state(switches)
    assert str(error.value).startswith(named)


def test_masks_join():
    allowed = allowed_pairs(Switches(causal=True, window=1, padding=(1,)), 4)
    assert allowed is not None
    assert allowed.int().tolist() == [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]
    assert allowed_pairs(Switches(), 4) is None


def test_sinusoidal_positions_need_an_x():
    with pytest.raises(ValueError, match="a real head has only q, k and v here"):
        real_state(Switches(positions="sinusoidal"))


def test_fifty_edits_undone_give_the_start_bit_for_bit_and_redone_the_end():
    history = History(random_state())
    start = history.now
    for n in range(50):
        name = start.matrices[n % 5]
        cells = history.now.cells(name)
        history = history.did(with_cell(history.now, name, n % len(cells), n % len(cells[0]), (n + 1) / 7))
    end = history.now
    assert end != start
    for _ in range(50):
        assert history.can_undo
        history = history.undone()
    assert not history.can_undo
    assert repr(history.now) == repr(start)  # repr gives every float back exactly
    assert history.now.x is start.x
    for _ in range(50):
        history = history.redone()
    assert repr(history.now) == repr(end)
    assert not history.can_redo


def test_an_edit_after_undo_forgets_what_was_undone():
    first, second, third = (random_state(seed=seed) for seed in (1, 2, 3))
    history = History(first).did(second).undone().did(third)
    assert not history.can_redo
    assert history.redone() == history
    assert history.undone().now == first


def test_a_history_names_the_places_of_a_state_nearest_first():
    first, second, third = (random_state(seed=seed) for seed in (1, 2, 3))
    history = History(first).did(second).did(first).did(third).did(second)
    back, again = history.reaching(first)
    assert (len(back.past), len(again.past)) == (2, 0)
    assert back.redone().redone() == replace(history, first=history.start)
    (end,) = again.reaching(third)
    assert (len(end.past), end.future) == (3, (second,))
    assert list(history.reaching(random_state(seed=4))) == []


def test_an_edit_that_changes_nothing_is_no_step():
    history = History(random_state())
    assert history.did(random_state()) == history


def test_reset_goes_to_the_start_and_can_be_undone():
    states = [random_state(seed=seed) for seed in range(4)]
    history = History(states[0]).did(states[1]).did(states[2]).undone().did(states[3]).reset()
    assert history.now == states[0]
    assert history.undone().now == states[3]


def test_history_is_bounded_and_still_knows_the_start():
    history = History(random_state(seed=0), limit=5)
    for seed in range(1, 20):
        history = history.did(random_state(seed=seed))
    assert len(history.past) == 5
    assert history.reset().now == random_state(seed=0)


def test_a_name_that_is_no_matrix_is_refused():
    with pytest.raises(ValueError, match="There is no matrix “q” here; there are x, w_q"):
        random_state().cells("q")


def test_a_real_head_has_no_maps():
    real = real_state()
    with pytest.raises(ValueError, match="one head of q, k and v alone"):
        replace(real, n_heads=2)
    with pytest.raises(ValueError, match="Q must be 5 × 7; got 4 × 7"):
        replace(real, q=real.q[:4])
    assert isinstance(real, LabState)
