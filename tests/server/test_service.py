"""The service: one computation for many visitors, bounded caches, errors as sentences."""

import gzip
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier, Event, current_thread

import pytest

from attention_core import ModelError, load_model
from attention_core.capturing.encode import CaptureError
from attention_core.pictures.head import head_pack
from attention_core.record.file import TraceFileError, trace_bytes
from pages.shared.process.settings import from_environment
from pages.shared.service import service as module
from pages.shared.service import told
from pages.shared.service.loading import Models
from pages.shared.service.service import Gone, Service
from pages.shared.service.sources import Picture, Source
from pages.shared.service.turns import Asker, NoLongerWanted
from tests.support import tiny

SETTINGS = from_environment()


@pytest.fixture(scope="module")
def tiny_models(tmp_path_factory):
    """Folders of two tiny models."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("bert", "gpt2"):
        tiny.bare(name).save_pretrained(folder / name)
        tiny.tokenizer().save_pretrained(folder / name)
    return folder


@pytest.fixture
def served(tiny_models):
    return Service(replace(SETTINGS, model=str(tiny_models / "bert"), folders=True))


def test_the_first_model_is_warm_after_the_start(served):
    served.start().result()
    assert served.loaded(served.settings.model) is not None


def test_a_first_model_that_cannot_be_loaded_does_not_stop_the_others(tiny_models):
    served = Service(replace(SETTINGS, model="/no/such/folder", folders=True))
    served.start().result()
    with pytest.raises(ModelError, match="There is no folder"):
        served.model("/no/such/folder")
    assert served.model(str(tiny_models / "gpt2")).facts.name == "gpt2"


def test_a_first_model_that_cannot_be_captured_does_not_stop_the_others(tiny_models, monkeypatch):
    """Its first text fails, and only that: whoever chooses the model is told, every other model is served."""
    first = str(tiny_models / "bert")
    served = Service(replace(SETTINGS, model=first, folders=True))
    real = Service._run

    def run(self, model, source):
        if source.model == first:
            raise CaptureError("this model cannot be captured")
        return real(self, model, source)

    monkeypatch.setattr(Service, "_run", run)
    served.start().result()
    assert served.condition()["ready"]
    assert len(served.trace(Source(str(tiny_models / "gpt2"), "the cat sat")).source_tokens) > 0
    with pytest.raises(CaptureError, match="cannot be captured"):
        served.trace(Source(first, "the cat sat"))


def test_a_start_that_failed_is_tried_again(tiny_models, monkeypatch):
    served = Service(replace(SETTINGS, model=str(tiny_models / "bert"), folders=True))
    with monkeypatch.context() as broken:
        broken.setattr(module, "import_transformers", lambda: {}["no room"])
        with pytest.raises(KeyError):
            served.start().result()
        assert not served.condition()["ready"]
    served.start().result()
    assert served.condition()["ready"]


def test_writing_in_a_long_text_or_a_large_model_does_not_stand_before_short_ones(served, tiny_models, monkeypatch):
    served.start().result()
    gpt2 = str(tiny_models / "gpt2")
    threads = []
    monkeypatch.setattr(
        "attention_core.reading.generation.continue_text", lambda *_, **__: threads.append(current_thread().name)
    )
    monkeypatch.setattr(module, "is_long", lambda source, model: len(source.text) > 20)
    for text in ("the cat sat", "the cat sat on the mat and"):
        served.write(Source(gpt2, text), 1, "greedy", 0, lambda n: False)
    monkeypatch.setattr(module, "LARGE_PARAMETERS", 1)
    served.write(Source(gpt2, "the cat sat"), 1, "greedy", 0, lambda n: False)
    assert [name.rpartition("_")[0] for name in threads] == ["forward", "long forward", "long forward"]


def test_three_hundred_visitors_with_one_text_are_one_forward_pass(served):
    """Counted where it happens: in the model's own forward."""
    served.start().result()
    model = served.loaded(served.settings.model).model
    passes = []
    counting = model.register_forward_pre_hook(lambda *_: passes.append(1))
    source = Source(served.settings.model, tiny.SENTENCE)
    together = Barrier(300)

    def visit(i: int):
        together.wait(60)
        return served.trace(source, Asker(f"visitor {i}", Event()))

    try:
        with ThreadPoolExecutor(300) as visitors:
            traces = list(visitors.map(visit, range(300)))
    finally:
        counting.remove()
    assert len(passes) == 1
    assert all(trace is traces[0] for trace in traces)


