"""What the first screen says of a text beside its pictures: what the model says in one line, and finds in this text.

Both are asked for once the picture is there. Finds are a luxury: they are looked for while nobody waits for the worker.
"""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from pages.shared.service.bounded import BoundedCache
from pages.shared.service.readout_words import Line, closest_line, line_of, panel_data, who_says_next
from pages.shared.service.service import Gone, service
from pages.shared.service.sources import Source

if TYPE_CHECKING:
    from attention_core.heads.finds import Find
    from attention_core.trace import Trace

FIND_BYTES = 4 * 1_000_000  # thousands of texts
VECTOR_BYTES = 8 * 1_000_000  # thousands of sentences
MOST_BEFORE = 8  # sentences of one visitor that are compared


@cache
def _finds() -> "BoundedCache[tuple[Find, ...]]":
    return BoundedCache(FIND_BYTES, lambda found: 200 + 200 * len(found))


@cache
def _vectors() -> BoundedCache[Any]:
    return BoundedCache(VECTOR_BYTES, lambda vector: 200 + vector.nbytes)


def said(source: Source, before: Sequence[str] = ()) -> dict[str, Any]:
    """What the model says about a text: {"line", "panel", "act", "other"}.

    `panel` is what the opened panel draws, or None; `act` "mask" where a mask in the text would make the model speak,
    else ""; `other` the bundled model that says a next word, where this one does not. `before` are keys of pictures
    that the same visitor saw: a sentence encoder says which of their texts is closest.
    """
    from attention_core.reading.readout import NextToken, Unsaid

    trace = service().trace(source)
    readout = service().readout(source)
    line, act = line_of(readout, trace), ""
    speaks = isinstance(readout, NextToken) or source.file
    if isinstance(readout, Unsaid) and not source.file:
        act = "mask" if readout.mask else ""
        if not readout.mask and _compares(source):
            line = _closest(source, trace, before) or ["no next word: this model compares sentences"]
    other = None if speaks else who_says_next(source.model)
    return {"line": line, "panel": panel_data(readout, trace), "act": act, "other": other}


def finds_in(source: Source) -> dict[str, Any]:
    """Finds in a text: {"state": "ready", "finds": [{"kind", "layer", "head", …}], "says"}.

    The state is "later" while others wait for the worker: ask again.
    """
    from attention_core.heads.finds import MOST_TOKENS, finds
    from attention_core.heads.scores import Stopped

    trace = service().trace(source)
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


def _compares(source: Source) -> bool:
    """Was this model trained to compare sentences, and does it do so as it was trained?"""
    model = service().loaded(source.model)
    return model is not None and model.sentences is not None and not model.sentences.problem


def _closest(source: Source, trace: "Trace", before: Sequence[str]) -> Line | None:
    """The closest of the sentences seen before, by a model that was trained to compare; None if there is none."""
    model = service().loaded(source.model)
    if model is None or trace.pair is not None:
        return None
    texts = {}
    for key in before[:MOST_BEFORE]:
        try:
            other = service().picture(key).source
        except Gone:
            continue
        if other.model == source.model and not other.file and other.text != source.text:
            texts[other.text] = None
    if not texts:
        return None
    from attention_core.reading.readout import cosine, sentence_vector

    def vector(text: str) -> Any:
        return _vectors().get((source.model, text), lambda: service().work(sentence_vector, model, text))

    mine = vector(source.text)
    text, alike = max(((text, cosine(mine, vector(text))) for text in texts), key=lambda one: one[1])
    return closest_line(text, alike)
