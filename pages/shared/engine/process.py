# ruff: noqa: D102 (the seam, engine.py, says what each method does)
"""The engine of a reader process: the pages know summaries and keys, everything else lives beside them."""

import os
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import TypeVar
from weakref import finalize

import msgspec

from attention_core.formats.json_data import Json, JsonObject
from pages.shared.engine import messages
from pages.shared.engine.answers import Effected, Lensed, Plain, Swept
from pages.shared.engine.engine import Engine, Handle
from pages.shared.engine.keeper import Asked, Keeper
from pages.shared.engine.packs import Fixed, Part, SavedFile, Wanted
from pages.shared.engine.plain import (
    Closest,
    First,
    ModelSummary,
    Refused,
    Said,
    Surveyed,
    TraceSummary,
    Written,
)
from pages.shared.process import spent
from pages.shared.process.settings import Settings
from pages.shared.service.bounded import BoundedCache
from pages.shared.service.counting import Count
from pages.shared.service.keys import Keys
from pages.shared.service.sources import Picture, Source

SUMMARY_BYTES = 32 * 1_000_000  # of traces: about a thousand sentences
MODEL_BYTES = 4 * 1_000_000  # of models: hundreds
SAID_BYTES = 8 * 1_000_000
LONGEST_ASKED = 2.0  # seconds that who asks for its condition waits for the reader


