"""The order of the house: every package has its row, imports point up the rows, and nothing goes round in a circle."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Each row may import those before it, and of its own row its own package alone.
ROWS = (
    *(
        f"attention_core.{package}"
        for package in (
            "inside",
            "formula",
            "text",
            "formats",
            "observe",
            "models",
            "record",
            "capturing",
            "reading",
            "experiment",
            "comparing",
            "pictures",
            "ledger",
            "heads",
            "survey",
            "lab",
            "training",
            "grow",
            "lessons",
        )
    ),
    "attention_core",  # the face: it imports everything, and nothing before it imports it
    "pages.shared.assets",
    *(
        f"pages.shared.{package}"
        for package in (
            "inside",
            "process",
            "address",
            "service",
            "engine",
            "session",
            "lab",
            "grow",
            "learn",
            "comparing",
            "experiment",
            "parts",
            "http",
        )
    ),
    "pages.shared",
    "pages",
    "app",
)
OURS = sorted([*ROOT.glob("attention_core/**/*.py"), *ROOT.glob("pages/**/*.py"), ROOT / "app.py"])
USER_INTERFACE = {"streamlit", "plotly", "starlette", "uvicorn"}
MOST_LINES_A_FILE = 400
MOST_FILES = 20  # of source in one folder: more are not found in a minute
MOST_LINES = 60  # of one function, signature and docstring included: more do not stand on one screen
# Functions that read better in one piece: "module.name" → why.
LONGER = {
    "attention_core.given.trace_from_attention": "a manual of its arguments; its body is one call",
}

# Imports inside functions and under TYPE_CHECKING, by who has them. Nobody else may.
HIDDEN = {
    "attention_core": "a name is imported when it is first used: `import attention_core` does not wait for torch",
    "attention_core.trace": "what lies behind a door is imported when it is opened: pictures need not wait for it",
    "attention_core.models.locating": "the hub's client takes half a second, and a folder on this machine needs none",
    "attention_core.grow.__main__": "a training's bounds are set before torch is there",
    "pages": "the page's frame and the server's first answer appear before torch is there",
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in OURS}


def row_of(module: str) -> str | None:
    """The innermost row that `module` is in; None for the standard library and packages."""
    inside = [row for row in ROWS if module == row or module.startswith(row + ".")]
    return max(inside, key=len, default=None)


def imports_of(source: str, module: str, *, is_package: bool = False) -> list[tuple[str, bool]]:
    """Every module that `source` imports anywhere, and whether inside a function or for types alone."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    found: list[tuple[str, bool]] = []

    def walk(node: ast.AST, hidden: bool) -> None:
        for child in ast.iter_child_nodes(node):
            inside = hidden or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            inside |= isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if isinstance(child, ast.Import):
                found.extend((alias.name, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                above = package[: len(package) - child.level + 1] if child.level else []
                base = ".".join([*above, *filter(None, [child.module])])
                for alias in child.names:
                    full = f"{base}.{alias.name}"
                    found.append((full if full in MODULES or base not in MODULES else base, inside))
            walk(child, inside)

    walk(ast.parse(source), False)
    return found


@cache
def imports_in(path: Path) -> list[tuple[str, bool]]:
    return imports_of(path.read_text(encoding="utf-8"), module_name(path), is_package=path.name == "__init__.py")


def wrong_imports(source: str, module: str, *, is_package: bool = False) -> list[str]:
    here, wrong = row_of(module), []
    assert here is not None, f"{module} is in no row"
    for name in sorted({name for name, _ in imports_of(source, module, is_package=is_package)}):
        there = row_of(name)
        if module.startswith("attention_core") and name.split(".")[0] in USER_INTERFACE:
            wrong.append(f"{module} imports {name}: the core has no user interface")
        elif there and ROWS.index(there) > ROWS.index(here):
            wrong.append(f"{module} imports {name}: {there} comes after {here}")
        elif here == there == "pages" and name not in ("pages", module):
            wrong.append(f"{module} imports the page {name}: what pages share is in pages/shared")
    return wrong


@pytest.mark.parametrize("path", OURS, ids=module_name)
def test_imports_point_one_way(path: Path):
    faults = wrong_imports(path.read_text(encoding="utf-8"), module_name(path), is_package=path.name == "__init__.py")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("attention_core.formula.metrics", "import streamlit as st"),
        ("attention_core.formula.metrics", "def f():\n    from plotly import graph_objects"),
        ("attention_core.formula.metrics", "from pages.shared.session import state"),
        ("attention_core.formula.metrics", "from ...pages import shared"),
        ("attention_core.record.layers", "if TYPE_CHECKING:\n    from attention_core.trace import Trace"),
        ("attention_core.models.facts", "from attention_core import capture"),
        ("attention_core.models.facts", "def f():\n    import attention_core.ledger.steps"),
        ("pages.shared.service.service", "from pages.shared.parts import theme"),
        ("pages.shared.session.state", "import app"),
        ("pages.lab", "from pages import explore"),
    ],
)
def test_an_import_that_points_back_is_found(module: str, source: str):
    assert wrong_imports(source, module)


