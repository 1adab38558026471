"""The log: one object a line, and nothing that a visitor wrote, whoever writes it."""

import json
import logging
import os
import time
import urllib.parse
import urllib.request

import pytest

from pages.shared.process import logs
from tests.support.serving import serve

SECRET = "quagga"


@pytest.fixture
def lines(monkeypatch):
    """What the log writes, parsed."""
    written: list[str] = []

    def emit(handler: logging.Handler, record: logging.LogRecord) -> None:
        if isinstance(handler.formatter, logs.JsonLines):  # pytest has handlers of its own
            written.append(handler.format(record))

    monkeypatch.setattr(logging.StreamHandler, "emit", emit)
    logger = logging.getLogger("sightline")
    before = logger.handlers[:], logger.level, logger.propagate
    logs.begin("json")
    logs.begin("json")
    yield lambda: [json.loads(line) for line in written]
    logger.handlers, logger.level, logger.propagate = before


def test_an_event_is_one_json_object_with_its_numbers(lines):
    logs.event("text read", tokens=64, seconds=0.0251234, waiting=3)
    (line,) = lines()
    assert line["time"].endswith("Z")
    assert (line["level"], line["event"], line["tokens"], line["seconds"]) == ("info", "text read", 64, 0.0251)


def test_errors_of_other_modules_of_ours_come_as_objects_too(lines):
    logging.getLogger("sightline.mishaps").error("unforeseen error, reference %s", "0123abcd")
    (line,) = lines()
    assert (line["level"], line["event"]) == ("error", "unforeseen error, reference 0123abcd")


def test_plain_adds_no_handler():
    before = logging.getLogger("sightline").handlers[:]
    logs.begin("plain")
    assert logging.getLogger("sightline").handlers == before


def test_no_text_of_a_visitor_reaches_the_log_not_even_in_an_address():
    """The page, a count and a picture that is not there, each with the word in it; then the whole log."""
    with serve(env={"SIGHTLINE_LOG": "json", "PYTHONUNBUFFERED": "1"}) as server:
        query = urllib.parse.urlencode({"v": 1, "t": f"The {SECRET} slept.", "m": "minilm"})
        urllib.request.urlopen(f"{server.url}?{query}").read()
        body = json.dumps({"text": SECRET, "pair": ""}).encode()
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{server.url}sightline/count?model=minilm&key={SECRET}", data=body)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{server.url}sightline/data/{SECRET}/overview?t={SECRET}")
        deadline = time.monotonic() + 300
        while "first model loaded" not in server.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        told = server.log.read_text()
    assert '"event": "first model loaded"' in told
    assert SECRET not in told
    assert os.environ.get("SIGHTLINE_LOG") is None
