# ruff: noqa: D102 (the seam, engine.py, says what each method does)
"""The engine of this process: the service's turns and worker, behind the seam."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

from attention_core.formats.json_data import Json, JsonObject
from pages.shared.address.view import View
from pages.shared.engine.answers import Effected, Lensed, Plain, Swept
from pages.shared.engine.engine import Engine, Handle
from pages.shared.engine.experiments import Doing, Experiments
from pages.shared.engine.packs import HEADS, Fixed, Part, SavedFile, Wanted, maker, pair_maker, recipe
from pages.shared.engine.plain import (
    Closest,
    First,
    ModelSummary,
    Progress,
    Refused,
    Said,
    Surveyed,
    TraceSummary,
    Written,
)
from pages.shared.engine.summaries import model_summary, said, trace_summary
from pages.shared.engine.surveys import Surveys
from pages.shared.process import spent
from pages.shared.process.settings import Settings
from pages.shared.service import first_words, heads
from pages.shared.service.counting import Count, count_soon
from pages.shared.service.service import Gone, Service
from pages.shared.service.sources import Picture, Source
from pages.shared.service.told import what_is_told
from pages.shared.service.turns import Asker

if TYPE_CHECKING:
    from torch.nn import Module

    from attention_core.models.facts import LoadedModel
    from attention_core.reading.generation import Continuation, How
    from attention_core.trace import Trace

Answer = TypeVar("Answer")

WAITERS = 1_000  # threads that wait for the worker, each on behalf of a page


@dataclass(slots=True, eq=False)
class Job(Generic[Answer]):
    """A job of this process."""

    future: "Future[Answer]"
    progress_of: Callable[[], Progress]
    gone: Event = field(default_factory=Event)

    def progress(self) -> Progress:
        """How far it is."""
        return self.progress_of()

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.gone.set()


class LocalEngine(Engine):
    """Computes in this process. `service` is the one that the labels and scores of this process ask too."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._waiters = ThreadPoolExecutor(WAITERS, thread_name_prefix="waiter")
        self._models: WeakKeyDictionary[Module, ModelSummary] = WeakKeyDictionary()
        self._traces: WeakKeyDictionary[Trace, TraceSummary] = WeakKeyDictionary()
        self._surveys = Surveys(service)
        self._experiments = Experiments(service)

    @property
    def settings(self) -> Settings:
        return self.service.settings

    def start(self, *, pause: float = 0.0) -> "Future[None]":
        return self.service.start(pause=pause)

    def close(self) -> None:
        """Nothing of this process outlives it."""

    @property
    def waiting(self) -> int:
        return self.service.waiting

    def condition(self) -> JsonObject:
        return {**self.service.condition(), "processor_s": spent.told()}

    def key(self, picture: Picture) -> str:
        return self.service.key(picture)

    def picture(self, key: str) -> Picture:
        return self.service.picture(key)

    def loaded(self, name: str) -> ModelSummary | None:
        model = self.service.loaded(name)
        if model is None:
            return None
        if model.model not in self._models:
            self._models[model.model] = model_summary(model)
        return self._models[model.model]

    def known(self, source: Source) -> TraceSummary | None:
        trace = self.service.known_trace(source)
        return None if trace is None else self._summary(source, trace)

    def known_at_once(self, source: Source) -> TraceSummary | None:
        trace = self.service.trace_in_memory(source)
        return None if trace is None else self._summary(source, trace)

    def read(self, source: Source, visitor: str = "") -> Handle[TraceSummary]:
        gone = Event()

        def job() -> TraceSummary:
            return self._summary(source, self._read(source, Asker(visitor, gone)))

        def progress() -> Progress:
            return Progress(self.service.ahead(source), self.service.progress(source.model))

        return Job(self._waiters.submit(job), progress, gone)

    def readout(self, source: Source, visitor: str = "") -> Handle[Said]:
        def job() -> Said:
            return said(self.service.readout(source, visitor))

        return Job(self._waiters.submit(job), lambda: Progress(self.service.ahead(source)))

    def known_readout(self, source: Source) -> Said | None:
        readout = self.service.known_readout(source)
        return None if readout is None else said(readout)

    def write(self, source: Source, n: int, how: str, seed: int, visitor: str = "") -> Handle[Written]:
        gone, written = Event(), [0]

        def stop(n_written: int) -> bool:
            written[0] = n_written
            return gone.is_set()

        def job() -> Written:
            from attention_core.capturing.encode import CaptureError
            from attention_core.reading.generation import GenerationError

            try:
                made = self.service.write(source, n, cast("How", how), seed, stop, visitor)
            except (CaptureError, GenerationError) as error:
                raise Refused(str(error)) from None
            into = "target" if self.service.model(source.model).facts.encoder_decoder else "text"
            return _written(made, into)

        return Job(self._waiters.submit(job), lambda: Progress(done=written[0], total=n), gone)

    def put_token(self, source: Source, token: int, which: int) -> Written:
        from attention_core.reading.generation import GenerationError, append_token, fill_mask

        model = self._model(source.model)
        if model.head is None:
            raise Refused("This model has no words to put here.")
        try:
            if model.head.predicts == "masked token":
                n_first = source.text.count(str(model.tokenizer.mask_token))
                if which < n_first:
                    return Written(fill_mask(model, source.text, which, token), (), "", True)
                return Written(fill_mask(model, source.pair, which - n_first, token), (), "", True, "pair")
            decodes = model.facts.encoder_decoder
            target = source.target if decodes else None
            made = append_token(model, source.text, token, target=target, **what_is_told(model, source))
        except GenerationError as error:
            raise Refused(str(error)) from None
        return _written(made, "target" if decodes else "text")

    def survey(self, model: str, files: Sequence[tuple[str, bytes]], lines: bool | None, name: str) -> Handle[Surveyed]:
        survey = self._surveys.of(model, files, lines, name)
        gone = Event()
        return Job(self._waiters.submit(self._surveys.run, survey, name, gone), survey.progress, gone)

    def label(self, source: Source, by: str = "") -> JsonObject:
        return heads.labels_of(source, by)

    def prepare(self, picture: Picture, layer: int | str, head: int | str) -> "Future[None]":
        return self.service.prepare(picture, layer, head)

    def pack(self, picture: Picture, part: Part) -> bytes:
        key = self.service.key(picture)
        if part[0] == HEADS:
            from attention_core.heads.packs import heads_pack

            # Before the pack's turn at the worker: the metrics have one of their own, and are kept for all visitors.
            scores = heads.scores_of(picture.source, by_norm=picture.by_norm)
            return self.service.packed(
                key, (HEADS,), lambda trace, _: heads_pack(trace, scores, by_norm=picture.by_norm)
            )
        return self.service.packed(key, part, maker(part))

    def compare(self, a: Picture, b: Picture, part: Part, fixed: Fixed) -> bytes:
        keys = self.service.key(a), self.service.key(b)
        return self.service.packed_together(keys, (*part, fixed), pair_maker(part, fixed))

    def bring(self, model: str, beside: str, visitor: str = "") -> Handle[bool]:
        gone = Event()

        def job() -> bool:
            self._model(model, lambda: not gone.is_set(), beside)
            return True

        return Job(self._waiters.submit(job), lambda: Progress(doing=self.service.progress(model)), gone)

    def save(self, picture: Picture, wanted: Wanted) -> SavedFile:
        make, media_type, name = recipe(picture, wanted)
        made = self.service.file(self.service.key(picture), astuple(wanted), make)
        return SavedFile(made, media_type, name)

    def count(self, source: Source, visitor: str = "") -> Handle[Count]:
        gone = Event()
        return Job(count_soon(visitor, source, lambda: not gone.is_set()), Progress, gone)

    def forget(self, source: Source) -> None:
        self.service.forget(source)

    def first_text(self, model: str) -> First:
        from attention_core.capturing.vocabulary import first_text

        loaded = self.service.loaded(model)
        if loaded is None:
            return First(View().text, "")
        found = self.service.work(lambda: first_text(loaded, View().text))
        return First(found.text, found.says)

    def open_file(self, data: bytes) -> Source:
        from attention_core.record.file import TraceFileError

        try:
            return self.service.open_file(data)
        except TraceFileError as error:
            raise Refused(str(error)) from None

    def row(self, source: Source, layer: int, head: int, query: int) -> list[float]:
        return self._read(source).weights(layer, head, slice(query, query + 1))[0].tolist()

    def strongest_link(self, source: Source, layer: int, head: int) -> tuple[int, int] | None:
        from attention_core.reading.links import opening_link

        link = opening_link(self._read(source), layer, head)
        return None if link is None else (link.query, link.key)

    def finds(self, source: Source) -> JsonObject:
        return first_words.finds_in(source, self._read(source))

    def lesson_step(self, source: Source, step: JsonObject) -> JsonObject:
        from attention_core.lessons.lesson import step_from
        from attention_core.lessons.showing import shown

        trace = self._read(source)
        return self.service.work(lambda: shown(step_from(step), trace))

    def lesson_mark(self, source: Source, step: JsonObject, answer: Json) -> JsonObject:
        from attention_core.lessons.lesson import step_from
        from attention_core.lessons.showing import revealed

        trace = self._read(source)
        return self.service.work(lambda: revealed(step_from(step), trace, answer))

    def closest(self, source: Source, texts: Sequence[str]) -> Closest | None:
        found = None if source.edits else first_words.closest(source, texts)  # the others would be read unedited
        return None if found is None else Closest(*found)

    def seed(self, source: Source, layer: int, head: int, tokens: tuple[int, ...]) -> str:
        from attention_core.lab.link import to_link
        from attention_core.lab.seed import from_trace

        return to_link(from_trace(self._read(source), layer, head, tokens))

    def effect(
        self, source: Source, edits: Sequence[Plain], question: Plain | None, draws: int, visitor: str = ""
    ) -> Handle[Effected]:
        doing = Doing(visitor)
        future = self._waiters.submit(self._experiments.effect, source, edits, question, draws, doing)
        return Job(future, doing.progress, doing.gone)

    def sweep(
        self, source: Source, what: Plain, question: Plain | None, draws: int, visitor: str = ""
    ) -> Handle[Swept]:
        doing = Doing(visitor)
        future = self._waiters.submit(self._experiments.sweep, source, what, question, draws, doing)
        return Job(future, doing.progress, doing.gone)

    def lenses(self, source: Source, layer: int, head: int, query: int, visitor: str = "") -> Handle[Lensed]:
        doing = Doing(visitor)
        future = self._waiters.submit(self._experiments.lenses, source, layer, head, query, doing)
        return Job(future, doing.progress, doing.gone)

    def _model(self, name: str, wanted: Callable[[], bool] = lambda: True, beside: str = "") -> "LoadedModel":
        """A model, loaded (again) if it is not here. Raises Refused with a sentence where it cannot be."""
        self.service.start().result()
        from attention_core import ModelError

        try:
            return self.service.model(name, wanted, beside)
        except ModelError as error:
            raise Refused(str(error)) from None

    def _read(self, source: Source, asker: Asker | None = None) -> "Trace":
        """The trace of a source. Raises Refused with a sentence where there is none, and Gone."""
        self.service.start().result()
        from attention_core import ModelError
        from attention_core.capturing.encode import CaptureError

        try:
            return self.service.trace(source, asker) if asker else self.service.trace(source)
        except (ModelError, CaptureError, Gone) as error:
            raise Refused(str(error)) from None
        except ValueError as error:  # an architecture with a term that the formula does not know: refused by name
            raise Refused(f"This model cannot be shown: {error}.") from None

    def _summary(self, source: Source, trace: "Trace") -> TraceSummary:
        if trace not in self._traces:
            model = None if source.file else self.service.loaded(source.model)
            self._traces[trace] = trace_summary(trace, model)
        return self._traces[trace]


def _written(made: "Continuation", into: str) -> Written:
    from attention_core.reading.generation import ENDED_WORDS

    place = "target" if into == "target" else "text"
    return Written(made.text, tuple(one.text for one in made.added), ENDED_WORDS[made.ended], made.same_tokens, place)
