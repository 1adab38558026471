"""What the Heads page asks of the one service: metrics of a text, labels of a model. Kept for all visitors.

Metrics are made in the worker when a text's turn comes. Labels belong to the model and rest on many probe texts: they
are made slice by slice, a forward pass or a layer's scores at a time, so that visitors' texts come in between.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from threading import Lock, Thread
from typing import TYPE_CHECKING

from attention_core.formats.json_data import JsonObject
from pages.shared.process import unforeseen
from pages.shared.service.bounded import BoundedCache
from pages.shared.service.label_words import cards_in_words, labels_in_words
from pages.shared.service.service import service
from pages.shared.service.sources import Source

if TYPE_CHECKING:
    from attention_core.heads.cards import LabelCard
    from attention_core.heads.labelling import Progress
    from attention_core.heads.scores import HeadScores

SCORES_BYTES = 32 * 1_000_000  # about 2,000 texts in a model of 72 heads
BY_TEXTS = "by:"  # begins the name of labels by a visitor's texts; no model is called so
LABEL_BYTES = 16 * 1_000_000  # dozens of models


@cache
def _scores() -> "BoundedCache[HeadScores]":
    return BoundedCache(SCORES_BYTES, _scores_bytes)


def _scores_bytes(scores: "HeadScores") -> int:
    return sum(tensor.nbytes for tensor in (scores.values, scores.even, scores.profiles)) + 200 * len(scores.heads)


def scores_of(source: Source, *, by_norm: bool = False) -> "HeadScores":
    """Every metric of every head on a source's text: computed by the worker once, and kept.

    Raises what `Service.trace` and `head_scores` raise.
    """
    from attention_core.heads.scores import head_scores

    def computed() -> "HeadScores":
        trace = service().trace(source)
        return service().work(lambda: head_scores(trace, by_norm=by_norm))

    return _scores().get((source, by_norm), computed)


@dataclass(slots=True)
class _Making:
    """The labels of one model on their way."""

    done: int = 0
    total: int = 0  # 0: the model is still being loaded
    failed: str = ""


Labels = JsonObject  # what the browser is told: {"says", "cards": {"3.1": …}}


class LabelBook:
    """The labels of models, made in the background when somebody first asks."""

    def __init__(self) -> None:
        self._known: BoundedCache[Labels] = BoundedCache(LABEL_BYTES, lambda labels: 2 * len(repr(labels)))
        self._making: dict[str, _Making] = {}
        self._lock = Lock()

    def of(self, model: str) -> JsonObject:
        """What is known of a model's labels now: {"state", "done", "total", "says", "cards"}. Never waits.

        The state is "ready", "working" or "failed"; a failure is told once, and who asks again begins anew.
        """
        with self._lock:
            making = self._making.get(model)
            # In this order, under the lock: between the two questions a labelling could be done and forgotten.
            if (labels := self._known.peek(model)) is not None:
                return {"state": "ready", "done": 1, "total": 1, **labels}
            if making is None:
                making = self._making[model] = _Making()
                Thread(target=self._make, args=(model, making), name="labels", daemon=True).start()
            elif making.failed:
                del self._making[model]
                return {"state": "failed", "done": 0, "total": 0, "says": making.failed}
        return {"state": "working", "done": making.done, "total": making.total, "says": ""}

    def keep(self, by: str, says: str, cards: "Mapping[tuple[int, int], LabelCard]") -> None:
        """Keep the labels that somebody has by texts of his own, under a name that only he knows."""
        self._known.put(by, {"says": says, "cards": cards_in_words(cards)})

    def kept(self, by: str) -> JsonObject:
        """What `keep` kept; a failure, told in words, if it had to make room."""
        labels = self._known.peek(by)
        if labels is None:
            says = "The labels by your texts are no longer in the server's memory: run the survey again."
            return {"state": "failed", "done": 0, "total": 0, "says": says}
        return {"state": "ready", "done": 1, "total": 1, **labels}

    def _make(self, name: str, making: _Making) -> None:
        from attention_core.heads.labelling import Labelling

        try:
            labelling = service().work(Labelling, service().model(name))
            steps = iter(labelling)
            while progress := service().work(_next, steps):
                making.done, making.total = progress.done, progress.total
            cards = service().work(labelling.cards)
            tested = any(card.evidence for card in cards.values())
            says = labels_in_words(labelling.rests_on, labelling.n_passes) if tested else ""
            self._known.put(name, {"says": says, "cards": cards_in_words(cards)})
        except Exception as error:  # whatever it is, the page says it and the thread ends
            making.failed = f"The heads could not be labelled: {unforeseen.in_words(error)}"
            return
        with self._lock:
            del self._making[name]


def _next(steps: "Iterator[Progress]") -> "Progress | None":
    return next(steps, None)


@cache
def label_book() -> LabelBook:
    """The book of this process."""
    return LabelBook()


def labels_of(source: Source, by: str = "") -> JsonObject:
    """The labels that a text's page shows: those of its model, or those that are kept under `by`."""
    if source.file:
        trace = service().known_trace(source)
        given = trace is not None and trace.given
        came = "none is behind matrices of your own" if given else "this trace came from a file"
        return {
            "state": "none",
            "done": 0,
            "total": 0,
            "says": f"No labels: they need the model itself, and {came}.",
        }
    return label_book().kept(by) if by.startswith(BY_TEXTS) else label_book().of(source.model)
