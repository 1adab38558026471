"""What small attention-only models learn from, what they are, and what is measured of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from attention_core.formula.attention import attend, merge_heads, split_heads
from attention_core.formula.masks import causal_mask
from attention_core.grow import batches
from attention_core.grow.__main__ import SHIPPED, command_of, main, report
from attention_core.grow.batches import (
    KINDS,
    LETTERS,
    batch_at,
    even_weight,
    opener_targets,
    previous_targets,
    probe_of,
    source_targets,
    weight_on,
)
from attention_core.grow.model import AttentionOnly, rotate
from attention_core.grow.record import load_run
from attention_core.grow.run import codes, grow, head_of, measure, new_model, record, replay
from attention_core.grow.tasks import SCORES, TASKS, RunSettings
from attention_core.training.loop import Batch, generator_of, induction_weight, previous_token_weight, repeated_once
from tests.support.plain_numbers import decode_u1

SHORT = RunSettings("copying", seed=3, n_steps=5)


def words(task: str, row: torch.Tensor) -> str:
    return "".join(TASKS[task].labels[token] for token in row.tolist())


@pytest.mark.parametrize("task", TASKS)
def test_rows_of_a_task_follow_its_rule(task: str):
    for row in map(lambda row: words(task, row), batch_at(task, 1, 2).tokens):
        if task == "brackets":
            short = row
            for _ in range(len(row)):
                short = short.replace("()", "").replace("[]", "").replace("{}", "")
            assert len(row) == 32 and short == ""
        elif task == "repeated":
            assert len(row) == 48  # that the copies are copies is tested with `repeated_pairs`
        else:
            given, written = row.split("|")
            assert len(set(given)) == len(given)
            assert written == {"copying": given, "reversing": given[::-1], "sorting": "".join(sorted(given))}[task]


@pytest.mark.parametrize("task", TASKS)
def test_what_is_scored_can_be_known_and_only_symbols_of_the_task_are(task: str):
    batch = probe_of(task).batch
    assert batch.scored.any(dim=1).all() and not batch.scored[:, 0].any()
    symbols = set(batch.tokens[batch.scored].tolist())
    assert len(symbols) <= TASKS[task].n_choices <= len(TASKS[task].labels)
    if task == "brackets":
        assert symbols == {3, 4, 5}


def test_brackets_go_four_deep_and_no_deeper():
    depths = torch.where(batch_at("brackets", 1, 0).tokens < KINDS, 1, -1).cumsum(dim=1)
    assert depths.max() == 4 and depths.min() == 0


@pytest.mark.parametrize("task", TASKS)
def test_a_step_has_the_same_rows_whatever_came_before(task: str):
    first, again, other = (batch_at(task, 2, step).tokens for step in (11, 11, 12))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("task", TASKS)
def test_no_run_of_the_page_learns_from_the_rows_that_are_measured(task: str):
    """Repeated rows are longer than those; of the others no row of the first seeds and steps is among them."""
    measured = {tuple(row) for row in probe_of(task).batch.tokens.tolist()}
    learned = {
        tuple(row) for seed in (1, 2) for step in range(20) for row in batch_at(task, seed, step).tokens.tolist()
    }
    assert not measured & learned


def test_opener_targets_of_a_row_by_hand():
    """( [ ] { } ): closings at 2, 4 and 5, so the queries 1, 3 and 4 look at the openers 1, 3 and 0."""
    tokens = torch.tensor([[0, 1, 4, 2, 5, 3]])
    assert opener_targets(Batch(tokens, tokens >= KINDS))[0].nonzero().tolist() == [[1, 1], [3, 3], [4, 0]]


def test_source_targets_of_a_row_by_hand():
    """c a b | a b c: the bar and the letters written so far look at where the next one stands before the bar."""
    tokens = torch.tensor([[2, 0, 1, LETTERS, 0, 1, 2]])
    batch = Batch(tokens, torch.arange(7)[None] > 3)
    assert source_targets(batch)[0].nonzero().tolist() == [[3, 1], [4, 2], [5, 0]]


def test_weight_on_targets_is_a_mean_over_the_queries_that_have_one():
    """Query 1 puts 0.25 on key 0, query 2 0.5 on key 1; query 0 has no target: mean 0.375."""
    weights = torch.tensor([[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.25, 0.5, 0.25]])[None, None]
    targets = previous_targets(Batch(torch.zeros(1, 3, dtype=torch.long), torch.zeros(1, 3, dtype=torch.bool)))
    assert weight_on(weights, targets).tolist() == [0.375]
    assert even_weight(targets) == pytest.approx((1 / 2 + 1 / 3) / 2)
    with pytest.raises(ValueError, match="none of 3 has one"):
        weight_on(weights, torch.zeros(1, 3, 3, dtype=torch.bool))


def test_scores_agree_with_the_measures_of_training():
    """Both definitions, cells and diagonals, on random causal weights of the repeated task's rows."""
    probe = probe_of("repeated")
    n = probe.batch.tokens.shape[1]
    scores = torch.randn(len(probe.batch.tokens), 3, n, n, generator=generator_of(5, 0))
    weights = scores.masked_fill(~causal_mask(n), -math.inf).softmax(dim=-1)
    previous, induction = (weight_on(weights, probe.targets[name]) for name in ("previous", "induction"))
    torch.testing.assert_close(previous, previous_token_weight(weights).mean(dim=0))
    torch.testing.assert_close(induction, induction_weight(weights, n // 2).mean(dim=0))


@pytest.mark.parametrize("positions", ["learned", "rotary", "none"])
@pytest.mark.parametrize("norm", [True, False])
def test_learning_and_looking_compute_the_same(positions: str, norm: bool):
    model = AttentionOnly(11, 13, n_heads=3, d_model=18, positions=positions, norm=norm, seed=7)
    tokens = torch.randint(11, (5, 7), generator=generator_of(1, 0))
    with torch.inference_mode():
        logits, weights = model.maps(tokens)
        torch.testing.assert_close(model(tokens), logits)
    assert weights.shape == (2, 5, 3, 7, 7)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 5, 3, 7))
    assert (weights.triu(1) == 0).all()


