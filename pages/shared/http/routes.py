"""HTTP beside Streamlit: the views' modules, pictures as bytes, token counts, files to save.

Numbers travel here and not over the websocket because a response is compressed once and shared by a whole class, and
the browser fetches what it shows when it shows it. Keys in the addresses are unguessable; an unknown one answers 410
and the page asks Python again.
"""

import asyncio
import gzip
import json
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, Literal
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from pages.shared.address.base import base
from pages.shared.assets import ASSETS, ASSETS_URL, LAB_FILES, SERVED
from pages.shared.http.answering import Endpoint, answering, mishap
from pages.shared.http.first_routes import first_routes
from pages.shared.http.heads_routes import heads_routes
from pages.shared.http.health import health
from pages.shared.service.service import FRAME_FIRST_SECONDS, service, what_is_told
from pages.shared.service.sources import Source

MAX_COUNTED_BYTES = 200_000

_FOREVER = "public, max-age=31536000, immutable"
_PRIVATE_FOREVER = "private, max-age=86400, immutable"


class _Cached(StaticFiles):
    async def get_response(self, path: str, scope: Any) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = _FOREVER
        return response


class _Index(Convertor[int]):
    """A number that can be an index; longer ones match no route (Python refuses to read one of 5,000 digits)."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("index", _Index())


class _Grow:
    """The routes of Grow a head, imported when the first is asked for: the server's start need not wait for them."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _grow_router()(scope, receive, send)


@cache
def _grow_router() -> Router:
    from pages.shared.http.grow_routes import grow_routes

    return Router(grow_routes())


class _Below:
    """The routes below `base()`. No Mount there: it would take Streamlit's own addresses along."""

    def __init__(self, ours: list[BaseRoute]) -> None:
        self._router = Router(ours)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._router({**scope, "root_path": base()}, receive, send)


def routes() -> list[BaseRoute]:
    """Everything that the app serves beside Streamlit's own pages."""
    assets = [Mount(f"{base()}/{ASSETS_URL}{folder}", _Cached(directory=ASSETS / folder)) for folder in SERVED]
    ours = _routes()
    return [*assets, *([Route(f"{base()}/sightline/{{rest:path}}", _Below(ours))] if base() else ours)]


def _routes() -> list[BaseRoute]:
    data = "/sightline/data/{key}"
    step = data + "/ledger/{layer:index}/{head:index}/{query:index}"
    return [
        Route("/sightline/health", health),
        Route("/sightline/grow/{rest:path}", _Grow()),
        Route("/sightline/count", count, methods=["POST"]),
        Route(f"/{LAB_FILES}/{{name}}", lab_file, methods=["POST"]),
        Route(data + "/overview", overview),
        Route(data + "/head/{layer}/{head}", head),
        Route(data + "/line/{layer}/{head}/{axis}/{index:index}", line),
        Route(data + "/tile/{layer}/{head}/{row0:index}/{col0:index}", tile),
        Route(step, ledger),
        Route(step + "/rows/{name}/{start:index}", ledger_rows),
        Route(step + "/products/{name}/{row:index}/{component:index}", products),
        Route(step + "/matrix/{step}", matrix),
        Route(step + "/matrix/{step}/{which}", matrix),
        *heads_routes(_answering, _packed),
        *first_routes(_answering),
        Route(data + "/export/trace.safetensors", trace_file),
        Route(data + "/export/script.py", script),
        Route(data + "/export/{layer}/{head}/{name}", export),
    ]


def _answering(build: Callable[[Request], Response]) -> Endpoint:
    """Answer for a picture whose key is known."""

    def known(request: Request) -> Response:
        # First of all, and before anything is imported: a browser that asks a server which has just been started again
        # would import torch beside the worker, and half-imported modules answer nobody.
        service().picture(request.path_params["key"])
        return build(request)

    return answering(known)


async def _body(request: Request, limit: int) -> bytes | None:
    """What was posted, or None if it is longer than `limit` bytes: then the rest is not even received."""
    kept = bytearray()
    async for chunk in request.stream():
        kept += chunk
        if len(kept) > limit:
            return None
    return bytes(kept)


