"""HTTP beside Streamlit: the views' modules, pictures as bytes, token counts, files to save.

Numbers travel here and not over the websocket because a response is compressed once and shared by a whole class, and
the browser fetches what it shows when it shows it. Keys in the addresses are unguessable; an unknown one answers 410
and the page asks Python again.
"""

import gzip
from collections.abc import Callable
from functools import cache

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from pages.shared.address.base import base
from pages.shared.assets import ASSETS, ASSETS_URL, SERVED
from pages.shared.engine.choosing import engine
from pages.shared.http.answering import Endpoint, answering, known, layer_and_head
from pages.shared.http.compare_routes import compare_routes
from pages.shared.http.counting import count
from pages.shared.http.experiment_routes import experiment_routes
from pages.shared.http.file_routes import file_routes
from pages.shared.http.first_routes import first_routes
from pages.shared.http.heads_routes import heads_routes
from pages.shared.http.health import health
from pages.shared.http.typed_routes import typed_routes

_FOREVER = "public, max-age=31536000, immutable"
_PRIVATE_FOREVER = "private, max-age=86400, immutable"


class _Cached(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
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


class _Learn:
    """The routes of Learn, imported when the first is asked for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _learn_router()(scope, receive, send)


@cache
def _learn_router() -> Router:
    from pages.shared.http.learning.routes import learn_routes

    return Router(learn_routes())


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
        Route("/sightline/learn/{rest:path}", _Learn()),
        Route("/sightline/count", count, methods=["POST"]),
        Route(data + "/overview", overview),
        Route(data + "/head/{layer}/{head}", head),
        Route(data + "/line/{layer}/{head}/{axis}/{index:index}", line),
        Route(data + "/tile/{layer}/{head}/{row0:index}/{col0:index}", tile),
        Route(step, ledger),
        Route(step + "/rows/{name}/{start:index}", ledger_rows),
        Route(step + "/products/{name}/{row:index}/{component:index}", products),
        Route(step + "/ahead", ahead),
        Route(step + "/matrix/{step}", matrix),
        Route(step + "/matrix/{step}/{which}", matrix),
        *heads_routes(_answering, _packed, _zipped),
        *compare_routes(_zipped),
        *experiment_routes(_answering, _zipped),
        *first_routes(_answering),
        *typed_routes(data),
        *file_routes(),
    ]


def _answering(build: Callable[[Request], Response]) -> Endpoint:
    """Answer for a picture whose key is known."""
    return answering(known(build))


def _packed(request: Request, *part: str | int) -> Response:
    return _zipped(request, engine().pack(engine().picture(request.path_params["key"]), part))


def _zipped(request: Request, body: bytes) -> Response:
    """Answer with a gzip file, or with what it holds to who takes none."""
    headers = {"Cache-Control": _PRIVATE_FOREVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
    else:
        body = gzip.decompress(body)
    return Response(body, media_type="application/octet-stream", headers=headers)


@_answering
def overview(request: Request) -> Response:
    """The pack of the atlas: all heads as small pictures."""
    return _packed(request, "overview")


@_answering
def head(request: Request) -> Response:
    """The pack of one head's picture, or of the mean or maximum over heads."""
    return _packed(request, "head", *layer_and_head(request))


@_answering
def line(request: Request) -> Response:
    """The pack of one row (a query's) or column (a key's) with exact weights."""
    axis = "key" if request.path_params["axis"] == "key" else "query"
    return _packed(request, "line", *layer_and_head(request), axis, request.path_params["index"])


@_answering
def tile(request: Request) -> Response:
    """The pack of exact weights from cell (row0, col0) on, of a text too long to send whole."""
    of = request.path_params
    return _packed(request, "tile", *layer_and_head(request), of["row0"], of["col0"])


def _place(request: Request) -> tuple[int, int, int]:
    of = request.path_params
    return of["layer"], of["head"], of["query"]


@_answering
def ledger(request: Request) -> Response:
    """The pack of a ledger: every step of one head and one query."""
    return _packed(request, "ledger", *_place(request))


@_answering
def ledger_rows(request: Request) -> Response:
    """The pack of further rows of one of a ledger's tensors, from row `start` on."""
    return _packed(request, "rows", *_place(request), request.path_params["name"], request.path_params["start"])


@_answering
def products(request: Request) -> Response:
    """The pack of the products that sum to one number of a ledger."""
    of = request.path_params
    return _packed(request, "products", *_place(request), of["name"], of["row"], of["component"])


@_answering
def ahead(request: Request) -> Response:
    """The pack of what the model would say if a head, or every head, could look ahead."""
    return _packed(request, "ahead", *_place(request))


@_answering
def matrix(request: Request) -> Response:
    """The pack of one step's matrices for all tokens."""
    of = request.path_params
    return _packed(request, "matrix", *_place(request), of["step"], of.get("which", ""))
