"""What comes through the seam is what `attention_core` itself gives, whichever engine computes."""

import gzip
import json
from concurrent.futures import Future

import pytest

from attention_core import capture, load_model, load_trace
from attention_core.heads.labelling import label_heads
from attention_core.heads.windows import Text
from attention_core.lab.link import from_link
from attention_core.lab.seed import from_trace
from attention_core.ledger.packs import ledger_pack
from attention_core.lessons.lesson import plain_step
from attention_core.lessons.showing import revealed, shown
from attention_core.pictures.files import csv, npz, svg
from attention_core.pictures.head import head_pack
from attention_core.pictures.overview import overview
from attention_core.reading.generation import How, append_token, continue_text, fill_mask
from attention_core.reading.reading import Reading
from attention_core.reading.readout import read_out
from attention_core.record.file import trace_bytes
from attention_core.record.groups import layer_name
from attention_core.survey.survey import Survey
from pages.shared.engine.packs import SCRIPT, TRACE, SavedFile, Wanted
from pages.shared.engine.plain import Refused
from pages.shared.engine.summaries import said
from pages.shared.learn.library import lesson_of
from pages.shared.service.counting import Count
from pages.shared.service.keys import Gone
from pages.shared.service.label_words import cards_in_words
from pages.shared.service.service import service
from pages.shared.service.sources import Picture, Source
from pages.shared.service.turns import NoLongerWanted
from tests.commands.matrix.checking import build, model_class
from tests.commands.matrix.shrinking import tiny_config
from tests.core.models.test_support import EXACT
from tests.support import tiny

PATIENCE = 300  # seconds; a machine that does other work too
TEXT = "the cat sat on a mat"


def got(handle):
    """The answer to a job."""
    return (handle if isinstance(handle, Future) else handle.future).result(timeout=PATIENCE)


def held(saved: SavedFile) -> bytes:
    return saved.file.read(0, saved.file.nbytes)


def expected(trace, name: str) -> bytes:
    if name == TRACE:
        return trace_bytes(trace)
    made = {"heatmap.svg": svg, "weights.csv": csv, "weights.npz": npz}[name](trace, Reading(), 1, 2)
    return made if isinstance(made, bytes) else "".join(made).encode()


@pytest.fixture(scope="package")
def families(tmp_path_factory):
    """A folder of a tiny model of a family, made when it is first asked for."""
    root, made = tmp_path_factory.mktemp("families"), {}

    def folder(model_type: str) -> str:
        if model_type not in made:
            config = tiny_config(model_type)
            build(model_class(config, model_type), config).save_pretrained(root / model_type)
            tiny.tokenizer().save_pretrained(root / model_type)
            made[model_type] = str(root / model_type)
        return made[model_type]

    return folder


@pytest.mark.filterwarnings("ignore")  # transformers' own, about sizes that are too small to be real
@pytest.mark.parametrize("model_type", EXACT)
def test_trace_packs_and_files_are_the_cores_to_the_byte(engine, families, model_type):
    source = Source(families(model_type), TEXT)
    seen = got(engine.read(source))
    trace = service().work(lambda: capture(load_model(source.model), TEXT))
    assert (seen.source_tokens, seen.target_tokens) == (trace.source_tokens, trace.target_tokens)
    assert [one.label for one in seen.layers] == [layer_name(trace, i) for i in range(len(trace.layers))]
    assert seen.checks == trace.checks
    picture = Picture(source)
    for name in (TRACE, "heatmap.svg", "weights.csv", "weights.npz"):
        assert held(engine.save(picture, Wanted(name, 1, 2))) == expected(trace, name), name
    packs = {
        ("overview",): overview(trace, Reading()),
        ("head", 1, 2): head_pack(trace, Reading(), 1, 2),
        ("ledger", 0, 1, 3): ledger_pack(trace, 0, 1, 3),
    }
    for part, whole in packs.items():
        assert gzip.decompress(engine.pack(picture, part)) == whole, part


