"""A step of a lesson on the learner's text, as plain data: what is said and asked; once it was answered, what is so.

    shown(step, trace)["ask"]["kind"]            # "point"
    revealed(step, trace, 4)["verdict"]          # "nearly"

What `shown` gives holds no answer. `revealed` takes what the learner gave as it came, and refuses what is no answer.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping

from attention_core.formats.json_data import Json, JsonObject
from attention_core.lessons.asking import Answer, Asked, ask, told
from attention_core.lessons.lesson import (
    Figure,
    Number,
    OfCell,
    OfColumn,
    OfRow,
    OfVector,
    Order,
    Point,
    Sketch,
    Step,
    Which,
    Word,
    figures_in,
)
from attention_core.lessons.measuring import CannotAskError, measure, place_of
from attention_core.record.record import Record

Place = tuple[Word, int, int, bool]  # a word, the layer and head in which it is looked for, whether among the keys


def shown(step: Step, trace: Record) -> JsonObject:
    """What a learner sees of a step before answering.

    {"say": sentences with their figures, "stands": [[word of the lesson, token of this text that stands for it]],
    "missing": the lesson's words that this text has nothing for, "query": whose row it is or null,
    "ask": null or {"kind", "asks", "why_not", "words", "among", "query", "digits"}}. A sentence whose figures have no
    meaning on this text is left out; where a token stands for a word, it stands for “word” in what is said too.
    """
    stands, missing = _stand_ins(step, trace)
    found: JsonObject = {
        "say": [_put_in(told(one, step, trace), stands) for one in step.say if _can_be_told(one, step, trace)],
        "stands": [[word, token] for word, token in stands.items()],
        "missing": missing,
        "query": _query_of_view(step, trace),
        "ask": None,
    }
    if step.ask is not None:
        asked = ask(step.ask, trace)
        found["query"] = asked.query if asked.query is not None else found["query"]
        found["ask"] = {
            "kind": asked.kind,
            "asks": _put_in(told(step.ask.asks, step, trace), stands),
            "why_not": asked.why_not,
            "words": _names_shown(asked, stands),
            "among": list(asked.among),
            "query": asked.query,
            "digits": step.ask.digits if isinstance(step.ask, Number) else None,
        }
    return found


def revealed(step: Step, trace: Record, given: Json) -> JsonObject:
    """The mark of what was given, and what is so; with None nothing is marked, and what is so is shown all the same.

    {"verdict": "right", "nearly", "no" or "shown", "says", "slip", "why", "values"}, the values as in `Asked.values`.
    Raises ValueError with a sentence where the step asks nothing here, or what was given is no answer to it.
    """
    if step.ask is None:
        raise ValueError("This step asks nothing.")
    asked = ask(step.ask, trace)
    if asked.why_not:
        raise ValueError(asked.why_not)
    stands, _ = _stand_ins(step, trace)
    found: JsonObject = {"verdict": "shown", "says": "", "slip": ""}
    if given is not None:
        mark = asked.mark(answer_of(asked, _as_named(asked, given, stands)))
        found = {"verdict": mark.verdict, "says": _put_in(mark.says, stands), "slip": mark.slip}
    return {**found, "why": _put_in(told(step.ask.why, step, trace), stands), "values": list(asked.values)}


def answer_of(asked: Asked, given: Json) -> Answer:
    """What was given as this kind of question takes it. Raises ValueError with a sentence where it is no such thing."""
    return _READS[asked.kind](asked, given)


def _put_in(sentence: str, stands: Mapping[str, str]) -> str:
    """What stands for a word of the lesson, wherever that is quoted: “it”, or ‘it’ in a name that is quoted itself."""
    return re.sub(
        r"([“‘])([^“”‘’]+)([”’])",
        lambda found: f"{found[1]}{stands.get(found[2], '').strip('·‿') or found[2]}{found[3]}",
        sentence,
    )


def _names_shown(asked: Asked, stands: Mapping[str, str]) -> list[str]:
    """The names of the choices with what stands for their words; as they are if two would be the same."""
    if asked.kind not in ("order", "which"):
        return list(asked.words)
    names = [_put_in(name, stands) for name in asked.words]
    return names if len(set(names)) == len(names) else list(asked.words)


def _as_named(asked: Asked, given: Json, stands: Mapping[str, str]) -> Json:
    """What was given, with the lesson's own names for those that were shown."""
    if asked.kind not in ("order", "which"):
        return given
    own = dict(zip(_names_shown(asked, stands), asked.words, strict=True))
    if isinstance(given, list):
        return [own.get(name, name) if isinstance(name, str) else name for name in given]
    return own.get(given, given) if isinstance(given, str) else given


