"""Turn running out of memory, on the CPU or a GPU, into an error with a plain sentence.

The tensors that led to it are released with it, so the next request is answered as usual."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

OUT_OF_MEMORY = (
    "That needs more memory than this machine has left. Shorten the text or choose a smaller model, and try again."
)


def is_out_of_memory(error: BaseException) -> bool:
    """Python's own error, torch's for a GPU, and torch's for the processor, which only its words tell from others."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and ("DefaultCPUAllocator" in str(error) or "bad_alloc" in str(error))


def said_as(
    kind: Callable[[str], Exception],
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Let a function raise `kind` with a plain sentence when the memory does not suffice."""

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        @wraps(function)
        def bounded(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
            try:
                return function(*arguments, **options)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            # Raised here and not above: the error keeps the frames that led to it, and all the tensors in them.
            raise kind(OUT_OF_MEMORY)

        return bounded

    return decorate
