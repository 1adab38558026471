"""Traces that wait on the disk: they come back whole, the file is bounded and nameless, a broken disk only forgets."""

import io
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from attention_core import capture
from attention_core.record.apart import take_apart
from pages.shared.service import shelf as module
from pages.shared.service.shelf import Shelf
from tests.support import tiny
from tests.support.serving import ROOT


@pytest.fixture(scope="module")
def model():
    return tiny.family("bert")


@pytest.fixture
def trace(model):
    return capture(model, tiny.SENTENCE)


def room(n: float, trace) -> Shelf:
    """A shelf on which n such traces have their place."""
    apart, _ = take_apart(trace)
    return Shelf(int(n * apart.nbytes))


def test_a_trace_comes_back_whole_and_as_often_as_asked(model, trace):
    shelf = Shelf(10_000_000)
    shelf.put("a", trace, model)
    for _ in range(2):
        back = shelf.take("a")
        assert torch.equal(back.weights(1, 2), trace.weights(1, 2))
        assert back.proof(1, 2) == trace.proof(1, 2)
    assert "a" in shelf
    assert shelf.take("b") is None


def test_what_was_put_away_longest_ago_makes_room(model, trace):
    shelf = room(3.5, trace)
    for name in "abcd":
        shelf.put(name, trace, model)
    assert [name for name in "abcd" if name in shelf] == ["b", "c", "d"]
    shelf.put("e", trace, model)
    assert [name for name in "abcde" if name in shelf] == ["c", "d", "e"]
    assert all(torch.equal(shelf.take(name).weights(0, 0), trace.weights(0, 0)) for name in "cde")
    assert max(shelf.nbytes, os.fstat(shelf._file.fileno()).st_size) <= shelf._max_bytes


def test_its_size_is_known_while_the_disk_works(model, trace):
    shelf = room(3.5, trace)
    size = take_apart(trace)[0].nbytes
    for n, name in enumerate("abcdd", 1):
        shelf.put(name, trace, model)
        assert shelf.nbytes == min(n, 3) * size
    with ThreadPoolExecutor(1) as visitors, shelf._lock:
        assert visitors.submit(lambda: shelf.nbytes).result(timeout=60) == 3 * size
    shelf.drop(lambda key: key == "c")
    assert shelf.nbytes == 2 * size


def test_texts_and_tokens_in_memory_have_a_bound_of_their_own(model, monkeypatch):
    """A hundred thousand letters that are three tokens take no place on the disk."""
    trace = capture(model, "x" * 100_000)
    monkeypatch.setattr(module, "MEMORY_BYTES", 250_000)
    shelf = Shelf(10_000_000)
    for name in "abc":
        shelf.put(name, trace, model)
    assert [name for name in "abc" if name in shelf] == ["b", "c"]
    assert 200_000 < shelf.memory_bytes < 250_000
    shelf.put("d" * 60_000, trace, model)
    assert [len(name) for name in shelf._kept] == [60_000]
    shelf.drop(lambda _: True)
    assert shelf.memory_bytes == 0


def test_what_fits_nowhere_is_not_put_away(model, trace):
    for n in (0, 0.5):
        shelf = room(n, trace)
        shelf.put("a", trace, model)
        assert "a" not in shelf
        assert shelf._file is None


def test_the_file_has_no_name_and_lies_where_files_outlive_memory(model, trace, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FOLDERS", (str(tmp_path),))
    shelf = Shelf(10_000_000)
    shelf.put("a", trace, model)
    assert os.listdir(tmp_path) == []
    assert os.readlink(f"/proc/self/fd/{shelf._file.fileno()}").startswith(str(tmp_path))


def test_where_that_folder_is_missing_the_systems_own_does(model, trace, monkeypatch):
    monkeypatch.setattr(module, "FOLDERS", ("/no/such/folder",))
    shelf = Shelf(10_000_000)
    shelf.put("a", trace, model)
    assert os.readlink(f"/proc/self/fd/{shelf._file.fileno()}").startswith(tempfile.gettempdir())
    assert "a" in shelf


def test_a_full_disk_only_forgets(model, trace):
    shelf = Shelf(10_000_000)
    with io.FileIO("/dev/full", "r+b") as full:  # the system's own full disk
        shelf._file = full
        shelf.put("a", trace, model)
        assert "a" not in shelf
        assert shelf.take("a") is None


def test_a_file_that_somebody_cut_short_only_forgets(model, trace):
    shelf = Shelf(10_000_000)
    shelf.put("a", trace, model)
    os.truncate(shelf._file.fileno(), 100)
    assert shelf.take("a") is None
    assert "a" not in shelf
    shelf.put("a", trace, model)
    assert torch.equal(shelf.take("a").weights(0, 0), trace.weights(0, 0))


def test_unwanted_traces_can_be_forgotten(model, trace):
    shelf = Shelf(10_000_000)
    for name in ("a1", "b1"):
        shelf.put(name, trace, model)
    shelf.drop(lambda key: str(key).startswith("a"))
    assert ("a1" in shelf, "b1" in shelf) == (False, True)


def test_many_threads_put_and_take(model):
    traces = {n: capture(model, " ".join(["cat", "sat", "the"][: 1 + n % 3] * (1 + n))) for n in range(8)}
    expected = {n: one.weights(0, 1) for n, one in traces.items()}
    shelf = room(3, traces[7])

    def visit(i: int) -> bool:
        n = i % 8
        shelf.put(n, traces[n], model)
        back = shelf.take(n)
        return back is None or torch.equal(back.weights(0, 1), expected[n])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(visit, range(200)))


def test_asking_an_empty_shelf_imports_no_torch():
    """The first visitor's page asks before torch is there, and its frame must not wait for two seconds of imports."""
    script = (
        "import sys; from pages.shared.service.shelf import Shelf\n"
        "Shelf(10).take('a'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=300).returncode == 0
