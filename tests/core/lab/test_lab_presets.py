"""What each preset claims, on its tensors; that its task is open at the start, done by its solution, and marked."""

from dataclasses import replace

import pytest
import torch

from attention_core.lab.edits import moved, randomised, with_cell, with_shape, with_switch, with_words
from attention_core.lab.facts import head_numbers, shuffle_difference, standard
from attention_core.lab.presets import PRESETS
from attention_core.lab.run import run
from attention_core.lab.state import LabState
from attention_core.lab.tasks import TaskResult
from tests.support.lab_states import real_state


def weights(name: str, head: int = 0) -> torch.Tensor:
    return run(PRESETS[name].state).weights[head]


def near(found: torch.Tensor, expected: torch.Tensor, atol: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected.to(found), rtol=0, atol=atol)


@pytest.mark.parametrize("name", PRESETS)
def test_a_task_is_open_at_the_start_and_done_by_its_solution(name: str):
    preset = PRESETS[name]
    assert preset.name == name
    before, after = preset.check(preset.state), preset.check(preset.solution)
    assert not before.done and after.done
    assert before.says != after.says
    assert all(says.endswith(".") for says in (before.says, after.says, preset.notice, preset.task))


@pytest.mark.parametrize("name", PRESETS)
def test_the_cell_to_look_at_is_there(name: str):
    preset = PRESETS[name]
    matrix = run(preset.state).of(preset.look.matrix, preset.look.head)
    assert preset.look.row < matrix.shape[0] and preset.look.column < matrix.shape[1]


@pytest.mark.parametrize("name", PRESETS)
def test_a_task_is_marked_on_any_state(name: str):
    check, start = PRESETS[name].check, PRESETS[name].state
    states: list[LabState] = [other.state for other in PRESETS.values()]
    states += [real_state(), randomised(start, 1), with_switch(start, softmax="none"), with_switch(start, n_heads=1)]
    states += [with_switch(start, causal=True, padding=(start.n_words - 1,))]  # which cannot be read backwards
    states += [with_words(start, ("a", "b", "c")), with_shape(start, d_head=1), with_shape(start, d_model=2)]
    for state in states:
        result = check(state)
        assert isinstance(result, TaskResult)
        assert result.says.endswith(".")


def test_it_looks_at_tired_and_takes_a_quality():
    state = PRESETS["animal"].state
    it, animal, tired = (state.words.index(word) for word in ("it", "animal", "tired"))
    row = weights("animal")[it]
    assert row[tired] > 0.6 > 0.1 > row[animal]
    thing, quality = (state.features.index(name) for name in ("thing", "quality"))
    assert run(state).result[it, quality] > 0.6 > 0.2 > run(state).result[it, thing]
    solved = run(PRESETS["animal"].solution)
    assert solved.weights[0, it, animal] >= 0.6
    assert solved.result[it, thing] > 0.6 > 0.2 > solved.result[it, quality]


def test_identity_maps_look_by_similarity():
    state = PRESETS["similarity"].state
    found, x = run(state), state.tensor("x")
    scores = found.of("scores", 0).values
    near(scores, x @ x.T)
    near(scores, scores.T)
    assert found.weights[0].argmax(dim=-1).tolist() == list(range(5))  # each word looks at itself too, and most
    without_self = found.weights[0].clone().fill_diagonal_(0.0)
    assert without_self.argmax(dim=-1).tolist()[:4] == [1, 0, 3, 2]  # cat and dog, car and truck


def test_the_previous_word_is_found_by_position_alone():
    state, row = PRESETS["previous"].state, weights("previous")
    assert all(row[i, i - 1] >= 0.8 for i in range(1, state.n_words))
    other_words = run(moved(state, 0, 4)).weights[0]
    assert (other_words - row).abs().max() < 1e-2  # whatever the words are; the slow clock reads them very slightly
    none = run(with_switch(state, positions="none")).weights[0]
    near(none, torch.ones(6, 6).double().tril() / torch.arange(1, 7)[:, None])  # without positions nothing is left


def test_a_copying_head_writes_what_it_looks_at():
    state = PRESETS["copying"].state
    near(state.tensor("w_v") @ state.tensor("w_o"), torch.eye(4))
    dog, who = state.words.index("dog"), state.words.index("who")
    assert weights("copying")[who].argmax() == dog
    assert run(state).result[who].argmax() == dog
    assert run(state).result[who, dog] > 0.9
    solved = run(PRESETS["copying"].solution)
    near(solved.weights[0], weights("copying"))  # where it looks is not decided by W_O
    assert solved.result[who].argmax() == state.words.index("cat")


