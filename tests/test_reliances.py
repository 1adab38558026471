"""What we use of another library that its documentation does not name stands in one module for each library.

There each reliance has its reason, and a test in `tests/*/reliances` that names it when a release has changed it.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

ROOT = Path(__file__).resolve().parent.parent
OURS = sorted([*ROOT.glob("attention_core/**/*.py"), *ROOT.glob("pages/**/*.py"), ROOT / "app.py"])
OUR_PACKAGES = {"attention_core", "pages", "app"}

# Where a library's inside is reached into → the library. Nowhere else.
PLACES = {
    # Its errors are told by name and words, without importing it: the first screen does not wait for that.
    "attention_core.formats.memory": "torch",
    "attention_core.inside.of_accelerate": "accelerate",
    "attention_core.inside.of_hub": "huggingface_hub",
    "attention_core.inside.of_tokenizers": "tokenizers",
    "attention_core.inside.of_torch": "torch",
    "attention_core.inside.of_transformers": "transformers",
    # Run alone by `python -I`, within bounds of time and memory: nothing of ours can be imported there.
    "attention_core.text.chat_child": "transformers",
    "pages.shared.inside.of_glibc": "the C library",
    "pages.shared.inside.of_streamlit": "streamlit",
    # Before torch and transformers are imported: the core's modules import them.
    "pages.shared.inside.of_torch": "torch",
    "pages.shared.inside.of_transformers": "transformers",
}

# Modules within other packages that we import, and where their documentation names them.
DOCUMENTED = {
    "anyio.to_thread": "Starlette's page on threads, anyio's on working with threads",
    "huggingface_hub.errors": "the hub library's reference, Utilities: errors",
    "icu4py.breakers": "icu4py's page on PyPI",
    "isal.isal_zlib": "python-isal's reference",
    "msgspec.json": "msgspec's reference, JSON",
    "msgspec.msgpack": "msgspec's reference, MessagePack",
    "numpy.lib": "the package of the next",
    "numpy.lib.format": "NumPy's reference, NumPy file format",
    "numpy.typing": "NumPy's reference",
    "plotly.graph_objects": "plotly's reference",
    "pyarrow.parquet": "pyarrow's reference",
    "safetensors.torch": "safetensors' Torch API",
    "scipy.sparse": "SciPy's reference",
    "scipy.sparse.csgraph": "SciPy's reference",
    "scipy.special": "SciPy's reference",
    "starlette.concurrency": "Starlette's page on threads",
    "starlette.convertors": "Starlette's page on routing, Path parameters",
    "starlette.datastructures": "Starlette's page on requests",
    "starlette.middleware": "Starlette's page on middleware",
    "starlette.requests": "Starlette's page on requests",
    "starlette.responses": "Starlette's page on responses",
    "starlette.routing": "Starlette's page on routing",
    "starlette.staticfiles": "Starlette's page on static files",
    "starlette.types": "Starlette's page on middleware, Pure ASGI middleware",
    "streamlit.components.v2": "Streamlit's reference, Custom components",
    "tokenizers.normalizers": "tokenizers' reference",
    "PIL.Image": "Pillow's reference",
    "tokenizers.decoders": "tokenizers' reference",
    "tokenizers.models": "tokenizers' reference",
    "tokenizers.pre_tokenizers": "tokenizers' reference",
    "tokenizers.trainers": "tokenizers' reference",
    "torch.cuda": "torch's reference",
    "torch.linalg": "torch's reference",
    "torch.nn": "torch's reference",
    "torch.nn.functional": "torch's reference",
    "torch.nn.init": "torch's reference",
    "torch.nn.utils": "torch's reference",
    "torch.optim": "torch's reference",
    "torch.overrides": "torch's reference, and its notes on extending torch",
    "torch.special": "torch's reference",
    "tqdm.auto": "tqdm's reference",
    "transformers.modeling_outputs": "transformers' reference, Model outputs",
    "transformers.pytorch_utils": "transformers' internals, Custom layers: pytorch_utils.Conv1D",
    "transformers.utils": "the package of the next",
    "transformers.utils.logging": "transformers' reference, Logging",
    "xlsxwriter.format": "XlsxWriter's page on the Format class",
    "xlsxwriter.utility": "XlsxWriter's page on working with cell notation",
}
# Names with an underscore that are meant to be used.
MEANT = {
    "_exit": "os: documented",
    "_repr_html_": "IPython asks objects of ours for it",
}
VALUES_IN_FILES = {
    "torch.nn.modules.activation.Tanh"
}  # what sentence-transformers writes into a dense layer's settings

# Libraries whose modules and loggers may be named in strings.
LIBRARIES = "accelerate|huggingface_hub|peft|plotly|pyarrow|starlette|streamlit|tokenizers|torch|transformers|uvicorn"
MODULE_NAME = re.compile(rf"(?:{LIBRARIES})(?:\.\w+)+\.?")
PRIVATE = re.compile(r"_(?!_)\w+")
# Of a function that is not ours: what its compiled code says.
OF_CODE = {"__code__", "__globals__", "__closure__", "co_names", "co_consts", "co_varnames", "getsource"}
BY_NAME = {"getattr", "hasattr", "setattr", "delattr", "attrgetter", "methodcaller"}

# Names of Streamlit's elements; classes by key (.st-key-…) are documented with every element's `key`.
IN_PAGE = re.compile(
    r"""data-testid[^\]\n]{0,4}["']st[A-Z]|["'`]st[A-Z]\w|\.st[A-Z]\w|\.st-(?!key-)|\[class[*^~|$]?=|"""
    r"""data-test-|__streamlit|baseweb|["'#]root["' ]"""
)
PAGE_PLACES = {
    "assets/css/embedded.css": "a sheet can import no names",
    "assets/css/page.css": "a sheet can import no names",
    "assets/js/base/streamlit.js": "for all views",
    "assets/js/first-frame.js": "it asks for no other module: nothing else is fetched before the frame is painted",
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def names_of_libraries() -> frozenset[str]:
    """Names with an underscore on what we are given by libraries most: ours may be called the same."""
    return frozenset(
        name
        for known in (nn.Module(), nn.ModuleList(), PreTrainedModel, PreTrainedConfig)
        for name in dir(known)
        if PRIVATE.fullmatch(name)
    )


@cache
def is_module(name: str) -> bool:
    """Is this the name of a module, and not of something else that its package offers under the same name?"""
    package, _, last = name.rpartition(".")
    if not package:
        return True
    try:
        found = getattr(import_module(package), last, None)
        return isinstance(found, ModuleType) if found is not None else find_spec(name) is not None
    except ImportError:
        return False


def leads_to(name: str) -> str:
    """The innermost module within another library's package that this dotted name leads to; "" if to none."""
    root, *rest = name.split(".")
    if root in sys.stdlib_module_names | OUR_PACKAGES:
        return ""
    within = [".".join([root, *rest[:n]]) for n in range(1, len(rest) + 1)]
    return next((module for module in reversed(within) if is_module(module)), "")


class Reading(ast.NodeVisitor):
    """Every place in one source file where something inside another library is reached for."""

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        self.found: list[str] = []
        self.met: set[str] = set()  # modules within other packages
        self.modules: dict[str, str] = {}  # what a module of another library is called here
        self.own = set(_own_names(tree))
        self.said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        self.visit(tree)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._module(alias.name)
            self.modules[alias.asname or alias.name.split(".")[0]] = (
                alias.name if alias.asname else alias.name.split(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level or base.split(".")[0] in OUR_PACKAGES:
            return
        self._module(base)
        for alias in node.names:
            if PRIVATE.fullmatch(alias.name) and alias.name not in MEANT:
                self.found.append(f"{base}.{alias.name}")
            full = f"{base}.{alias.name}"
            self._module(full)
            if base.split(".")[0] not in sys.stdlib_module_names and is_module(full):
                self.modules[alias.asname or alias.name] = full

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name, of = node.attr, ast.unparse(node.value)
        if name in OF_CODE:
            self.found.append(f"{of}.{name}")
        elif PRIVATE.fullmatch(name) and name not in MEANT:
            ours = name in self.own if of in ("self", "cls", "super()") else name in self.own - names_of_libraries()
            if not ours and (of not in ("self", "cls", "super()") or name in names_of_libraries()):
                self.found.append(f"{of}.{name}")
        first, *rest = f"{of}.{name}".split(".")
        if first in self.modules and all(part.isidentifier() for part in rest):
            if name == "__file__":
                self.found.append(f"{of}.{name}")
            self._module(".".join([self.modules[first], *rest]))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if ast.unparse(node.func).rpartition(".")[2] in BY_NAME:
            for given in node.args:
                if isinstance(given, ast.Constant) and isinstance(given.value, str) and PRIVATE.fullmatch(given.value):
                    self.found.append(ast.unparse(node))
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        table = ast.unparse(node.value)
        if isinstance(key, str) and PRIVATE.fullmatch(key) and re.search(r"\.__dict__$|^vars\(", table):
            self.found.append(ast.unparse(node))
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if re.fullmatch(r"type\(.*\)\.__(qual)?name__ [!=]= '\w+'", ast.unparse(node)):  # a class told by its name
            self.found.append(ast.unparse(node))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and id(node) not in self.said:
            if node.value in names_of_libraries() or IN_PAGE.search(node.value):
                self.found.append(repr(node.value))
            elif node.value not in VALUES_IN_FILES and MODULE_NAME.fullmatch(node.value):
                if leads_to(node.value.removesuffix(".")) not in ("", *DOCUMENTED):
                    self.found.append(repr(node.value))

    def _module(self, name: str) -> None:
        module = leads_to(name)
        self.met.add(module)
        if name.split(".")[0] == "ctypes" or module not in ("", *DOCUMENTED):
            self.found.append(name)


def _own_names(tree: ast.AST) -> Iterator[str]:
    """Names with an underscore that a file gives to its own functions, classes and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


@cache
def read(path: Path) -> Reading:
    return Reading(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", OURS, ids=module_name)
def test_the_inside_of_libraries_is_reached_for_in_the_modules_made_for_it(path: Path):
    if module_name(path) not in PLACES:
        found = read(path).found
        assert not found, f"{module_name(path)} leans on {found}: say it in a module of an `inside` package"


@pytest.mark.parametrize("place", PLACES)
def test_a_module_made_for_a_library_reaches_into_that_one_alone(place: str):
    found = read(next(path for path in OURS if module_name(path) == place)).found
    assert found, f"{place} leans on nothing"
    named = [name.strip("'") for name in found]
    assert not [
        name for name in named if re.fullmatch(rf"(?:{LIBRARIES})\..*", name) and name.split(".")[0] != PLACES[place]
    ]


def test_every_documented_module_is_still_used():
    assert not set(DOCUMENTED) - set().union(*(read(path).met for path in OURS))


@pytest.mark.parametrize(
    "source",
    [
        "model._supports_sdpa",
        "def f(config):\n    config._attn_implementation = 'eager'",
        "class A:\n    def _modules(self):\n        return other._modules",  # ours is called like torch's
        "getattr(model, '_weight_conversions', None)",
        "hasattr(config, '_attn_implementation_internal')",
        "shallow.__dict__['_parts'] = {}",
        "vars(module)['_parts']",
        "names = ('_forward_hooks',)",
        "from torch.nn.modules.module import _global_forward_hooks",
        "from streamlit.runtime.pages_manager import PagesManager",
        "from streamlit import runtime",
        "from streamlit import file_util",
        "import streamlit as st\nst.runtime.exists()",
        "import streamlit\nPath(streamlit.__file__)",
        "from transformers.models.auto.modeling_auto import MODEL_MAPPING",
        "from transformers import masking_utils",
        "import torch\ntorch._dynamo.reset()",
        "def f():\n    import uvicorn.protocols.http.auto",
        "sys.modules['torch._dynamo']",
        "import_module('transformers.utils.import_utils')",
        "logging.getLogger('streamlit.error_util')",
        "import ctypes",
        "code = type(model).forward.__code__",
        "inspect.getsource(module)",
        "type(error).__name__ == 'PanicException'",
        "st.html('<style>[data-testid=\"stHeader\"]{display:none}</style>')",
    ],
)
def test_a_reach_into_a_library_is_found(source: str):
    assert Reading(source).found


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def f(self):\n        self._total = 0\n    def g(self, other):\n        return other._total",
        "def _f():\n    pass\n\n_f()",
        "from torch import Tensor, nn\nnn.functional.softmax",
        "import streamlit as st\nst.navigation([])",  # a function, and a package of the same name
        "code = 'torch.exp'",
        "from pages.shared.session import state",
        "os._exit(0)",
        '"""Says `model._supports_sdpa` and torch._dynamo in words."""',
        "h.html('<p data-testid=\"sl-readout\">')",
    ],
)
def test_what_is_ours_or_documented_is_left_alone(source: str):
    assert not Reading(source).found


def page_names(text: str) -> list[str]:
    return [found[0] for found in IN_PAGE.finditer(text)]


FRONT = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("js", "css")
    for path in (ROOT / "assets" / folder).rglob("*")
    if path.suffix in (".js", ".css")
)


def test_names_of_streamlits_page_stand_in_the_files_made_for_them():
    found = {name: page_names((ROOT / name).read_text(encoding="utf-8")) for name in FRONT}
    assert {name for name, names in found.items() if names} == set(PAGE_PLACES), found


@pytest.mark.parametrize(
    "text",
    [
        "[data-testid=\"stSidebar\"] { display: none }",
        "[data-testid='stSidebar'] { display: none }",
        "document.querySelector('.stApp')",
        ".st-emotion-cache-1x { margin: 0 }",
        '[class*="block-container"] { margin: 0 }',
        "page.getByTestId('stMain')",
        "window.__streamlit = {}",
        'document.getElementById("root")',
        'app.getAttribute("data-test-script-state")',
    ],
)  # fmt: skip
def test_a_name_of_streamlits_page_is_found(text: str):
    assert page_names(text)


@pytest.mark.parametrize("text", ['[data-testid="sl-atlas"]', ".st-key-readout {}", "status.start", "steps.stop()"])
def test_a_name_of_our_own_page_is_left_alone(text: str):
    assert not page_names(text)


@pytest.mark.parametrize("place", [place for place in PLACES if ".inside." in place])
def test_every_reliance_has_a_test_that_names_it(place: str):
    """What a module of an `inside` package offers is used in a test of `reliances` beside it."""
    path = next(path for path in OURS if module_name(path) == place)
    tests = [ROOT / "tests" / ("core" if place.startswith("attention_core") else "pages") / "reliances"]
    used: set[str] = set()
    for file in (file for folder in tests for file in folder.glob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        assert "pytestmark = pytest.mark.reliance" in text, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Name):
                used.add(node.id)
            elif isinstance(node, ast.Attribute):
                used.add(node.attr)
    assert not [name for name in _offered(path) if name not in used]


def _offered(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
