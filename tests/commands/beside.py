"""`python -m tests.commands.beside NAME=SOURCE[,TESTS] …`: sizes, docstrings, errors and tests of Python projects.

    python -m tests.commands.beside ours=attention_core,pages,app.py:tests equinox=../equinox/equinox:../equinox/tests

Every file is parsed, nothing is imported. It prints a table for docs/architecture.md; with `--errors 20` a sample of
each project's messages instead, always the same one, to be read and judged.
"""

import argparse
import ast
import random
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Project:
    """One project as it is on disk."""

    name: str
    source: tuple[Path, ...]
    tests: tuple[Path, ...]


def files_in(places: Iterable[Path]) -> list[Path]:
    """Python files, in order; empty ones (`__init__.py`) are left out."""
    found = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*.py")))]
    return [file for file in found if file.read_text(encoding="utf-8").strip()]


def functions_of(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All of them, nested ones and methods too."""
    return (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))


def public_functions(node: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions of a module and methods of its classes whose names begin with no underscore; no overloads."""
    for child in node.body:
        if isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
            yield from public_functions(child)
        elif isinstance(child, FUNCTIONS) and not child.name.startswith("_"):
            if not any("overload" in ast.unparse(decorator) for decorator in child.decorator_list):
                yield child


def n_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """From `def` to its end, decorators left out."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def messages(tree: ast.Module) -> Iterator[ast.expr]:
    """The first argument of every exception that is raised with one that is a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            first = node.exc.args[0]
            text = any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in ast.walk(first))
            if text:
                yield first


def has_a_value(message: ast.expr) -> bool:
    """Whether a number, a name or anything else of the case at hand is put into the text."""
    return not isinstance(message, ast.Constant)


def spread(numbers: list[int]) -> str:
    """Median, 90 % and maximum."""
    ordered = sorted(numbers)
    return f"{statistics.median(ordered):.0f} · {ordered[int(0.9 * (len(ordered) - 1))]} · {ordered[-1]}"


def row_of(project: Project) -> list[str]:
    """The figures of one project, in the order of `ROWS`."""
    files, tests = files_in(project.source), files_in(project.tests)
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    lines = [len(file.read_text(encoding="utf-8").splitlines()) for file in files]
    test_lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in tests)
    test_trees = [ast.parse(file.read_text(encoding="utf-8")) for file in tests]
    n_tests = sum(node.name.startswith("test") for tree in test_trees for node in functions_of(tree))
    public = [function for tree in trees for function in public_functions(tree)]
    documented = sum(ast.get_docstring(one) is not None for one in public)
    said = [message for tree in trees for message in messages(tree)]
    return [
        f"{len(files)} · {sum(lines):,}",
        spread(lines),
        spread([n_lines(node) for tree in trees for node in functions_of(tree)]),
        f"{documented} of {len(public)} ({documented / len(public):.0%})",
        f"{sum(ast.get_docstring(tree) is not None for tree in trees)} of {len(trees)}",
        f"{sum(map(has_a_value, said))} of {len(said)}",
        f"{test_lines / sum(lines):.2f} · {1000 * n_tests / sum(lines):.0f}",
    ]


ROWS = (
    "modules · lines",
    "lines of a module: median · 90 % · most",
    "lines of a function: median · 90 % · most",
    "public functions with a docstring",
    "modules with a docstring",
    "errors whose text has a value in it",
    "lines of tests a line · tests a 1,000 lines",
)


def main() -> None:
    """Print the table, or a sample of messages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("projects", nargs="+", metavar="NAME=SOURCE,…:TESTS,…")
    parser.add_argument("--errors", type=int, default=0, metavar="N")
    asked = parser.parse_args()
    projects = []
    for text in asked.projects:
        name, _, places = text.partition("=")
        source, _, tests = places.partition(":")
        projects.append(
            Project(name, tuple(map(Path, source.split(","))), tuple(map(Path, filter(None, tests.split(",")))))
        )
    if asked.errors:
        for project in projects:
            said = [
                ast.unparse(message)
                for file in files_in(project.source)
                for message in messages(ast.parse(file.read_text(encoding="utf-8")))
            ]
            print(f"\n{project.name}: {len(said)} messages")
            for one in random.Random(0).sample(said, min(asked.errors, len(said))):
                print("-", one)
        return
    columns = [row_of(project) for project in projects]
    print("| | " + " | ".join(project.name for project in projects) + " |\n|---|" + "---|" * len(projects))
    for n, name in enumerate(ROWS):
        print(f"| {name} | " + " | ".join(column[n] for column in columns) + " |")


if __name__ == "__main__":
    main()
