"""Streamlit: its start, its own page and front end's files, what it writes into the log, names in its page."""

import ast
import importlib.metadata
import inspect
import logging
import re
from importlib import import_module
from pathlib import Path

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from streamlit.testing.v1 import AppTest

from pages.shared.inside import of_streamlit

pytestmark = pytest.mark.reliance

ROOT = Path(__file__).resolve().parents[3]
ASSETS = ROOT / "assets"


# --- its start


def test_streamlit_a_script_runs_in_a_runtime_and_a_server_that_starts_has_none():
    """`runs_a_script`."""
    assert of_streamlit.runs_a_script() is False
    script = (
        "import streamlit as st\nfrom pages.shared.inside import of_streamlit\nst.text(of_streamlit.runs_a_script())"
    )
    assert AppTest.from_string(script).run().text[0].value == "True"


def test_streamlit_pages_manager_asks_whether_the_pages_folder_is_its_older_kind_of_pages(monkeypatch):
    """`keep_to_navigation`: set before the first visitor, it says no."""
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)
    assert PagesManager(str(ROOT / "app.py")).uses_pages_directory in (None, True)
    of_streamlit.keep_to_navigation()
    assert PagesManager(str(ROOT / "app.py")).uses_pages_directory is False
    assert "PagesManager.uses_pages_directory" in inspect.getsource(import_module("streamlit.runtime.pages_manager"))


def test_streamlit_manifest_scanner_is_what_looks_for_components(monkeypatch):
    """`look_for_no_components`: nothing is read of what is installed."""
    read: list[bool] = []
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", manifest_scanner.scan_component_manifests)
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: read.append(True) or [])
    discover = BidiComponentManager().discover_and_register_components
    discover(start_file_watching=False)
    assert read
    read.clear()
    of_streamlit.look_for_no_components()
    discover(start_file_watching=False)
    assert not read


def test_streamlit_containers_are_delta_generators():
    assert of_streamlit.DeltaGenerator is DeltaGenerator
    assert isinstance(st.container(), DeltaGenerator)


# --- its own page


@pytest.mark.parametrize("name", ["TITLE", "ROOT_BEGINS", "HEAD_ENDS"])
def test_streamlit_its_page_has_what_ours_replaces_once(name: str):
    marks = {
        "TITLE": of_streamlit.TITLE,
        "ROOT_BEGINS": of_streamlit.ROOT_BEGINS,
        "HEAD_ENDS": of_streamlit.HEAD_ENDS,
    }
    assert of_streamlit.own_page().count(marks[name]) == 1


def test_streamlit_its_page_asks_for_its_modules_its_sheet_and_its_font_by_the_elements_that_we_know():
    """`MODULES`, `MODULE_BEGINS`, `STYLE_SHEET`, `FONT`: each link and each script with an address is one of them."""
    page = of_streamlit.own_page()
    scripts = re.findall(r"<script\b[^>]*\bsrc=[^>]*>", page)
    assert scripts and all(script.startswith(of_streamlit.MODULE_BEGINS) for script in scripts)
    left = page
    for known in (of_streamlit.MODULES, of_streamlit.STYLE_SHEET, of_streamlit.FONT):
        assert known.search(page), known.pattern
        left = known.sub("", left)
    assert not re.findall(
        r'<script\b[^>]*\bsrc=|<link\b[^>]*\brel="(?:stylesheet|modulepreload|preload|prefetch)"', left
    )


def test_streamlit_its_pages_own_scripts_stand_in_elements_without_attributes():
    """`INLINE_SCRIPT`: each script in the page is one that we count the hash of, or has an address."""
    page = of_streamlit.own_page()
    inline = of_streamlit.INLINE_SCRIPT.findall(page)
    with_address = re.findall(r"<script\b[^>]*\bsrc=", page)
    assert inline and len(inline) + len(with_address) == page.count("<script")


def test_streamlit_its_files_have_a_hash_in_their_names():
    """`HASHED`, `front_end`: nearly all that a page fetches can be kept for ever."""
    files = [file for file in (of_streamlit.front_end() / "static").rglob("*") if file.is_file()]
    hashed = [file for file in files if of_streamlit.HASHED.search(file.name)]
    assert len(hashed) > 0.9 * len(files) > 50


@pytest.mark.parametrize("part", of_streamlit._PARTS)
def test_streamlit_its_front_end_has_a_module_for_each_element_of_our_first_page(part: str):
    assert sum(name.startswith(f"{part}.") for name in of_streamlit.parts_of_first_page()) == 1


# --- what it keeps for its sessions


def test_streamlit_keeps_uploads_by_session_in_memory_and_knows_who_is_connected(monkeypatch):
    """`uploads_held`, `forget_uploads`, `connected`, `session_id` and `UPLOADS`."""
    app = import_module("streamlit.web.server.starlette.starlette_app")
    assert f"/{app.BASE_ROUTE_UPLOAD_FILE}" == of_streamlit.UPLOADS
    assert "MemoryUploadedFileManager(" in inspect.getsource(app.App._create_runtime)
    manager = MemoryUploadedFileManager(of_streamlit.UPLOADS)
    manager.add_file("ann", UploadedFileRec("1", "a.txt", "text/plain", b"abc"))
    monkeypatch.setattr(of_streamlit, "_uploads", lambda: manager)
    assert of_streamlit.uploads_held() == {"ann": 3}
    of_streamlit.forget_uploads("ann")
    assert of_streamlit.uploads_held() == {}
    assert "session_id" in inspect.signature(Runtime.is_active_session).parameters
    assert of_streamlit.connected("ann") is False and of_streamlit.session_id() == ""


# --- what it writes into the log


@pytest.mark.parametrize("line", [of_streamlit.UNCAUGHT], ids=lambda line: line.message)
def test_streamlit_writes_this_line_by_this_logger(line: of_streamlit.LogLine):
    module = import_module(line.logger)
    loggers = [one.name for one in vars(module).values() if isinstance(one, logging.Logger)]
    assert loggers == [line.logger]
    written = [
        call.args[0].value
        for call in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)
        if ast.unparse(call.func).split(".")[0].lower() == "_logger"
    ]
    assert line.message in written


# --- names in its page


def front_end_code() -> str:
    return "\n".join(
        file.read_text(encoding="utf-8") for file in sorted((of_streamlit.front_end() / "static" / "js").glob("*.js"))
    )


CODE = front_end_code()
PAGE = "\n".join(
    (ASSETS / name).read_text(encoding="utf-8")
    for name in ("js/base/streamlit.js", "js/first-frame.js", "css/page.css", "css/embedded.css")
)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"""data-testid="(st\w+)\"""", PAGE))))
def test_streamlit_its_page_has_an_element_of_this_data_testid(name: str):
    assert re.search(rf"[`'\"]{name}[`'\"]", CODE)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\.(st[A-Z]\w+)", PAGE))))
def test_streamlit_its_page_has_elements_of_this_class(name: str):
    assert re.search(rf"className:[^,}}]*[`'\" ]{name}[`'\" ]", CODE)


def test_streamlit_its_app_says_in_an_attribute_whether_it_is_connected():
    assert "data-test-connection-state" in PAGE and re.search(r"[`'\"]data-test-connection-state[`'\"]:", CODE)
    assert re.search(r"[`'\"]CONNECTED[`'\"]", CODE)


def test_streamlit_its_front_end_can_be_told_where_its_server_is():
    assert "__streamlit: { BACKEND_BASE_URL" in PAGE
    assert "window.__streamlit" in CODE and "BACKEND_BASE_URL" in CODE