@pytest.fixture
def busy(served):
    """The service with its worker held by somebody else's job until `go` is set."""
    served.start().result()
    begun, go = Event(), Event()
    served._worker.submit(lambda: (begun.set(), go.wait(60)), "somebody")
    assert begun.wait(60)
    yield served, go
    go.set()


def _until(holds) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_text_that_its_visitor_gave_up_costs_no_forward_pass(busy, monkeypatch):
    served, go = busy
    runs = []
    real = Service._run
    monkeypatch.setattr(
        Service, "_run", lambda self, model, source: (runs.append(source.text), real(self, model, source))[1]
    )
    first, second = Source(served.settings.model, "The cat sat."), Source(served.settings.model, tiny.SENTENCE)
    typed_again = Asker("ann", Event())
    with ThreadPoolExecutor(2) as visitors:
        dropped = visitors.submit(served.trace, first, typed_again)
        _until(lambda: served.waiting == 2)
        kept = visitors.submit(served.trace, second, Asker("ann", Event()))
        _until(lambda: served.waiting == 3)
        assert served.ahead(second) == 1  # what runs; one's own earlier text does not count
        typed_again.gone.set()
        go.set()
        assert kept.result(60).text == tiny.SENTENCE
        with pytest.raises(NoLongerWanted):
            dropped.result(60)
    assert runs == [tiny.SENTENCE]
    assert not served._askers


def test_a_text_that_one_gave_up_and_another_waits_for_is_read(busy):
    served, go = busy
    source, left = Source(served.settings.model, tiny.SENTENCE), Asker("ann", Event())
    with ThreadPoolExecutor(2) as visitors:
        first = visitors.submit(served.trace, source, left)
        _until(lambda: served.waiting == 2)
        second = visitors.submit(served.trace, source, Asker("ben", Event()))
        _until(lambda: len(served._askers[source]) == 2)
        left.gone.set()
        go.set()
        assert second.result(60) is first.result(60)


def test_a_long_text_holds_up_nobody_elses_sentence(served, monkeypatch):
    """A text over the bound is being read, and will be until the test says so; a short one is read meanwhile."""
    monkeypatch.setattr(told, "LONG_CHARACTERS", 100)
    for one in (module, told):
        monkeypatch.setattr(one, "LONG_TOKENS", 30)
    reading, go = Event(), Event()
    real = Service._run

    def run(self, model, source):
        if len(source.text) > 100:
            reading.set()
            assert go.wait(60)
        return real(self, model, source)

    monkeypatch.setattr(Service, "_run", run)
    with ThreadPoolExecutor(1) as visitors:
        novel = visitors.submit(served.trace, Source(served.settings.model, " ".join([tiny.SENTENCE] * 5)))
        try:
            assert reading.wait(60)
            short = Source(served.settings.model, tiny.SENTENCE)
            assert served.trace(short).text == tiny.SENTENCE
            assert not novel.done()
            key = served.key(Picture(short))
            assert served.packed(key, ("part",), lambda trace, reading: b"drawn")
        finally:
            go.set()
        assert len(novel.result(60).tokens) > 30


