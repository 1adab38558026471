"""The survey on the Heads page: the same metrics and labels over a visitor's own text file.

It runs in the background, one window at a time through the one worker, so that visitors' texts come in between. Its
visitor may look at something else meanwhile; nobody looking for a while ends it.
"""

import time
from threading import Event, Thread
from typing import TYPE_CHECKING

import streamlit as st

from attention_core.view import View
from pages.shared import theme
from pages.shared.service import service

if TYPE_CHECKING:
    from attention_core.labels import Progress
    from attention_core.survey import Survey

MOST_BYTES = 4_000_000
UNSEEN_SECONDS = 15 * 60
COMMAND = "python -m attention_core.survey"


class Job:
    """One survey on its way, or its result."""

    def __init__(self, model: str, name: str, data: bytes) -> None:
        self.model, self.name = model, name
        self.done, self.total = 0, len(data)
        self.said = "Waiting for the model …"
        self.csv = self.parquet = b""
        self.failed = ""
        self.stop = Event()
        self.seen = time.monotonic()
        self._thread = Thread(target=self._run, args=(data,), name="survey", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self, data: bytes) -> None:
        from attention_core.survey import Survey
        from attention_core.survey_texts import Text

        try:
            survey = service().work(Survey, service().model(self.model), (Text(self.name, data=data),))
            while not self._abandoned() and (progress := service().work(_next, survey)):
                self.done, self.total, self.said = progress.done, progress.total, progress.doing
            table = survey.table()
            self.csv, self.parquet = table.to_csv(), table.to_parquet()
            early = "" if survey.done else "Stopped early: "
            windows = f"{survey.n_windows:,} window{'' if survey.n_windows == 1 else 's'} of {survey.n_tokens} tokens"
            self.said = f"{early}{windows} read, {len(table):,} rows."
        except Exception as error:  # whatever it is, the page says it and the thread ends
            self.failed = f"The survey ended: {error}"

    def _abandoned(self) -> bool:
        return self.stop.is_set() or time.monotonic() - self.seen > UNSEEN_SECONDS


def _next(survey: "Survey") -> "Progress | None":
    return next(survey, None)


def section(view: View) -> None:
    """Choose a file, watch it being read, take the table away."""
    with st.container(key="heads_survey"):
        st.html(
            "<h2 class='sl-h'>Survey a corpus</h2>"
            "<p class='sl-factline'>The same metrics and the same tests for labels over a text of yours, so that a name"
            f" rests on many texts. The command line does the same, and goes on after a stop: <code>{COMMAND} MODEL"
            " FILE_OR_FOLDER --out table.csv</code></p>"
        )
        upload = st.file_uploader(
            f"A text file, at most {MOST_BYTES // 1_000_000} MB",
            type=["txt", "md", "text"],
            max_upload_size=MOST_BYTES // 1_000_000,
            key="heads_survey_file",
        )
        job: Job | None = st.session_state.get("heads_survey_job")
        if upload is not None and upload.size > MOST_BYTES:
            st.error(theme.literal(f"This file has {upload.size:,} bytes; a survey here reads {MOST_BYTES:,}."))
        elif upload is not None and not (job and job.running) and st.button("Start the survey", key="heads_survey_go"):
            st.session_state["heads_survey_job"] = Job(view.model, upload.name, upload.getvalue())
            st.rerun()
        if job is not None:
            _progress(job)


def _progress(job: Job) -> None:
    """How far it is, twice a second while it runs; then the table."""
    st.fragment(_look, run_every=1.0 if job.running else None)(job)


def _look(job: Job) -> None:
    job.seen = time.monotonic()
    if job.running:
        share = job.done / job.total if job.total else 0.0
        st.progress(min(share, 1.0), theme.literal(f"{job.said} {job.done:,} of {job.total:,} bytes"))
        st.button("Stop and keep what was read", key="heads_survey_stop", on_click=job.stop.set)
        st.session_state["heads_survey_watched"] = True
        return
    if st.session_state.pop("heads_survey_watched", False):
        st.rerun()  # the whole page: the fragment need not come again
    if job.failed:
        st.error(theme.literal(job.failed))
        return
    st.html(f"<p class='sl-factline' role='status'>{theme.escape(f'{job.name}, {job.model}: {job.said}')}</p>")
    left, right, _ = st.columns([1, 1, 3])
    left.download_button(
        "CSV", job.csv, "sightline-survey.csv", "text/csv", key="heads_survey_csv", on_click="ignore", width="stretch"
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