def _place(asked: Asked, given: Json) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given not in asked.among:
        raise ValueError("Point at one of the words that can be chosen.")
    return given


def _name(asked: Asked, given: Json) -> str:
    if not isinstance(given, str) or given not in asked.words:
        raise ValueError("Choose one of those that are there.")
    return given


def _head(asked: Asked, given: Json) -> str:
    name = given.strip() if isinstance(given, str) else ""
    if name not in asked.words:
        raise ValueError("Type a head as layer.head, for example 3.1.")
    return name


def _names(asked: Asked, given: Json) -> list[str]:
    names = given if isinstance(given, list) else []
    if not all(isinstance(name, str) for name in names) or sorted(names) != sorted(asked.words):
        raise ValueError("Give each of them one place.")
    return names


def _typed(asked: Asked, given: Json) -> float:
    if not _is_number(given):
        raise ValueError("Type a number, as 1.25 or -0.5.")
    return float(given)


def _shares(asked: Asked, given: Json) -> list[float]:
    """Bars of any size: their shares are what counts."""
    bars = given if isinstance(given, list) else []
    if len(bars) != len(asked.among) or not all(_is_number(bar) and bar >= 0 for bar in bars) or not sum(bars):
        raise ValueError("Draw a bar for each word; one of them at least is above 0.")
    return [bar / sum(bars) for bar in bars]


def _is_number(given: Json) -> bool:
    if not isinstance(given, int | float) or isinstance(given, bool):
        return False
    return abs(given) < 1e12 and math.isfinite(given)


_READS: dict[str, Callable[[Asked, Json], Answer]] = {
    "point": _place,
    "sketch": _shares,
    "number": _typed,
    "order": _names,
    "which": _name,
    "find-head": _head,
}


def _can_be_told(sentence: str, step: Step, trace: Record) -> bool:
    try:
        for name in figures_in(sentence):
            measure(step.figures[name], trace)
    except CannotAskError:
        return False
    return True


def _stand_ins(step: Step, trace: Record) -> tuple[dict[str, str], list[str]]:
    """Which tokens of this text stand for words that it lacks, and the words that nothing stands for."""
    stands: dict[str, str] = {}
    missing: dict[str, None] = {}
    for word, layer, head, as_key in _places(step):
        exactly = Word(word=word.word, otherwise="none")
        if _place_or_none(exactly, trace, layer, head, as_key=as_key) is not None:
            continue
        place = _place_or_none(word, trace, layer, head, as_key=as_key)
        if place is None:
            missing.setdefault(word.word)
            continue
        tokens = trace.key_tokens(layer) if as_key else trace.query_tokens(layer)
        stands.setdefault(word.word, tokens[place].text)
    return stands, [word for word in missing if word not in stands]


def _place_or_none(word: Word, trace: Record, layer: int, head: int, *, as_key: bool) -> int | None:
    try:
        return place_of(word, trace, layer, head, as_key=as_key)
    except CannotAskError:
        return None


def _places(step: Step) -> Iterator[Place]:
    if isinstance(step.ask, Point | Sketch):
        yield step.ask.query, step.ask.layer, step.ask.head, False
    figures: list[Figure] = list(step.figures.values())
    if isinstance(step.ask, Number):
        figures.append(step.ask.figure)
    if isinstance(step.ask, Order | Which):
        figures += step.ask.figures.values()
    for figure in figures:
        if isinstance(figure, OfCell | OfRow):
            yield figure.query, figure.layer, figure.head, False
        if isinstance(figure, OfCell | OfColumn):
            yield figure.key, figure.layer, figure.head, True
        if isinstance(figure, OfVector):
            yield figure.token, figure.layer, figure.head, figure.what != "q"


def _query_of_view(step: Step, trace: Record) -> int | None:
    view = step.view
    if view.query is None or view.layer is None or view.head is None:
        return None
    return _place_or_none(view.query, trace, view.layer, view.head, as_key=False)