def circles(arrows: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Modules that reach themselves, together with those on the way (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(one: str) -> None:
        index[one] = low[one] = len(index)
        stack.append(one)
        for other in arrows.get(one, ()):
            if other not in index:
                visit(other)
                low[one] = min(low[one], low[other])
            elif other in stack:
                low[one] = min(low[one], index[other])
        if low[one] == index[one]:
            group = stack[stack.index(one) :]
            del stack[stack.index(one) :]
            if len(group) > 1:
                found.append(sorted(group))

    for one in arrows:
        if one not in index:
            visit(one)
    return found


def test_nothing_imports_itself_in_a_circle():
    """Every import counts, those inside functions and for types alone too."""
    arrows = {
        name: sorted({to for to, _ in imports_in(path)} & set(MODULES) - {name}) for name, path in MODULES.items()
    }
    assert circles(arrows) == []


def test_a_circle_is_found():
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["a"]}) == [["b", "c"]]


@pytest.mark.parametrize("path", OURS, ids=module_name)
def test_an_import_stands_at_the_top_unless_start_up_needs_it_later(path: Path):
    name = module_name(path)
    allowed = name in HIDDEN or any(name.startswith(f"{package}.") for package in HIDDEN if package == "pages")
    hidden = sorted({to for to, hidden in imports_in(path) if hidden and row_of(to)})
    assert allowed or not hidden, f"{name} imports {hidden} inside a function or for types alone"


def private_names_taken(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Names with an underscore that `source` takes from another module of ours, imported or through a module."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    known: dict[str, str] = {}  # what a module of ours is called here
    taken: list[str] = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known.update({alias.asname or alias.name: alias.name for alias in node.names if alias.name in MODULES})
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                if f"{base}.{alias.name}" in MODULES:
                    known[alias.asname or alias.name] = f"{base}.{alias.name}"
                elif base in MODULES and re.match(r"_(?!_)", alias.name):
                    taken.append(f"{base}.{alias.name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match(r"_(?!_)", node.attr) and ast.unparse(node.value) in known:
            taken.append(f"{known[ast.unparse(node.value)]}.{node.attr}")
    return sorted(set(taken))


@pytest.mark.parametrize("path", OURS, ids=module_name)
def test_no_module_takes_a_private_name_of_another(path: Path):
    source = path.read_text(encoding="utf-8")
    taken = private_names_taken(source, module_name(path), is_package=path.name == "__init__.py")
    assert not taken, f"{module_name(path)} takes {taken}: give them public names, or move them to where they are used"


@pytest.mark.parametrize(
    "source",
    [
        "from attention_core.models.placement import _STORED_BYTES",
        "from .placement import _STORED_BYTES",
        "from attention_core.models import placement\nplacement._STORED_BYTES",
        "def f():\n    import attention_core.models.placement as there\n    return there._STORED_BYTES",
        "import attention_core.models.placement\nattention_core.models.placement._STORED_BYTES",
    ],
)
def test_a_private_name_of_another_module_is_found(source: str):
    assert private_names_taken(source, "attention_core.models.loading") == [
        "attention_core.models.placement._STORED_BYTES"
    ]


def test_every_reason_for_a_hidden_import_is_still_needed():
    for name in HIDDEN:
        inside = [
            path for module, path in MODULES.items() if module == name or name == "pages" and module.startswith(name)
        ]
        assert any(hidden and row_of(to) for path in inside for to, hidden in imports_in(path)), name


def long_functions(source: str) -> list[str]:
    """Names of functions and methods in `source` that have more than MOST_LINES lines, decorators left out."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, functions)]
    return sorted(node.name for node in found if (node.end_lineno or 0) - node.lineno >= MOST_LINES)


def test_a_function_stands_on_one_screen():
    long = {f"{name}.{one}" for name, path in MODULES.items() for one in long_functions(path.read_text("utf-8"))}
    assert long == set(LONGER), "split them by what they do, or say in LONGER why one piece reads better"


def test_a_long_function_is_found():
    body = "".join(f"        x = {n}\n" for n in range(MOST_LINES - 1))
    assert long_functions(f"class A:\n    def f(self):\n{body}") == []
    assert long_functions(f"class A:\n    async def f(self):\n{body}        return x\n") == ["f"]


PACKAGES = sorted({path.parent for path in OURS if path.parent != ROOT})


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.relative_to(ROOT).as_posix())
def test_every_package_says_what_lives_there_and_what_may_not(folder: Path):
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert len([line for line in said.splitlines() if line.strip()]) >= 2, f"{folder.name}/__init__.py says {said!r}"


def test_every_package_of_the_core_is_in_a_row():
    folders = {
        f"attention_core.{path.name}"
        for path in (ROOT / "attention_core").iterdir()
        if (path / "__init__.py").is_file()
    }
    assert folders == {row for row in ROWS if row.startswith("attention_core.")}


def test_no_folder_of_source_holds_more_than_twenty_files():
    endings = {".py", ".js", ".mjs", ".css"}
    for top in ("attention_core", "pages", "tests", "assets"):
        for folder in [ROOT / top, *(path for path in (ROOT / top).rglob("*") if path.is_dir())]:
            files = [file.name for file in folder.iterdir() if file.suffix in endings]
            assert len(files) <= MOST_FILES, f"{folder.relative_to(ROOT)} holds {len(files)} files"


SCREENS = [file for top in ("assets/js", "assets/css") for file in sorted((ROOT / top).rglob("*.*"))]
LONG_FILES = {"assets/js/composer/composer.js"}  # one box; what could go is in modules of its own


def test_no_source_file_has_more_than_four_hundred_lines():
    long = {
        file.relative_to(ROOT).as_posix()
        for file in [*OURS, *SCREENS]
        if len(file.read_text(encoding="utf-8").splitlines()) > MOST_LINES_A_FILE
    }
    assert long == LONG_FILES


def test_lines_of_javascript_end_where_pythons_end():
    """The formatter breaks code; strings and comments are broken by whoever writes them."""
    scripts = [file for file in [*SCREENS, *sorted((ROOT / "tests/js").rglob("*.mjs"))] if file.suffix != ".css"]
    long = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in scripts
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 120
    ]
    assert not long


def run_python(code: str) -> str:
    """Run `code` in a new interpreter, where nothing has been imported yet."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LIGHT = (
    "attention_core",
    "attention_core.formats.wire",
    "attention_core.formats.palette",
    "attention_core.text.tokens",
    "attention_core.models",
    "attention_core.grow.record",
    "pages.shared.address.view",
)


@pytest.mark.parametrize("module", LIGHT)
def test_modules_of_the_first_screen_do_not_load_torch(module: str):
    """The page frame appears before torch is there: importing torch takes seconds."""
    heavy = "{'torch', 'transformers', 'sklearn', 'pandas', 'plotly'}"
    assert run_python(f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))") == ""