def test_a_key_stands_for_its_picture_and_another_for_none(engine):
    picture = Picture(Source("minilm", TEXT), words=True)
    assert engine.picture(engine.key(picture)) == picture
    with pytest.raises(Gone):
        engine.picture("0123456789")


def test_a_model_and_a_trace_are_known_once_they_are_there(engine, speakers):
    source = Source(speakers["gpt2"], "the dog ran away")
    assert engine.known(source) is None and engine.known_at_once(source) is None
    seen = got(engine.read(source))
    assert engine.known(source) == engine.known_at_once(source) == seen
    model = engine.loaded(source.model)
    assert model is not None and model.facts == seen.facts
    assert (model.predicts, model.computes, model.chat) == ("next token", "float32 on cpu", False)


@pytest.mark.parametrize(("family", "text"), [("gpt2", TEXT), ("bert", "the [MASK] sat"), ("bart", TEXT)])
def test_what_a_model_says_is_what_the_core_reads_out(engine, speakers, family, text):
    source = Source(speakers[family], text)
    model = load_model(source.model)
    trace = service().work(lambda: capture(model, text))
    assert got(engine.readout(source)) == service().work(lambda: said(read_out(trace)))


def test_what_a_model_writes_is_what_the_core_writes(engine, speakers):
    source = Source(speakers["gpt2"], TEXT)
    model = load_model(source.model)
    ways: tuple[tuple[How, int], ...] = (("greedy", 0), ("sampled", 3))
    for how, seed in ways:
        writing = engine.write(source, 7, how, seed)
        written = got(writing)
        own = continue_text(model, TEXT, 7, how=how, seed=seed)
        assert (written.text, len(written.added), written.same_tokens) == (own.text, len(own.added), own.same_tokens)
    with pytest.raises(Refused, match="predicts no next token"):
        got(engine.write(Source(speakers["bert"], TEXT), 7, "greedy", 0))


def test_a_token_is_put_after_a_text_or_in_place_of_a_mask(engine, speakers):
    after, masked = Source(speakers["gpt2"], TEXT), Source(speakers["bert"], "the [MASK] sat", "a [MASK] ran")
    for source in (after, masked):
        got(engine.read(source))
    own = append_token(load_model(after.model), TEXT, tiny.WORDS.index("dog"))
    assert engine.put_token(after, tiny.WORDS.index("dog"), 0).text == own.text
    put = engine.put_token(masked, tiny.WORDS.index("dog"), 1)
    assert (put.text, put.into) == (
        fill_mask(load_model(masked.model), "a [MASK] ran", 0, tiny.WORDS.index("dog")),
        "pair",
    )
    with pytest.raises(Refused, match="The vocabulary has no token"):
        engine.put_token(after, 10_000, 0)


def test_tokens_are_counted_and_a_model_that_is_not_here_is_not_loaded(engine, speakers):
    got(engine.read(Source(speakers["bert"], TEXT)))
    counted = got(engine.count(Source(speakers["bert"], TEXT), "a visitor"))
    assert (counted.n, counted.specials, counted.limit) == (8, 2, 64)
    assert got(engine.count(Source("gpt2", TEXT), "a visitor")) == Count()
    assert engine.loaded("gpt2") is None


def test_a_row_and_a_real_head_for_the_lab_are_the_cores(engine, speakers):
    source = Source(speakers["bert"], TEXT)
    trace = service().work(lambda: capture(load_model(source.model), TEXT))
    assert engine.row(source, 1, 2, 3) == trace.weights(1, 2, slice(3, 4))[0].tolist()
    assert from_link(engine.seed(source, 1, 2, (1, 2, 4))) == from_trace(trace, 1, 2, (1, 2, 4))


