"""Hashed files from memory: what is answered, how it may be kept, and that nothing else is."""

import re

import plotly
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from pages.shared.assets import ASSETS, ASSETS_URL, PLOTLY_URL, asset_files, plotly_file
from pages.shared.http.static_files import HASHED, HashedFiles, streamlit_files

SCRIPT = "export const answer = 42;\n" * 97
FONT = bytes(range(251)) * 7


@pytest.fixture
def served(tmp_path):
    """A client, the middleware, and the two files that it serves."""
    (tmp_path / "a.DormvYxC.js").write_text(SCRIPT)
    (tmp_path / "b.BsWL4Kly.woff2").write_bytes(FONT)
    (tmp_path / "secret.txt").write_text("not served")
    files = {f"/static/js/{name}": tmp_path / name for name in ("a.DormvYxC.js", "b.BsWL4Kly.woff2")}
    answer = PlainTextResponse("the app", 202)
    app = Starlette(routes=[Route("/{rest:path}", lambda request: answer, methods=["GET", "POST"])])
    middleware = HashedFiles(app, files)
    with TestClient(middleware) as client:
        yield client, middleware, tmp_path


def compressed(served, path="/static/js/a.DormvYxC.js"):
    """The answer once the background thread has compressed the file."""
    client, middleware, _ = served
    client.get(path)
    middleware._compressor.submit(lambda: None).result()
    return client.get(path)


def test_the_first_visitor_gets_the_file_as_it_is_and_the_next_one_compressed(served):
    first = served[0].get("/static/js/a.DormvYxC.js")
    assert "content-encoding" not in first.headers
    assert first.headers["cache-control"] == "no-cache"  # or a proxy would keep the large one for everybody
    second = compressed(served)
    assert second.headers["content-encoding"] == "gzip"
    assert int(second.headers["content-length"]) < len(SCRIPT) / 10
    assert first.text == second.text == SCRIPT
    assert first.headers["content-type"] == second.headers["content-type"] == "text/javascript; charset=utf-8"


def test_a_browser_may_keep_it_for_ever_and_is_told_when_it_has_it_already(served):
    answer = compressed(served)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["vary"] == "Accept-Encoding"
    again = served[0].get("/static/js/a.DormvYxC.js", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = served[0].get("/static/js/a.DormvYxC.js", headers={"accept-encoding": "identity"})
    assert plain.text == SCRIPT
    assert plain.headers["etag"] != answer.headers["etag"]  # another body


def test_a_font_is_not_compressed_again(served):
    answer = compressed(served, "/static/js/b.BsWL4Kly.woff2")
    assert "content-encoding" not in answer.headers
    assert answer.content == FONT


def test_a_head_request_has_the_headers_alone(served):
    answer = served[0].head("/static/js/a.DormvYxC.js")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len(SCRIPT)


@pytest.mark.parametrize(
    "path", ["/", "/static/js/secret.txt", "/static/js/%2e%2e/js/a.DormvYxC.js", "/static/js/%2e%2e/secret.txt"]
)
def test_everything_else_goes_on_to_the_app(served, path):
    assert served[0].get(path).text == "the app"


def test_writes_and_ranges_go_on_to_the_app(served):
    assert served[0].post("/static/js/a.DormvYxC.js").text == "the app"
    assert served[0].get("/static/js/a.DormvYxC.js", headers={"range": "bytes=0-1"}).text == "the app"


def test_a_file_that_changed_is_read_again_and_one_that_went_away_is_the_apps(served):
    compressed(served)
    file = served[2] / "a.DormvYxC.js"
    file.write_text("export const answer = 43;\n")
    assert served[0].get("/static/js/a.DormvYxC.js").text == "export const answer = 43;\n"
    file.unlink()
    assert served[0].get("/static/js/a.DormvYxC.js").text == "the app"


def test_every_file_that_streamlits_page_names_is_served_and_the_page_itself_is_not():
    from streamlit import file_util

    with open(f"{file_util.get_static_dir()}/index.html", encoding="utf-8") as file:
        named = {f"/static/{path}" for path in re.findall(r'"\./static/([^"]+)"', file.read())}
    files = streamlit_files()
    assert len(named) > 50
    assert named <= set(files)
    assert not [path for path in files if path.endswith(".html") or not HASHED.search(path)]


def test_our_own_files_are_served_under_their_version():
    files = asset_files()
    assert files[f"/{ASSETS_URL}js/explore/explorer.js"] == ASSETS / "js" / "explore" / "explorer.js"
    assert {path.split("/")[3] for path in files} == {"js", "css", "lessons"}


def test_plotly_is_the_installed_packages_own_sent_compressed_and_kept_for_ever():
    (address, file), *others = plotly_file().items()
    assert not others
    assert address == f"/{PLOTLY_URL}"
    assert plotly.__version__ in address  # another version, another address
    app = Starlette(routes=[])
    middleware = HashedFiles(app, plotly_file(), asset_files())
    with TestClient(middleware) as client:
        answer = compressed((client, middleware, None), address)
        assert answer.content == file.read_bytes()
        assert int(answer.headers["content-length"]) < file.stat().st_size / 3
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert client.get(f"/{PLOTLY_URL}/../widgetbundle.js").status_code == 404
