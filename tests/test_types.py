"""`Any` in an annotation is a type that nobody gave: what is left of it says why, beside it."""

import ast
import re
from pathlib import Path

import pytest

from tests.test_layers import OURS, module_name


def unexplained(source: str) -> list[int]:
    """The lines of `source` that name `Any` without a comment there or on the line before."""
    lines = source.splitlines()
    found = []
    for node in ast.walk(ast.parse(source)):
        named = (
            isinstance(node, ast.Name) and node.id == "Any" or isinstance(node, ast.Attribute) and node.attr == "Any"
        )
        quoted = isinstance(node, ast.Constant) and re.fullmatch(r"[\w.]+\[.*\bAny\b.*\]", str(node.value))
        if named or quoted:
            here, before = lines[node.lineno - 1], lines[node.lineno - 2] if node.lineno > 1 else ""
            if "  # " not in here and not before.strip().startswith("# "):
                found.append(node.lineno)
    return sorted(set(found))


@pytest.mark.parametrize("path", OURS, ids=module_name)
def test_every_any_says_why_it_is_no_type(path: Path):
    lines = unexplained(path.read_text(encoding="utf-8"))
    assert not lines, f"{path.name}, lines {lines}: give it its type (formats/json_data has names for JSON), or say why"


@pytest.mark.parametrize(
    "source",
    [
        "def f(x: Any): pass",
        "def f() -> dict[str, Any]: pass",
        "found: typing.Any = None",
        'def f(done: "Future[Any]"): pass',
        "class A(B[Any]): pass",
    ],
)
def test_an_any_without_a_reason_is_found(source: str):
    assert unexplained(source) == [1]
    assert unexplained(f"{source}  # whatever `g` takes") == []
    assert unexplained(f"# whatever `g` takes\n{source}") == []


def test_the_word_and_the_import_are_left_alone():
    assert unexplained('"""Any of them."""\nfrom typing import Any\nsay("Any")\n') == []