def test_the_first_layer_written_out_gives_its_map():
    model = AttentionOnly(11, 13, n_layers=1, n_heads=3, d_model=18, norm=False, seed=7)
    tokens = torch.randint(11, (1, 7), generator=generator_of(1, 0))
    with torch.inference_mode():
        x = model.embed.weight[tokens] + model.positions.weight[:7]
        layer = model.layers[0]
        q, k, v = (split_heads(x @ matrix.weight.T, 3) for matrix in (layer.q, layer.k, layer.v))
        steps = attend(q, k, v, allowed=causal_mask(7))
        logits = (x + merge_heads(steps.output) @ layer.o.weight.T) @ model.unembed.weight.T
        found, weights = model.maps(tokens)
    torch.testing.assert_close(weights[0], steps.weights)
    torch.testing.assert_close(found, logits)


def test_without_positions_the_order_of_the_past_changes_nothing():
    model = AttentionOnly(11, 13, positions="none", seed=7)
    with torch.inference_mode():
        first, second = model(torch.tensor([[3, 5, 7, 2]])), model(torch.tensor([[7, 5, 3, 2]]))
        model_with = AttentionOnly(11, 13, positions="learned", seed=7)
        other = model_with(torch.tensor([[3, 5, 7, 2]])) - model_with(torch.tensor([[7, 5, 3, 2]]))
    # One layer is blind to the order; the second sees it a little, through the causal mask of the first.
    one = AttentionOnly(11, 13, n_layers=1, positions="none", seed=7)
    with torch.inference_mode():
        torch.testing.assert_close(one(torch.tensor([[3, 5, 7, 2]]))[:, -1], one(torch.tensor([[7, 5, 3, 2]]))[:, -1])
    assert (first - second)[:, -1].abs().max() > 1e-6 and other[:, -1].abs().max() > 1e-3


def test_rotary_scores_depend_on_the_distance_only():
    """Scores of the same q and k at 3 → 1 and 9 → 7 agree; rotation keeps lengths."""
    q, k = torch.randn(2, 6, generator=generator_of(1, 0))
    turned_q, turned_k = rotate(q.expand(11, 6)), rotate(k.expand(11, 6))
    torch.testing.assert_close(turned_q[3] @ turned_k[1], turned_q[9] @ turned_k[7])
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm().expand(11))
    assert not torch.isclose(turned_q[3] @ turned_k[1], turned_q[3] @ turned_k[2])


def test_a_model_says_which_heads_do_not_fit():
    with pytest.raises(ValueError, match="got 64 for 3 heads"):
        AttentionOnly(5, 7, n_heads=3)