def _packed(request: Request, part: tuple[object, ...], make: Callable[[Any, Any], bytes]) -> Response:
    body = service().packed(request.path_params["key"], part, make)
    headers = {"Cache-Control": _PRIVATE_FOREVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
    else:
        body = gzip.decompress(body)
    return Response(body, media_type="application/octet-stream", headers=headers)


def _layer(request: Request) -> int | str:
    return _number_or_name(request.path_params["layer"])


def _head(request: Request) -> int | str:
    return _number_or_name(request.path_params["head"])


def _number_or_name(part: str) -> int | str:
    return int(part) if re.fullmatch("[0-9]{1,9}", part) else part


@_answering
def overview(request: Request) -> Response:
    """The pack of the atlas: all heads as small pictures."""
    from attention_core.pictures.overview import overview

    return _packed(request, ("overview",), overview)


@_answering
def head(request: Request) -> Response:
    """The pack of one head's picture, or of the mean or maximum over heads."""
    from attention_core.pictures import head as pictures

    layer, head = _layer(request), _head(request)
    return _packed(
        request, ("head", layer, head), lambda trace, reading: pictures.head_pack(trace, reading, layer, head)
    )


@_answering
def line(request: Request) -> Response:
    """The pack of one row (a query's) or column (a key's) with exact weights."""
    from attention_core.pictures import head as pictures

    layer, head, index = _layer(request), _head(request), request.path_params["index"]
    axis: Literal["query", "key"] = "key" if request.path_params["axis"] == "key" else "query"
    return _packed(
        request,
        ("line", layer, head, axis, index),
        lambda trace, reading: pictures.line_pack(trace, reading, layer, head, axis, index),
    )


@_answering
def tile(request: Request) -> Response:
    """The pack of exact weights from cell (row0, col0) on, of a text too long to send whole."""
    from attention_core.pictures import head as pictures

    layer, head = _layer(request), _head(request)
    row0, col0 = request.path_params["row0"], request.path_params["col0"]
    return _packed(
        request,
        ("tile", layer, head, row0, col0),
        lambda trace, reading: pictures.tile_pack(trace, reading, layer, head, row0, col0),
    )


def _place(request: Request) -> tuple[int, int, int]:
    of = request.path_params
    return of["layer"], of["head"], of["query"]


@_answering
def ledger(request: Request) -> Response:
    """The pack of a ledger: every step of one head and one query."""
    from attention_core.ledger.packs import ledger_pack

    place = _place(request)
    return _packed(request, ("ledger", *place), lambda trace, _: ledger_pack(trace, *place))


@_answering
def ledger_rows(request: Request) -> Response:
    """The pack of further rows of one of a ledger's tensors, from row `start` on."""
    from attention_core.ledger.packs import rows_pack

    place, name, start = _place(request), request.path_params["name"], request.path_params["start"]
    return _packed(request, ("rows", *place, name, start), lambda trace, _: rows_pack(trace, *place, name, start))


@_answering
def products(request: Request) -> Response:
    """The pack of the products that sum to one number of a ledger."""
    from attention_core.ledger.packs import products_pack

    of, place = request.path_params, _place(request)
    number = of["name"], of["row"], of["component"]
    return _packed(request, ("products", *place, *number), lambda trace, _: products_pack(trace, *place, *number))


@_answering
def matrix(request: Request) -> Response:
    """The pack of one step's matrices for all tokens."""
    from attention_core.ledger.packs import matrix_pack

    place, step = _place(request), request.path_params["step"]
    which = request.path_params.get("which", "")
    return _packed(request, ("matrix", *place, step, which), lambda trace, _: matrix_pack(trace, *place, step, which))


async def count(request: Request) -> Response:
    """How many tokens a text makes while it is being typed: {"n", "limit", "cut_from", "specials"}, null if unknown."""
    body = await _body(request, MAX_COUNTED_BYTES)
    if body is None:
        return JSONResponse({"error": "The text is too long to count while typing."}, status_code=413)
    try:
        asked = json.loads(body)
        text, pair = str(asked["text"]), str(asked.get("pair") or "")
    except (ValueError, TypeError, KeyError, RecursionError):
        return JSONResponse({"error": 'send {"text": …, "pair": …}'}, status_code=400)
    await asyncio.wrap_future(service().start(pause=FRAME_FIRST_SECONDS))
    model = service().loaded(request.query_params.get("model", ""))
    if model is None:  # counting never loads a model
        return JSONResponse({"n": None, "limit": None, "cut_from": None, "specials": None})
    from attention_core.capturing.encode import count_tokens

    language, chat = request.query_params.get("sl", ""), request.query_params.get("chat") == "1"
    told = what_is_told(model, Source("", text, source_language=language, chat=chat))
    del told["target_language"]  # the text's own tokens are counted
    try:
        counted = await run_in_threadpool(partial(count_tokens, model, text, pair or None, **told))
    except ValueError as error:
        return JSONResponse({"error": str(error)}, status_code=422)
    except Exception as error:  # a stranger's tokenizer
        return mishap(error)
    return JSONResponse(
        {
            "n": counted.n_tokens,
            "limit": model.facts.context_length,
            "cut_from": counted.cut_from,
            "specials": counted.n_special,
        }
    )


def _download(body: str | bytes | Iterator[str], media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    if isinstance(body, str | bytes):
        return Response(body, media_type=media_type, headers=headers)
    return StreamingResponse(body, media_type=media_type, headers=headers)


@_answering
def export(request: Request) -> Response:
    """One picture as SVG, CSV or NPZ."""
    from attention_core.pictures.files import EXPORTS, svg

    name = request.path_params["name"]
    if name not in EXPORTS:
        raise ValueError(f"there is no download {name!r}")
    media_type, make = EXPORTS[name]
    picture = service().picture(request.path_params["key"])
    trace = service().trace(picture.source)
    layer, head = _layer(request), _head(request)
    if make is svg and request.query_params.get("scale") == "head":
        make = partial(svg, per_head_scale=True)
    body = make(trace, picture.reading(), layer, head)
    return _download(body, media_type, f"sightline-layer{layer}-head{head}-{name}".replace(":", "-"))


@_answering
def trace_file(request: Request) -> Response:
    """The whole trace, to be opened again without the model."""
    from attention_core.pictures.heatmap_svg import TRACE_FILE
    from attention_core.record.file import MOST_MAPS, maps_bytes, trace_bytes

    trace = service().trace(service().picture(request.path_params["key"]).source)
    body = trace_bytes(trace, projections=maps_bytes(trace) <= MOST_MAPS)  # what it proves, its header says
    return _download(body, "application/octet-stream", TRACE_FILE)


@_answering
def script(request: Request) -> Response:
    """The code that makes this view."""
    from attention_core.pictures.heatmap_svg import TRACE_FILE
    from attention_core.pictures.script import script as script_of
    from pages.shared.address.view import PARAMETERS, from_params

    picture = service().picture(request.path_params["key"])
    asked = request.query_params
    chosen, _ = from_params({PARAMETERS[name]: asked[name] for name in ("layer", "head", "query") if name in asked})
    source = picture.source
    trace = service().trace(source)
    code = script_of(
        source.model,
        source.text,
        given={
            "pair": trace.pair or "",  # as far as the model reads them
            "target": trace.target or "",
            "source_language": source.source_language,
            "target_language": source.target_language,
            "chat": source.chat,
        },
        layer=chosen.layer,
        head=chosen.head,
        query=chosen.query,
        reading=picture.reading(),
        file=TRACE_FILE if source.file else None,
    )
    return _download(code, "text/x-python", "sightline-view.py")


async def lab_file(request: Request) -> Response:
    """A file of the Lab's state, which is the request's body: a program, a spreadsheet, a matrix as SVG."""
    from attention_core.lab.link import TEXT_LIMIT

    body = await _body(request, TEXT_LIMIT)
    if body is None:
        return JSONResponse({"error": "these matrices are larger than the Lab's"}, status_code=413)
    text, name = body.decode("ascii", "replace"), request.path_params["name"]
    try:
        return await run_in_threadpool(_lab_file, name, text, request.query_params.get("theme") == "dark")
    except ValueError as error:
        return JSONResponse({"error": str(error)}, status_code=404)


def _lab_file(name: str, text: str, dark: bool) -> Response:
    from attention_core.lab.code import python_source
    from attention_core.lab.link import from_link
    from attention_core.lab.run import run

    state = from_link(text)
    if name in ("numpy.py", "torch.py"):
        return _download(python_source(state, name.removesuffix(".py")), "text/x-python", f"sightline-lab-{name}")
    if name == "lab.xlsx":
        from attention_core.lab.sheet import spreadsheet

        return _download(spreadsheet(state), _XLSX, "sightline-lab.xlsx")
    matrix, _, head = name.removesuffix(".svg").partition("-")
    found = [
        one for one in run(state).matrices if (one.name, "" if one.head is None else str(one.head)) == (matrix, head)
    ]
    if not (name.endswith(".svg") and found):
        raise ValueError(f"there is no file {name!r} of the Lab")
    from attention_core.lab.svg import matrix_svg

    return _download(matrix_svg(found[0], dark=dark), "image/svg+xml", f"sightline-lab-{name}")


_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
