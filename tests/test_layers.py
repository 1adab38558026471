"""Imports point one way: app.py → pages → pages/shared → attention_core → torch, transformers."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = (
    "attention_core",
    "pages.shared",
    "pages",
    "app",
)  # each may import those before it, and itself if it is a package
OURS = [*ROOT.glob("attention_core/**/*.py"), *ROOT.glob("pages/**/*.py"), *ROOT.glob("app.py")]
USER_INTERFACE = {"streamlit", "plotly", "starlette", "uvicorn"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def layer_of(module: str) -> str | None:
    """The innermost of our layers that `module` is in; None for the standard library and packages."""
    inside = [layer for layer in LAYERS if module == layer or module.startswith(layer + ".")]
    return max(inside, key=len, default=None)


def imported_modules(source: str, module: str, *, is_package: bool = False) -> set[str]:
    """Every module that `source` imports anywhere, functions included, relative imports resolved."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)} if layer_of(base) else {base}
    return names


def wrong_imports(source: str, module: str, *, is_package: bool = False) -> list[str]:
    here, wrong = layer_of(module), []
    for name in sorted(imported_modules(source, module, is_package=is_package)):
        there = layer_of(name)
        if here == "attention_core" and name.split(".")[0] in USER_INTERFACE:
            wrong.append(f"{module} imports {name}: the core has no user interface")
        elif there and LAYERS.index(there) > LAYERS.index(here):
            wrong.append(f"{module} imports {name}: imports point from {there} to {here}, not back")
        elif (
            here == there == "pages" and name not in ("pages", module) and (ROOT / "pages" / f"{name[6:]}.py").is_file()
        ):
            wrong.append(f"{module} imports the page {name}: what pages share is in pages/shared")
    return wrong


@pytest.mark.parametrize("path", OURS, ids=module_name)
def test_imports_point_one_way(path: Path):
    faults = wrong_imports(path.read_text(encoding="utf-8"), module_name(path), is_package=path.name == "__init__.py")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("attention_core.metrics", "import streamlit as st"),
        ("attention_core.metrics", "def f():\n    from plotly import graph_objects"),
        ("attention_core.metrics", "from pages.shared.session import state"),
        ("attention_core.metrics", "from ..pages import shared"),
        ("pages.shared.session.state", "import app"),
    ],
)
def test_an_import_that_points_back_is_found(module: str, source: str):
    assert wrong_imports(source, module)


def run_python(code: str) -> str:
    """Run `code` in a new interpreter, where nothing has been imported yet."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LIGHT = [name for name in ("wire", "palette", "view", "tokens") if (ROOT / "attention_core" / f"{name}.py").is_file()]


@pytest.mark.parametrize("module", ["attention_core", *(f"attention_core.{name}" for name in LIGHT)])
def test_modules_of_the_first_screen_do_not_load_torch(module: str):
    """The page frame appears before torch is there: importing torch takes seconds."""
    heavy = "{'torch', 'transformers', 'sklearn', 'pandas', 'plotly'}"
    assert run_python(f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))") == ""


def test_every_public_name_of_the_core_can_be_imported_and_is_documented():
    code = "import attention_core as c; print(*[n for n in c.__all__ if not getattr(c, n).__doc__])"
    assert run_python(code) == ""


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
    known = {name.replace("-", "_") for name in pinned("requirements.txt")} | {"PIL"}
    known |= set(sys.stdlib_module_names) | {"attention_core", "pages", "app"}
    for path in OURS:
        names = imported_modules(
            path.read_text(encoding="utf-8"), module_name(path), is_package=path.stem == "__init__"
        )
        unknown = {name.split(".")[0] for name in names if name} - known
        assert not unknown, f"{path.relative_to(ROOT)} imports {sorted(unknown)}: pin it in requirements.txt"
