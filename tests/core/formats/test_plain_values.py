"""Objects of JSON as frozen dataclasses: all fields, the right types, nothing else."""

from dataclasses import dataclass

import pytest

from attention_core.formats.plain_values import plain_values


@dataclass(frozen=True, slots=True)
class Known:
    name: str
    count: int
    share: float
    span: tuple[int, int]
    special: bool = False
    word: int | None = None


@dataclass(frozen=True, slots=True)
class Holder:
    inner: Known | None


GIVEN = {"name": "a", "count": 3, "share": 0.5, "span": [0, 2], "special": True, "word": 5}


def test_lists_become_tuples_and_what_has_a_default_may_be_absent():
    assert plain_values(GIVEN, Known) == Known("a", 3, 0.5, (0, 2), True, 5)
    short = {name: GIVEN[name] for name in ("name", "count", "span")} | {"share": 1}
    assert plain_values(short, Known) == Known("a", 3, 1.0, (0, 2))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": 3}, r"\$\.name"),
        ({"count": True}, r"\$\.count"),
        ({"count": 3.0}, r"\$\.count"),
        ({"count": "3"}, r"\$\.count"),
        ({"share": None}, r"\$\.share"),
        ({"span": [0, 1, 2]}, r"\$\.span"),
        ({"span": [0, "1"]}, r"\$\.span"),
        ({"special": 1}, r"\$\.special"),
        ({"word": "a"}, r"\$\.word"),
        ({"more": 1}, r"no field \['more'\]"),
    ],
    ids=str,
)
def test_another_type_and_an_unknown_field_are_named(changes, says):
    with pytest.raises(ValueError, match=says):
        plain_values(GIVEN | changes, Known)


def test_an_unknown_field_of_a_dataclass_within_is_named():
    assert plain_values({"inner": GIVEN}, Holder).inner == plain_values(GIVEN, Known)
    assert plain_values({"inner": None}, Holder).inner is None
    with pytest.raises(ValueError, match=r"Known has no field \['more'\]"):
        plain_values({"inner": GIVEN | {"more": 1}}, Holder)


@pytest.mark.parametrize("given", [None, [], "a", 3, {"name": "a"}], ids=str)
def test_what_is_no_object_or_has_too_little_is_refused(given):
    with pytest.raises(ValueError):
        plain_values(given, Known)
