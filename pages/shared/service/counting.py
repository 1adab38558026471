"""Count the tokens of what is being typed: in a turn of its own, and no more of it than the answer can use."""

import hmac
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from pages.shared.service.service import service
from pages.shared.service.sources import Source
from pages.shared.service.told import what_is_told
from pages.shared.service.turns import Turns

if TYPE_CHECKING:
    from attention_core.models.facts import LoadedModel

# Characters that are counted for each token that the model reads at most, if so many there are: a token has about four,
# so the text is over the limit long before.
CHARACTERS_A_TOKEN = 16
WITHOUT_LIMIT = 40_000  # characters that are counted where the model states no limit


@dataclass(frozen=True, slots=True)
class Count:
    """How many tokens a text makes. None where that is not known."""

    n: int | None = None
    limit: int | None = None  # that the model reads
    cut_from: int | None = None  # character where the limit cuts the text
    specials: int | None = None  # of `n`, added by the tokenizer
    more: bool = False  # the text goes on: `n` is of its beginning


@cache
def _turns() -> Turns:
    return Turns("count")


def page_key(visitor: str) -> str:
    """What a page asks under: whoever has no page of ours cannot make one."""
    return f"{visitor}.{service().mark('count', visitor)}"


def visitor_of(key: str) -> str | None:
    """The visitor whose page the key is of; None for a key that this process did not give."""
    visitor, _, mark = key.partition(".")
    return visitor if hmac.compare_digest(mark.encode(), service().mark("count", visitor).encode()) else None


def count_soon(visitor: str, source: Source, wanted: Callable[[], bool]) -> "Future[Count]":
    """The count of a source's text and second sentence, when it is this visitor's turn; nothing is loaded for it.

    The future raises CaptureError or ModelError with a plain sentence, or NoLongerWanted.
    """
    return _turns().submit(lambda: _count(source), visitor, wanted)


def _count(source: Source) -> Count:
    model = service().loaded(source.model)
    if model is None:
        return Count()
    from attention_core.capturing.encode import count_tokens

    limit = model.facts.context_length
    text, pair, more = _beginning(model, source)
    if text is None:
        return Count(limit=limit)
    told = what_is_told(model, source)
    del told["target_language"]  # the text's own tokens are counted
    counted = count_tokens(model, text, pair or None, **told)
    if more and limit is not None and counted.n_tokens <= limit:
        return Count(limit=limit)  # the beginning alone does not tell whether the text fits
    return Count(counted.n_tokens, limit, counted.cut_from, counted.n_special, more)


def _beginning(model: "LoadedModel", source: Source) -> tuple[str | None, str, bool]:
    """As much of the two texts as the answer can use, and whether there is more.

    Cut between two words, because a part of one may make more tokens than the whole; None if there is no such place.
    """
    limit = model.facts.context_length
    most = WITHOUT_LIMIT if limit is None else CHARACTERS_A_TOKEN * limit
    parts, more = [], False
    for whole in (source.text, source.pair):
        part = whole[:most]
        if len(whole) > most:
            more = True
            part = part.rpartition(" ")[0]
            if not part.strip():
                return None, "", True
        parts.append(part)
    return parts[0], parts[1], more
