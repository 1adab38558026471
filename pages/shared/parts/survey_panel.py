"""The survey on the Heads page: the same metrics and labels over a visitor's own text files.

It runs in the background, one window at a time through the one worker, so that visitors' texts come in between. Its
visitor may look at something else meanwhile; nobody looking for a while ends it.
"""

import secrets
import time
from collections.abc import Sequence
from concurrent.futures import TimeoutError as NotYet
from threading import Event, Thread

import streamlit as st

from pages.shared.address.view import View
from pages.shared.engine.choosing import engine
from pages.shared.engine.plain import Progress
from pages.shared.parts import theme
from pages.shared.process import mishaps
from pages.shared.service.heads import BY_TEXTS

MOST_BYTES = 4_000_000
UNSEEN_SECONDS = 15 * 60
LOOK_SECONDS = 0.1  # how often its progress is asked for, and whether its visitor still wants it
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
        self._finished = False  # all texts were read
        self._begin()

    @property
    def running(self) -> bool:
        """Its thread is at work, or waits for the worker."""
        return self._thread.is_alive()

    @property
    def stopped(self) -> bool:
        """Did it end before its texts did, for no fault of theirs?"""
        return not self.running and not self.failed and not self._finished

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
        reading = engine().survey(self.model, self._files, self.lines, self.labels_by)
        while True:
            try:
                found = reading.future.result(timeout=LOOK_SECONDS)
                break
            except NotYet:
                self._look(reading.progress())
                if self._abandoned():
                    reading.cancel()
            except Exception as error:  # whatever it is, the page says it and the thread ends
                self.failed = f"The survey ended: {mishaps.in_words(error)}"
                return
        self._look(reading.progress())
        self.failed, self._finished = found.failed, found.finished
        self.said, self.note, self.csv, self.parquet = found.said, found.note, found.csv, found.parquet

    def _look(self, far: Progress) -> None:
        self.said, self.done = far.doing or self.said, far.done
        self.total = far.total or self.total

    def _abandoned(self) -> bool:
        return self.stop.is_set() or self._abandoned_for_good()

    def _abandoned_for_good(self) -> bool:
        return time.monotonic() - self.seen > UNSEEN_SECONDS


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
