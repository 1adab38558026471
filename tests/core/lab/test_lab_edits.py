"""Edits of a Lab state: what they change, what they leave alone, what they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_core.lab.edits import (
    changed_from_real,
    embedding,
    moved,
    randomised,
    reordered,
    shuffle_order,
    shuffled,
    to_real,
    with_cell,
    with_cells,
    with_shape,
    with_switch,
    with_words,
)
from attention_core.lab.run import run
from attention_core.lab.state import DIRECT, MAPPED, Switches
from tests.support.lab_states import WORDS, random_state, real_state


@pytest.mark.parametrize("name", MAPPED)
def test_one_cell_changes_and_no_other(name: str):
    state = random_state()
    after = with_cell(state, name, 2, 3, 0.125)
    assert after.cells(name)[2][3] == 0.125
    for other in MAPPED:
        old, new = state.cells(other), after.cells(other)
        differ = [(i, j) for i in range(len(old)) for j in range(len(old[0])) if old[i][j] != new[i][j]]
        assert differ == ([(2, 3)] if other == name else [])


@pytest.mark.parametrize(("row", "column"), [(-1, 0), (0, -1), (7, 0), (0, 6)])
def test_a_cell_that_does_not_exist_is_named(row: int, column: int):
    with pytest.raises(ValueError, match="W_Q is 7 × 6; it has no row"):
        with_cell(random_state(), "w_q", row, column, 1.0)


def test_a_whole_matrix_keeps_its_shape():
    with pytest.raises(ValueError, match="X must be 5 × 7; got 5 × 6"):
        with_cells(random_state(), "x", ((1.0,) * 6,) * 5)


def test_switches_go_by_name():
    state = with_switch(random_state(), causal=True, temperature=2.0)
    assert state.switches == Switches(causal=True, temperature=2.0)
    with pytest.raises(ValueError, match="There is no switch magic"):
        with_switch(state, magic=True)


def test_heads_regroup_the_same_columns():
    state = random_state()
    one = with_switch(state, n_heads=1)
    assert (one.n_heads, one.d_head, one.w_q) == (1, 6, state.w_q)
    assert with_switch(one, n_heads=2) == state


def test_words_keep_their_rows_wherever_they_go():
    state = random_state()
    after = with_words(state, ("here", "the", "cat"))
    assert after.x == (state.x[4], state.x[0], state.x[1])


def test_a_renamed_word_keeps_the_row_of_its_place():
    state = random_state()
    after = with_words(state, ("the", "dog", "sat", "down", "here"))
    assert after.x == state.x
    assert after.words[1] == "dog"


def test_a_new_word_gets_the_embedding_of_its_letters():
    state = random_state()
    after = with_words(state, (*WORDS, "today"))
    assert after.x == (*state.x, embedding("today", 7))
    assert embedding("today", 7) == embedding("today", 7) != embedding("Today", 7)


def test_equal_words_each_keep_a_row():
    state = random_state(words=("the", "cat", "the", "mat", "ran"))
    after = with_words(state, ("the", "the", "ran"))
    assert after.x == (state.x[0], state.x[2], state.x[4])


def test_padding_goes_with_its_word():
    state = random_state(Switches(padding=(1, 3)))
    assert with_words(state, ("down", "the", "sat")).switches.padding == (0,)
    assert moved(state, 1, 4).switches.padding == (2, 4)
    assert [moved(state, 1, 4).words[i] for i in (2, 4)] == ["down", "cat"]


def test_words_of_a_real_head_stay():
    with pytest.raises(ValueError, match="copied from a real head"):
        with_words(real_state(), ("a", "b", "c"))


def test_moving_a_word_by_hand():
    state = moved(random_state(), 0, 3)
    assert state.words == ("cat", "sat", "down", "the", "here")
    assert moved(state, 3, 0) == random_state()


@pytest.mark.parametrize("seed", range(7))
def test_a_shuffle_moves_something_and_loses_nothing(seed: int):
    state, order = random_state(), shuffle_order(5, seed)
    after = shuffled(state, seed)
    assert order != tuple(range(5))
    assert after.words == tuple(state.words[i] for i in order)
    back = tuple(order.index(i) for i in range(5))
    assert reordered(after, back) == state


def test_the_rows_the_bias_and_the_mask_of_a_real_head_go_with_its_tokens():
    state, order = real_state(), (2, 0, 1, 4, 3)
    after = reordered(state, order)
    assert after.real is not None and state.real is not None
    assert after.real.tokens == tuple(state.real.tokens[i] for i in order)
    expected = run(state).weights[:, list(order)][:, :, list(order)]
    assert (run(after).weights - expected).abs().max() < 1e-12
    assert to_real(after) == reordered(to_real(state), order)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 0, 1, 2, 3), (1, 2, 3, 4, 5)])
def test_an_order_names_each_word_once(order: tuple[int, ...]):
    with pytest.raises(ValueError, match="names each of 5 words once"):
        reordered(random_state(), order)


def test_random_numbers_are_the_same_for_the_same_seed_and_have_two_decimals():
    state = randomised(random_state(), 5)
    assert state == randomised(random_state(seed=1), 5) != randomised(state, 6)
    assert all(round(cell, 2) == cell for name in MAPPED for row in state.cells(name) for cell in row)
    assert state.x[0][:3] == (-0.61, -0.47, -0.18)  # on every machine: shared links and worksheets name a seed


def test_random_maps_keep_the_variance_of_what_they_are_given():
    """x with variance 1 and maps with variance 1/d_model: so have q, k and v."""
    states = [random_state(d_model=16, d_head=16, n_heads=4, seed=seed) for seed in range(5)]
    variances = [float(run(state).q.var()) for state in states]
    assert 0.8 < sum(variances) / 5 < 1.2


@given(st.integers(2, 16), st.integers(1, 16), st.integers(1, 4))
def test_any_size_can_be_taken_and_what_fits_stays(d_model: int, d_head: int, n_heads: int):
    state = random_state()
    after = with_shape(state, d_model=d_model, d_head=d_head, n_heads=n_heads)
    assert (after.d_model, after.d_head, after.n_heads) == (d_model, d_head, n_heads)
    for head in range(min(n_heads, 2)):
        for dim in range(min(d_head, 3)):
            for channel in range(min(d_model, 7)):
                assert after.w_q[channel][head * d_head + dim] == state.w_q[channel][head * 3 + dim]
                assert after.w_o[head * d_head + dim][channel] == state.w_o[head * 3 + dim][channel]
    run(after)


def test_a_size_gone_through_there_and_back_gives_the_same_numbers():
    state = with_shape(random_state(), d_head=2)
    assert with_shape(with_shape(state, d_head=16, n_heads=4, d_model=11), d_head=2, n_heads=2, d_model=7) == state
    wide = with_shape(state, d_head=16)
    assert with_shape(with_shape(wide, d_head=4), d_head=16) == wide
    assert len({row for row in wide.w_q}) == 7  # new cells are drawn, not alike


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({"d_model": 1}, "2 to 16 numbers; got 1"),
        ({"d_model": 17}, "2 to 16 numbers; got 17"),
        ({"n_heads": 5}, "1 to 4 heads; got 5"),
        ({"d_head": 0}, "must be 1 to 64; got 2 × 0"),
        ({"d_head": 33}, "must be 1 to 64; got 2 × 33"),
    ],
)
def test_a_size_that_the_lab_does_not_have_is_refused(sizes: dict[str, int], says: str):
    with pytest.raises(ValueError, match=says):
        with_shape(random_state(), **sizes)


def test_a_real_head_keeps_its_size():
    with pytest.raises(ValueError, match="has the size that it has"):
        with_shape(real_state(), d_head=2)


def test_undo_to_real_for_one_cell_one_matrix_and_all():
    real = real_state(edited=False)
    edited = with_cell(with_cell(with_cell(real, "q", 0, 1, 9.0), "k", 2, 3, 8.0), "q", 4, 0, 7.0)
    assert changed_from_real(edited) == {"q": ((0, 1), (4, 0)), "k": ((2, 3),), "v": ()}
    assert changed_from_real(to_real(edited, "q", 0, 1)) == {"q": ((4, 0),), "k": ((2, 3),), "v": ()}
    assert changed_from_real(to_real(edited, "q")) == {"q": (), "k": ((2, 3),), "v": ()}
    assert to_real(edited) == real
    assert all(getattr(to_real(edited), name) == getattr(real, name) for name in DIRECT)


def test_there_is_no_way_to_real_without_a_real_head():
    with pytest.raises(ValueError, match="not copied from a real head"):
        to_real(random_state())
    with pytest.raises(ValueError, match="got row 6, column 1"):
        to_real(real_state(), "q", 5, 0)
    assert changed_from_real(random_state()) == {}
