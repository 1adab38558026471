"""Questions that can be asked of a text's run, in words, proposed from what the model says of it.

A proposal's sentence has slots: a token or a text that the visitor chooses. The plain question comes of its `plain`
with what stands in the slots put in.
"""

from collections.abc import Sequence

from attention_core.formats.json_data import Json, JsonObject
from attention_core.text.tokens import Token
from pages.shared.engine.plain import ModelSummary, Said, SaidPlace, TraceSummary

Proposal = JsonObject  # {"id", "name", "plain", "line": text or {"slot"}, "slots": {name: …}}; see questions.d.ts
MOST_OPTIONS = 400  # tokens of a text that can be chosen
LEAST_COPIED = 3  # tokens that are said a second time before it is worth asking how well they are copied
OTHER_SENTENCE = "The creature was too exhausted to get to the other side of the road."


def proposals(said: Said, trace: TraceSummary, model: ModelSummary, query: int | None) -> list[Proposal]:
    """What can be asked here; the first is asked unless the visitor chooses another. () where nothing can be."""
    found: list[Proposal] = []
    if said.kind in ("next", "masked"):
        place = said.places[0]
        position = place.position if said.kind == "masked" else None
        found += _of_words(place, position)
        if said.kind == "next":
            found.append(_of_text(trace.target_tokens or trace.source_tokens))
    elif said.kind == "labels" and said.labels:
        found.append(_of_label(said.labels[0].text))
    if model.sentences and not trace.target_tokens:
        found.append(_of_similarity())
    if not model.task:
        vector = _of_vector(trace.target_tokens or trace.source_tokens, query)
        found = [vector, *found] if model.sentences else [*found, vector]
    return found


def _of_words(place: SaidPlace, position: int | None) -> list[Proposal]:
    options = [[choice.id, choice.text] for choice in place.choices]
    tokens = {"options": options, "chosen": options[0][0]}
    at = {"position": position}
    found = [
        {
            "id": "difference",
            "name": "one word rather than another",
            "plain": {"question": "difference of two log-probabilities", **at},
            "line": ["What makes it say ", {"slot": "token"}, " rather than ", {"slot": "other"}, "?"],
            "slots": {"token": tokens, "other": {"options": options, "chosen": options[1][0]}},
        },
        {
            "id": "word",
            "name": "one word",
            "plain": {"question": "log-probability", **at},
            "line": ["What makes it say ", {"slot": "token"}, "?"],
            "slots": {"token": tokens},
        },
        {
            "id": "answer",
            "name": "its whole answer",
            "plain": {"question": "divergence", **at},
            "line": ["What changes its answer at all?"],
            "slots": {},
        },
    ]
    return found if len(options) > 1 else found[1:]


def _of_text(tokens: Sequence[Token]) -> Proposal:
    begin = max(copied_from(tokens), 1)
    return {
        "id": "text",
        "name": "the text’s own words",
        "plain": {"question": "log-probability of the text"},
        "line": ["How well does it foresee each word from ", {"slot": "begin"}, " on?"],
        "slots": {"begin": {"options": _places(tokens, first=1), "chosen": begin}},
    }


def _of_vector(tokens: Sequence[Token], query: int | None) -> Proposal:
    plain = [i for i, token in enumerate(tokens) if not token.special]
    chosen = query if query is not None and query < len(tokens) else (plain or [len(tokens) - 1])[-1]
    return {
        "id": "vector",
        "name": "one word’s vector",
        "plain": {"question": "a token's own vector"},
        "line": ["What makes the vector of ", {"slot": "position"}, " what it is?"],
        "slots": {"position": {"options": _places(tokens), "chosen": chosen}},
    }


def _of_similarity() -> Proposal:
    return {
        "id": "similarity",
        "name": "how alike two sentences are",
        "plain": {"question": "similarity of two sentences"},
        "line": ["What makes it so alike to ", {"slot": "other"}, "?"],
        "slots": {"other": {"text": True, "chosen": OTHER_SENTENCE}},
    }


def _of_label(label: str) -> Proposal:
    return {
        "id": "label",
        "name": "its label",
        "plain": {"question": "label"},
        "line": ["What makes it answer ", {"t": label}, "?"],
        "slots": {},
    }


def _places(tokens: Sequence[Token], first: int = 0) -> list[list[Json]]:
    return [[i, tokens[i].text] for i in range(first, min(len(tokens), MOST_OPTIONS))]


def copied_from(tokens: Sequence[Token]) -> int:
    """The place from which a text's end only repeats tokens that stood together before; 0 if it does not.

    The first token of the copy is left out: that it would be a copy, nobody could tell.
    """
    ids, n = [token.id for token in tokens], len(tokens)
    for length in range(n // 2, LEAST_COPIED - 1, -1):
        end = ids[n - length :]
        if any(ids[at : at + length] == end for at in range(n - 2 * length + 1)):
            return n - length + 1
    return 0
