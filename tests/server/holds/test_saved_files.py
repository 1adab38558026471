"""Files that visitors save: in turn with sentences, once for the same view, from the disk, and few at a time."""

import asyncio
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from pages.shared.http import answering
from pages.shared.http.routes import routes
from pages.shared.service.made_files import MadeFile, MadeFiles
from pages.shared.service.service import service
from pages.shared.service.sources import Picture, Source
from tests.support.patience import PATIENCE


@pytest.fixture(scope="module")
def client():
    service().start().result()
    with TestClient(Starlette(routes=routes())) as client:
        yield client


def address(text: str) -> str:
    return f"/sightline/data/{service().key(Picture(Source('minilm', text)))}/export"


@pytest.mark.parametrize("name", ["0/1/weights.csv", "0/1/weights.npz", "0/1/heatmap.svg", "trace.safetensors"])
def test_a_file_is_made_in_the_workers_turn_and_once_for_the_same_view(client, monkeypatch, name):
    made = []
    real = MadeFile.append
    monkeypatch.setattr(
        MadeFile, "append", lambda self, part: (made.append(threading.current_thread().name), real(self, part))
    )
    at = address(f"the cat sat {name}")
    first, second = client.get(f"{at}/{name}"), client.get(f"{at}/{name}")
    assert first.status_code == 200 and first.content == second.content
    assert int(first.headers["content-length"]) == len(first.content)
    assert len(made) == 1 and made[0].startswith("forward")


def test_another_scale_is_another_file(client):
    at = address("the cat sat")
    one, other = (client.get(f"{at}/0/1/heatmap.svg{asked}").text for asked in ("", "?scale=head"))
    assert one != other


def test_a_sentence_waits_for_one_part_of_a_file_and_not_for_all_of_all_files(client):
    """Twelve tables of a hundred parts each are on their way: one part runs, one has its turn, then comes the job."""
    begun, go, done = Event(), Event(), []

    def parts(*_: object):
        for n in range(100):
            begun.set()
            assert go.wait(PATIENCE)
            done.append(n)
            yield f"{n}\r\n"

    keys = [service().key(Picture(Source("minilm", "the cat sat"), hide_first=True, words=bool(i))) for i in range(2)]
    service().trace(Source("minilm", "the cat sat"))
    with ThreadPoolExecutor(12) as visitors:
        asked = [
            visitors.submit(service().file, keys[i % 2], ("slow", i), lambda trace, reading: parts()) for i in range(12)
        ]
        assert begun.wait(PATIENCE)
        while service().waiting < 12:
            pass
        sentence = service()._worker.submit(lambda: len(done), "somebody")
        go.set()
        assert sentence.result(PATIENCE) <= 2
        assert {file.result(PATIENCE).nbytes for file in asked} == {390}


def test_a_file_is_read_from_the_disk_as_fast_as_its_visitor_reads():
    """Nothing of it stays in memory; its bytes are there while somebody reads, also once it had to make room."""
    kept = MadeFiles()
    file = kept.get("a", lambda: b"x" * 1_000_000, lambda job: job())
    assert file.nbytes == kept.nbytes == os.fstat(file._file.fileno()).st_size == 1_000_000
    kept._kept.drop(lambda _: True)
    assert (kept.nbytes, file.read(999_990, 100)) == (0, b"x" * 10)


def test_an_npz_reads_back(client):
    archive = np.load(io.BytesIO(client.get(f"{address('the cat sat')}/0/1/weights.npz").content))
    assert archive["weights"].shape == (5, 5)


def test_few_files_are_made_at_a_time_and_none_for_who_has_left():
    running, most, answered = [0], [0], []
    lock, go = threading.Lock(), Event()

    def build(request: Request) -> Response:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        go.wait(PATIENCE)
        with lock:
            running[0] -= 1
        answered.append(request.query_params["n"])
        return Response()

    endpoint = answering.answering_few(build)

    async def ask(n: int, left: bool) -> int:
        async def receive():
            return {"type": "http.disconnect" if left else "http.request"}

        scope = {"type": "http", "method": "GET", "headers": [], "query_string": f"n={n}".encode()}
        return (await endpoint(Request(scope, receive))).status_code

    async def crowd() -> list[int]:
        asking = [asyncio.ensure_future(ask(n, left=n % 2 == 1 and n > 20)) for n in range(60)]
        while running[0] < answering.AT_ONCE:
            await asyncio.sleep(0.005)
        go.set()
        return await asyncio.gather(*asking)

    statuses = asyncio.run(crowd())
    assert most[0] == answering.AT_ONCE
    assert statuses.count(204) == 20 and len(answered) == 40