def test_a_step_of_a_lesson_and_its_mark_are_the_cores(engine):
    lesson = lesson_of("words")
    source, step = Source(lesson.model, lesson.text), lesson.steps[0]
    trace = capture(load_model(lesson.model), lesson.text)
    assert engine.lesson_step(source, plain_step(step)) == shown(step, trace)
    for answer in (2, None):
        assert engine.lesson_mark(source, plain_step(step), answer) == revealed(step, trace, answer)
    with pytest.raises(ValueError, match="Point at one of the words"):
        engine.lesson_mark(source, plain_step(step), "animal")


def test_an_opened_file_is_shown_and_one_that_is_none_is_refused(engine, speakers):
    made = service().work(lambda: capture(load_model(speakers["bert"]), TEXT))
    data = trace_bytes(made)
    source = engine.open_file(data)
    seen = engine.known(source)
    assert seen is not None and seen.source_tokens == made.source_tokens
    assert gzip.decompress(engine.pack(Picture(source), ("overview",))) == overview(load_trace(data), Reading())
    assert engine.label(source)["state"] == "none"
    with pytest.raises(Refused):
        engine.open_file(b"no trace")


@pytest.mark.slow
def test_labels_and_survey_are_those_of_the_core(engine, probed):
    source = Source(probed, "the")
    got(engine.read(source))
    model = load_model(probed)
    labels = _when_ready(lambda: engine.label(source))
    assert labels["cards"] == json.loads(json.dumps(cards_in_words(label_heads(model))))
    data = b"The king sat on the hill and looked at the sea. " * 40
    survey = Survey(model, [Text("tale.txt", data=data, lines=False)])
    while next(survey, None) is not None:
        pass
    running = engine.survey(probed, [("tale.txt", data)], False, "by:some-name")
    found = got(running)
    assert (found.failed, found.finished) == ("", True)
    assert found.csv == survey.table().to_csv()
    assert found.parquet == survey.table().to_parquet()
    assert "tale.txt" in engine.label(source, "by:some-name")["says"]
    assert running.progress().done <= len(data)


def _when_ready(ask):
    from time import monotonic, sleep

    end = monotonic() + PATIENCE
    while (told := ask())["state"] == "working" and monotonic() < end:
        sleep(0.2)
    return told


def test_what_cannot_be_had_is_a_sentence(engine):
    with pytest.raises(Refused):
        got(engine.read(Source("/no/such/folder", TEXT)))
    source = Source("minilm", TEXT)
    with pytest.raises(ValueError, match="99"):
        engine.pack(Picture(source), ("head", 99, 0))
    with pytest.raises(ValueError, match="no pack"):
        engine.pack(Picture(source), ("dance",))
    with pytest.raises(ValueError, match="no download"):
        engine.save(Picture(source), Wanted("etc.svg"))
    assert "load_model" in held(engine.save(Picture(source), Wanted(SCRIPT, 0, 0))).decode()


def test_whoever_cancels_behind_others_is_dropped_when_his_turn_comes(engine):
    """Ten long sentences of the same visitor stand before it."""
    words = "sentence number with many words that take a while to read ".split()
    waiting = [engine.read(Source("minilm", " ".join([f"{n}", *words * 40])), "a visitor") for n in range(10)]
    unwanted = engine.read(Source("minilm", "nobody waits for this one"), "a visitor")
    unwanted.cancel()
    with pytest.raises(NoLongerWanted):
        got(unwanted)
    assert all(got(one).n_tokens > 400 for one in waiting)


def test_the_place_in_the_queue_is_told(engine):
    words = "sentence number with many words that take a while to read ".split()
    first = engine.read(Source("minilm", " ".join(["first", *words * 44])), "one visitor")
    second = engine.read(Source("minilm", " ".join(["second", *words * 44])), "another visitor")
    seen = []
    while not second.future.done():
        seen.append(second.progress().ahead)
    assert set(seen) <= {0, 1} and got(first).n_tokens == got(second).n_tokens


def test_its_condition_is_numbers(engine):
    told = engine.condition()
    assert told["ready"] and told["model"] == "loaded" and told["models"] >= 1
    assert {"traces", "pictures", "models", "keys"} <= set(told["cache_bytes"])
    json.dumps(told)
