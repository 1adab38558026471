"""transformers without what a server that only reads texts never uses: seconds until the first picture, and memory.

This process runs on one machine and trains nothing of transformers', so parts of other libraries stay away that
transformers would take in. It also imports torch's compiler, to mark functions for it; nobody compiles here, so the
compiler waits until somebody does. Only the app does this: `attention_core` in somebody's own program leaves the
libraries of that program alone.
"""

from pages.shared.inside.of_torch import compiler_aside, look_for_compiler
from pages.shared.inside.of_transformers import import_lean


def import_transformers() -> None:
    """Import what loading any model takes. Where transformers has been imported before, it stays as it is."""
    try:
        with compiler_aside():
            import_lean()
            look_for_compiler()
    except (AttributeError, ImportError):  # something wants more of the compiler: another release, another machine
        import_lean()
