"""The Heads page through app.py, its routes, its packs, and the labels made in the background."""

import base64
import gzip
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
import torch
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from attention_core import capture, load_model
from attention_core.formats import wire
from attention_core.heads.across import flow_pack, rollout_pack, writes_pack
from attention_core.heads.cards import Evidence, LabelCard, Untested
from attention_core.heads.labelling import label_heads
from attention_core.heads.labels import LABELS
from attention_core.heads.packs import between_pack, heads_pack, like_pack
from attention_core.heads.scores import METRICS, head_scores
from attention_core.heads.windows import Text
from attention_core.reading.contribution import contributions
from attention_core.survey.survey import Survey
from pages.shared.http import routes
from pages.shared.parts import survey_panel
from pages.shared.service import heads
from pages.shared.service.label_words import card_in_words, cards_in_words
from pages.shared.service.service import service
from pages.shared.service.sources import Picture, Source
from tests.support.known_heads import bracketed_tokenizer, molecules, neighbour_model
from tests.support.labelled import cards_of
from tests.support.patience import PATIENCE
from tests.support.random_models import random_model
from tests.support.sayings import said_by

APP = str(Path(__file__).parents[2] / "app.py")
TEXT = "The animal didn't cross the street because it was too tired."


@pytest.fixture
def app():
    return AppTest.from_file(APP, default_timeout=300)


@pytest.fixture(scope="module")
def trace():
    return capture(load_model("minilm"), TEXT)


def view_data(app) -> dict:
    (proto,) = [c.proto for c in app.get("bidi_component") if c.proto.component_name == "sightline_heads"]
    return json.loads(proto.json)


def test_the_page_opens_on_the_visitors_text(app):
    app.run()
    app.switch_page("pages/heads.py").run()
    assert not app.exception
    assert not said_by(app, "error")
    data = view_data(app)
    assert service().picture(data["key"]).source.model == "minilm"
    assert data["select"]["metric"] == "previous"


def test_the_address_decides_selection_metrics_order_and_filter(app):
    chosen = {"l": "0", "h": "2", "q": "10", "k": "2", "hm": "reach", "hx": "rare", "hy": "first", "hs": "-reach"}
    app.query_params.update({"v": "1", "m": "minilm", "t": TEXT, "hf": "layer:0;reach:2.5", **chosen})
    app.run()
    app.switch_page("pages/heads.py").run()
    assert view_data(app)["select"] == {
        "layer": 0,
        "head": 2,
        "query": 10,
        "key": 2,
        "metric": "reach",
        "metric_x": "rare",
        "metric_y": "first",
        "sort": "-reach",
        "only": "layer:0;reach:2.5",
    }
    link = view_data(app)["link"]
    assert "hm=reach" in link
    assert "hf=layer%3A0%3Breach%3A2.5" in link


@pytest.mark.parametrize(("name", "value", "part"), [("hm", "<b>", "metric of the map"), ("hf", "x", "filter")])
def test_a_bad_link_is_said_and_the_page_opens(app, name, value, part):
    app.query_params.update({"v": "1", "m": "minilm", "t": TEXT, "l": "3", "h": "1", name: value})
    app.run()
    assert any(part in one for one in said_by(app, "warning"))
    app.switch_page("pages/heads.py").run()
    assert not app.exception
    assert view_data(app)["select"]["metric"] == "previous"


def test_the_pack_holds_every_metric_of_every_head(trace):
    scores = head_scores(trace)
    meta, arrays = wire.unpack(heads_pack(trace, scores))
    assert [metric["name"] for metric in meta["metrics"]] == [metric.id for metric in METRICS]
    assert arrays["values"].shape == (len(METRICS), 72)
    row = scores.heads.index((0, 2))
    at = [metric.id for metric in METRICS].index("previous")
    assert arrays["values"][at, row] == pytest.approx(scores.of(0, 2)["previous"])
    assert [token["t"] for token in meta["tokens"]["source"]] == [token.text for token in trace.source_tokens]


def test_a_look_between_two_tokens_is_the_models_weight_in_every_head(trace):
    meta, arrays = wire.unpack(between_pack(trace, "all:encoder:self", 10, 2))
    wanted = torch.cat([layer.all_weights(slice(10, 11))[:, 0, 2] for layer in trace.layers])
    np.testing.assert_allclose(arrays["weights"], wanted.numpy(), atol=1e-6)
    rank = arrays["rank"][37]
    row = trace.weights(3, 1)[10]
    assert rank == 1 + int((row > row[2]).sum())
    assert meta["of"] == len(trace.source_tokens)


