"""What the model says, as data for the browser: the panel's bars and tables, and one line for the first screen.

A line is a list of parts: text, or {"t": token as shown}. Numbers are in per cent, without decimals.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attention_core.models.cards import CATALOGUE

if TYPE_CHECKING:
    from attention_core.reading.predictions import Prediction
    from attention_core.reading.readout import Choice, Readout
    from attention_core.trace import Trace

Line = list[str | dict[str, str]]
IN_A_LINE = 3  # choices
LONGEST = 60  # characters of a sentence that is named


def panel_data(readout: "Readout", trace: "Trace") -> dict[str, Any] | None:
    """What `assets/js/explore/says.js` draws; None where the model says nothing."""
    from attention_core.reading.readout import MaskedTokens, NextToken, Similarity, Unsaid

    data: dict[str, Any] = {"groups": [], "act": "add", "d_vocab": 0, "similarity": None, "prediction": None}
    if isinstance(readout, Unsaid):
        return None
    if isinstance(readout, NextToken):
        tokens = trace.target_tokens or trace.source_tokens
        title = "The decoder's next token, after" if readout.of_decoder else "The next token, after"
        groups = [_group(title, tokens[-1].text, 0, readout.entropy, readout.choices)]
        return data | {"groups": groups, "d_vocab": readout.d_vocab}
    if isinstance(readout, MaskedTokens):
        groups = [
            _group(
                "Behind the mask after", trace.source_tokens[fill.position - 1].text, which, fill.entropy, fill.choices
            )
            for which, fill in enumerate(readout.fills)
        ]
        return data | {"groups": groups, "act": "fill", "d_vocab": readout.d_vocab}
    if isinstance(readout, Similarity):
        compared = {"function": readout.function, "score": readout.score, "read": [list(one) for one in readout.read]}
        return data | {"similarity": {"cosine": readout.cosine, "words": readout.words, **compared}}
    return data | {"prediction": _predicted(readout)}


def line_of(readout: "Readout", trace: "Trace") -> Line:
    """What the model says in one line: the likeliest tokens, a label, how alike two sentences are, or why nothing."""
    from attention_core.reading.predictions import Answer, Choices, Labels, Tags
    from attention_core.reading.readout import MaskedTokens, NextToken, Similarity

    line: Line = []
    if isinstance(readout, NextToken):
        return ["next: ", *_likeliest(readout.choices)]
    if isinstance(readout, MaskedTokens):
        line = []
        for fill in readout.fills[:2]:
            line += [*(["; "] if line else []), {"t": trace.source_tokens[fill.position].text}, ": "]
            line += _likeliest(fill.choices)
        return line
    if isinstance(readout, Similarity):
        return [f"how alike the two sentences are: {readout.cosine:.2f} (1 = the same, 0 = unrelated)"]
    if isinstance(readout, Tags):
        line = ["tags: "]
        for i, (word, tag) in enumerate(readout.by_word[:IN_A_LINE]):
            line += [*([", "] if i else []), {"t": word}, f" {tag.best[0].text}"]
        return line
    if isinstance(readout, Answer):
        if not readout.spans or readout.none > readout.spans[0].probability:
            return [f"answer: none in the second sentence, {_percent(readout.none)}"]
        return ["answer: ", {"t": readout.spans[0].text}, f" {_percent(readout.spans[0].probability)}"]
    if isinstance(readout, Labels | Choices):
        name, best = "label" if isinstance(readout, Labels) else "choice", readout.labels[0]
        number = _percent(best.probability) if best.probability is not None else f"{best.logit:.2f}"
        return [f"{name}: ", {"t": best.text}, f" {number}"]
    return [readout.reason]


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


def _likeliest(choices: "Sequence[Choice]") -> Line:
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


def _group(title: str, place: str, which: int, entropy: float, choices: "Sequence[Choice]") -> dict[str, Any]:
    shown = [{"id": choice.id, "t": choice.text, "p": choice.probability} for choice in choices]
    return {"title": title, "place": place, "which": which, "entropy": entropy, "choices": shown}


def _predicted(found: "Prediction") -> dict[str, Any]:
    """A prediction as the browser's view takes it: rows of a text, a probability or none, and a number."""
    from attention_core.reading.predictions import Answer, Choices, Labels, Tags

    if isinstance(found, Tags):
        words = [{"t": word, "tag": tag.best[0].text, "p": tag.best[0].probability} for word, tag in found.by_word]
        rows = [
            {"t": tag.text, "best": [{"t": one.text, "p": one.probability, "v": one.logit} for one in tag.best]}
            for tag in found.tags
        ]
        return {"kind": "tags", "words": found.words, "tagged": words, "rows": rows}
    if isinstance(found, Answer):
        rows = [{"t": span.text, "p": span.probability, "v": None} for span in found.spans]
        return {"kind": "answer", "words": found.words, "rows": rows, "none": found.none}
    kind = {Labels: "labels", Choices: "choices"}[type(found)]
    return {
        "kind": kind,
        "words": found.words,
        "rows": [{"t": one.text, "p": one.probability, "v": one.logit} for one in found.labels],
    }
