"""The survey on the Heads page: the same metrics and labels over a visitor's own text files.

It runs in the background, one window at a time through the one worker, so that visitors' texts come in between. Its
visitor may look at something else meanwhile; nobody looking for a while ends it.
"""

import secrets
import time
from collections.abc import Sequence
from threading import Event, Thread
from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.address.view import View
from pages.shared.parts import theme
from pages.shared.process import mishaps
from pages.shared.service.heads import BY_TEXTS, label_book
from pages.shared.service.service import service

if TYPE_CHECKING:
    from attention_core.heads.labelling import Progress
    from attention_core.survey.survey import Survey

MOST_BYTES = 4_000_000
UNSEEN_SECONDS = 15 * 60
HOW = {"guess": None, "one text in each line": True, "one text": False}
COMMAND = "python -m attention_core.survey"


class Job:
    """One survey on its way, or its result; one that was stopped can go on from where it was."""

    def __init__(self, model: str, files: Sequence[tuple[str, bytes]], lines: bool | None = None) -> None:
        self.model, self.lines = model, lines  # None: guessed for each file
        self._files = sorted(files)  # as the command line reads a folder
        self.name = self._files[0][0] if len(files) == 1 else f"{len(files)} files"
        self.done, self.total = 0, sum(len(data) for _, data in files)
        self.said = "Waiting for the model …"
        self.csv = self.parquet = b""
        self.labels_by = f"{BY_TEXTS}{secrets.token_hex(8)}"  # the name under which its labels are kept
        self.failed = self.note = ""
        self.stop = Event()
        self.seen = time.monotonic()
        self._survey: Survey | None = None  # as long as it may go on: it keeps its model
        self._done = False
        self._begin()

    @property
    def running(self) -> bool:
        """Its thread is at work, or waits for the worker."""
        return self._thread.is_alive()

    @property
    def stopped(self) -> bool:
        """Did it end before its texts did, for no fault of theirs?"""
        return not self.running and not self.failed and not self._done

    def go_on(self) -> None:
        """Read the rest of what was stopped."""
        if self.stopped:
            self._begin()

    def wait(self, seconds: float) -> None:
        """Wait for its end, at most so many seconds."""
        self._thread.join(seconds)

    def _begin(self) -> None:
        self.stop.clear()
        self.seen = time.monotonic()
        self._thread = Thread(target=self._run, name="survey", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        from attention_core.heads.windows import Text
        from attention_core.survey.survey import Survey
        from attention_core.survey.texts import lines_note, told

        try:
            if self._survey is None:
                texts = [told(Text(name, data=data), self.lines) for name, data in self._files]
                self.note = lines_note(texts, guessed=self.lines is None)
                self._survey = service().work(Survey, service().model(self.model), texts)
            survey = self._survey
            while not self._abandoned() and (progress := service().work(_next, survey)):
                self.done, self.total, self.said = progress.done, progress.total, progress.doing
                if service().loaded(self.model) is not survey.model:
                    self.failed = "The survey ended: its model made room for others. Start it again."
                    self._survey = None
                    return
            if not survey.done and not survey.n_windows:
                self.said = "Stopped before the first window was read."
                return
            table = service().work(survey.table)
            label_book().keep(self.labels_by, f"Tested on {self.rests_on(survey)}.", survey.cards())
            self.csv, self.parquet = table.to_csv(), table.to_parquet()
            early = "" if survey.done else "Stopped early: "
            windows = f"{survey.n_windows:,} window{'' if survey.n_windows == 1 else 's'} of {survey.n_tokens} tokens"
            said = (
                f"{early}{windows} read, {len(table):,} rows. Labels rest on {survey.rests_on}; those above, on others."
            )
            self.said = f"{said} {self.note}".strip()
            self._done = survey.done
            if self._done or self._abandoned_for_good():
                self._survey = None
        except Exception as error:  # whatever it is, the page says it and the thread ends
            self._survey = None
            self.failed = f"The survey ended: {mishaps.in_words(error)}"

    def rests_on(self, survey: "Survey") -> str:
        """What its labels rest on, as a part of a sentence."""
        return f"{self.name}: {survey.rests_on}"

    def _abandoned(self) -> bool:
        return self.stop.is_set() or self._abandoned_for_good()

    def _abandoned_for_good(self) -> bool:
        return time.monotonic() - self.seen > UNSEEN_SECONDS


def _next(survey: "Survey") -> "Progress | None":
    return next(survey, None)


def labels_by(view: View) -> str:
    """The name of the labels that the page shows, if the visitor wants those by his survey of this model."""
    job: Job | None = st.session_state.get("heads_survey_job")
    wanted = job is not None and job.csv and job.model == view.model and st.session_state.get("heads_survey_names")
    return job.labels_by if job is not None and wanted else ""


def section(view: View) -> None:
    """Choose files, watch them being read, take the table away."""
    with st.container(key="heads_survey"):
        st.html(
            "<h2 class='sl-h'>Survey a corpus</h2>"
            "<p class='sl-factline'>The same metrics and the same tests for labels over texts of yours, so that a name"
            " rests on many texts. The command line does the same with a folder of any size, and goes on even after a"
            f" crash: <code>{COMMAND} MODEL FILE_OR_FOLDER --out table.csv</code></p>"
        )
        uploads = st.file_uploader(
            f"Text files, at most {MOST_BYTES // 1_000_000} MB together",
            type=["txt", "md", "text", "smi"],
            accept_multiple_files=True,
            max_upload_size=MOST_BYTES // 1_000_000,
            key="heads_survey_file",
        )
        how = st.radio(
            "A file holds",
            list(HOW),
            horizontal=True,
            key="heads_survey_lines",
            help="Lines that are texts of their own are never joined into one. A guess says what it came to.",
        )
        size = sum(upload.size for upload in uploads)
        job: Job | None = st.session_state.get("heads_survey_job")
        if size > MOST_BYTES:
            theme.say(f"These files have {size:,} bytes; a survey here reads {MOST_BYTES:,}.", "error")
        elif uploads and not (job and job.running) and st.button("Start the survey", key="heads_survey_go"):
            files = [(upload.name, upload.getvalue()) for upload in uploads]
            st.session_state["heads_survey_job"] = Job(view.model, files, HOW[how])
            st.rerun()
        if job is not None:
            _progress(job)
        if job is not None and job.csv and not job.running and job.model == view.model:
            st.toggle(
                "Name the heads above by these texts",
                key="heads_survey_names",
                help="The labels of the map, the table and the card are then those of this survey.",
            )


def _progress(job: Job) -> None:
    """How far it is, twice a second while it runs; then the table."""
    st.fragment(_look, run_every=1.0 if job.running else None)(job)


def _look(job: Job) -> None:
    job.seen = time.monotonic()
    if job.running:
        share = job.done / job.total if job.total else 0.0
        theme.say(f"{job.said} {job.done:,} of {job.total:,} bytes", "note")
        st.progress(min(share, 1.0))
        st.button("Stop and keep what was read", key="heads_survey_stop", on_click=job.stop.set)
        st.session_state["heads_survey_watched"] = True
        return
    if st.session_state.pop("heads_survey_watched", False):
        st.rerun()  # the whole page: the fragment need not come again
    if job.failed:
        theme.say(job.failed, "error")
        return
    st.html(f"<p class='sl-factline' role='status'>{theme.escape(f'{job.name}, {job.model}: {job.said}')}</p>")
    left, right, more, _ = st.columns([1, 1, 1, 2])
    if job.csv:
        left.download_button(
            "CSV",
            job.csv,
            "sightline-survey.csv",
            "text/csv",
            key="heads_survey_csv",
            on_click="ignore",
            width="stretch",
        )
        right.download_button(
            "Parquet",
            job.parquet,
            "sightline-survey.parquet",
            "application/vnd.apache.parquet",
            key="heads_survey_parquet",
            on_click="ignore",
            width="stretch",
        )
    if job.stopped and more.button("Go on", key="heads_survey_go_on", width="stretch"):
        job.go_on()
        st.rerun()
