"""Marks by hand: right, nearly, wrong, a tie, each usual slip, and where a question makes no sense."""

import math

import pytest

from attention_core.lessons import marks

WORDS = ("[CLS]", "the", "animal", "was", "tired")
ROW = (0.05, 0.1, 0.6, 0.15, 0.1)


@pytest.mark.parametrize(
    ("chosen", "verdict", "says"),
    [
        (2, "right", "“animal” gets the most: 0.60."),
        (3, "nearly", "Second largest: 0.15. Most goes to “animal”, 0.60."),
        (1, "nearly", "Third largest: 0.10. Most goes to “animal”, 0.60."),
        (4, "nearly", "Third largest: 0.10. Most goes to “animal”, 0.60."),  # as large as the third
        (0, "no", "5th largest: 0.05. Most goes to “animal”, 0.60."),
    ],
)
def test_a_word_is_pointed_at(chosen, verdict, says):
    mark = marks.point(ROW, WORDS, chosen)
    assert (mark.verdict, mark.says) == (verdict, says)


def test_words_within_a_hundredth_of_the_largest_are_all_right():
    row = (0.0, 0.395, 0.4, 0.2, 0.005)
    assert marks.point(row, WORDS, 1).verdict == marks.point(row, WORDS, 2).verdict == "right"
    assert marks.point(row, WORDS, 1).says == "“the” gets the most: 0.40. So does “animal” with 0.40: within 0.01."
    assert marks.point(row, WORDS, 3).verdict == "nearly"


def test_a_word_close_to_the_largest_is_nearly_right_whatever_its_rank():
    row = (0.16, 0.17, 0.18, 0.22, 0.17, 0.10)
    assert marks.point(row, (*WORDS, "."), 0).verdict == "no"  # fifth, and 0.06 below
    assert marks.point((0.18, *row[1:]), (*WORDS, "."), 0).verdict == "nearly"
    assert (
        marks.point((0.174, 0.175, 0.18, 0.22, 0.176, 0.075), (*WORDS, "."), 0).verdict == "nearly"
    )  # 5th, 0.046 below


def test_only_what_can_be_pointed_at_counts():
    row = (0.7, 0.05, 0.1, 0.1, 0.05)
    assert marks.point(row, WORDS, 2, among=[1, 2, 3, 4]).verdict == "right"
    with pytest.raises(ValueError, match="place 0 cannot be pointed at"):
        marks.point(row, WORDS, 0, among=[1, 2, 3, 4])
    assert marks.why_not_point(row) == ""
    assert marks.why_not_point(row, [1, 2]) == "There are fewer than 3 words to point at."
    assert "there is no word that gets the most" in marks.why_not_point((0.2, 0.2, 0.2, 0.205, 0.195))


def test_a_row_is_drawn():
    assert marks.sketch(ROW, WORDS, ROW).verdict == "right"
    right = marks.sketch(ROW, WORDS, (0.05, 0.1, 0.41, 0.3, 0.14))
    assert (right.verdict, right.says) == (
        "right",
        "19% of the attention lies elsewhere. Furthest off: “animal”, drawn 0.41, 0.60 in truth.",
    )
    assert marks.sketch(ROW, WORDS, (0.05, 0.3, 0.39, 0.16, 0.1)).verdict == "nearly"
    assert marks.sketch(ROW, WORDS, (0.05, 0.5, 0.2, 0.15, 0.1)).verdict == "nearly"
    assert marks.sketch(ROW, WORDS, (0.05, 0.51, 0.19, 0.15, 0.1)).verdict == "no"
    for drawn, why in (
        ((0.5, 0.5), "2 bars were drawn for 5 words"),
        ((0.5, 0.5, 0.5, 0, 0), "1 in all"),
        ((-1, 2, 0, 0, 0), "0 or more"),
    ):
        with pytest.raises(ValueError, match=why):
            marks.sketch(ROW, WORDS, drawn)


ROOT = marks.Slip("forgot-root", 16.0, "That is q·k before it is divided by √d.")


@pytest.mark.parametrize(
    ("typed", "verdict", "slip"),
    [
        (2.83, "right", ""),
        (2.88, "right", ""),  # 2 %
        (2.89, "nearly", ""),
        (3.1, "nearly", ""),
        (3.2, "no", ""),
        (-2.83, "no", ""),
        (16.0, "nearly", "forgot-root"),
        (16.3, "nearly", "forgot-root"),
        (17.0, "no", ""),
    ],
)
def test_a_number_is_typed(typed, verdict, slip):
    mark = marks.number(2.828, typed, 2, [ROOT])
    assert (mark.verdict, mark.slip) == (verdict, slip)
    assert mark.says.endswith("It is 2.83.")
    assert not slip or mark.says.startswith(ROOT.says)


