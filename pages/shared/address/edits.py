"""Edits of a run in an address: plain data and a check sum, so that a link that was changed or cut is told.

Whether an edit can be made of this text in this model, the engine says; here it is only read and written.
"""

import hashlib
import json
from collections.abc import Sequence

from attention_core.formats.fields import Fault
from attention_core.formats.json_data import JsonMapping, JsonObject

MOST = 12  # edits of one run
LONGEST = 3_000  # characters of a link's edits
TAMPERED = "The changes of the run in this link are not as they were copied; nothing is changed."
_OF_ANY_TEXT = ("switch off", "break it", "strengthen")  # they name heads and no token


def signed(edits: Sequence[JsonMapping]) -> str:
    """Edits as an address holds them; "" for none."""
    if not edits:
        return ""
    text = json.dumps(list(edits), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{_sum(text)}.{text}"


def verified(text: str) -> str:
    """The same text. Raises Fault, with a sentence, if it is not as `signed` wrote it."""
    if text:
        plain_edits(text)
    return text


def plain_edits(text: str) -> list[JsonObject]:
    """The edits that `signed` wrote. Raises Fault, with a sentence, for anything else."""
    if not text:
        return []
    mark, _, written = text.partition(".")
    if len(text) > LONGEST or mark != _sum(written):
        raise Fault(TAMPERED)
    try:
        edits = json.loads(written)
    except (ValueError, RecursionError):
        raise Fault(TAMPERED) from None
    if not isinstance(edits, list) or not all(isinstance(one, dict) and "edit" in one for one in edits):
        raise Fault(TAMPERED)
    if not 0 < len(edits) <= MOST:
        raise Fault(f"A run has at most {MOST} changes, and this link has {len(edits)}; nothing is changed.")
    return edits


def for_another_text(text: str) -> str:
    """Those of the edits that name heads alone: tokens of another text are others."""
    return signed([one for one in plain_edits(text) if one["edit"] in _OF_ANY_TEXT and not one.get("texts")])


def _sum(text: str) -> str:
    return hashlib.sha256(f"edits of a run: {text}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
