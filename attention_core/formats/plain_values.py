"""What JSON said, as the frozen dataclass that it stands for: every field, each of its declared type, none beside.

    plain_values({"text": "a", "id": 3, "span": [0, 1], …}, Token)  # lists become tuples

Types alone: what numbers may be and how fields fit together is for who knows what they mean.
"""

from dataclasses import Field, fields, is_dataclass
from typing import ClassVar, Protocol, TypeVar

from attention_core.formats.json_data import Json, JsonMapping


class Dataclass(Protocol):
    """Any dataclass, as the type checker knows one."""

    __dataclass_fields__: ClassVar[dict[str, Field[object]]]


Values = TypeVar("Values", bound=Dataclass)


def plain_values(given: Json, of: type[Values]) -> Values:
    """A dataclass from an object of JSON. Fields that have a default may be absent.

    Raises ValueError naming the field that is missing, unknown or of another type: true is no number, 3.0 no whole one.
    """
    from msgspec import convert  # here: a page opens without it

    made = convert(given, of)
    _nothing_beside(given, made)
    return made


def _nothing_beside(given: JsonMapping, made: Dataclass) -> None:
    """msgspec passes over what a dataclass has no field for."""
    known = [field.name for field in fields(made)]
    if unknown := set(given) - set(known):
        raise ValueError(f"{type(made).__name__} has no field {sorted(unknown)}")
    for name in known:
        inner = getattr(made, name)
        if name in given and is_dataclass(inner) and not isinstance(inner, type):
            _nothing_beside(given[name], inner)