class ProcessEngine(Engine):
    """Asks a reader, which is started again when it ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = Keys()
        self._models: BoundedCache[ModelSummary] = BoundedCache(MODEL_BYTES, lambda model: 2 * len(repr(model)))
        self._traces: BoundedCache[TraceSummary] = BoundedCache(SUMMARY_BYTES, lambda trace: trace.nbytes)
        self._saids: BoundedCache[Said] = BoundedCache(SAID_BYTES, lambda said: 2 * len(repr(said)))
        self.keeper = Keeper(lambda: self._settings, self._told)

    @property
    def settings(self) -> Settings:
        return self._settings

    def start(self, *, pause: float = 0.0) -> "Future[None]":
        """At once: the reader's imports hold no lock of this process."""
        if self.keeper.ready:
            done: Future[None] = Future()
            done.set_result(None)
            return done
        return self.keeper.ask("start", (), None, lasting=True).future

    def close(self) -> None:
        self.keeper.close()

    @property
    def waiting(self) -> int:
        return self.keeper.waiting

    def condition(self) -> JsonObject:
        told: JsonObject = {
            "ready": self.keeper.ready,
            "model": "loading",
            "waiting": 0,
            "models": 0,
            "cache_bytes": {},
            "disk_bytes": 0,
        }
        if self.keeper.ready:
            try:
                told = self._ask("condition").future.result(timeout=LONGEST_ASKED)
            except (TimeoutError, Refused):  # it has just ended, or has no moment: what is known here is told
                pass
        reader = {"rss_bytes": self.keeper.rss_bytes, "restarts": self.keeper.restarts}
        if "processor_s" in told:
            reader["processor_s"] = told["processor_s"]
        summaries = self._traces.nbytes + self._saids.nbytes + self._models.nbytes
        caches = {**told["cache_bytes"], "keys": self._keys.nbytes, "summaries": summaries}
        return {**told, "cache_bytes": caches, "processor_s": spent.told(), "reader": reader}

    def key(self, picture: Picture) -> str:
        return self._keys.key(picture)

    def picture(self, key: str) -> Picture:
        return self._keys.picture(key)

    def loaded(self, name: str) -> ModelSummary | None:
        return self._models.peek(name)

    def known(self, source: Source) -> TraceSummary | None:
        """What an opened file held may be gone; a text is read again when its numbers are asked for."""
        if not source.file:
            return self._traces.peek(source)
        return self._ask("known", source).future.result()

    def known_at_once(self, source: Source) -> TraceSummary | None:
        return self._traces.peek(source)

    def read(self, source: Source, visitor: str = "") -> Handle[TraceSummary]:
        asked = self._ask("read", source, visitor)
        asked.future.add_done_callback(partial(_keep, self._traces, source))
        return asked

    def readout(self, source: Source, visitor: str = "") -> Handle[Said]:
        asked = self._ask("readout", source, visitor)
        asked.future.add_done_callback(partial(_keep, self._saids, source))
        return asked

    def known_readout(self, source: Source) -> Said | None:
        return self._saids.peek(source)

    def write(self, source: Source, n: int, how: str, seed: int, visitor: str = "") -> Handle[Written]:
        return self._ask("write", source, n, how, seed, visitor)

    def put_token(self, source: Source, token: int, which: int) -> Written:
        return self._ask("put_token", source, token, which).future.result()

    def survey(self, model: str, files: Sequence[tuple[str, bytes]], lines: bool | None, name: str) -> Handle[Surveyed]:
        return self._ask("survey", model, files, lines, name, lasting=True)

    def label(self, source: Source, by: str = "") -> JsonObject:
        return self._ask("label", source, by).future.result()

    def prepare(self, picture: Picture, layer: int | str, head: int | str) -> "Future[None]":
        return self._ask("prepare", picture, layer, head).future

    def pack(self, picture: Picture, part: Part) -> bytes:
        return self._ask("pack", picture, part).future.result()

    def compare(self, a: Picture, b: Picture, part: Part, fixed: Fixed) -> bytes:
        return self._ask("compare", a, b, part, fixed).future.result()

    def bring(self, model: str, beside: str, visitor: str = "") -> Handle[bool]:
        return self._ask("bring", model, beside, visitor)

    def save(self, picture: Picture, wanted: Wanted) -> SavedFile:
        (media_type, name), file = self._ask("save", picture, wanted).future.result()
        if file is None:
            raise Refused("The file did not come along.")
        return SavedFile(SentFile(file), media_type, name)

    def count(self, source: Source, visitor: str = "") -> Handle[Count]:
        return self._ask("count", source, visitor)

    def forget(self, source: Source) -> None:
        self._ask("forget", source)

    def first_text(self, model: str) -> First:
        return self._ask("first_text", model).future.result()

    def open_file(self, data: bytes) -> Source:
        return self._ask("open_file", data).future.result()

    def row(self, source: Source, layer: int, head: int, query: int) -> list[float]:
        return self._ask("row", source, layer, head, query).future.result()

    def strongest_link(self, source: Source, layer: int, head: int) -> tuple[int, int] | None:
        return self._ask("strongest_link", source, layer, head).future.result()

    def finds(self, source: Source) -> JsonObject:
        return self._ask("finds", source).future.result()

    def lesson_step(self, source: Source, step: JsonObject) -> JsonObject:
        return self._ask("lesson_step", source, step).future.result()

    def lesson_mark(self, source: Source, step: JsonObject, answer: Json) -> JsonObject:
        return self._ask("lesson_mark", source, step, answer).future.result()

    def closest(self, source: Source, texts: Sequence[str]) -> Closest | None:
        return self._ask("closest", source, texts).future.result()

    def seed(self, source: Source, layer: int, head: int, tokens: tuple[int, ...]) -> str:
        return self._ask("seed", source, layer, head, tokens).future.result()

    def effect(
        self, source: Source, edits: Sequence[Plain], question: Plain | None, draws: int, visitor: str = ""
    ) -> Handle[Effected]:
        return self._ask("effect", source, list(edits), question, draws, visitor)

    def sweep(
        self, source: Source, what: Plain, question: Plain | None, draws: int, visitor: str = ""
    ) -> Handle[Swept]:
        return self._ask("sweep", source, what, question, draws, visitor)

    def lenses(self, source: Source, layer: int, head: int, query: int, visitor: str = "") -> Handle[Lensed]:
        return self._ask("lenses", source, layer, head, query, visitor)

    def _ask(self, op: str, *arguments: object, lasting: bool = False) -> Asked:
        kind = tuple[str, str] if op == "save" else messages.operations()[op].answer
        return self.keeper.ask(op, arguments, kind, lasting=lasting)

    def _told(self, event: str, value: msgspec.Raw) -> None:
        """What the reader tells by itself: a model that it has loaded, the trace of the first text."""
        if event == "model":
            name, model = messages.read(value, tuple[str, ModelSummary])
            self._models.put(name, model)
        elif event == "trace":
            source, trace = messages.read(value, tuple[Source, TraceSummary])
            self._traces.put(source, trace)


Kept = TypeVar("Kept")


def _keep(cache: BoundedCache[Kept], source: Source, done: "Future[Kept]") -> None:
    if done.exception() is None and not source.file:
        cache.put(source, done.result())


class SentFile:
    """A file of the reader's that has come along: its bytes are there as long as this is."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        finalize(self, os.close, descriptor)
        self.nbytes = os.fstat(descriptor).st_size

    def fileno(self) -> int:
        """Its descriptor."""
        return self._descriptor

    def read(self, start: int, n: int, /) -> bytes:
        """At most `n` bytes from `start` on; safe from any thread."""
        return os.pread(self._descriptor, n, start)
