"""Inputs: texts that somebody may paste, links somebody may make, and good files with something changed in them."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

from pages.shared.address.view import PARAMETERS

NASTY = [
    "",
    " \n\t",
    "<script>alert(1)</script>",
    "$x^2$ **b** :smile: `c` [a](javascript:alert(1))",
    "a\x00b\x07\x1b[31m",
    "\ud800 alone \udfff",
    "שלום \u202eevil\u202c",
    "👩‍👩‍👧 e\u0301\u0301\u0301",
    "[MASK] [CLS] [SEP] </s> <|endoftext|> <0xE2>",
    "../../etc/passwd",
    "%00%2e%2e%2f",
    "=HYPERLINK(1)",
    "a" * 3_000,
    "'; DROP TABLE heads; --",
    "{{7*7}} ${7*7} {0.__class__}",
    "𝕬" * 500,
]
characters = st.characters()  # surrogates and controls too
texts = st.one_of(
    st.sampled_from(NASTY),
    st.text(characters, max_size=200),
    st.builds(lambda word, n: word * n, st.text(characters, min_size=1, max_size=9), st.integers(1, 2_000)),
    st.lists(st.sampled_from(NASTY), min_size=2, max_size=4).map("".join),
)
numbers = st.one_of(
    st.integers(-3, 20),
    st.sampled_from([2**31, -(2**31), 2**53, 2**63, 10**30, -(10**30), 10**400]),
    st.floats(allow_nan=True, allow_infinity=True),
)
leaves = st.one_of(numbers, st.booleans(), st.none(), st.sampled_from(NASTY), st.text(characters, max_size=20))
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
parameters = st.dictionaries(
    st.sampled_from(["v", *PARAMETERS.values(), "embed", "x1"]),
    st.one_of(texts, st.integers(-5, 10**12).map(str), st.sampled_from(["0", "1", "mean", "max", "nan", "1e999"])),
    max_size=8,
)


@st.composite
def changed_json(draw: st.DrawFn, good: Any) -> Any:
    """A copy of `good` with one to three places changed, removed or doubled."""
    changed = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        place = changed
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            key = draw(st.sampled_from(keys))
            inner = place[key]
            if isinstance(inner, dict | list) and inner and draw(st.integers(0, 4)):
                place = inner
                continue
            act = draw(st.integers(0, 5))
            if act == 0:
                del place[key]
            elif act == 1 and isinstance(place, list):
                place.append(copy.deepcopy(inner))
            elif act == 2 and type(inner) in (int, float):
                place[key] = draw(numbers)
            else:
                place[key] = draw(values)
            break
    return changed


@st.composite
def changed_bytes(draw: st.DrawFn, good: bytes) -> bytes:
    """A copy of `good` with a few bytes changed, most often near the beginning, or cut, or with something behind it."""
    act = draw(st.integers(0, 5))
    if act == 0:
        return good[: draw(st.integers(0, len(good)))]
    if act == 1:
        return good + draw(st.binary(min_size=1, max_size=50))
    changed = bytearray(good)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, min(len(good) - 1, 3_000)))
        junk = draw(st.binary(min_size=1, max_size=8))
        changed[place : place + len(junk)] = junk
    return bytes(changed)


def dumped(value: Any) -> bytes:
    """JSON as a stranger writes it: NaN, lone surrogates and all."""
    return json.dumps(value).encode("utf-8", "surrogatepass")
