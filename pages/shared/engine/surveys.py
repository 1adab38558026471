"""Surveys over visitors' text files: one window at a time through the one worker, so that texts come in between."""

from collections.abc import Iterator, Sequence
from threading import Event, Lock
from typing import TYPE_CHECKING

from pages.shared.engine.plain import Progress, Surveyed
from pages.shared.process import unforeseen
from pages.shared.service.heads import label_book
from pages.shared.service.service import Service

if TYPE_CHECKING:
    from attention_core.heads.labelling import Progress as Step
    from attention_core.heads.windows import Text
    from attention_core.survey.survey import Survey

KEPT = 8  # surveys that were stopped and may go on: each keeps its texts, 4 MB at most, and its model


class VisitorSurvey:
    """One survey on its way; one that was stopped can go on from where it was."""

    def __init__(
        self, service: Service, model: str, files: Sequence[tuple[str, bytes]], lines: bool | None, name: str
    ) -> None:
        self._service, self.model, self._lines, self._name = service, model, lines, name
        self._files = sorted(files)  # as the command line reads a folder
        self._called = self._files[0][0] if len(files) == 1 else f"{len(files)} files"
        self._progress = Progress(doing="Waiting for the model …", total=sum(len(data) for _, data in files))
        self._survey: Survey | None = None
        self._note = ""
        self._turn = Lock()

    def progress(self) -> Progress:
        """How far it is, in bytes."""
        return self._progress

    def run(self, stop: Event) -> Surveyed:
        """Read what has not been read yet, until the end or until `stop` is set."""
        with self._turn:
            try:
                return self._run(stop)
            except Exception as error:  # whatever it is, the page says it
                return Surveyed("", failed=f"The survey ended: {unforeseen.in_words(error)}")

    def _run(self, stop: Event) -> Surveyed:
        from attention_core.survey.survey import Survey

        if self._survey is None:
            texts = self._texts()
            self._survey = self._service.work(Survey, self._service.model(self.model), texts)
        survey = self._survey
        while not stop.is_set() and (step := self._service.work(_next, survey)):
            self._progress = Progress(doing=step.doing, done=step.done, total=step.total)
            if self._service.loaded(self.model) is not survey.model:
                return Surveyed("", failed="The survey ended: its model made room for others. Start it again.")
        if not survey.done and not survey.n_windows:
            return Surveyed("Stopped before the first window was read.")
        try:
            table = self._service.work(survey.table)
        except ValueError as error:  # a sentence of ours: nothing was long enough
            return Surveyed("", failed=f"The survey ended: {error}.")
        label_book().keep(self._name, f"Tested on {self._called}: {survey.rests_on}.", survey.cards())
        early = "" if survey.done else "Stopped early: "
        windows = f"{survey.n_windows:,} window{'' if survey.n_windows == 1 else 's'} of {survey.n_tokens} tokens"
        rests = f"Labels rest on {survey.rests_on}; those above, on others."
        words = f"{early}{windows} read, {len(table):,} rows. {rests} {self._note}".strip()
        return Surveyed(words, table.to_csv(), table.to_parquet(), self._note, finished=survey.done)

    def _texts(self) -> "list[Text]":
        from attention_core.heads.windows import Text
        from attention_core.survey.texts import lines_note, told

        texts = [told(Text(name, data=data), self._lines) for name, data in self._files]
        self._note = lines_note(texts, guessed=self._lines is None)
        return texts


def _next(survey: "Iterator[Step]") -> "Step | None":
    return next(survey, None)


class Surveys:
    """The surveys of one engine, by the names that their visitors gave them; the oldest makes room."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: dict[str, VisitorSurvey] = {}
        self._lock = Lock()

    def of(self, model: str, files: Sequence[tuple[str, bytes]], lines: bool | None, name: str) -> VisitorSurvey:
        """The survey of this name: begun, or to go on."""
        with self._lock:
            known = self._known.pop(name, None)
            survey = known or VisitorSurvey(self._service, model, files, lines, name)
            self._known[name] = survey
            while len(self._known) > KEPT:
                del self._known[next(iter(self._known))]
            return survey

    def run(self, survey: VisitorSurvey, name: str, stop: Event) -> Surveyed:
        """Run it until its end or until `stop`; only what was stopped is kept."""
        found = survey.run(stop)
        if found.finished or found.failed:
            with self._lock:
                self._known.pop(name, None)
        return found
