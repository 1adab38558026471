"""The charts: numbers in, a figure out, labels as data."""

from pages.shared.parts.figures import HeadNumbers, spread_against_reach

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
