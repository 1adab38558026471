"""Recorded runs: what they say of themselves, their files, and that the shipped ones can be made again."""

import gzip
import math
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from attention_core.formats.wire import U1_MASKED, pack, unpack
from attention_core.grow.__main__ import SHIPPED, check, command_of
from attention_core.grow.own_models import growth, probe_row
from attention_core.grow.record import Run, RunFileError, SavedStep, load_run, lower, recorded, save_run, square
from attention_core.grow.run import grow, head_of, new_model, replay
from attention_core.grow.tasks import TASKS, RunSettings
from attention_core.training.storyteller import Recipe, layer_weights
from tests.support.plain_numbers import decode_u1

ASSETS = Path(__file__).resolve().parents[3] / "assets"
RUNS = ASSETS / "runs"
NAMES = [settings.name for settings in SHIPPED]


def made_up(losses: list[float], previous: list[float], induction: list[float]) -> Run:
    """A run of two layers and four heads whose layer 0, head 2 and layer 1, head 3 do all that is done."""
    saved = []
    for at, (loss, before, again) in enumerate(zip(losses, previous, induction, strict=True)):
        scores = np.zeros((2, 2, 4), dtype=np.float32)
        scores[0, 0, 2], scores[1, 1, 3] = before, again
        maps = np.where(np.tri(32, dtype=bool), 7 * at, U1_MASKED).astype(np.uint8)
        saved.append(SavedStep(10 * at, at / 4, loss, 0.5, scores, np.broadcast_to(maps, (2, 4, 32, 32)).copy()))
    return Run(head_of(RunSettings()), tuple(saved))


def test_the_moment_of_formation_is_where_a_score_passes_half_for_good():
    """It was above half for a moment at step 10: what counts is step 30, after which it stays there."""
    run = made_up([3.0] * 5, [0.1, 0.6, 0.4, 0.7, 0.9], [0.0, 0.1, 0.2, 0.3, 0.8])
    found = [(one.score, one.layer, one.head, one.saved, one.step) for one in run.formed()]
    assert found == [("previous", 0, 2, 3, 30), ("induction", 1, 3, 4, 40)]
    assert run.formed()[0].value == pytest.approx(0.9)


def test_what_has_not_formed_is_not_said_to_have():
    run = made_up([3.0] * 5, [0.1, 0.6, 0.6, 0.6, 0.5], [0.4] * 5)
    assert run.formed() == () and run.cliff is None
    assert made_up([], [], []).formed() == () and made_up([], [], []).cliff is None


def test_the_cliff_is_where_the_loss_falls_most_within_three_saved_steps():
    """Falls over three saved steps: 0.1, 1.1, 2.1, 2.6, 1.6, 0.6: the largest begins at the fourth."""
    run = made_up([3.4, 3.4, 3.3, 3.3, 2.3, 1.2, 0.7, 0.7, 0.6], [0.0] * 9, [0.0] * 9)
    cliff = run.cliff
    assert cliff is not None and (cliff.first, cliff.last) == (3, 6)
    assert (cliff.before, cliff.after) == pytest.approx((3.3, 0.7))


def test_a_loss_that_did_not_halve_has_no_cliff():
    assert made_up([3.0, 2.5, 2.0, 1.6, 1.6, 1.6], [0.0] * 6, [0.0] * 6).cliff is None


def test_losses_that_were_not_measured_are_left_out():
    run = made_up([math.nan, 3.0, 3.0, 2.9, 1.0, 0.5], [0.0] * 6, [0.0] * 6)
    assert run.cliff is not None and (run.cliff.first, run.cliff.last) == (2, 5)


def test_the_lower_triangle_is_stored_row_by_row():
    cells = np.arange(6, dtype=np.uint8)
    maps = square(cells)
    assert maps.tolist() == [[0, 255, 255], [1, 2, 255], [3, 4, 5]]
    assert np.array_equal(lower(maps), cells)
    with pytest.raises(ValueError, match="there are 7"):
        square(np.zeros((2, 7), dtype=np.uint8))


def test_a_file_gives_back_the_run(tmp_path):
    run = made_up([3.0, 2.0, math.nan, 0.5, 0.4], [0.1, 0.2, 0.3, 0.9, 0.9], [0.1, 0.2, 0.3, 0.4, 0.9])
    weights = {n: t.half().numpy() for n, t in new_model(RunSettings()).state_dict().items()}
    save_run(replace(run, weights={4: weights}), tmp_path / "a.run.gz")
    assert recorded(tmp_path) == ("a",)
    again = load_run(tmp_path / "a.run.gz")
    assert again.head == run.head and again.formed() == run.formed() and again.cliff == run.cliff
    assert np.array_equal(again.maps, run.maps) and np.array_equal(again.losses, run.losses, equal_nan=True)
    assert list(again.weights) == [4]
    assert all(np.array_equal(again.weights[4][name], tensor) for name, tensor in weights.items())


