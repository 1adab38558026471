"""What the model says, as data for the browser: the panel's bars and tables, and one line for the first screen.

A line is a list of parts: text, or {"t": token as shown}. Numbers are in per cent, without decimals.
"""

from collections.abc import Sequence

from attention_core.formats.json_data import JsonObject
from attention_core.models.cards import CATALOGUE
from pages.shared.engine.plain import Said, SaidChoice, SaidLabel, TraceSummary

Line = list[str | dict[str, str]]
IN_A_LINE = 3  # choices
LONGEST = 60  # characters of a sentence that is named


def panel_data(said: Said, trace: TraceSummary) -> JsonObject | None:
    """What `assets/js/explore/says.js` draws; None where the model says nothing."""
    data: JsonObject = {"groups": [], "act": "add", "d_vocab": 0, "similarity": None, "prediction": None}
    if said.kind == "unsaid":
        return None
    if said.kind == "next":
        tokens = trace.target_tokens or trace.source_tokens
        title = "The decoder's next token, after" if said.of_decoder else "The next token, after"
        (place,) = said.places
        groups = [_group(title, tokens[-1].text, 0, place.entropy, place.choices)]
        return data | {"groups": groups, "d_vocab": said.d_vocab}
    if said.kind == "masked":
        tokens = trace.source_tokens
        groups = [
            _group("Behind the mask after", tokens[fill.position - 1].text, which, fill.entropy, fill.choices)
            for which, fill in enumerate(said.places)
        ]
        return data | {"groups": groups, "act": "fill", "d_vocab": said.d_vocab}
    if said.kind == "similarity":
        compared = {"function": said.function, "score": said.score, "read": [list(one) for one in said.read]}
        return data | {"similarity": {"cosine": said.cosine, "words": said.words, **compared}}
    return data | {"prediction": _predicted(said)}


def line_of(said: Said, trace: TraceSummary) -> Line:
    """What the model says in one line: the likeliest tokens, a label, how alike two sentences are, or why nothing."""
    line: Line = []
    if said.kind == "next":
        return ["next: ", *_likeliest(said.places[0].choices)]
    if said.kind == "masked":
        for fill in said.places[:2]:
            line += [*(["; "] if line else []), {"t": trace.source_tokens[fill.position].text}, ": "]
            line += _likeliest(fill.choices)
        return line
    if said.kind == "similarity":
        return [f"how alike the two sentences are: {said.cosine:.2f} (1 = the same, 0 = unrelated)"]
    if said.kind == "tags":
        line = ["tags: "]
        for i, (word, tag) in enumerate(said.tagged[:IN_A_LINE]):
            line += [*([", "] if i else []), {"t": word}, f" {tag.text}"]
        return line
    if said.kind == "answer":
        if not said.labels or said.none > (said.labels[0].probability or 0):
            return [f"answer: none in the second sentence, {_percent(said.none)}"]
        return ["answer: ", {"t": said.labels[0].text}, f" {_percent(said.labels[0].probability or 0)}"]
    if said.kind in ("labels", "choices"):
        name, best = said.kind.removesuffix("s"), said.labels[0]
        number = _percent(best.probability) if best.probability is not None else f"{best.logit:.2f}"
        return [f"{name}: ", {"t": best.text}, f" {number}"]
    return [said.words]


def closest_line(text: str, cosine: float) -> Line:
    """Which of the sentences that were typed before is closest."""
    short = text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()}…"
    return ["closest of the sentences typed before: ", {"t": short}, f" {cosine:.2f}"]


def who_says_next(model: str) -> dict[str, str] | None:
    """The bundled model that says a next word, for one that does not: its id and name."""
    for card in CATALOGUE:
        if card.bundled and "causal" in card.good_for and card.id != model:
            return {"model": card.id, "name": card.name.split(" (")[0]}
    return None


def _likeliest(choices: Sequence[SaidChoice]) -> Line:
    line: Line = []
    for choice in choices[:IN_A_LINE]:
        line += [*([", "] if line else []), {"t": choice.text}, f" {_percent(choice.probability)}"]
    return line


def _percent(share: float) -> str:
    """0.789 → "79 %"; never 0 or 100 for what is neither."""
    if 0 < share < 0.005:
        return "< 1 %"
    if 0.995 <= share < 1:
        return "> 99 %"
    return f"{100 * share:.0f} %"


def _group(title: str, place: str, which: int, entropy: float, choices: Sequence[SaidChoice]) -> JsonObject:
    shown = [{"id": choice.id, "t": choice.text, "p": choice.probability} for choice in choices]
    return {"title": title, "place": place, "which": which, "entropy": entropy, "choices": shown}


def _predicted(found: Said) -> JsonObject:
    """A prediction as the browser's view takes it: rows of a text, a probability or none, and a number."""
    if found.kind == "tags":
        words = [{"t": word, "tag": tag.text, "p": tag.probability} for word, tag in found.tagged]
        rows = [{"t": tag.text, "best": list(map(_row, tag.best))} for tag in found.tags]
        return {"kind": "tags", "words": found.words, "tagged": words, "rows": rows}
    rows = list(map(_row, found.labels))
    none = {"none": found.none} if found.kind == "answer" else {}
    return {"kind": found.kind, "words": found.words, "rows": rows, **none}


def _row(label: SaidLabel) -> JsonObject:
    return {"t": label.text, "p": label.probability, "v": label.logit}
