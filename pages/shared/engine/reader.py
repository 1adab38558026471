"""The reader's process: models, traces, packs and labels live here, beside the process that serves the pages.

    python -m pages.shared.engine.reader FILE_DESCRIPTOR

It is the local engine behind a connection. It has no address that anybody could reach, and it ends with its parent:
the connection closes then, however the parent ended.
"""

import os
import signal
import socket
import sys
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from attention_core.formats.memory import is_out_of_memory
from pages.shared.address.view import View
from pages.shared.engine import messages
from pages.shared.engine.engine import Handle
from pages.shared.engine.local import LocalEngine
from pages.shared.engine.plain import ModelSummary, Refused
from pages.shared.process import logs, memory
from pages.shared.process.settings import Settings
from pages.shared.process.unforeseen import record
from pages.shared.service.service import Gone, begin
from pages.shared.service.sources import Picture, Source
from pages.shared.service.turns import NoLongerWanted

THREADS = 200  # that wait for an answer; those that wait for a text's turn are the engine's own


class Reader:
    """Answers questions, each in its time: a later one may be answered first."""

    def __init__(self, line: messages.Line, engine: LocalEngine) -> None:
        self._line, self._engine = line, engine
        self._operations = messages.operations()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="answer")
        self._handles: dict[int, Handle[messages.Answer]] = {}
        self._named: dict[str, ModelSummary] = {}  # the models that the pages know of

    def serve(self) -> None:
        """Answer until the other side is gone."""
        self._tell("listens", None)
        self._engine.start().add_done_callback(self._ready)
        while True:
            data, _ = self._line.receive()
            ask = messages.asked(data)
            try:
                self._begin(ask)
            except Exception as error:  # one question must not end all others
                self._fail(ask.id, error)

    def _begin(self, ask: messages.Ask) -> None:
        if ask.op == "cancel":
            if (handle := self._handles.get(ask.id)) is not None:
                handle.cancel()
            return
        if ask.op == "progress":
            (of,) = messages.read(ask.arguments, tuple[int])
            handle = self._handles.get(of)
            self._answer(ask.id, None if handle is None else handle.progress())
            return
        if ask.op == "start":
            self._engine.start().add_done_callback(lambda done: self._done(ask.id, None, done))
            return
        operation = self._operations[ask.op]
        arguments = messages.read(ask.arguments, operation.arguments)
        model = _model_of(arguments)
        if ask.op == "save":
            self._pool.submit(self._save, ask.id, *arguments)
        elif operation.waits:
            begun = getattr(self._engine, ask.op)(*arguments)
            future = begun if isinstance(begun, Future) else begun.future
            if not isinstance(begun, Future):
                self._handles[ask.id] = begun
            future.add_done_callback(lambda done: self._done(ask.id, model, done))
        else:
            future = self._pool.submit(getattr(self._engine, ask.op), *arguments)
            future.add_done_callback(lambda done: self._done(ask.id, model, done))

    def _ready(self, done: "Future[None]") -> None:
        """What whoever comes without a link of his own will see is told as soon as it is there."""
        first = Source(self._engine.settings.model, View().text)
        try:
            if done.exception() is None:
                self._tell_model(first.model)
                if (trace := self._engine.known_at_once(first)) is not None:
                    self._tell("trace", (first, trace))
        finally:
            self._tell("ready", None)

    def _done(self, id_: int, model: str | None, done: "Future[messages.Answer]") -> None:
        """Answer, and before it tell of the model that was asked: whoever waited for it knows it by then."""
        self._handles.pop(id_, None)
        try:
            if model:
                self._tell_model(model)
            if (error := done.exception()) is not None:
                self._fail(id_, error)
            else:
                self._answer(id_, done.result())
        except Exception as error:  # an answer that cannot be sent is an error of ours, told to whoever waits
            self._fail(id_, error)

    def _tell_model(self, name: str) -> None:
        summary = self._engine.loaded(name)
        if summary is not None and self._named.get(name) is not summary:
            self._named[name] = summary
            self._tell("model", (name, summary))

    def _answer(self, id_: int, value: object) -> None:
        self._send(messages.Told(id_, messages.raw(value)))

    def _tell(self, event: str, value: object) -> None:
        self._send(messages.Told(0, messages.raw(value), event=event))

    def _fail(self, id_: int, error: BaseException) -> None:
        self._send(messages.Told(id_, error=_told(error)))

    def _save(self, id_: int, *arguments: messages.Answer) -> None:
        """A file to save lies on the disk without a name; the pages get it opened, and send it from there."""
        try:
            saved = self._engine.save(*arguments)
            told = messages.Told(id_, messages.raw((saved.media_type, saved.name)))
            self._line.send(messages.encode(told), saved.file.fileno())
        except Exception as error:  # whoever asked is told, and nobody else
            self._fail(id_, error)

    def _send(self, told: messages.Told) -> None:
        try:
            self._line.send(messages.encode(told))
        except messages.Ended:
            os._exit(0)


def _model_of(arguments: tuple[object, ...]) -> str | None:
    """The name of the model that a question is about."""
    about = arguments[0] if arguments else None
    if isinstance(about, Picture):
        about = about.source
    return about.model if isinstance(about, Source) else about if isinstance(about, str) else None


def _told(error: BaseException) -> tuple[str, str]:
    """The kind of an error and its sentence, as `keeper` raises it again."""
    if isinstance(error, Refused):
        return "Refused", str(error)
    if isinstance(error, Gone):
        return "Gone", str(error)
    if isinstance(error, NoLongerWanted):
        return "NoLongerWanted", str(error)
    if is_out_of_memory(error):
        return "MemoryError", ""
    if isinstance(error, ValueError) and not isinstance(error, msgspec.MsgspecError):
        return "ValueError", str(error)
    return "Unforeseen", record(error)


def main(descriptor: int) -> None:
    """Serve the connection at this file descriptor until it closes; its first message has the settings."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent ends, and this process with it
    line = messages.Line(socket.socket(fileno=descriptor))
    settings = msgspec.msgpack.decode(line.receive()[0], type=Settings)
    logs.begin(settings.log)
    memory.collect_no_garbage()
    memory.keep_freed_memory()
    reader = Reader(line, LocalEngine(begin(settings)))
    reader.serve()


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except messages.Ended:
        os._exit(0)  # at once, whatever is being computed: nobody is there to have it