def test_a_pack_from_a_saved_step_on_holds_the_rest_and_what_is_known_of_the_whole():
    run = made_up([3.0, 2.0, 1.0, 0.5, 0.4], [0.1, 0.2, 0.3, 0.9, 0.9], [0.1, 0.2, 0.3, 0.4, 0.9])
    meta, arrays = unpack(run.to_pack(first=3))
    assert arrays["steps"].tolist() == [30, 40] and arrays["maps"].shape == (2, 2, 4, 32 * 33 // 2)
    assert arrays["scores"].shape == (2, 2, 2, 4)
    assert [one["score"] for one in meta["formed"]] == ["previous", "induction"] and meta["cliff"]["first"] == 0
    nothing, empty = unpack(run.to_pack(first=5))
    assert empty["steps"].size == 0 and empty["maps"].shape[0] == 0 and nothing["formed"] == meta["formed"]


def test_a_saved_step_travels_as_a_record():
    step = made_up([3.0], [0.5], [0.25]).saved[0]
    again = SavedStep.from_bytes(step.to_bytes())
    assert (again.step, again.seconds, again.loss) == (step.step, step.seconds, step.loss)
    assert np.array_equal(again.maps, step.maps) and np.array_equal(again.scores, step.scores)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no gzip",
        gzip.compress(b"no pack", mtime=0),
        gzip.compress(pack({"format": "x"}), mtime=0),
        gzip.compress(pack({"format": "sightline-run", "version": 2}), mtime=0),
        gzip.compress(pack({"format": "sightline-run", "version": 1, "head": {}}), mtime=0),
        gzip.compress(b"x" * 1000, mtime=0)[:30],
    ],
)
def test_a_file_that_holds_no_run_is_refused_with_a_sentence(tmp_path, data: bytes):
    (tmp_path / "a.run.gz").write_bytes(data)
    with pytest.raises(RunFileError, match=r"^a\.run\.gz "):
        load_run(tmp_path / "a.run.gz")


def test_a_file_with_arrays_that_do_not_fit_is_refused(tmp_path):
    run = made_up([3.0, 2.0], [0.1, 0.2], [0.1, 0.2])
    meta, arrays = unpack(run.to_pack())
    arrays = dict(arrays, maps=arrays["maps"][:, :1])
    (tmp_path / "a.run.gz").write_bytes(gzip.compress(pack(meta, **arrays)))
    with pytest.raises(RunFileError, match=r"maps must have the shape"):
        load_run(tmp_path / "a.run.gz")


BAD_HEADS = [
    {"title": 3},
    {"tokens": "abc"},
    {"n_layers": True},
    {"n_steps": "900"},
    {"chance": None},
    {"facts": "a machine"},
    {"targets": [[[0, 1, 2]], []]},
    {"scores": ["previous", "unheard of"]},
    {"settings": {"colour": "red"}},
    {"settings": {"seed": -1}},
    {"colour": "red"},
]

OPEN_ALL = """
import sys
from attention_core.grow.record import RunFileError, load_run
for file in sys.argv[1:]:
    try:
        load_run(file)
        print("opened")
    except RunFileError as error:
        print(error)
"""