def test_a_look_that_is_masked_has_no_number():
    trace = capture(load_model("storyteller"), "Once upon a time")
    _, arrays = wire.unpack(between_pack(trace, "all:decoder:self", 1, 3))
    assert np.isnan(arrays["weights"]).all()


def test_the_pieces_of_a_word_are_looked_at_together():
    trace = capture(load_model("minilm"), "The unbelievability grows.")
    words = wire.unpack(heads_pack(trace, head_scores(trace)))[0]["tokens"]["source"]
    pieces = [i for i, token in enumerate(words) if token["word"] == "unbelievability"]
    assert len(pieces) > 1
    meta, arrays = wire.unpack(between_pack(trace, "all:encoder:self", 1, pieces[1]))
    assert meta["keys"] == pieces
    assert arrays["weights"][0] == pytest.approx(float(trace.weights(0, 0)[1, pieces].sum()), abs=1e-6)


def test_heads_alike_leave_out_the_head_itself(trace):
    found = wire.unpack(like_pack(trace, 0, 2))[0]["heads"]
    assert len(found) == 6
    assert (0, 2) not in [(one["layer"], one["head"]) for one in found]
    assert [one["distance"] for one in found] == sorted(one["distance"] for one in found)


def test_rollout_rows_sum_to_one_and_flow_is_at_most_one(trace):
    drawn = wire.unpack(rollout_pack(trace, "all:encoder:self", 10, "mean"))[1]["drawn"]
    assert drawn.shape == (6, len(trace.source_tokens))
    np.testing.assert_allclose(drawn.sum(axis=1), 1, atol=1e-5)
    flowed = wire.unpack(flow_pack(trace, "all:encoder:self", 10, "mean"))[1]["drawn"]
    assert flowed.min() >= 0
    assert flowed.max() <= 1 + 1e-6


def test_a_model_without_a_vocabulary_says_why_it_writes_no_words(trace):
    assert "no language head" in wire.unpack(writes_pack(trace, 3, 1, 10))[0]["unsaid"]


def test_what_a_storyteller_head_writes_comes_strongest_first():
    trace = capture(load_model("storyteller"), "Once upon a time there was a king.")
    said = wire.unpack(writes_pack(trace, 1, 0, 5))[0]
    assert said["unsaid"] == ""
    changes = [moved["by"] for moved in said["raised"]]
    assert changes == sorted(changes, reverse=True)
    assert said["lowered"][0]["by"] < 0


@pytest.fixture(scope="module")
def client():
    with TestClient(Starlette(routes=routes.routes())) as opened:
        yield opened


def key() -> str:
    source = Source("minilm", TEXT)
    service().trace(source)
    return service().key(Picture(source))


@pytest.mark.parametrize(
    "path",
    [
        "heads",
        "heads/between/all:encoder:self/10/2",
        "heads/scatter/entropy/previous",
        "heads/scatter/look/reach?group=all:encoder:self&query=10&of=2",
        "heads/like/0/2",
        "heads/writes/3/1/10",
        "heads/rollout/all:encoder:self/10/mean",
        "heads/flow/all:encoder:self/10/max",
    ],
)
def test_every_route_answers_with_a_pack(client, path):
    answer = client.get(f"/sightline/data/{key()}/{path}")
    assert answer.status_code == 200
    wire.unpack(answer.content)


def test_the_norm_based_switch_holds_for_every_number_of_the_page(client, trace):
    source = Source("minilm", TEXT)
    service().trace(source)
    by_norm = service().key(Picture(source, by_norm=True))
    meta, arrays = wire.unpack(client.get(f"/sightline/data/{by_norm}/heads").content)
    assert {metric["unit"] for metric in meta["metrics"]} >= {"share of ‖a·v·W_O‖", "bits", "tokens"}
    np.testing.assert_allclose(arrays["values"], head_scores(trace, by_norm=True).values.T, rtol=1e-4, atol=1e-5)
    plain = wire.unpack(client.get(f"/sightline/data/{key()}/heads").content)[1]
    assert np.nanmax(abs(arrays["values"] - plain["values"])) > 0.1
    looks = wire.unpack(client.get(f"/sightline/data/{by_norm}/heads/between/all:encoder:self/10/2").content)[1]
    shares = contributions(trace.layers[3], 1, slice(10, 11))[0]
    assert looks["weights"][37] == pytest.approx(float(shares[2] / shares.sum()), abs=1e-6)
    alike = [wire.unpack(client.get(f"/sightline/data/{k}/heads/like/0/2").content)[0] for k in (by_norm, key())]
    assert alike[0] != alike[1]


