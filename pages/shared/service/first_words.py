"""What the first screen says of a text beside its pictures: finds in it, and the closest of the sentences before.

Both are asked for once the picture is there. Finds are a luxury: they are looked for while nobody waits for the worker.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from attention_core.formats.json_data import JsonObject
from pages.shared.service.bounded import BoundedCache
from pages.shared.service.service import service
from pages.shared.service.sources import Source

if TYPE_CHECKING:
    from torch import Tensor

    from attention_core.heads.finds import Find
    from attention_core.trace import Trace

FIND_BYTES = 4 * 1_000_000  # thousands of texts
VECTOR_BYTES = 8 * 1_000_000  # thousands of sentences


@cache
def _finds() -> "BoundedCache[tuple[Find, ...]]":
    return BoundedCache(FIND_BYTES, lambda found: 200 + 200 * len(found))


@cache
def _vectors() -> "BoundedCache[Tensor]":
    return BoundedCache(VECTOR_BYTES, lambda vector: 200 + vector.nbytes)


def finds_in(source: Source, trace: "Trace") -> JsonObject:
    """Finds in a text: {"state": "ready", "finds": [{"kind", "layer", "head", …}], "says"}.

    The state is "later" while others wait for the worker: ask again.
    """
    from attention_core.heads.finds import MOST_TOKENS, finds
    from attention_core.heads.scores import Stopped

    n_tokens = max(len(trace.source_tokens), len(trace.target_tokens))
    if n_tokens > MOST_TOKENS:
        return {"state": "ready", "finds": [], "says": f"Finds are looked for in texts of up to {MOST_TOKENS} tokens."}
    found = _finds().peek(source)
    if found is None:
        if service().waiting:
            return {"state": "later", "finds": [], "says": ""}
        try:
            found = _finds().get(source, lambda: service().work(finds, trace, lambda: service().waiting > 1))
        except Stopped:
            return {"state": "later", "finds": [], "says": ""}
    shown = [
        {"kind": find.kind, "layer": find.layer, "head": find.head, "query": find.query, "key": find.key}
        | {"score": find.score, "null": find.null}
        for find in found
    ]
    return {"state": "ready", "finds": shown, "says": "" if shown else "No head does anything here that beats chance."}


def closest(source: Source, texts: Sequence[str]) -> tuple[str, float] | None:
    """The closest of other sentences and its cosine, by a model that was trained to compare; ("", 0.0) without any.

    None for any other model, and for one that does not do so as it was trained.
    """
    model = service().loaded(source.model)
    if model is None or model.sentences is None or model.sentences.problem:
        return None
    texts = [text for text in dict.fromkeys(texts) if text != source.text]
    if not texts:
        return "", 0.0
    from attention_core.reading.readout import cosine, sentence_vector

    def vector(text: str) -> "Tensor":
        return _vectors().get((source.model, text), lambda: service().work(sentence_vector, model, text))

    mine = vector(source.text)
    return max(((text, cosine(mine, vector(text))) for text in texts), key=lambda one: one[1])
