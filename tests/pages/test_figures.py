"""Figures: what numbers go in, and which curves, points and axes come out."""

import math

import numpy as np
import pytest

from attention_core.formats import wire
from attention_core.grow.record import Run, RunHead, SavedStep
from attention_core.grow.tasks import RunSettings
from pages.shared.parts.figures import (
    HeadNumbers,
    Quantity,
    figure_pack,
    loss_curves,
    score_curves,
    spread_against_reach,
    two_metrics,
)

HEADS = [
    HeadNumbers(0, 0, "layer 0 · head 0", 1.5, 2.5, 0.9),
    HeadNumbers(0, 1, "<b>layer</b> 0 · head 1", 0.5, 7.25, 0.8),
    HeadNumbers(1, 0, "layer 1 · head 0", None, None, None),
]


def test_each_head_with_numbers_is_a_point_that_knows_its_head():
    (points,) = spread_against_reach(HEADS, None).data
    assert list(points.x) == [1.5, 0.5]
    assert list(points.y) == [2.5, 7.25]
    assert [list(place) for place in points.customdata] == [[0, 0], [0, 1]]


def test_the_chosen_head_is_marked_by_size_and_not_by_colour_alone():
    (points,) = spread_against_reach(HEADS, (0, 1)).data
    assert points.marker.size[1] > points.marker.size[0]


def test_labels_are_data_and_never_markup():
    (points,) = spread_against_reach(HEADS, None).data
    assert points.hovertext[1].startswith("&lt;b&gt;layer")


# --- two metrics


def quantity(values, low=0.0, high: float | None = None, unit="bits") -> Quantity:
    return Quantity("Entropy", unit, low, high, np.array(values, dtype=np.float32))


def test_every_head_is_a_point_in_the_order_of_the_model_and_none_carries_a_label_yet():
    figure = two_metrics(quantity([0.5, math.nan, 3.0]), quantity([1.0, 2.0, 0.25]))
    heads, labelled = figure.data
    assert (heads.name, labelled.name) == ("no label", "labelled")
    np.testing.assert_array_equal(heads.x, np.float32([0.5, math.nan, 3.0]))
    np.testing.assert_array_equal(heads.y, np.float32([1.0, 2.0, 0.25]))
    assert len(labelled.x) == len(labelled.y) == len(labelled.text) == 0
    assert heads.marker.symbol != labelled.marker.symbol  # a label is not said by colour alone


@pytest.mark.parametrize(
    ("values", "low", "high", "ends"),
    [
        ([0.5, 3.25], 0, None, (0, 3.25)),  # no fixed top: up to the largest here
        ([0.5, 3.25], 0, 4, (0, 4)),
        ([math.nan, math.nan], 0, None, (0, 1)),
        ([-1.0, 0.0], 0, None, (0, 1)),  # nothing is above the low end
        ([-0.5, 0.5], -1, 1, (-1, 1)),
    ],
)
def test_an_axis_is_as_long_as_its_metric_says(values, low, high, ends):
    figure = two_metrics(quantity(values, low, high), quantity(values, low, high))
    assert figure.layout.xaxis.range == figure.layout.yaxis.range == ends


def test_an_axis_says_what_it_shows_and_in_which_unit():
    layout = two_metrics(quantity([1]), quantity([1], unit="")).layout
    assert layout.xaxis.title.text == "Entropy, bits →"
    assert layout.yaxis.title.text == "Entropy ↑"
    named = Quantity("<b>x</b>", "a & b", 0, 1, np.float32([1]))
    assert two_metrics(named, named).layout.xaxis.title.text == "&lt;b&gt;x&lt;/b&gt;, a &amp; b →"


# --- curves


def run(losses, scores, *, layers=1, heads=2, names=("previous",), seed=3) -> Run:
    """Saved every 10 steps of 40: `scores[save][score][head]`."""
    head = RunHead(
        settings=RunSettings("repeated", seed=seed, n_heads=1),
        title="toy",
        tokens=("a", "b"),
        scored=(False, True),
        n_layers=layers,
        n_heads=heads,
        n_steps=40,
        chance=math.log(3),
        scores=names,
        even=(0.5,) * len(names),
        targets=(((1, 0),),) * len(names),
        n_parameters=7,
    )
    maps = np.zeros((layers, heads, 2, 2), np.uint8)
    shape = len(names), layers, heads
    saved = [
        SavedStep(10 * at, 0.0, float(loss), 0.5, np.array(now, np.float32).reshape(shape), maps)
        for at, (loss, now) in enumerate(zip(losses, scores, strict=True))
    ]
    return Run(head, tuple(saved))


