"""The page's frame in the very first answer: what a visitor sees while the browser still reads Streamlit's front end.

Streamlit's own first answer is an empty page. Ours is the same page with the navigation and the place of the text box
already in it, as plain HTML whose links work, and with the modules named that the first view will ask for, so that the
browser fetches them together and not one after another. A hundred requests hold up the first paint, so all of them
stand in a template until a small script has seen the frame painted. It also takes the frame away when Streamlit has
drawn its own.
"""

import hashlib
import html
import posixpath
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pages.shared.address.base import base
from pages.shared.assets import ASSETS, ASSETS_URL
from pages.shared.inside import of_streamlit
from pages.shared.service.service import service
from pages.shared.session.menu import MENU, Entry

_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*["'](\.{1,2}/[\w./-]+\.js)["']""")
_IMPORTS_WITHIN = 4_096  # characters: modules begin with their imports
_PICTURE = b"<!-- picture -->"


class FirstFrame:
    """Answers the addresses of our pages with Streamlit's page, frame and hints put in; passes everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: answer a page's address, or pass the request on."""
        entry = _entry_of(scope)
        if entry is None:
            await self.app(scope, receive, send)
            return
        asked = QueryParams(scope.get("query_string", b""))
        embedded = asked.get("embed") == "true"
        body = _document(entry.url_path, embedded)
        if not entry.url_path and not embedded:
            body = body.replace(_PICTURE, _picture(asked))
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {"Cache-Control": "no-cache", "ETag": tag}
        if Headers(scope=scope).get("if-none-match") == tag:
            answer = Response(status_code=304, headers=headers)
        else:
            answer = Response(body, media_type="text/html", headers=headers)
        await answer(scope, receive, send)


def _entry_of(scope: Scope) -> Entry | None:
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return None
    path = scope["path"].removeprefix(base())
    return next((entry for entry in MENU if path == f"/{entry.url_path}"), None)


@cache
def _document(url_path: str, embedded: bool) -> bytes:
    """The page at one address, with a place for the picture."""
    entry = next(entry for entry in MENU if entry.url_path == url_path)
    page = of_streamlit.own_page()
    modules = _closure(of_streamlit.front_end() / "static" / "js", of_streamlit.parts_of_first_page())
    preloads = [_preload(f"./static/js/{name}") for name in modules if name not in page]
    views = (f"{name}.js" for name in entry.views)
    preloads += [_preload(f"./{ASSETS_URL}js/{name}") for name in _closure(ASSETS / "js", views)]
    page = page.replace(of_streamlit.TITLE, "<title>Sightline</title>")
    page = of_streamlit.FONT.sub("", page)  # Streamlit's own, which no page of ours shows
    ours = f'<script type="module" crossorigin src="./{ASSETS_URL}js/first-frame.js"></script>'
    if embedded:
        # Modules run in the order of the page: ours says where the server is before Streamlit's looks for it.
        page = page.replace(of_streamlit.MODULE_BEGINS, f"{ours}\n    {of_streamlit.MODULE_BEGINS}", 1)
        head = preloads
    else:
        style = (ASSETS / "css" / "first-frame.css").read_text(encoding="utf-8")
        head = [f"<style>{style}</style>", ours]
        page_wide = f'<script type="module" crossorigin src="./{ASSETS_URL}js/page.js"></script>'
        later = [*of_streamlit.STYLE_SHEET.findall(page), *of_streamlit.MODULES.findall(page), page_wide, *preloads]
        page = of_streamlit.MODULES.sub("", of_streamlit.STYLE_SHEET.sub("", page))
        waiting = [_PICTURE.decode(), "<template id='sl-later'>", *later, "</template>"]
        root = of_streamlit.ROOT_BEGINS
        page = page.replace(root, "\n    ".join([_frame(entry), *waiting, root]))
    return page.replace(of_streamlit.HEAD_ENDS, "\n    ".join([*head, of_streamlit.HEAD_ENDS])).encode()


def _picture(asked: QueryParams) -> bytes:
    if service().loaded(service().settings.model) is None:
        return b""  # and nothing is imported before the first answer
    from pages.shared.http import first_picture

    data = first_picture.data_of(asked)
    if data is None:
        return b""
    return f"{first_picture.as_script(data)}{_picture_modules()}".encode()


@cache
def _picture_modules() -> str:
    preloads = "".join(
        _preload(f"./{ASSETS_URL}js/{name}") for name in _closure(ASSETS / "js", ["explore/explorer.js"])
    )
    return f"<template id='sl-first-modules'>{preloads}</template>"


def _preload(address: str) -> str:
    return f'<link rel="modulepreload" fetchpriority="low" crossorigin href="{address}">'


def _frame(entry: Entry) -> str:
    links = "".join(
        f'<a href="./{other.url_path}" data-title="{html.escape(other.title)}"'
        f"{' aria-current=page' if other is entry else ''}>{html.escape(other.title)}</a>"
        for other in MENU
    )
    mark = (ASSETS / "icons" / "wordmark.svg").read_text(encoding="utf-8")
    box = "<div class='sl-first-box'></div>" if entry.reads_text else ""
    return (
        f"<div id='sl-first'><header><span class='sl-first-mark' role='img' aria-label='Sightline'>{mark}</span>"
        f"<nav aria-label='Pages'>{links}</nav></header>"
        f"{box}<p role='status'>Opening …</p></div>"
    )


def _closure(folder: Path, names: Iterable[str]) -> list[str]:
    """The modules of these names (paths below `folder`) and everything below it that they import, each once."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name in found or name.startswith("../") or not (folder / name).is_file():
            continue
        found[name] = None
        with (folder / name).open(encoding="utf-8") as module:
            imported = _IMPORT.findall(module.read(_IMPORTS_WITHIN))
        waiting += [posixpath.normpath(posixpath.join(posixpath.dirname(name), one)) for one in imported]
    return list(found)