def test_half_of_the_last_decimal_that_was_asked_for_is_right():
    assert marks.number(0.012, 0.01, 2).verdict == "right"
    assert marks.number(0.012, 0.02, 2).verdict == "no"
    assert marks.number(0.0, 0.0, 2).verdict == "right"
    with pytest.raises(ValueError, match="type a number"):
        marks.number(1.0, math.nan, 2)


def test_a_slip_that_gives_the_right_number_is_none():
    same = marks.Slip("forgot-root", 2.83, "no")
    assert marks.number(2.828, 2.83, 2, [same]).verdict == "right"
    assert marks.number(2.828, 2.9, 2, [same]).slip == ""


def test_things_are_laid_in_order():
    values = {"a": 1.0, "b": 2.0, "c": 3.0}
    assert marks.order(values, ["a", "b", "c"]).verdict == "right"
    swapped = marks.order(values, ["b", "a", "c"])
    assert (swapped.verdict, swapped.says) == (
        "nearly",
        "One pair stands the wrong way round, “b” and “a” first. It is a 1.00, b 2.00, c 3.00.",
    )
    assert marks.order(values, ["b", "c", "a"]).verdict == "no"
    assert marks.order({"a": 1.0, "b": 1.0}, ["b", "a"]).verdict == "right"  # a tie
    with pytest.raises(ValueError, match="each of a, b, c has one place"):
        marks.order(values, ["a", "a", "c"])
    assert marks.why_not_order(values, 0.5) == ""
    assert marks.why_not_order(values, 1.0) == "“a” and “b” are within 1 of each other: their order says nothing."


def test_one_of_two_has_more():
    values = {"row": 1.0, "column": 3.2}
    assert marks.which(values, "column") == marks.Mark("right", "“row”: 1.00; “column”: 3.20.")
    assert marks.which(values, "row").verdict == "no"
    with pytest.raises(ValueError, match="choose “row” or “column”"):
        marks.which(values, "cell")
    assert marks.why_not_which(values, 0.1) == ""
    assert marks.why_not_which(values, 2.2) != ""


def test_a_head_is_looked_for():
    scores = {f"{layer}.{head}": value for layer, head, value in [(0, i, 0.1 * i) for i in range(10)]}
    assert marks.find_head(scores, 0.75, 0.3, "0.8") == marks.Mark("right", "Head 0.8: 0.80. 2 of 10 heads reach 0.75.")
    near = marks.find_head(scores, 0.75, 0.3, "0.5")
    assert (near.verdict, near.says) == (
        "nearly",
        "Head 0.5: 0.50. 2 of 10 heads reach 0.75; the highest is 0.9 with 0.90.",
    )
    assert marks.find_head(scores, 0.75, 0.3, "0.4").verdict == "no"
    assert marks.find_head(scores, 0.1, 0.85, "0.8").verdict == "nearly"  # over the bound, not over chance
    with pytest.raises(ValueError, match=r"there is no head 3\.3"):
        marks.find_head(scores, 0.75, 0.3, "3.3")
    assert marks.why_not_find(scores, 0.75, 0.3) == ""
    assert marks.why_not_find(scores, 0.95, 0.3) == "No head reaches 0.95 on this text."
    assert "nothing to find" in marks.why_not_find(scores, 0.0, -1.0)


def test_what_changes_most():
    before, after = {"fish": 0.7, "cat": 0.1, "dog": 0.1}, {"fish": 0.2, "cat": 0.5, "dog": 0.1}
    assert marks.changes(before, after, "fish", "down").verdict == "right"
    assert marks.changes(before, after, "cat", "up").verdict == "nearly"
    assert marks.changes(before, after, "fish", "up").verdict == "no"
    assert marks.changes(before, after, "dog", "up").verdict == "no"  # it does not move at all
    assert marks.changes(before, after, "dog", "down").verdict == "no"
    assert marks.changes(before, after, "cat", "up").says == "“fish” moves most, from 0.70 to 0.20."
    assert marks.why_not_changes(before, after, 0.05) == ""
    assert marks.why_not_changes(before, before, 0.05) == "Nothing moves by more than 0.05 on this text."
    with pytest.raises(ValueError, match="choose one of"):
        marks.changes(before, after, "bird", "up")


def test_something_is_made_so():
    assert marks.make_so(0.62, 0.6, "“it” on “animal”").verdict == "right"
    far = marks.make_so(0.5, 0.6, "“it” on “animal”")
    assert (far.verdict, far.says) == ("no", "“it” on “animal”: 0.50; at least 0.6 was asked for.")
    assert marks.make_so(0.5, 0.6, "", at_least=False).verdict == "right"
