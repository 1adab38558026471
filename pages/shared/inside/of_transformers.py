"""What we lean on inside transformers while it is imported: which parts it asks for, and how it reads its own files.

Nothing here imports transformers before it is called.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

Structure = dict[frozenset[str], dict[str, set[str]]]  # what must be installed → module → the names it exports


def import_lean() -> None:
    """Import what loading any model takes, without what a server that only reads texts never uses.

    transformers asks whether parts of other libraries are there, and takes in all that are. To two of these questions
    the answer is no here. Without this it asks the other libraries as ever, and takes seconds longer.
    """
    # Modules in which functions are replaced, which the checker would not allow.
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


# Of a module in which a function is replaced for a while.
def _import_models(import_utils: Any) -> None:
    """Import `transformers.models` without reading its 2,000 files again for the names that they export.

    `import transformers` has just read them, and keeps what it found under another argument.
    """
    folder = Path(import_utils.__file__).parents[1] / "models"
    read = import_utils.define_import_structure

    def known(path: str, prefix: str | None = None) -> Structure:
        return models_structure(read, folder) if Path(path) == folder / "__init__.py" else read(path, prefix)

    import_utils.define_import_structure = known
    try:
        import_module("transformers.models")
    finally:
        import_utils.define_import_structure = read


def models_structure(read: Callable[..., Structure], folder: Path) -> Structure:
    """What `read(folder / "__init__.py")` gives, from what `import transformers` has asked for."""
    prefix = "models."
    found = read(folder, prefix="models")
    return {
        needs: {name.removeprefix(prefix): exported for name, exported in modules.items() if name.startswith(prefix)}
        for needs, modules in found.items()
    }
