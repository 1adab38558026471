"""An error nobody foresaw: a reference on the page and in the log, the place in the log, nobody's words in either."""

import io
import logging
import re
from threading import Thread

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.process import mishaps

SECRET = "what a visitor typed"


@pytest.fixture
def entries(monkeypatch):
    """What is logged while a test runs, as text."""
    kept: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(self.format(record))

    handler = Keep()
    for name in ("sightline.mishaps", "streamlit.error_util"):
        logging.getLogger(name).addHandler(handler)
    yield kept
    for name in ("sightline.mishaps", "streamlit.error_util"):
        logging.getLogger(name).removeHandler(handler)


def fail_twice() -> None:
    try:
        {}[SECRET]
    except KeyError as error:
        raise RuntimeError(f"no {SECRET}") from error


def test_the_log_has_the_reference_and_the_place_and_no_message(entries):
    try:
        fail_twice()
    except RuntimeError as error:
        told = mishaps.sentence(error)
    reference = re.search(r"reference ([0-9a-f]{8})\.", told)
    assert reference
    (entry,) = entries
    assert reference[1] in entry
    assert "builtins.RuntimeError" in entry and "builtins.KeyError" in entry and "in fail_twice" in entry
    assert SECRET not in entry and SECRET not in told


@pytest.fixture
def written(monkeypatch):
    """What reaches the log while a test runs: lines as Python's own handler writes them."""
    before = logging.getLogRecordFactory()
    mishaps.keep_streamlit_quiet()
    stream = io.StringIO()
    handlers = [logging.StreamHandler(stream), logging.StreamHandler(stream)]
    handlers[1].setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    loggers = [logging.getLogger("uvicorn.error"), logging.getLogger("sightline.mishaps")]
    for logger, handler in zip(loggers, handlers, strict=True):
        logger.addHandler(handler)
    yield lambda: stream.getvalue().splitlines()
    for logger, handler in zip(loggers, handlers, strict=True):
        logger.removeHandler(handler)
    logging.setLogRecordFactory(before)


def deep(n: int) -> None:
    if n:
        deep(n - 1)
    else:
        fail_twice()


def test_an_error_is_one_line_of_the_log_whoever_logs_it(written):
    """As uvicorn has it when an answer breaks off: "Exception in ASGI application\\n" and the traceback."""
    try:
        deep(200)
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI\napplication %s\n", "x")
    (line,) = written()
    assert "Exception in ASGI application x: builtins.RuntimeError at " in line and "in fail_twice" in line
    assert SECRET not in line and len(line) < 5_000
    try:
        deep(200)
    except RuntimeError as error:
        mishaps.record(error)
    assert len(written()) == 2


def test_an_error_that_ends_a_thread_is_one_line_of_the_log(written, capfd):
    thread = Thread(target=fail_twice)
    thread.start()
    thread.join()
    (line,) = written()
    assert "reference" in line and "in fail_twice" in line and SECRET not in line
    assert "Traceback" not in capfd.readouterr().err


def test_two_errors_have_two_references(entries):
    assert mishaps.record(ValueError()) != mishaps.record(ValueError())


def test_a_page_that_fails_shows_a_sentence_and_streamlit_logs_nothing_of_it(entries):
    """As `st.App(on_script_error=…)` has it: Streamlit's error handling, our hook."""
    mishaps.keep_streamlit_quiet()

    def page() -> None:
        from streamlit.error_util import handle_user_script_exception

        from pages.shared.process import mishaps

        try:
            raise RuntimeError(" ".join(["what", "a", "visitor", "typed"]))
        except RuntimeError as error:
            handle_user_script_exception(error, mishaps.on_script_error)

    app = AppTest.from_function(page).run()
    assert not app.exception
    (shown,) = app.error
    reference = re.search("reference ([0-9a-f]{8})", shown.value)
    assert reference and SECRET not in shown.value
    (entry,) = entries  # one, and it is ours
    assert reference[1] in entry and SECRET not in entry