def test_a_readers_process_has_no_pages():
    heavy = "{'streamlit', 'starlette', 'plotly', 'torch'}"
    assert run_python(f"import sys, pages.shared.engine.reader; print(*sorted({heavy} & set(sys.modules)))") == ""


# Runs each argument in a process of its own, in which nothing of ours was imported yet, and prints a line about each.
APART = """
import os, sys, torch
from transformers import AutoModel, PreTrainedModel
for code in sys.argv[1:]:
    if not (pid := os.fork()):
        try:
            exec(code)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            os._exit(1)
        print(flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""
NAMES = (
    "flow import rollout, flow",
    "contribution import head_writes, contribution_shares",
    "models import load_model, wrap_model, LoadedModel, ModelError",
    "pictures import groups, rows_and_columns, weights_of",
    "reading import Reading",
    "metrics import strongest, entropy",
)
PUBLIC = "import attention_core as c; print(*[n for n in c.__all__ if not getattr(c, n).__doc__], end='')"


@pytest.fixture(scope="module")
def said_apart() -> dict[str, str]:
    """What Python says to each import: torch and transformers take seconds, and are imported once for all of them."""
    codes = [PUBLIC, *(f"from attention_core.{names}" for names in NAMES)]
    done = subprocess.run([sys.executable, "-c", APART, *codes], cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(zip(codes, done.stdout.splitlines(), strict=True))


def test_every_public_name_of_the_core_can_be_imported_and_is_documented(said_apart):
    assert said_apart[PUBLIC] == ""


@pytest.mark.parametrize("names", NAMES)
def test_what_readme_and_downloaded_scripts_import_is_still_there(said_apart, names: str):
    assert said_apart[f"from attention_core.{names}"] == ""


def pinned(name: str) -> dict[str, str]:
    """Package → line of a requirements file; package names as pip compares them."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = {}
    for line in lines:
        if line and not line.startswith(("#", "-r")):
            found[re.split(r"[=<>!~;\s\[]", line)[0].lower().replace("_", "-")] = line
    return found


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_and_says_why(name: str):
    for package, line in pinned(name).items():
        assert re.match(r"^[\w-]+==[\w.]+(; [^#]+)?\s+# \S", line), f"{package} in {name}: {line}"


def test_the_first_requirement_is_torch():
    """Whatever is asked first decides which build of torch is installed; the others must find it there."""
    assert next(iter(pinned("requirements.txt"))) == "torch"


def test_every_package_that_our_code_imports_is_a_requirement():
    known = {name.replace("-", "_") for name in pinned("requirements.txt")} | {"PIL", "yaml"}
    known |= set(sys.stdlib_module_names) | {"attention_core", "pages", "app"}
    for path in OURS:
        unknown = {name.split(".")[0] for name, _ in imports_in(path) if name} - known
        assert not unknown, f"{path.relative_to(ROOT)} imports {sorted(unknown)}: pin it in requirements.txt"
