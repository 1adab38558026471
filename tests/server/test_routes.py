"""The HTTP routes as a browser uses them, without Streamlit."""

import io
import json

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from attention_core import load_trace
from attention_core.formats import wire
from attention_core.pictures.files import EXPORTS
from pages.shared.assets import ASSETS_URL
from pages.shared.http.routes import routes
from pages.shared.service.service import service
from pages.shared.service.sources import Picture, Source

TEXT = "The cat sat on the mat."


@pytest.fixture(scope="module")
def client():
    service().start().result()
    with TestClient(Starlette(routes=routes())) as client:
        yield client


@pytest.fixture(scope="module")
def data():
    return f"/sightline/data/{service().key(Picture(Source('minilm', TEXT)))}"


def test_the_overview_is_compressed_private_and_cached(client, data):
    answer = client.get(f"{data}/overview")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "private, max-age=86400, immutable"
    header, arrays = wire.unpack(answer.content)
    assert len(header["layers"]) == 6
    assert arrays["heads"].size == 72 * 9 * 9


def test_a_client_without_gzip_gets_plain_bytes(client, data):
    answer = client.get(f"{data}/overview", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert wire.unpack(answer.content)[0]["full"]


def test_a_head_a_line_and_a_tile(client, data):
    _, head = wire.unpack(client.get(f"{data}/head/3/1").content)
    _, line = wire.unpack(client.get(f"{data}/line/3/1/query/4").content)
    _, tile = wire.unpack(client.get(f"{data}/tile/3/1/0/0").content)
    _, mean = wire.unpack(client.get(f"{data}/head/all%3Aencoder%3Aself/mean").content)
    np.testing.assert_allclose(line["weights"], head["weights"][4], atol=1e-7)
    np.testing.assert_allclose(wire.decode_u2(tile["picture"])[0], head["weights"], atol=8e-6)
    assert mean["weights"].shape == (9, 9)


def test_a_ledger_its_rows_products_and_matrices(client, data):
    header, arrays = wire.unpack(client.get(f"{data}/ledger/3/1/4").content)
    assert [step["name"] for step in header["steps"]][:3] == ["x", "qkv", "scores"]
    _, more = wire.unpack(client.get(f"{data}/ledger/3/1/4/rows/k/0").content)
    np.testing.assert_array_equal(more["k"], arrays["k"])
    found, products = wire.unpack(client.get(f"{data}/ledger/3/1/4/products/scores/2/0").content)
    assert products["products"].sum() == pytest.approx(arrays["scores"][2], abs=1e-4)
    assert (found["left"], found["right"]) == ("q", "k_2")
    _, matrix = wire.unpack(client.get(f"{data}/ledger/3/1/4/matrix/qkv/k").content)
    np.testing.assert_allclose(matrix["m2"], arrays["k"], atol=1e-5)


@pytest.mark.parametrize(
    "path", ["ledger/9/0/0", "ledger/0/0/99", "ledger/0/0/0/products/exps/0/0", "ledger/0/0/0/matrix/dance"]
)
def test_a_step_that_does_not_exist_is_404_with_a_sentence(client, data, path):
    answer = client.get(f"{data}/{path}")
    assert answer.status_code == 404
    assert len(answer.json()["error"]) > 10


@pytest.mark.parametrize(
    "path",
    [
        *("head/9/1", "head/0/99", "head/x/y", "line/0/0/query/99", "tile/0/0/99/0", "export/0/0/etc.svg"),
        *(f"export/{place}/{file}" for place in ("9/0", "0/99", "x/y") for file in EXPORTS),
    ],
)
def test_what_does_not_exist_is_404_with_a_sentence(client, data, path):
    answer = client.get(f"{data}/{path}")
    assert answer.status_code == 404
    assert len(answer.json()["error"]) > 10


def test_an_unknown_key_is_410(client):
    assert client.get("/sightline/data/0123456789/overview").status_code == 410


@pytest.mark.parametrize("path", ["../app.py", "..%2f..%2fapp.py", "js/../../app.py", "examples/gallery.json"])
def test_only_scripts_and_styles_are_served(client, path):
    assert client.get(f"/{ASSETS_URL}{path}").status_code == 404
    for file in ("js/explore/explorer.js", "css/steps.css", "lessons/glossary.json"):
        assert client.get(f"/{ASSETS_URL}{file}").status_code == 200


def test_downloads_come_as_files_that_read_back(client, data):
    svg = client.get(f"{data}/export/3/1/heatmap.svg")
    assert svg.headers["content-disposition"].startswith(
        "attachment; filename*=UTF-8''sightline-layer3-head1-heatmap.svg"
    )
    assert "<script" not in svg.text
    assert "scale" in client.get(f"{data}/export/3/1/heatmap.svg?scale=head").text
    assert client.get(f"{data}/export/3/1/weights.csv").text.startswith("query looks at key,")
    archive = np.load(io.BytesIO(client.get(f"{data}/export/3/1/weights.npz").content))
    assert archive["weights"].shape == (9, 9)
    trace = load_trace(client.get(f"{data}/export/trace.safetensors").content)
    assert trace.text == TEXT
    script = client.get(f"{data}/export/script.py?layer=3&head=1").text
    assert f"capture(model, {TEXT!r})" in script
    assert trace.checks == ("q", "k", "v", "output", "W_O")
    opened = service().open_file(client.get(f"{data}/export/trace.safetensors").content)
    address = f"/sightline/data/{service().key(Picture(opened))}"
    script = client.get(f"{address}/export/script.py?layer=3&head=1").text
    assert "load_model" not in script and "load_trace('sightline-trace.safetensors')" in script
    code = wire.unpack(client.get(f"{address}/ledger/3/1/4").content)[0]["prelude"]
    assert "load_model" not in code and "load_trace('sightline-trace.safetensors')" in code
    assert json.loads(client.get(f"{data}/head/77/0").text)["error"]
