"""How a record shows itself in a notebook or a terminal: on a few lines, whatever it holds.

What a dataclass writes by itself holds every number of every tensor: a trace of six tokens came to 80,000 characters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from itertools import islice
from typing import Protocol, runtime_checkable

from attention_core.formats.plain_values import Dataclass

MOST = 2_000  # characters of anything public
_FEW = 4  # entries of a list that are shown
_TEXT = 60  # characters of a text


@runtime_checkable
class Shaped(Protocol):
    """A tensor or an array, of whatever library."""

    @property
    def dtype(self) -> object:
        """What its numbers are."""
        ...

    @property
    def shape(self) -> Iterable[int]:
        """How many there are along each axis."""
        ...


def short_repr(self: Dataclass) -> str:
    """`__repr__` of a dataclass that holds tensors, texts or other records: shapes, the first few, then counts.

    A class may say in GO_ON what can be asked of it.
    """
    named = [field.name for field in fields(self) if field.repr]
    room = (MOST - 200) // max(1, len(named))
    parts = (f"{name}={shown(getattr(self, name), room)}" for name in named)
    go_on = getattr(self, "GO_ON", "")
    return f"{type(self).__name__}({', '.join(parts)})" + (f"\nGo on: {go_on}" if go_on else "")


def shown(value: object, most: int = 300) -> str:
    """One value in at most about `most` characters."""
    text = _shown(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def shape_of(tensor: Shaped) -> str:
    """A tensor's precision and shape: "float32 [12 × 6 × 32]"."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    return f"{dtype} [{' × '.join(map(str, tensor.shape))}]"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= _TEXT else value[: _TEXT - 1] + "…")
    if isinstance(value, Shaped):
        return shape_of(value)
    if isinstance(value, Mapping):
        few = ", ".join(f"{_shown(key)}: {shown(one, 80)}" for key, one in islice(value.items(), _FEW))
        return f"{{{few}{_more(len(value))}}}"
    if type(value) is tuple or type(value) is list:  # a named tuple shows its names
        few = ", ".join(shown(one, 120) for one in value[:_FEW])
        begin, end = ("(", ")") if isinstance(value, tuple) else ("[", "]")
        return f"{begin}{few}{_more(len(value))}{',' if end == ')' and len(value) == 1 else ''}{end}"
    if hasattr(value, "parameters") and hasattr(value, "forward"):  # printing a model takes a page
        return f"{type(value).__name__}(…)"
    return repr(value)


def _more(n: int) -> str:
    return f", … {n - _FEW:,} more" if n > _FEW else ""