def test_the_loss_is_a_curve_over_the_whole_run_with_a_gap_where_there_is_no_number():
    """Chance is ln 3 = 1.10, the largest loss 2: the axis ends 8 % above it."""
    figure = loss_curves([run([math.nan, 2.0, 1.5], [[[0, 0]]] * 3)])
    (loss,) = figure.data
    assert list(loss.x) == [0, 10, 20]
    np.testing.assert_array_equal(loss.y, np.float32([math.nan, 2.0, 1.5]))
    assert figure.layout.xaxis.range == (0, 40)
    assert figure.layout.yaxis.range == pytest.approx((0, 2.16))
    (chance,) = figure.layout.annotations
    assert (chance.text, chance.y) == ("chance 1.10", math.log(3))


def test_chance_is_on_the_axis_even_where_the_run_lost_less():
    assert loss_curves([run([0.5], [[[0, 0]]])]).layout.yaxis.range[1] == pytest.approx(1.08 * math.log(3))


def test_the_head_that_is_best_at_the_end_stands_out_and_the_others_are_one_faint_curve_with_gaps():
    faint, best = score_curves([run([2, 2], [[[0.9, 0.1, 0.2]], [[0.1, 0.3, 0.8]]], heads=3)]).data
    assert best.name == "previous token, layer 0 head 2"
    np.testing.assert_array_equal(best.y, np.float32([0.2, 0.8]))
    assert list(faint.x) == [0, 10, 10, 0, 10, 10]
    np.testing.assert_array_equal(faint.y, np.float32([0.9, 0.1, math.nan, 0.1, 0.3, math.nan]))
    assert faint.opacity < 1 and best.opacity is None


def test_a_run_of_one_head_has_no_others():
    assert len(score_curves([run([2], [[[0.5]]], heads=1)]).data) == 1


def test_each_score_has_a_colour_and_its_moment_has_the_same():
    """Previous token passes half at step 20, induction at step 30; the loss falls by more than half before step 30."""
    scores = [[[0, 0], [0, 0]], [[0, 0], [0, 0]], [[0.9, 0], [0, 0]], [[0.9, 0], [0, 0.9]], [[0.9, 0], [0, 0.9]]]
    figure = score_curves([run([2, 2, 2, 0.1, 0.1], scores, names=("previous", "induction"))])
    colours = [trace.line.color for trace in figure.data]
    assert colours == ["var(--g-one)"] * 2 + ["var(--g-two)"] * 2
    marks = {(shape.x0, shape.line.color) for shape in figure.layout.shapes}
    assert {(20, "var(--g-one)"), (30, "var(--g-two)")} <= marks
    assert len(marks) == 3  # and where the loss falls


def test_a_second_run_is_dashed_and_both_say_which_they_are():
    first, second = run([2.0], [[[0.5, 0.1]]]), run([3.0], [[[0.1, 0.5]]], seed=5)
    one, other = loss_curves([first, second]).data
    assert (one.line.dash, other.line.dash) == ("solid", "7px,4px")
    assert (one.name, other.name) == ("loss (1 head, seed 3)", "loss (1 head, seed 5)")
    drawn = score_curves([first, second]).data
    assert [trace.line.dash for trace in drawn if trace.opacity is None] == ["solid", "7px,4px"]
    assert len(drawn) == 3  # the other heads are those of the first


def test_figures_travel_as_one_pack_with_typed_arrays_and_no_template():
    body = figure_pack(loss=loss_curves([run([2.0, 1.0], [[[0, 0]]] * 2)]))
    meta, arrays = wire.unpack(body)
    assert not arrays
    assert meta["loss"]["data"][0]["y"]["dtype"] == "f4"
    assert len(body) < 4_000
