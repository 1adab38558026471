"""The face: what it lists, what it says of itself, and that the documents' examples and names are true."""

import doctest
import inspect
import pydoc
import re
import subprocess
import sys
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import attention_core
from tests.core.reading.test_readout import speaking
from tests.support import tiny

ROOT = Path(__file__).parents[3]
API = (ROOT / "docs/api.md").read_text(encoding="utf-8")
NAMES = (ROOT / "docs/names.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", API, re.M | re.S)


def test_the_face_lists_its_public_names_and_nothing_else():
    assert dir(attention_core) == sorted(attention_core.__all__)
    assert "import_module" not in vars(attention_core)


def test_it_lists_them_in_a_fresh_python_too_and_waits_for_nothing():
    code = "import sys, attention_core as c; print(dir(c) == sorted(c.__all__), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_help_names_every_public_name_in_its_first_screen():
    said = pydoc.plain(pydoc.render_doc(attention_core))
    first = said[: said.index("PACKAGE CONTENTS")]
    missing = [name for name in attention_core.__all__ if not re.search(rf"\b{name}\b", first)]
    assert not missing and len(first.splitlines()) < 45
    assert "SUBMODULES" not in said and "import_module" not in said


def test_every_public_name_is_documented_with_its_errors_or_meaning():
    for name in attention_core.__all__:
        assert len(inspect.getdoc(getattr(attention_core, name)) or "") > 30, name


@pytest.mark.parametrize("name", attention_core.__all__)
def test_every_public_name_has_a_section_with_an_example(name):
    section = re.search(rf"^### `{name}`$(.*?)(?=^##|\Z)", API, re.M | re.S)
    assert section, f"docs/api.md has no section {name}"
    assert re.search(rf"^(>>>|\.\.\.).*\b{name}\b", section[1], re.M) or re.search(rf"^>>>.*\b{name}\b", API, re.M)
    assert ">>>" in section[1]


@pytest.mark.slow
def test_the_examples_of_the_api_give_what_they_say():
    names: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peft: what transformers renamed
        for n, block in enumerate(BLOCKS):
            test = doctest.DocTestParser().get_doctest(block, names, f"docs/api.md, block {n}", None, 0)
            runner.run(test, out=said.append, clear_globs=False)
            names.update(test.globs)
    assert runner.summarize(verbose=False).attempted > 80
    assert not said, "".join(said)


def rows_of(heading: str) -> list[list[str]]:
    table = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", NAMES, re.M | re.S)
    assert table
    lines = [line for line in table[1].splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("name", [row[0].strip("`") for row in rows_of("transformers")])
def test_each_name_of_transformers_is_in_the_installed_library(name):
    parts = name.split(".")
    there = next(n for n in range(len(parts), 0, -1) if find_module(".".join(parts[:n])))
    found, trail = import_module(".".join(parts[:there])), parts[there:]
    for part in trail[:-1]:
        found = getattr(found, part)
    last = trail[-1]
    fields = getattr(found, "__dataclass_fields__", {})
    assert last in fields or hasattr(found, last) or last in inspect.signature(found).parameters


def find_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize(("library", "package"), [("TransformerLens", "transformer_lens"), ("BertViz", "bertviz")])
def test_each_name_of_another_library_says_its_versions_or_is_in_it(library, package):
    rows = rows_of(library)
    assert len(rows) >= 10
    for name, versions, *_ in rows:
        assert re.fullmatch(r"\d+\.\d+(\.\d+)?( to \d+\.(x|\d+))?", versions), name
    spec = find_spec(package)
    if spec is None or spec.origin is None:  # they bring much that Sightline does not need
        return
    source = "\n".join(file.read_text(encoding="utf-8") for file in Path(spec.origin).parent.rglob("*.py"))
    for name, versions, *_ in rows:
        assert " to " in versions or re.search(rf"\b{name.strip('`').split('.')[-1]}\b", source), name


@pytest.fixture(scope="module")
def scene():
    """What the lines of docs/names.md speak of."""
    names = {name: getattr(attention_core, name) for name in attention_core.__all__}
    model = attention_core.load_model("minilm")
    return {
        **names,
        "model": model,
        "trace": attention_core.capture(model, "The animal was tired"),
        "translated": attention_core.capture(tiny.family("bart"), tiny.SENTENCE, target="the dog slept"),
        "writer": speaking("llama"),
        "body": tiny.bare("bert"),
        "tokenizer": tiny.tokenizer(),
        "layer": 1,
        "head": 2,
    }


@pytest.mark.parametrize(
    "line",
    sorted(
        {
            row[1 if heading == "transformers" else 2].strip("`")
            for heading in ("transformers", "TransformerLens", "BertViz")
            for row in rows_of(heading)
        }
    ),
)
def test_each_line_of_ours_runs(scene, line):
    found = eval(line, dict(scene))  # noqa: S307 (our own document)
    assert found is not None
    if isinstance(found, torch.Tensor):
        assert found.numel()