def numbers(array: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])


def test_the_scatter_has_the_numbers_of_two_metrics_or_of_a_look(client):
    at = f"/sightline/data/{key()}/heads"
    meta, arrays = wire.unpack(client.get(at).content)
    column = {metric["name"]: row for metric, row in zip(meta["metrics"], arrays["values"], strict=True)}
    figure = wire.unpack(client.get(f"{at}/scatter/entropy/previous").content)[0]["scatter"]
    np.testing.assert_array_equal(numbers(figure["data"][0]["x"]), column["entropy"])
    np.testing.assert_array_equal(numbers(figure["data"][0]["y"]), column["previous"])
    assert figure["layout"]["yaxis"]["range"] == [0, 1]
    look = wire.unpack(client.get(f"{at}/between/all:encoder:self/10/2").content)[1]["weights"]
    asked = f"{at}/scatter/reach/look?group=all:encoder:self&query=10&of=2"
    figure = wire.unpack(client.get(asked).content)[0]["scatter"]
    np.testing.assert_array_equal(numbers(figure["data"][0]["y"]), look)
    assert figure["layout"]["yaxis"]["title"]["text"] == "token 10 looks at token 2, share of the row’s attention ↑"


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("heads/scatter/entropy/nothing", "there is no metric 'nothing'"),
        ("heads/scatter/look/entropy", "a token is named by its number"),
        ("heads/scatter/look/entropy?group=all:encoder:self&query=-1&of=2", "got '-1'"),
        ("heads/scatter/look/entropy?group=all:encoder:self&query=99&of=2", "there is no token 99"),
        ("heads/between/all:encoder:self/99/2", "there is no token 99"),
        ("heads/between/all:decoder:cross/1/2", "there are no layers called"),
        ("heads/like/9/0", "9"),
        ("heads/rollout/all:encoder:self/99/mean", "query must be"),
        ("heads/sideways/all:encoder:self/1/mean", "rollout or flow"),
    ],
)
def test_what_is_not_there_is_said_in_words(client, path, part):
    answer = client.get(f"/sightline/data/{key()}/{path}")
    assert answer.status_code == 404
    assert part in answer.json()["error"]


def test_an_unknown_key_is_gone(client):
    assert client.get("/sightline/data/0000/heads").status_code == 410


@pytest.mark.slow
def test_the_labels_are_made_in_the_background_and_kept(client):
    address = f"/sightline/data/{key()}/heads/labels"
    deadline = time.monotonic() + PATIENCE
    told = client.get(address).json()
    while told["state"] == "working" and time.monotonic() < deadline:
        time.sleep(0.2)
        told = client.get(address).json()
    assert told["state"] == "ready"
    assert len(told["cards"]) == 72
    assert told["cards"]["0.2"]["label"] == "previous"
    assert client.get(address).json() == told


def test_labels_that_cannot_be_made_say_so_once_and_may_be_tried_again():
    book = heads.LabelBook()
    deadline = time.monotonic() + PATIENCE
    told = book.of("/no/such/folder")
    while told["state"] == "working" and time.monotonic() < deadline:
        time.sleep(0.05)
        told = book.of("/no/such/folder")
    assert told["state"] == "failed"
    assert "could not be labelled" in told["says"]
    assert book.of("/no/such/folder")["state"] == "working"


def test_a_trace_from_a_file_has_no_labels():
    assert heads.labels_of(Source("", "", file="abc"))["state"] == "none"


def evidence(label, holds: bool, score: float = 0.9) -> Evidence:
    return Evidence(label, score, 0.05, 0.1, 0.7, 0.9, 0.5, 16, holds, 64)