def test_a_file_whose_head_has_another_type_somewhere_is_refused(tmp_path):
    """In a process of its own: here the tests' check of all types would refuse them too."""
    meta, arrays = unpack(made_up([3.0, 2.0], [0.1, 0.2], [0.1, 0.2]).to_pack())
    for i, changes in enumerate([*BAD_HEADS, {}]):
        head = meta["head"] | changes
        (tmp_path / f"{i:02}.run.gz").write_bytes(gzip.compress(pack({**meta, "head": head}, **arrays)))
    command = [sys.executable, "-c", OPEN_ALL, *map(str, sorted(tmp_path.iterdir()))]
    said = subprocess.run(command, cwd=ASSETS.parent, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[-1] == "opened"  # without a change
    for line, changes in zip(said[:-1], BAD_HEADS, strict=True):
        assert "holds no run that this version can open" in line, changes


# --- the runs that are shipped --------------------------------------------------------------------------------------


def test_what_is_shipped_is_what_the_command_makes():
    assert set(recorded(RUNS)) == set(NAMES)
    assert sum(file.stat().st_size for file in RUNS.iterdir()) <= 3_500_000


@pytest.mark.parametrize("settings", SHIPPED, ids=NAMES)
def test_three_steps_of_a_shipped_run_made_again_give_its_maps(settings: RunSettings):
    """One of 253 may be rounded the other way by another processor."""
    run = load_run(RUNS / f"{settings.name}.run.gz")
    assert run.head.settings == settings and len(run.weights) == 3
    assert run.head.facts["command"] == command_of(settings) and run.head.facts["seconds"] and run.head.facts["machine"]
    assert check(run, settings.name) <= 1
    for at in run.weights:
        np.testing.assert_allclose(replay(run, at).scores, run.saved[at].scores, atol=1e-4)
        assert replay(run, at).loss == pytest.approx(run.saved[at].loss, abs=1e-3)


@pytest.mark.parametrize("settings", SHIPPED, ids=NAMES)
def test_a_shipped_run_begins_as_its_seed_makes_it_begin(settings: RunSettings):
    """Trained again up to the first save; another seed's maps are other ones from the start.

    Processors round products in bfloat16 (Muon's) differently, so a few of 253 are allowed; which way training goes
    after hundreds of steps may differ.
    """
    run = load_run(RUNS / f"{settings.name}.run.gz")
    again = tuple(islice(grow(settings), 2))
    other = next(grow(replace(settings, seed=settings.seed + 1)))
    for found, stored in zip(again, run.saved, strict=False):
        assert found.step == stored.step
        assert found.loss == pytest.approx(stored.loss, abs=0.02)
        assert difference(found.maps, stored.maps) <= 3
    assert difference(other.maps, run.saved[0].maps) > 30


def difference(maps: np.ndarray, others: np.ndarray) -> int:
    """The largest between two maps, in 253rds of a weight."""
    return int(np.abs(maps.astype(int) - others.astype(int)).max())


@pytest.mark.parametrize("settings", SHIPPED, ids=NAMES)
def test_sixty_saved_steps_of_all_heads_take_less_than_a_megabyte(settings: RunSettings):
    run = load_run(RUNS / f"{settings.name}.run.gz")
    assert len(run.saved) == 61 and run.steps[0] == 0 and run.steps[-1] == settings.n_steps
    assert len(run.to_pack()) <= 1_000_000
    weights, masked = decode_u1(run.maps)
    n = len(run.head.tokens)
    assert masked.sum() == 61 * 2 * settings.n_heads * n * (n - 1) // 2
    sums = np.where(masked, 0, weights).sum(axis=-1)
    np.testing.assert_allclose(sums, 1, atol=n * 0.5 / 253)  # each cell is off by half a code at most


def test_the_repeated_run_shows_a_previous_token_head_an_induction_head_and_the_cliff():
    for seed in (1, 2):
        run = load_run(RUNS / f"{RunSettings(seed=seed).name}.run.gz")
        assert run.scores["previous"][-1].max() >= 0.9 and run.best("previous")[0] == 0
        assert run.scores["induction"][-1].max() >= 0.75 and run.best("induction")[0] == 1
        assert run.losses[-1] < 0.1 < run.head.chance < run.losses[0]
        cliff = run.cliff
        assert cliff is not None and run.saved[cliff.last].seconds < 90 and cliff.before - cliff.after > 1
        assert {one.score for one in run.formed()} == {"previous", "induction"}


def test_without_positions_no_head_finds_the_previous_token():
    run = load_run(RUNS / f"{RunSettings(positions='none').name}.run.gz")
    even = dict(zip(run.head.scores, run.head.even, strict=True))
    assert run.scores["previous"].max() < even["previous"] + 0.1 and run.formed() == ()
    assert run.losses[-1] > 0.5


@pytest.mark.parametrize("task", TASKS)
def test_each_task_is_learned_and_a_head_gets_its_job(task: str):
    run = load_run(RUNS / f"{RunSettings(task).name}.run.gz")
    assert run.right[-1] >= 0.95 and run.losses[-1] < 0.1
    assert TASKS[task].scores[0] in {one.score for one in run.formed()}


# --- the Storyteller's growth ---------------------------------------------------------------------------------------


def test_the_storytellers_growth_ends_in_the_model_that_is_shipped():
    """Its training saved the maps with the model as it was then: in bfloat16 or not, on its own processor."""
    from transformers import LlamaForCausalLM

    run = growth("storyteller", ASSETS / "models" / "storyteller")
    model = LlamaForCausalLM.from_pretrained(ASSETS / "models" / "storyteller", dtype=torch.float32).eval()
    weights = layer_weights(model, probe_row(Recipe()).tokens)[:, 0].numpy()
    stored, masked = decode_u1(run.saved[-1].maps)
    difference = np.abs(np.where(masked, 0, stored) - weights)
    assert difference.max() < 0.01  # two roundings, to 255ths and to 253rds


def test_the_storytellers_heads_form_in_order_and_its_loss_falls():
    run = growth("storyteller", ASSETS / "models" / "storyteller")
    assert len(run.saved) == 39 and run.maps.shape == (39, 4, 5, 32, 32)
    assert [(one.score, one.layer, one.head) for one in run.formed()] == [("previous", 1, 3), ("induction", 2, 1)]
    cliff = run.cliff
    assert cliff is not None and run.steps[cliff.first] < 1000 < run.steps[cliff.last] + 1
    assert len(run.to_pack()) <= 1_000_000 and run.head.tokens[:16] == run.head.tokens[16:]