def test_a_uniform_head_writes_the_average():
    found = run(PRESETS["uniform"].state)
    near(found.weights[0], torch.full((4, 4), 0.25))
    near(found.output[0], found.v[0].mean(dim=0).expand(4, 3))


def test_a_sink_takes_nearly_all_and_writes_nearly_nothing():
    found = run(PRESETS["sink"].state)
    assert found.weights[0, :, 0].min() >= 0.9
    assert float(found.v[0, 0].norm()) == 0.0
    assert found.output[0].norm(dim=-1).max() < 0.1 * found.v[0].norm(dim=-1).max()


def test_two_heads_do_different_jobs_and_one_cannot_do_both():
    state = PRESETS["two-heads"].state
    one, other = run(state).weights
    alike = (torch.arange(5)[:, None] - torch.arange(5)[None, :]) % 2 == 0  # things and acts take turns
    assert all(one[i, i - 1] >= 0.8 for i in range(1, 5))
    assert (other * alike).sum(dim=-1).min() >= 0.9
    mixed = run(with_switch(state, n_heads=1)).weights[0]  # the same maps, one row of weights
    before = min(float(mixed[i, i - 1]) for i in range(1, 5))
    assert not (before >= 0.8 and (mixed * alike).sum(dim=-1).min() >= 0.9)


def test_a_soft_dictionary_reads_almost_the_entry_that_was_asked_for():
    state = PRESETS["dictionary"].state
    reads = float(run(state).result[3, 4])
    assert 19.5 < reads < 20
    row = weights("dictionary")[3]
    assert row.argmax() == 1 and (row > 0).all()  # every entry comes along
    torch.testing.assert_close(reads, float(row @ state.tensor("x")[:, 4]))


def test_sixty_four_dims_saturate_softmax_and_fewer_do_not():
    state = PRESETS["scaling"].state
    assert state.d_head == 64 and not state.switches.scale
    (numbers,), (scaled,) = head_numbers(run(state)), head_numbers(run(standard(state)))
    assert numbers.mean_entropy is not None and scaled.mean_entropy is not None
    assert numbers.mean_gradient is not None and scaled.mean_gradient is not None
    assert numbers.mean_entropy < 0.3 * scaled.mean_entropy
    assert numbers.mean_gradient < 0.5 * scaled.mean_gradient
    entropies = [head_numbers(run(with_shape(state, d_head=d)))[0].mean_entropy for d in (64, 16, 4)]
    assert entropies == sorted(entropies, key=lambda value: value or 0.0)
    # Scores grow by about √64: the standard deviation of a product of 64 random components against that of one.
    whole, first = run(state), run(with_shape(state, d_head=1))
    assert 4 < float(whole.of("scores", 0).values.std() / first.of("scores", 0).values.std()) < 16


def test_without_positions_order_does_not_count_and_with_them_it_does():
    preset = PRESETS["order"]
    assert shuffle_difference(preset.state, (2, 1, 0)) <= 1e-6
    assert shuffle_difference(preset.solution, (2, 1, 0)) >= 0.05


def test_distance_costs_nothing_until_positions_are_added():
    state = PRESETS["distance"].state
    key, door = state.words.index("key"), state.words.index("door")

    def at_every_place(state: LabState) -> list[float]:
        return [float(run(moved(state, key, place)).weights[0, door, place]) for place in range(door)]

    plain, far = at_every_place(state), at_every_place(PRESETS["distance"].solution)
    assert max(plain) - min(plain) <= 1e-12
    assert far == sorted(far) and far[0] < far[-1] / 2


def test_a_task_needs_its_words_and_says_so():
    result = PRESETS["animal"].check(with_words(PRESETS["animal"].state, ("the", "animal", "slept")))
    assert result == TaskResult(False, "This task needs the word “it”; bring it back, or reset.")


def test_a_task_is_not_won_by_a_trick():
    """The even row of the uniform head must come from W_Q = 0, and 15 from the entries 10 and 20."""
    state = PRESETS["uniform"].solution
    assert not PRESETS["uniform"].check(with_cell(state, "w_q", 0, 0, 1e-9)).done
    entries = with_cell(PRESETS["dictionary"].state, "x", 1, 4, 15.0)
    assert not PRESETS["dictionary"].check(entries).done
    scaled = replace(PRESETS["scaling"].state, switches=replace(PRESETS["scaling"].state.switches, scale=True))
    assert not PRESETS["scaling"].check(scaled).done