def test_settings_are_checked_and_travel_as_json():
    settings = RunSettings("sorting", seed=5, n_heads=1, positions="none", norm=False)
    assert RunSettings.from_json(settings.as_json()) == settings
    assert settings.name == "sorting-seed5-1head-nopositions-nonorm"
    for task in TASKS.values():
        usual = RunSettings(task.name)
        assert (usual.n_steps, usual.n_heads, usual.positions) == (task.n_steps, task.n_heads, task.positions)
        assert usual == RunSettings(task.name, 1, task.n_heads, task.positions)
    for wrong in ({"task": "x"}, {"seed": -1}, {"seed": True}, {"n_heads": 3}, {"n_steps": 10**9}, {"a": 1}, []):
        with pytest.raises(ValueError, match=r"must be"):
            RunSettings.from_json(wrong)


def test_codes_are_weights_and_masked_above_the_diagonal():
    weights, masked = decode_u1(codes(torch.tensor([[1.0, 0.0], [0.25, 0.75]])))
    assert masked.tolist() == [[False, True], [False, False]]
    np.testing.assert_allclose(weights[~masked], [1, 0.25, 0.75], atol=0.5 / 253)


def test_an_untrained_model_knows_nothing_and_its_heads_have_no_job():
    for task in TASKS:
        settings = RunSettings(task)
        found = measure(new_model(settings), probe_of(task), 0, 0.0)
        head = head_of(settings)
        assert found.loss > 0.9 * head.chance
        assert all(found.scores[i].max() < even + 0.15 for i, even in enumerate(head.even))


def test_a_run_saves_its_steps_and_keeps_what_it_can_be_made_again_from():
    run = record(SHORT, {"note": "a test"})
    assert run.steps.tolist() == [0, 1, 2, 3, 4, 5] and run.maps.shape == (6, 2, 4, 25, 25)
    assert len(run.weights) == 3 and {0, 5} < set(run.weights)
    for at in run.weights:
        again = replay(run, at)
        assert np.array_equal(again.maps, run.saved[at].maps)  # the same processor: to the bit
        np.testing.assert_allclose(again.scores, run.saved[at].scores, atol=1e-6)
        assert again.loss == pytest.approx(run.saved[at].loss)
    with pytest.raises(ValueError, match=r"kept of saved step 1; they were of \[0, 3, 5\]"):
        replay(run, 1)


def test_a_replay_with_other_weights_gives_other_maps():
    run = record(SHORT)
    wrong = replace_weights(run)
    assert not np.array_equal(replay(wrong, 5).maps, run.saved[5].maps)


def replace_weights(run):
    weights = dict(run.weights)
    weights[5] = {name: -tensor if name == "layers.0.q.weight" else tensor for name, tensor in weights[5].items()}
    return replace(run, weights=weights)


def test_the_same_settings_grow_the_same_run_and_another_seed_another():
    first, again = (list(grow(SHORT)) for _ in range(2))
    other = list(grow(replace(SHORT, seed=4)))
    assert np.array_equal(first[-1].maps, again[-1].maps) and first[-1].loss == again[-1].loss
    assert first[-1].loss != other[-1].loss


def test_a_run_ends_when_its_time_is_over():
    assert [saved.step for saved in grow(RunSettings("copying"), seconds=0.0)] == [0, 1]


def test_the_command_records_a_run_and_makes_its_maps_again(tmp_path, capsys):
    main(["--task", "copying", "--seed", "3", "--steps", "5", "--out", str(tmp_path)])
    file = tmp_path / "copying-seed3-4heads.run.gz"
    assert "nats per scored token" in capsys.readouterr().out
    run = load_run(file)
    assert run.head.settings == SHORT
    assert run.head.facts["command"] == command_of(SHORT)
    assert run.head.facts["command"].endswith("--task copying --seed 3 --heads 4 --positions learned --steps 5")
    with pytest.raises(SystemExit) as ended:
        main(["--check", str(file)])
    assert ended.value.code == 0 and "by at most 0 ÷ 253" in capsys.readouterr().out


def test_a_report_names_what_did_not_form():
    assert "source: layer" in report(record(SHORT)) and ", not formed" in report(record(SHORT))


def test_every_task_is_shipped_and_its_words_name_known_scores():
    assert {settings.task for settings in SHIPPED} == set(TASKS)
    for task in TASKS.values():
        assert set(task.scores) <= set(SCORES) and task.says.endswith(".") and task.watch.endswith(".")
        assert set(batches.probe_of(task.name).targets) == set(task.scores)
    row = repeated_once(1, 16, 32, generator_of(0, 0))
    assert row.tokens.shape == probe_of("repeated").batch.tokens[:1].shape
