"""Typed fields in the parameters of an address: written, and read back with forgiveness and one sentence per fault.

The sentences quote the address: show them as text, never as markup.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from attention_core.formats.json_data import JsonMapping

LINK_LIMIT = 4096  # bytes of the query string; longer ones are cut by some mail programs, proxies and chats


Value = Any  # of one field: whatever its `parse` makes of a text, and the view that has the field says


class Fault(ValueError):
    """A value that cannot be used, with a sentence of its own that says why."""


@dataclass(frozen=True, slots=True)
class Field:
    """One typed value of an address. `parse` raises ValueError for a text that cannot be used."""

    parameter: str
    wanted: str  # what the value must be, as a sentence says it
    parse: Callable[[str], Value]
    called: str  # how a sentence calls it: “The head”
    instead: str  # what is used for a value that cannot be: “1 was used”
    default: Value = None
    always: bool = False  # written out even where it is the default

    def fault(self, text: str) -> str:
        """The sentence about a text that cannot be used."""
        return f"{self.called} in this link must be {self.wanted}, not {quoted(text)}; {self.instead}."


def read(
    params: Mapping[str, str | Sequence[str]], fields: Mapping[str, Field]
) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The values that parameters give to fields, by field, and one sentence for each that could not be used.

    Never raises. Parameters with unknown names are left to others; what is missing or cannot be used is left out.
    """
    values: dict[str, Value] = {}
    sentences: list[str] = []
    for name, field in fields.items():
        text, repeated = single(params, field.parameter, field.called)
        sentences += repeated
        if text is None:
            continue
        try:
            values[name] = field.parse(text)
        except Fault as fault:
            sentences.append(str(fault))
        except ValueError:
            sentences.append(field.fault(text))
    return values, tuple(sentences)


def reported(report: JsonMapping, fields: Mapping[str, Field]) -> dict[str, Value]:
    """What a browser reports (JSON) of these fields. Values that cannot be used are left out.

    None is a value where it is the default, true and false are where the default is one of them.
    """
    values: dict[str, Value] = {}
    for name in fields.keys() & report.keys():
        value, field = report[name], fields[name]
        if value is None and field.default is None:
            values[name] = None
        elif isinstance(value, int | float | str) and isinstance(value, bool) <= isinstance(field.default, bool):
            try:
                values[name] = field.parse(written(value))
            except ValueError:
                continue
    return values


def to_params(values: object, fields: Mapping[str, Field]) -> dict[str, str]:
    """Query parameters that stand for the attributes of `values`: whatever is not the default or always written."""
    params = {}
    for name, field in fields.items():
        value = getattr(values, name)
        if field.always or value != field.default:
            params[field.parameter] = written(value)
    return params


def query(params: Mapping[str, str]) -> str:
    """`?v=1&m=…` as an address holds it."""
    return "?" + "&".join(f"{name}={quote_plus(well_formed(value))}" for name, value in params.items())


def single(params: Mapping[str, str | Sequence[str]], parameter: str, called: str) -> tuple[str | None, list[str]]:
    """The value of one parameter; of a repeated one the last, and a sentence."""
    value = params.get(parameter)
    if value is None or isinstance(value, str):
        return value, []
    values = [str(item) for item in value]
    said = f"This link gives {called[:1].lower()}{called[1:]} {len(values)} times; the last one was used."
    return (values[-1] if values else None), [said] if len(values) > 1 else []


def written(value: Value) -> str:
    """A value as an address holds it."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def quoted(value: str) -> str:
    """A value of the link, short and printable, in quotation marks."""
    shown = "".join(character if character.isprintable() else "�" for character in value[:40])
    return f"“{shown}{'…' if len(value) > 40 else ''}”"


def well_formed(text: str) -> str:
    """`text` with lone surrogates, which no URL can hold, as U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def whole(text: str) -> int:
    """A whole number from 0."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError
    return int(text)


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise ValueError
    return value


def switch(text: str) -> bool:
    """On or off."""
    return one_of("0", "1")(text) == "1"


def between(least: int, most: int) -> Callable[[str], int]:
    """A whole number in these bounds."""

    def parse(text: str) -> int:
        if not least <= (value := whole(text)) <= most:
            raise ValueError
        return value

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """One of a few words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return parse


def shaped(pattern: str) -> Callable[[str], str]:
    """A text all of which matches a regular expression."""

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return parse
