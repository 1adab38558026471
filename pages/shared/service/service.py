"""The one place where models run. Visitors' threads and HTTP routes share it; it knows nothing of Streamlit.

One worker thread runs loads and forward passes and makes the pictures, each visitor in turn; the same text and model
is computed once for everybody, and not at all if nobody waits for it any more. Models, traces and finished pictures
stay in caches bounded in bytes.
"""

import hashlib
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from attention_core.formats.json_data import JsonObject
from pages.shared.address.view import View
from pages.shared.process import logs, memory, spent, unforeseen
from pages.shared.process.lean_imports import import_transformers
from pages.shared.process.settings import Settings, from_environment
from pages.shared.service.bounded import BoundedCache
from pages.shared.service.compressing import compressed
from pages.shared.service.keys import Gone, Keys
from pages.shared.service.loading import Models
from pages.shared.service.made_files import MadeFile, MadeFiles
from pages.shared.service.shelf import Shelf, memory_of_words
from pages.shared.service.sources import Picture, Source
from pages.shared.service.told import LONG_TOKENS, edits_of, is_long, texts_of, what_is_told
from pages.shared.service.turns import Asker, NoLongerWanted, Turns

if TYPE_CHECKING:
    from attention_core.models.facts import LoadedModel
    from attention_core.reading.generation import Continuation, How
    from attention_core.reading.reading import Reading
    from attention_core.reading.readout import Readout
    from attention_core.trace import Trace

Result = TypeVar("Result")

Content = str | bytes | Iterator[str]  # of a file: whole, or part by part

FILES = "files"  # who makes them, at the worker
NOBODY = Asker()  # who does not say when an answer is no longer wanted
LARGE_PARAMETERS = 150_000_000  # of a model that writes a token in more than some hundredths of a second
WAITING_PACKS = 64  # pictures asked for in advance that wait for their turn: threads that do nothing but wait
READOUT_BYTES = 16 * 1_000_000  # some thousand texts
FRAME_FIRST_SECONDS = 0.5  # what a browser needs to draw the frame once the script has sent it


class _Orphan(Exception):
    """A trace whose model made room for another while it read the text: shown, but not kept, for it keeps the model."""

    def __init__(self, trace: "Trace") -> None:
        super().__init__("the model is no longer here")
        self.trace = trace


