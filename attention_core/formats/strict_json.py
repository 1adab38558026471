"""Parse JSON that nobody vouches for, within bounds on nesting and on the number of lists and objects.

Without them a megabyte of brackets would become seventy megabytes of empty lists, or overflow the stack."""

import json

from attention_core.formats.json_data import Json

_BYTES_PER_BRACKET = 12  # at least; in files that are what they say a list or an object takes 30 and more
_FREE_BRACKETS = 1_000


def strict_json(raw: bytes | str) -> Json:
    """What the JSON says. Raises ValueError if it is none, is nested too deep, or consists of little but brackets."""
    brackets = raw.count(b"[") + raw.count(b"{") if isinstance(raw, bytes) else raw.count("[") + raw.count("{")
    if brackets > _FREE_BRACKETS + len(raw) // _BYTES_PER_BRACKET:
        raise ValueError("JSON that consists of little but brackets")
    try:
        return json.loads(raw)
    except RecursionError:
        raise ValueError("JSON that is nested too deep") from None
