"""Import transformers without the parts that a server for texts never uses: saves seconds until the first picture, and
70 MB.

While it is imported, transformers asks whether parts of other libraries are there, and takes in all that are. This
process runs on one machine and trains nothing of transformers', so to two of these questions the answer is no. It also
imports torch's compiler, to mark functions for it; nobody compiles here, so the compiler waits until somebody does.
Only the app does this: `attention_core` in somebody's own program leaves the libraries of that program alone.
"""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any


def import_transformers() -> None:
    """Import what loading any model takes. Where transformers has been imported before, it stays as it is."""
    torch = import_module("torch")
    try:
        with _compiler_aside():
            _import()
            # What fills a parameter that has no memory yet, as every constructor does, looks for the compiler once.
            torch.empty(1, device="meta").normal_()
    except (AttributeError, ImportError):  # something wants more of the compiler: another release, another machine
        _import()


def _import() -> None:
    questions: tuple[Any, ...] = import_module("transformers.utils.import_utils"), import_module("transformers.utils")
    for module in questions:
        # torch.distributed.tensor and .fsdp, for models spread over several machines.
        module.is_torch_distributed_available = _no
        # scipy.optimize, for the losses of object detection.
        module.is_scipy_available = _no
    _import_models(questions[0])
    import_module("transformers.modeling_utils")
    import_module("transformers.generation.utils")


def _no() -> bool:
    return False


def _import_models(import_utils: Any) -> None:
    """Import `transformers.models` without reading its 2,000 files again for the names that they export.

    `import transformers` has just read them, and keeps what it found under another argument.
    """
    folder = Path(import_utils.__file__).parents[1] / "models"
    read = import_utils.define_import_structure

    def known(path: str, prefix: str | None = None) -> dict[frozenset[str], dict[str, set[str]]]:
        return models_structure(read, folder) if Path(path) == folder / "__init__.py" else read(path, prefix)

    import_utils.define_import_structure = known
    try:
        import_module("transformers.models")
    finally:
        import_utils.define_import_structure = read


def models_structure(read: Any, folder: Path) -> dict[frozenset[str], dict[str, set[str]]]:
    """What `read(folder / "__init__.py")` gives, from what `import transformers` has asked for."""
    prefix = "models."
    found = read(folder, prefix="models")
    return {
        needs: {name.removeprefix(prefix): exported for name, exported in modules.items() if name.startswith(prefix)}
        for needs, modules in found.items()
    }


_COMPILER = "torch._dynamo"
_MARKS = ("allow_in_graph", "assume_constant_result", "disable")


@contextmanager
def _compiler_aside() -> Generator[None]:
    """`torch._dynamo`, 800 modules, is not there but for the marks that it sets on functions.

    Whoever asks for it afterwards imports it as ever. It only does not know of the marks that were set meanwhile.
    """
    if _COMPILER in sys.modules:
        yield
        return
    torch: Any = import_module("torch")
    compiler, real = ModuleType(_COMPILER), find_spec(_COMPILER)
    assert real is not None
    compiler.__path__ = real.submodule_search_locations or []  # transformers takes a small part of it that stands alone
    vars(compiler).update(dict.fromkeys(_MARKS, _unmarked))
    sys.modules[_COMPILER] = torch._dynamo = compiler
    try:
        yield
    finally:
        del sys.modules[_COMPILER], torch._dynamo


def _unmarked(function: Any = None, *_: object, **__: object) -> Any:
    return _unmarked if function is None else function
