"""An error nobody foresaw: a reference on the page and in the log, the place in the log, nobody's words in either."""

import logging
import re

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