def test_a_label_card_says_score_null_spread_and_n():
    held, other = evidence("previous", True), evidence("positional", True, 0.6)
    card = card_in_words(LabelCard(0, 2, ("previous",), (other, held)))
    assert card["label"] == "previous"
    meaning = next(label.meaning for label in LABELS if label.id == "previous")
    assert card["says"] == f"{meaning} Holds at 64 tokens."
    rows = dict(card["rows"])
    assert rows["score"].startswith("✓ 0.90 ≥")
    assert rows["chance (null)"] == "0.05"
    assert rows["score − chance"] == "0.85 ± 0.10"
    assert rows["probe texts"] == "n = 16, of 64 tokens"
    assert (card["answer"], card["at"]) == ("named", "")


def test_an_unlabelled_head_names_the_closest_and_what_it_lacks():
    card = card_in_words(LabelCard(0, 2, (), (evidence("previous", False, 0.1),)))
    assert card["label"] is None
    assert card["says"].startswith("Unlabelled, the normal answer.")
    assert dict(card["rows"])["score"].startswith("✗ 0.10 <")
    assert (card["label"], card["answer"]) == (None, "unlabelled")


def test_a_label_says_at_which_lengths_of_text_it_holds():
    held = [replace(evidence("first", length < 100), length=length) for length in (16, 64, 256)]
    card = card_in_words(LabelCard(0, 2, ("first",), tuple(held)))
    assert card["at"] == "at 16 and 64 tokens"
    assert card["says"].endswith("Holds at 16 and 64 tokens, not at 256.")
    assert dict(card["rows"])["probe texts"] == "n = 16, of 64 tokens"


def test_a_head_that_could_not_be_tested_says_why_and_is_not_called_unlabelled():
    why = "the vocabulary has 5 pieces beside the special ones, and 64 different ones are needed"
    card = card_in_words(LabelCard(0, 2, (), (), (Untested("induction", why, None),)))
    assert (card["answer"], card["label"], card["rows"]) == ("untested", None, [])
    assert card["says"] == f"Could not be tested, because {why}."
    partly = card_in_words(LabelCard(0, 2, (), (evidence("previous", False),), (Untested("induction", why, None),)))
    assert partly["answer"] == "unlabelled"
    assert partly["untested"] == f"Could not be tested: induction, because {why}."


def told_when_ready(model: str) -> dict:
    deadline = time.monotonic() + PATIENCE
    told = heads.label_book().of(model)
    while told["state"] == "working" and time.monotonic() < deadline:
        time.sleep(0.1)
        told = heads.label_book().of(model)
    assert told["state"] == "ready"
    return told


def saved(model, folder: Path) -> str:
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
def test_the_page_gives_each_of_the_three_answers_and_those_that_a_notebook_gives(tmp_path, monkeypatch):
    monkeypatch.setattr(service(), "settings", replace(service().settings, folders=True))
    name = saved(neighbour_model(bracketed_tokenizer()), tmp_path / "neighbours")
    told = told_when_ready(name)
    assert {place: card["answer"] for place, card in told["cards"].items()} == {
        "0.0": "named",
        "0.1": "named",
        "0.2": "unlabelled",
    }
    assert "random tokens of its vocabulary" in told["says"]
    assert told["cards"] == cards_in_words(label_heads(load_model(name)))
    small = saved(neighbour_model(bracketed_tokenizer(5, 64)), tmp_path / "small")
    told = told_when_ready(small)
    assert {card["answer"] for card in told["cards"].values()} == {"untested"}
    assert all("because the vocabulary has 5 pieces" in card["says"] for card in told["cards"].values())


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["minilm", "storyteller"])
def test_page_and_notebook_agree_on_every_head_of_a_trained_model(name: str, tmp_path_factory):
    deadline = time.monotonic() + 900
    while (told := heads.label_book().of(name))["state"] == "working" and time.monotonic() < deadline:
        time.sleep(0.5)
    assert told["cards"] == cards_in_words(cards_of(name, tmp_path_factory))


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
@pytest.mark.slow
def test_page_and_notebook_agree_on_every_head_of_a_random_model(architecture: str, tmp_path, monkeypatch):
    monkeypatch.setattr(service(), "settings", replace(service().settings, folders=True))
    name = saved(random_model(architecture, 3, 0.3, n_layers=1, n_heads=3), tmp_path / architecture)
    assert told_when_ready(name)["cards"] == cards_in_words(label_heads(load_model(name)))


