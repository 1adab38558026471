"""A reader process that is killed while a visitor is there: he waits longer, and sees no error."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator

import psutil
import pytest

from tests.support.patience import PATIENCE
from tests.support.serving import Server, new_visit, serve, skip_tour, wait_until_drawn


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(env={"SIGHTLINE_ENGINE": "process"}) as running:
        yield running


def health(server: Server) -> dict:
    with urllib.request.urlopen(server.url + "sightline/health", timeout=30) as answer:
        return json.load(answer)


def when_ready(server: Server) -> dict:
    end = time.monotonic() + PATIENCE
    while not (told := health(server))["ready"] and time.monotonic() < end:
        time.sleep(0.2)
    return told


def readers(server: Server) -> list[psutil.Process]:
    """The server's reader, if it has one now."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    return [child for child in children if "pages.shared.engine.reader" in child.cmdline()]


def test_a_visitor_whose_reader_is_killed_gets_his_sentence(server, browser):
    when_ready(server)
    context, visit = new_visit(browser, server.url)
    skip_tour(context)
    page = visit.page
    page.goto("/")
    drawn = wait_until_drawn(page)
    box = page.get_by_test_id("sl-text")
    for text in ("the dog ran far away", "a cat slept on the mat"):
        (reader,) = readers(server)
        box.fill(text)
        box.press("Enter")
        os.kill(reader.pid, signal.SIGKILL)
        drawn = wait_until_drawn(page, other_than=drawn, timeout_s=PATIENCE)
        when_ready(server)
    page.get_by_test_id("sl-atlas").get_by_role("grid").first.focus()
    page.keyboard.press("ArrowRight")  # a picture of before: its numbers are made again
    wait_until_drawn(page, other_than=drawn)
    assert health(server)["reader"]["restarts"] == 2
    assert page.get_by_test_id("stAlert").count() == 0
    assert visit.complaints() == []
    context.close()


def test_the_pages_process_does_without_torch(server):
    when_ready(server)
    mapped = {entry.path for entry in psutil.Process(server.process.pid).memory_maps()}
    assert not [path for path in mapped if "libtorch" in path]
    (reader,) = readers(server)
    assert [entry.path for entry in reader.memory_maps() if "libtorch" in entry.path]


def test_the_reader_ends_with_its_server_however_that_ends():
    with serve(env={"SIGHTLINE_ENGINE": "process"}) as running:
        end = time.monotonic() + PATIENCE
        while not (found := readers(running)) and time.monotonic() < end:
            time.sleep(0.2)
        (reader,) = found
        os.kill(running.process.pid, signal.SIGKILL)
        reader.wait(timeout=PATIENCE)  # TimeoutExpired if it lives on