def test_a_text_of_which_most_is_cut_does_not_stand_before_sentences_either(served):
    served.start().result()
    model, name = served.model(served.settings.model), served.settings.model
    assert model.facts.context_length <= told.LONG_TOKENS
    assert not told.is_long(Source(name, "x " * (told.MUCH_CHARACTERS // 2)), model)
    assert told.is_long(Source(name, "x " * (told.MUCH_CHARACTERS // 2) + "x"), model)


def test_pictures_are_made_where_texts_are_read_long_ones_beside_short_ones(served, monkeypatch):
    for one in (module, told):
        monkeypatch.setattr(one, "LONG_TOKENS", 30)
    made_in = {}
    for name, text in (("short", tiny.SENTENCE), ("long", " ".join([tiny.SENTENCE] * 5))):
        key = served.key(Picture(Source(served.settings.model, text)))
        body = served.packed(key, ("part",), lambda trace, reading: current_thread().name.encode())
        made_in[name] = gzip.decompress(body).decode()
    assert made_in["short"].startswith("forward")
    assert made_in["long"].startswith("long forward")


def test_each_worker_computes_with_its_own_number_of_threads(tiny_models):
    """Long texts on all cores, sentences on all but one, whichever was told last; whoever else asks torch, as these."""
    import torch

    before = torch.get_num_threads()
    served = Service(replace(SETTINGS, model=str(tiny_models / "bert"), folders=True, threads=1, long_threads=2))
    try:
        served.start().result()
        for _ in range(2):
            assert served._long_worker.submit(torch.get_num_threads).result(60) == 2
            assert served._worker.submit(torch.get_num_threads).result(60) == 1
        with ThreadPoolExecutor(1) as other:
            assert other.submit(torch.get_num_threads).result(60) == 1
    finally:
        torch.set_num_threads(before)


def test_a_visitor_who_asks_before_the_start_does_not_block_it(served):
    """The worker must not wait for a job that stands behind it in its own queue."""
    with ThreadPoolExecutor(2) as visitors:
        trace = visitors.submit(served.trace, Source(served.settings.model, tiny.SENTENCE))
        assert len(trace.result(timeout=300).layers) == 2


def test_a_model_that_makes_room_takes_its_traces_along(tiny_models):
    sizes = [load_model(str(tiny_models / name)).nbytes for name in ("bert", "gpt2")]
    served = Service(replace(SETTINGS, model=str(tiny_models / "bert"), folders=True, model_bytes=max(sizes)))
    first = Source(str(tiny_models / "bert"), tiny.SENTENCE)
    served.trace(first)
    served._put_away(first, served._traces.peek(first))
    assert first in served._shelf
    served.trace(Source(str(tiny_models / "gpt2"), tiny.SENTENCE))
    assert served.loaded(str(tiny_models / "bert")) is None
    assert served._traces.peek(first) is None
    assert first not in served._shelf


def test_a_trace_does_not_keep_a_model_that_made_room_while_it_was_read(tiny_models):
    sizes = [load_model(str(tiny_models / name)).nbytes for name in ("bert", "gpt2")]
    served = Service(replace(SETTINGS, model=str(tiny_models / "bert"), folders=True, model_bytes=max(sizes)))
    served.start().result()
    first = Source(str(tiny_models / "bert"), "a dog ran")
    reading, go = Event(), Event()

    def read(*_) -> None:
        reading.set()
        go.wait(60)

    bert = served.loaded(first.model).model
    bert.register_forward_pre_hook(read)
    with ThreadPoolExecutor(2) as visitors:
        trace = visitors.submit(served.trace, first)
        assert reading.wait(60)
        other = visitors.submit(
            served._models._cache.put, str(tiny_models / "gpt2"), load_model(str(tiny_models / "gpt2"))
        )
        other.result(60)
        go.set()
        assert trace.result(60).text == "a dog ran"
    assert served.trace_in_memory(first) is None


@pytest.mark.parametrize(("shelf_bytes", "n_passes"), [(10_000_000, 2), (0, 3)], ids=["a disk", "no disk"])
def test_a_trace_that_made_room_is_not_computed_again(tiny_models, shelf_bytes, n_passes):
    """Its pictures are the same bytes as before, from the disk; without a disk it is read once more."""
    served = Service(
        replace(SETTINGS, model=str(tiny_models / "bert"), folders=True, trace_bytes=1, shelf_bytes=shelf_bytes)
    )
    served.start().result()
    passes = []
    counting = served.loaded(served.settings.model).model.register_forward_pre_hook(lambda *_: passes.append(1))
    first, second = (Source(served.settings.model, text) for text in ("the cat sat", tiny.SENTENCE))
    key = served.key(Picture(first))

    def picture() -> bytes:
        served._packs.drop(lambda key: True)
        return gzip.decompress(served.packed(key, ("head", 1, 2), lambda trace, how: head_pack(trace, how, 1, 2)))

    before = picture()
    served.trace(second)
    assert served._traces.peek(first) is None
    assert (served.known_trace(first) is not None) == bool(shelf_bytes)
    assert picture() == before
    assert len(passes) == n_passes
    assert served.condition()["disk_bytes"] <= shelf_bytes
    counting.remove()


def test_the_newest_trace_stays_in_memory_whatever_its_size(tiny_models):
    served = Service(replace(SETTINGS, model=str(tiny_models / "bert"), folders=True, trace_bytes=1))
    source = Source(served.settings.model, tiny.SENTENCE)
    assert served.trace(source) is served.trace(source)


def test_a_disk_that_fails_costs_the_time_to_compute_it_again(tiny_models):
    served = Service(replace(SETTINGS, model=str(tiny_models / "bert"), folders=True, trace_bytes=1))
    first, second = (Source(served.settings.model, text) for text in ("the cat sat", tiny.SENTENCE))
    served.trace(first)
    served.trace(second)
    os.truncate(served._shelf._file.fileno(), 10)
    assert served.known_trace(first) is None
    assert served.trace(first).text == "the cat sat"


def test_folders_are_for_the_operator_alone_unless_opened(tiny_models):
    served = Service(replace(SETTINGS, model=str(tiny_models / "bert"), folders=False))
    assert served.model(str(tiny_models / "bert")).facts.name == "bert"
    with pytest.raises(ModelError, match="does not open folders"):
        served.model(str(tiny_models / "gpt2"))


def test_a_download_holds_up_nobody_elses_text(tiny_models, monkeypatch):
    """One visitor's model is being fetched, and says how far it is, while another's text is read."""
    fetching, finish = Event(), Event()

    def fetch(name, progress, check_size, **_):
        progress("Fetching 120 of 440 MB …")
        fetching.set()
        assert finish.wait(60)
        return tiny_models / "gpt2"

    monkeypatch.setattr("attention_core.models.hub.fetch", fetch)
    served = Service(replace(SETTINGS, model=str(tiny_models / "bert"), folders=True))
    with ThreadPoolExecutor(1) as visitors:
        try:
            model = visitors.submit(served.model, "somebody/tiny")
            assert fetching.wait(60)
            assert served.progress("somebody/tiny") == "Fetching 120 of 440 MB …"
            assert len(served.trace(Source(served.settings.model, tiny.SENTENCE)).layers) == 2
            assert not model.done()
        finally:
            finish.set()
        assert model.result(timeout=300).facts.architecture == "GPT2Model"
    assert served.progress("somebody/tiny") == ""


def test_a_first_model_of_the_hub_does_not_hold_up_the_start(tiny_models, monkeypatch):
    monkeypatch.setattr("attention_core.models.hub.fetch", lambda *_, **__: tiny_models / "gpt2")
    served = Service(replace(SETTINGS, model="somebody/tiny"))
    served.start().result(timeout=300)
    assert served.loaded("somebody/tiny") is None
    assert served.model("somebody/tiny").facts.n_heads == 3


def test_what_a_model_says_is_computed_once(served, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "attention_core.reading.readout.read_out", lambda trace: asked.append(trace.text) or "something"
    )
    source = Source(served.settings.model, tiny.SENTENCE)
    assert served.known_readout(source) is None
    assert [served.readout(source) for _ in range(3)] == ["something"] * 3
    assert served.known_readout(source) == "something"
    assert asked == [tiny.SENTENCE]


def test_settings_choose_the_precision(tiny_models, monkeypatch):
    monkeypatch.setenv("SIGHTLINE_DTYPE", "bfloat16")
    served = Service(replace(from_environment(), model=str(tiny_models / "bert")))
    assert str(served.model(served.settings.model).dtype) == "torch.bfloat16"
    monkeypatch.setenv("SIGHTLINE_DTYPE", "int3")
    with pytest.raises(ValueError, match="SIGHTLINE_DTYPE must be one of float32, bfloat16, float16, stored"):
        from_environment()


def test_keys_are_the_same_for_everybody_here_and_different_elsewhere(served):
    picture = Picture(Source("minilm", "a text"))
    assert served.key(picture) == served.key(Picture(Source("minilm", "a text")))
    assert served.key(picture) != served.key(replace(picture, hide_special=True))
    assert served.key(picture) != Service(SETTINGS).key(picture)
    assert served.picture(served.key(picture)) == picture


def test_an_unknown_key_is_gone(served):
    with pytest.raises(Gone):
        served.packed("0" * 40, ("overview",), lambda trace, reading: b"")


def test_a_pack_is_made_once_and_kept_compressed(served):
    key = served.key(Picture(Source(served.settings.model, tiny.SENTENCE)))
    made = []

    def make(trace, reading) -> bytes:
        made.append(trace.text)
        return b"numbers" * 1_000

    bodies = {served.packed(key, ("part",), make) for _ in range(3)}
    assert made == [tiny.SENTENCE]
    (body,) = bodies
    assert gzip.decompress(body) == b"numbers" * 1_000


def test_an_opened_file_is_a_source_like_any_other(served):
    data = trace_bytes(served.trace(Source(served.settings.model, tiny.SENTENCE)))
    source = served.open_file(data)
    assert served.trace(source).text == tiny.SENTENCE
    assert served.open_file(data) == source
    with pytest.raises(TraceFileError):
        served.open_file(b"junk")
    with pytest.raises(Gone, match="Open the trace file again"):
        Service(SETTINGS).trace(source)


def test_settings_name_a_variable_that_is_no_number(monkeypatch):
    monkeypatch.setenv("SIGHTLINE_TRACE_MB", "lots")
    with pytest.raises(ValueError, match="SIGHTLINE_TRACE_MB must be a whole number from 1; got 'lots'"):
        from_environment()
    monkeypatch.setenv("SIGHTLINE_TRACE_MB", "7")
    assert from_environment().trace_bytes == 7_000_000
    assert module.service() is module.service()


def test_a_million_letters_that_are_few_tokens_count_as_the_memory_they_take(served):
    text = "x" * 1_000_000
    trace = served.trace(Source(served.settings.model, text))
    assert len(trace.source_tokens) < 10
    assert served.condition()["cache_bytes"]["traces"] > 1_000_000
    served.readout(Source(served.settings.model, text))
    assert served.condition()["cache_bytes"]["readouts"] > 1_000_000


def test_a_model_larger_than_the_bound_is_loaded_once_and_stays_beside_the_others(tiny_models, monkeypatch):
    """Until the next such one comes. Before, every picture loaded it again and health counted no model."""
    small, large = str(tiny_models / "bert"), str(tiny_models / "gpt2")
    sizes = {name: load_model(name).nbytes for name in (small, large)}
    small, large = sorted(sizes, key=lambda name: sizes[name])
    built = []
    real = Models._build
    monkeypatch.setattr(Models, "_build", lambda self, name, *rest: (built.append(name), real(self, name, *rest))[1])
    bound = (sizes[small] + sizes[large]) // 2
    served = Service(replace(SETTINGS, model=small, folders=True, model_bytes=bound))
    served.start().result()
    for text in ("the cat sat", "the dog sat"):
        served.trace(Source(large, text))
        served.trace(Source(small, text))
    assert sorted(built) == sorted([small, large])
    assert served.loaded(large) is not None and served.loaded(small) is not None
    condition = served.condition()
    assert (condition["models"], condition["cache_bytes"]["models"]) == (2, sum(sizes.values()))


def test_of_two_models_larger_than_the_bound_the_newest_stays(tiny_models):
    first, second = (str(tiny_models / name) for name in ("bert", "gpt2"))
    served = Service(replace(SETTINGS, model=first, folders=True, model_bytes=1))
    kept = served.trace(Source(first, "the cat sat"))
    assert served.condition()["model"] == "loaded"
    served.trace(Source(second, "the cat sat"))
    assert (served.loaded(first), served.condition()["models"]) == (None, 1)
    assert served.known_trace(Source(first, "the cat sat")) is None  # it would keep its model
    assert kept is not None
