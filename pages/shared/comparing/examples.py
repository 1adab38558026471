"""Pairs that show something, and what B is for a text that is opened without one."""

import json
from dataclasses import dataclass
from functools import cache

from attention_core.formats.json_data import JsonObject
from pages.shared.address.comparison import ComparedView
from pages.shared.address.view import View
from pages.shared.assets import ASSETS


@dataclass(frozen=True, slots=True)
class Example:
    """Two sides, and what to look for; `view` and `compared` hold what changes of each."""

    title: str
    says: str
    view: JsonObject
    compared: JsonObject


@cache
def examples() -> tuple[Example, ...]:
    """Those of `assets/examples/comparisons.json`, whose figures a test computes."""
    file = ASSETS / "examples" / "comparisons.json"
    return tuple(Example(**one) for one in json.loads(file.read_text(encoding="utf-8")))


def first_of(view: View) -> ComparedView:
    """What B is where nobody has said so: the other text of an example, else the next head of the same text."""
    for example in examples():
        if example.view.get("text") == view.text and example.view["model"] == view.model:
            return ComparedView(**example.compared)
    return ComparedView(layer=None if isinstance(view.layer, int) else 0, head=1 if view.head == 0 else 0)


def told_by(view: View, compared: ComparedView) -> str:
    """What to look for in these two, if they are an example; else ""."""
    for example in examples():
        ours = {name: getattr(view, name) for name in example.view if name in ("model", "text")}
        theirs = {name: getattr(compared, name) for name in example.compared if name in ("model", "text")}
        if ours == {name: example.view[name] for name in ours} and theirs == {
            name: example.compared[name] for name in theirs
        }:
            if not theirs and (compared.text or compared.model):
                continue
            return example.says
    return ""
