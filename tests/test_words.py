"""One thing has one name on the screen: the glossary's. What it must not be called stands beside it, as `not`."""

import ast
import json
import re
from pathlib import Path

import pytest

from attention_core import capture
from attention_core.heads.catalogue import METRICS
from attention_core.record.groups import layer_name
from tests.support import tiny

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = json.loads((ROOT / "assets/lessons/glossary.json").read_text(encoding="utf-8"))
STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`')
COMMENT = re.compile(r"/\*.*?\*/|^\s*//.*?$|\s//\s.*?$", re.DOTALL | re.MULTILINE)
# Where the one name is explained by the other, by the sentence that does it.
EXPLAINED = ("<li><b>Spread</b> is the entropy of a row in bits", "entropy:2.5")  # the second is a part of an address


def shown_in_javascript(source: str) -> list[str]:
    """Strings of a module that people may read: those of several words, and those that begin like a heading."""
    plain = COMMENT.sub("", source)
    found = [re.sub(r"\$\{[^{}]*(?:\}|$)", "…", one[1:-1]) for one in STRING.findall(plain)]
    return [one for one in found if " " in one.strip() or one[:1].isupper()]


def shown_in_python(source: str) -> list[str]:
    """The same of a page's module, without docstrings."""
    tree = ast.parse(source)
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents
    ]
    return [one for one in found if " " in one.strip() or one[:1].isupper()]


def wrong_names(strings: list[str]) -> list[str]:
    """ "wrong name: the string it stands in" for each name that the glossary rules out."""
    return [
        f"{wrong}: {one.strip()[:80]}"
        for one in strings
        if not any(sentence in one for sentence in EXPLAINED)
        for entry in GLOSSARY
        for wrong in entry.get("not", ())
        if re.search(rf"\b{wrong}\b", one, re.IGNORECASE)
    ]


VIEWS = sorted((ROOT / "assets/js").rglob("*.js"))
PAGES = sorted([*(ROOT / "pages").rglob("*.py"), ROOT / "app.py"])


@pytest.mark.parametrize("path", [*VIEWS, *PAGES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_on_the_screen_is_called_by_another_name(path: Path):
    source = path.read_text(encoding="utf-8")
    shown = shown_in_javascript(source) if path.suffix == ".js" else shown_in_python(source)
    assert wrong_names(shown) == []


def test_another_name_is_found():
    script = 'const a = "entropy"; /* "The entropy" */\nsay(x, `Entropy of ${name("a")} bits`); // "an entropy here"'
    assert wrong_names(shown_in_javascript(script)) == ["entropy: Entropy of … bits"]
    page = '"""The entropy of it."""\nname = "entropy"\nst.text("mean entropy of a row")'
    assert wrong_names(shown_in_python(page)) == ["entropy: mean entropy of a row"]


def test_metrics_that_the_glossary_knows_have_its_name():
    words = {entry["word"] for entry in GLOSSARY}
    assert {"spread", "reach"} <= words
    assert {metric.id: metric.name for metric in METRICS if metric.id in ("entropy", "reach")} == {
        "entropy": "Spread",
        "reach": "Reach",
    }
    assert wrong_names([metric.name for metric in METRICS]) == []


def test_a_word_has_one_entry_and_no_entry_rules_out_the_word_of_another():
    words = [word.lower() for entry in GLOSSARY for word in (entry["word"], *entry["also"])]
    assert len(set(words)) == len(words)
    assert not set(words) & {wrong for entry in GLOSSARY for wrong in entry.get("not", ())}


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("bert", ["layer 0", "layer 1"]),
        ("gpt2", ["layer 0", "layer 1"]),
        ("bart", ["encoder, layer 0", "decoder, layer 0", "cross-attention, layer 0"]),
    ],
)
def test_a_layer_has_one_name(name: str, names: list[str]):
    trace = capture(tiny.family(name), tiny.SENTENCE, target="the dog" if name == "bart" else None)
    found = [layer_name(trace, index) for index in range(len(trace.layers))]
    assert set(names) <= set(found)
    assert len(set(found)) == len(found)
    assert wrong_names(found) == []