class Service:
    """Loads, captures and packs, for all visitors of this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._worker = Turns("forward")
        self._long_worker = Turns("long forward")  # so that a novel does not stand before everybody's sentence
        self._packer = ThreadPoolExecutor(WAITING_PACKS, thread_name_prefix="pack")
        self._traces: BoundedCache[Trace] = BoundedCache(
            settings.trace_bytes, _trace_bytes, when_gone=self._put_away, keep_newest=True
        )
        self._shelf = Shelf(settings.shelf_bytes)
        self._models = Models(lambda: self.settings, self._in_turn, self._forget_traces_of)
        self._readouts: BoundedCache[Readout] = BoundedCache(READOUT_BYTES, lambda readout: len(repr(readout)))
        self._packs: BoundedCache[bytes] = BoundedCache(settings.picture_bytes, len)
        self._files = MadeFiles()
        self._keys = Keys()
        self._started: Future[None] | None = None
        self._lock = Lock()
        self._askers: dict[Source, list[Asker]] = {}  # who waits for a source that is not here yet

    @property
    def waiting(self) -> int:
        """Loads and forward passes that are running or waiting for their turn."""
        return self._worker.waiting + self._long_worker.waiting

    def ahead(self, source: Source) -> int:
        """Texts of others that will be read before this one."""
        with self._lock:
            askers = list(self._askers.get(source, ()))
        lanes = self._worker, self._long_worker
        return max((lane.ahead(asker.name) for lane in lanes for asker in askers), default=0)

    def condition(self) -> JsonObject:
        """How this service is, in numbers and names of models of the operator's: nothing that a visitor wrote."""
        ready = self._started is not None and self._started.done() and self._started.exception() is None
        kept = self._traces, self._packs, self._models, self._readouts, self._keys
        names = "traces", "pictures", "models", "readouts", "keys"
        held = dict(zip(names, (cache.nbytes for cache in kept), strict=True))
        return {
            "ready": ready,
            "model": "loaded" if self.loaded(self.settings.model) is not None else "loading",
            "waiting": self.waiting,
            "models": len(self._models),
            "cache_bytes": {**held, "shelf": self._shelf.memory_bytes},
            "disk_bytes": self._shelf.nbytes + self._files.nbytes,
        }

    def start(self, *, pause: float = 0.0) -> "Future[None]":
        """Import torch, load the first model and run it once, in the worker; later calls return the same future.

        The first call may ask for a pause (seconds) before that: importing torch holds Python's lock for most of two
        seconds, and a visitor who is already there gets his page's frame first.
        """
        with self._lock:
            # A start that failed of itself is tried again by whoever asks next.
            if self._started is None or (self._started.done() and self._started.exception() is not None):
                self._started = self._worker.submit(lambda: self._warm(pause))
            return self._started

    def model(self, name: str, wanted: Callable[[], bool] = lambda: True, beside: str = "") -> "LoadedModel":
        """A loaded model; waits for the worker. Raises attention_core.ModelError with a plain sentence.

        Who waits for a model that somebody else has loaded waits as long as it is `wanted`, then NoLongerWanted. One
        that would push out the model `beside` is not loaded.
        """
        self.start().result()
        return self._models.get(name, wanted, beside)

    def loaded(self, name: str) -> "LoadedModel | None":
        """The model if it is in memory."""
        return self._models.peek(name)

    def progress(self, name: str) -> str:
        """What loading this model is doing, as a sentence; empty when it is not being loaded."""
        return self._models.progress(name)

    def trace(self, source: Source, asker: Asker = NOBODY) -> "Trace":
        """The trace of a source: cached, on the disk, or computed by the worker when the asker's turn comes.

        Raises ModelError or CaptureError with a plain sentence, Gone for an opened file that was evicted, or
        NoLongerWanted once the asker and everybody else who waited for it has gone.
        """
        with self._lock:
            self._askers.setdefault(source, []).append(asker)
        try:
            while True:
                try:
                    return self._traces.get(
                        source, lambda: self._shelf.take(source) or self._capture(source, asker), lambda: asker.waits
                    )
                except _Orphan as orphan:
                    return orphan.trace
                except NoLongerWanted:
                    if not asker.waits:
                        raise
                    # Who had asked first left just as this one came: ask again, now as the first.
        finally:
            with self._lock:
                self._askers[source].remove(asker)
                if not self._askers[source]:
                    del self._askers[source]

    def trace_in_memory(self, source: Source) -> "Trace | None":
        """The trace if nothing has to be done for it, not even to read a file."""
        return self._traces.peek(source)

    def known_trace(self, source: Source) -> "Trace | None":
        """The trace if it need not be computed: it is in memory, or on the disk."""
        trace = self._traces.peek(source)
        if trace is None and (trace := self._shelf.take(source)) is not None:
            self._traces.put(source, trace)
        return trace

    def readout(self, source: Source, visitor: str = "") -> "Readout":
        """What the model says about a source's text: computed by the worker once, and kept."""
        from attention_core.reading.readout import read_out

        trace = self.trace(source)
        return self._readouts.get(source, lambda: self._in_turn(lambda: read_out(trace), visitor, short=True))

    def known_readout(self, source: Source) -> "Readout | None":
        """What the model says about it, if that is known already."""
        return self._readouts.peek(source)

    def write(
        self, source: Source, n: int, how: "How", seed: int, stop: Callable[[int], bool], visitor: str = ""
    ) -> "Continuation":
        """Let the model continue a source's text (an encoder-decoder its decoder's text), in the worker.

        `stop` is asked after each token. Raises GenerationError of `reading.generation` with a plain sentence.
        """
        from attention_core.experiment.writing import continue_edited
        from attention_core.reading.generation import continue_text

        model = self.model(source.model)

        def job() -> "Continuation":
            told = what_is_told(model, source)
            if edits := edits_of(source):
                return continue_edited(model, source.text, edits, n, how=how, seed=seed, stop=stop)
            target = source.target if model.facts.encoder_decoder else None
            return continue_text(model, source.text, n, target=target, **told, how=how, seed=seed, stop=stop)

        large = model.facts.n_parameters > LARGE_PARAMETERS
        lane = self._long_worker if large or is_long(source, model) else self._worker
        return lane.submit(job, visitor).result()

    def open_file(self, data: bytes) -> Source:
        """Open a trace file and keep it for this process's lifetime or until it is evicted.

        Raises attention_core.record.file.TraceFileError with a plain sentence.
        """
        from attention_core import load_trace

        source = Source("", "", file=hashlib.sha256(data).hexdigest())
        self._traces.get(source, lambda: load_trace(data))
        return source

    def forget(self, source: Source) -> None:
        """Let go of a source's trace, in memory and on the disk: nobody looks at it any more."""
        for place in (self._traces, self._shelf):
            place.drop(lambda key: key == source)

    def key(self, picture: Picture) -> str:
        """An unguessable name for a picture's data, the same for every visitor of this process."""
        return self._keys.key(picture)

    def picture(self, key: str) -> Picture:
        """What a key stands for. Raises Gone if it is not known (any more)."""
        return self._keys.picture(key)

    def packed(self, key: str, part: tuple[object, ...], make: "Callable[[Trace, Reading], bytes]") -> bytes:
        """A finished pack, gzipped once and kept. `part` names it within the picture; `make` builds it."""
        picture = self.picture(key)
        return self._packs.get((key, part), lambda: self._pack(key, picture, make))

    def packed_together(self, keys: tuple[str, ...], part: tuple[object, ...], make: "Callable[..., bytes]") -> bytes:
        """A finished pack of several pictures' traces, in their order, which `make` takes; otherwise as `packed`."""
        sources = [self.picture(key).source for key in keys]

        def made() -> bytes:
            traces = [self.trace(source) for source in sources]
            lane = next((lane for lane in map(self._lane_of, traces) if lane is self._long_worker), self._worker)
            return compressed(lane.submit(lambda: make(*traces), keys[0], short=lane is self._worker).result())

        return self._packs.get((keys, part), made)

    def file(self, key: str, part: tuple[object, ...], make: "Callable[[Trace, Reading], Content]") -> MadeFile:
        """A file to save, made once and kept for a while. `part` names it within the picture; `make` builds it.

        All files together have one place in the round of turns: a class that saves at once delays a sentence by one.
        """
        picture = self.picture(key)
        trace = self.trace(picture.source, Asker(key))
        lane = self._lane_of(trace)
        return self._files.get(
            (key, part), lambda: make(trace, picture.reading()), lambda job: lane.submit(job, FILES).result()
        )

    def prepare(self, picture: Picture, layer: int | str, head: int | str) -> "Future[None]":
        """Begin to make what the browser is about to fetch; whoever fetches it meanwhile waits for this."""
        from attention_core.pictures import head as pictures
        from attention_core.pictures.overview import overview

        key = self.key(picture)

        def make() -> None:
            self.packed(key, ("overview",), overview)
            self.packed(
                key, ("head", layer, head), lambda trace, reading: pictures.head_pack(trace, reading, layer, head)
            )

        return self._packer.submit(make)

    def work(self, job: Callable[..., Result], *arguments: object) -> Result:
        """A short job of a page's own, in the worker: it waits for its turn, and everybody else waits for it."""
        return self._in_turn(lambda: job(*arguments))

    def work_on(self, model: "LoadedModel", source: Source, job: Callable[[], Result], visitor: str) -> Result:
        """A piece of work in the background; that of a long text does not stand before everybody's sentence."""
        lane = self._long_worker if is_long(source, model) else self._worker
        lane.stand_back()
        return lane.submit(job, visitor, background=True).result()

    def _in_turn(self, job: Callable[[], Result], visitor: str = "", *, short: bool = False) -> Result:
        return self._worker.submit(job, visitor, short=short).result()

    def _wanted(self, source: Source) -> bool:
        with self._lock:
            return any(asker.waits for asker in self._askers.get(source, ()))

    def _pack(self, key: str, picture: Picture, make: "Callable[[Trace, Reading], bytes]") -> bytes:
        trace = self.trace(picture.source, Asker(key))
        # In the worker's turn, not beside it: hundreds of small steps in two threads hand Python's lock to each other
        # at every step, and both take several times as long. A long text's pictures, seconds each, do not stand before
        # the others.
        lane = self._lane_of(trace)

        def made() -> bytes:
            with spent.on("packs"):
                return make(trace, picture.reading())

        job = lane.submit(made, key, short=lane is self._worker)
        return compressed(job.result())

    def _lane_of(self, trace: "Trace") -> Turns:
        n_tokens = max(len(trace.source_tokens), len(trace.target_tokens))
        return self._long_worker if n_tokens > LONG_TOKENS else self._worker

    def _put_away(self, source: Hashable, trace: "Trace") -> None:
        """A trace that made room in memory waits on the disk: reading it back takes a tenth of computing it."""
        assert isinstance(source, Source)
        model = None if source.file else self._models.peek(source.model)
        if source.file or model is not None:
            self._shelf.put(source, trace, model)

    def _forget_traces_of(self, name: Hashable) -> None:
        """A trace keeps its model alive (the proof asks it), so a model that makes room takes its traces along."""
        for place in (self._traces, self._shelf):
            place.drop(lambda key: isinstance(key, Source) and key.model == name)

    def _capture(self, source: Source, asker: Asker) -> "Trace":
        if source.file:
            raise Gone("Open the trace file again: the server no longer has it.")
        wanted = partial(self._wanted, source)
        model = self.model(source.model, wanted)
        lane = self._long_worker if is_long(source, model) else self._worker
        trace = lane.submit(lambda: self._run(model, source), asker.name, wanted).result()
        if self._models.peek(source.model) is not model:
            raise _Orphan(trace)
        return trace

    def _run(self, model: "LoadedModel", source: Source) -> "Trace":
        from attention_core import capture

        begun = time.perf_counter()
        # What a link has for a model of another kind is not read; the page says so (`opening`).
        with spent.on("pass"):
            told = what_is_told(model, source)
            trace = capture(model, source.text, *texts_of(model, source), **told, edits=edits_of(source))
        seconds = time.perf_counter() - begun
        logs.event("text read", tokens=len(trace.source_tokens), seconds=seconds, waiting=self.waiting - 1)
        return trace

    def _warm(self, pause: float) -> None:
        time.sleep(pause)
        try:
            self._load_first()
        finally:
            memory.started()

    def _load_first(self) -> None:
        import_transformers()
        from transformers.utils import logging

        self._long_worker.submit(lambda: _use_threads(self.settings.long_threads)).result()
        _use_threads(self.settings.threads)  # the last word: every thread that has not asked torch yet takes it over
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        model = self._models.load_first()
        if model is None:
            return
        first = Source(self.settings.model, View().text)  # what whoever comes without a link of his own will see
        try:
            self._traces.put(first, self._run(model, first))
        except Exception as error:  # a model that cannot be captured: whoever chooses it is told, the others are served
            unforeseen.record(error)
        logs.event("first model loaded", parameters=model.facts.n_parameters, megabytes=model.nbytes / 1e6)


def _use_threads(n: int) -> None:
    """Let torch compute with n threads when this thread asks it."""
    import torch

    torch.get_num_threads()  # the first question makes torch forget what this thread was told before
    torch.set_num_threads(n)


def _trace_bytes(trace: "Trace") -> int:
    """A million letters may be three tokens: the texts count as well."""
    return trace.nbytes + memory_of_words(trace)


_service: Service | None = None
_service_lock = Lock()


def service() -> Service:
    """The service of this process, made when it is first asked for."""
    global _service
    with _service_lock:
        if _service is None:
            _service = Service(from_environment())
        return _service


def begin(settings: Settings) -> Service:
    """The service of this process with settings that somebody else has read; before anybody asks for it."""
    global _service
    with _service_lock:
        _service = Service(settings)
        return _service