@pytest.mark.slow
def test_a_survey_names_the_heads_of_the_page_by_its_own_texts(client, tmp_path, monkeypatch):
    """The same cards as in a notebook with these texts, and the page says what they rest on."""
    monkeypatch.setattr(service(), "settings", replace(service().settings, folders=True))
    model = neighbour_model(bracketed_tokenizer())
    name, texts = saved(model, tmp_path / "neighbours"), molecules(9)
    job = survey_panel.Job(name, [("molecules.smi", "\n".join(texts).encode())])
    job.wait(PATIENCE)
    assert job.failed == ""
    assert "one text per line, a guess" in job.said
    source = Source(name, texts[0])
    service().trace(source)
    key = service().key(Picture(source))
    told = client.get(f"/sightline/data/{key}/heads/labels?by={job.labels_by}").json()
    assert told["cards"] == cards_in_words(label_heads(load_model(name), texts))
    assert "molecules.smi: 9 texts at 16 and 64 tokens" in told["says"]
    gone = client.get(f"/sightline/data/{key}/heads/labels?by={heads.BY_TEXTS}0").json()
    assert gone["state"] == "failed"


def test_the_metrics_of_a_text_are_computed_once():
    source = Source("minilm", TEXT)
    assert heads.scores_of(source) is heads.scores_of(source)


def test_a_pack_is_compressed_once(client):
    name = key()
    client.get(f"/sightline/data/{name}/heads")
    body = service().packed(name, ("heads",), lambda *_: b"never made again")
    assert gzip.decompress(body) != b"never made again"


KING = b"The king sat on the hill and looked at the sea. "


@pytest.mark.slow
def test_a_survey_reads_a_file_and_gives_tables_that_open(tmp_path):
    job = survey_panel.Job("minilm", [("tale.txt", KING * 40)])
    job.wait(PATIENCE)
    assert job.failed == ""
    assert job.done == job.total
    assert not job.stopped
    assert "of 256 tokens read" in job.said
    lines = job.csv.decode().splitlines()
    assert len(lines) > 72
    (tmp_path / "table.parquet").write_bytes(job.parquet)
    import pandas

    assert len(pandas.read_parquet(tmp_path / "table.parquet")) == len(lines) - 1


@contextmanager
def busy_worker() -> Iterator[None]:
    """Nothing is computed until the block ends."""
    held, gate = Event(), Event()
    waiting = Thread(target=service().work, args=(lambda: (held.set(), gate.wait()),))
    waiting.start()
    held.wait()
    try:
        yield
    finally:
        gate.set()
        waiting.join()


class AfterTheFirstWindow(Event):
    """A visitor who presses Stop as soon as something was read; once."""

    def __init__(self, job: survey_panel.Job) -> None:
        super().__init__()
        self.job = job

    def is_set(self) -> bool:
        return self.job is not None and self.job.done > 0

    def clear(self) -> None:
        self.job = None


@pytest.mark.slow
def test_a_survey_of_two_files_that_is_stopped_goes_on_to_the_same_table():
    """Read as the command line reads a folder: by name, whatever the order in which they were chosen."""
    files = [("b.txt", KING * 60), ("a.txt", TEXT.encode() * 60)]
    with busy_worker():
        job = survey_panel.Job("minilm", files)
        job.stop = AfterTheFirstWindow(job)
    job.wait(PATIENCE)
    assert job.stopped
    assert 0 < job.done < job.total
    assert job.said.startswith("Stopped early:")
    early = job.csv
    job.go_on()
    job.wait(PATIENCE)
    assert not job.stopped
    assert job.done == job.total
    texts = [Text(name, data=data) for name, data in sorted(files)]
    whole = service().work(Survey, service().model("minilm"), texts)
    while service().work(next, whole, None) is not None:
        pass
    assert job.csv == whole.table().to_csv() != early


@pytest.mark.slow
def test_a_survey_that_is_stopped_before_the_first_window_says_so_and_can_go_on():
    with busy_worker():
        job = survey_panel.Job("minilm", [("tale.txt", KING * 40)])
        job.stop.set()
    job.wait(PATIENCE)
    assert (job.failed, job.csv) == ("", b"")
    assert job.said == "Stopped before the first window was read."
    job.go_on()
    job.wait(PATIENCE)
    assert job.csv


@pytest.mark.slow
def test_a_survey_of_nothing_says_so():
    job = survey_panel.Job("minilm", [("empty.txt", b"")])
    job.wait(PATIENCE)
    assert "nothing to tell" in job.failed
    assert not job.stopped
