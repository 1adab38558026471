"""The first answer to a browser: Streamlit's page with our frame in it."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from streamlit import file_util

from pages.shared.address.view import View, to_params
from pages.shared.assets import ASSETS, ASSETS_URL
from pages.shared.http import first_picture
from pages.shared.http.first_frame import FirstFrame
from pages.shared.parts.controls import gallery
from pages.shared.service.service import Service, service
from pages.shared.service.sources import Source, picture_of
from pages.shared.session.menu import MENU


@pytest.fixture
def client():
    inner = Starlette()
    inner.add_route("/{path:path}", lambda request: PlainTextResponse("from inside"), methods=["GET", "POST"])
    return TestClient(FirstFrame(inner))


@pytest.mark.parametrize("entry", MENU, ids=lambda entry: entry.title)
def test_every_page_is_answered_with_links_to_all_pages_and_streamlits_own_root(client, entry):
    page = client.get(f"/{entry.url_path}").text
    for other in MENU:
        current = " aria-current=page" if other is entry else ""
        assert f'<a href="./{other.url_path}" data-title="{other.title}"{current}>{other.title}</a>' in page
    assert page.count('<div id="root">') == 1
    assert page.index('id="root"') > page.index("id='sl-first'")


def test_our_script_comes_before_streamlits_and_its_style_sheet_after_our_frame(client):
    page = client.get("/").text
    modules = re.findall(r'<script type="module"[^>]* src="([^"]+)"', page)
    assert modules[0] == f"./{ASSETS_URL}js/first-frame.js"
    assert modules[1].startswith("./static/js/index.")
    assert page.index("id='sl-first'") < page.index('rel="stylesheet"') < page.index('id="root"')


def test_only_our_script_is_asked_for_before_the_frame_is_painted(client):
    page = client.get("/").text
    at_once, later = re.sub(r"<template.*?</template>", "", page, flags=re.DOTALL), page
    asked = re.compile(r'<(?:script|link)\b[^>]*(?:src|rel="(?:stylesheet|modulepreload|preload)")[^>]*>')
    assert [f"{ASSETS_URL}js/first-frame.js" in tag for tag in asked.findall(at_once)] == [True]
    assert len(asked.findall(later)) > 50


def test_every_module_named_in_advance_exists_and_is_named_once(client):
    page = client.get(
        "/", params=to_params(View(text="Nobody has read this."))
    ).text  # so that no picture names its own
    named = re.findall(r'rel="modulepreload"[^>]* href="\./([^"]+)"', page)
    assert len(named) == len(set(named))
    ours = [name.removeprefix(f"{ASSETS_URL}js/") for name in named if name.startswith(ASSETS_URL)]
    assert {"composer/composer.js", "explore/explorer.js", "explore/heatmap.js", "base/dom.js"} <= set(
        ours
    )  # what they import as well
    assert all((ASSETS / "js" / name).is_file() for name in ours)
    from_streamlit = [name for name in named if name.startswith("static/js/")]
    assert any("BidiComponent" in name for name in from_streamlit)
    assert all((Path(file_util.get_static_dir()) / name).is_file() for name in from_streamlit)


DATA = re.compile(r"<script type='application/json' id='sl-first-data'>(.*?)</script>", re.DOTALL)


def picture_in(page: str) -> dict | None:
    found = DATA.search(page)
    return json.loads(found[1]) if found else None


def marked(view: View) -> dict[str, str]:
    """The address of a view with this process's mark, as *Copy link* has it."""
    return {**to_params(view), "sig": service().mark("link", *picture_of(view).source.told)}


@pytest.mark.parametrize("mark", ["", "0" * 20, "é", "another"])
@pytest.mark.parametrize("text", ["My neighbour is ill.", View().text + " "])
def test_a_guessed_text_is_answered_the_same_whether_or_not_somebody_has_read_it(client, text, mark):
    """To the byte. A mark of another text, or of the same one in another model, is none."""
    service().start().result()
    view = View(text=text)
    other = replace(view, model="bert-base-uncased") if mark == "another" else view
    sig = service().mark("link", *picture_of(other).source.told) if mark == "another" else mark
    params = {**to_params(view), "sig": sig}
    before = client.get("/", params=params)
    service().trace(Source("minilm", text))
    after = client.get("/", params=params)
    assert before.content == after.content and before.headers == after.headers
    assert picture_in(client.get("/", params=marked(view)).text) is not None
    service().forget(Source("minilm", text))


def test_a_text_of_the_gallery_needs_no_mark(client):
    example = next(one for one in gallery() if not one.get("model"))
    service().trace(Source("minilm", example["text"], example.get("pair") or ""))
    shown = picture_in(
        client.get("/", params=to_params(View(text=example["text"], pair=example.get("pair") or ""))).text
    )
    assert shown is not None and shown["text"] == example["text"]


def test_a_text_that_is_in_memory_comes_with_what_its_picture_needs(client):
    text = "A first picture comes before the page."
    params = marked(View(text=text, layer=2, head=40, query=3))
    service().start().result()
    assert (
        picture_in(client.get("/", params=params).text) is None
    )  # nobody has asked for it, and nobody computes it now
    assert service().trace_in_memory(Source("minilm", text)) is None
    trace = service().trace(Source("minilm", text))

    answer = client.get("/", params=params)
    shown = picture_in(answer.text)
    assert shown is not None
    assert service().picture(shown["key"]).source == Source("minilm", text)
    assert shown["text"] == text
    # As on the page: a head that is not there gives way to the last one.
    assert shown["select"] == {"layer": 2, "head": trace.layers[2].n_heads - 1, "query": 3, "key": None}
    assert "explorer.js" in answer.text[answer.text.index("sl-first-modules") :]
    assert picture_in(client.get("/steps", params=params).text) is None
    assert picture_in(client.get("/", params={**params, "embed": "true"}).text) is None
    again = client.get("/", params=params, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_the_first_visitor_after_the_start_gets_the_default_text_so():
    warmed = Service(service().settings)
    warmed.start().result()
    assert warmed.trace_in_memory(Source("minilm", View().text)) is not None


def test_a_text_is_data_in_the_first_answer(client):
    text = "</script><script>alert(1)</script><!-- & \u2028"
    service().trace(Source("minilm", text))
    page = client.get("/", params=marked(View(text=text))).text
    shown = picture_in(page)
    assert shown is not None
    assert shown["text"] == text
    assert "alert(1)</script>" not in page
    assert page.count("<script") == client.get("/").text.count("<script") + (picture_in(client.get("/").text) is None)


def test_a_long_text_has_no_picture_in_the_first_answer(client, monkeypatch):
    text = "A text of some length."
    n_tokens = len(service().trace(Source("minilm", text)).source_tokens)
    params = marked(View(text=text))
    assert picture_in(client.get("/", params=params).text) is not None
    monkeypatch.setattr(first_picture, "LONGEST_TOKENS", n_tokens - 1)
    assert picture_in(client.get("/", params=params).text) is None


def test_an_embedded_picture_has_no_frame(client):
    page = client.get("/?embed=true").text
    assert "sl-first'" not in page
    assert '<div id="root">' in page


def test_a_browser_that_has_the_page_is_told_so(client):
    first = client.get("/")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/nowhere", "/steps/deeper", "/_stcore/health", "/static/js/x.js", "/stepsx"])
def test_other_addresses_are_left_to_streamlit(client, path):
    assert client.get(path).text == "from inside"


def test_only_reading_is_answered(client):
    assert client.post("/").text == "from inside"
    assert client.head("/").status_code == 200
