"""HTTP for Compare: packs of two pictures, under the keys of both."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pages.shared.address.comparison import pairs_in
from pages.shared.engine.choosing import engine
from pages.shared.http.answering import answering

NOTHING_FIXED = "-"  # where no tokens were put together by hand


def compare_routes(zipped: Callable[[Request, bytes], Response]) -> list[BaseRoute]:
    """The routes; `zipped` is that of routes.py, which imports this module."""

    def packed(request: Request, *part: str | int) -> Response:
        a, b = (engine().picture(request.path_params[side]) for side in ("a", "b"))  # first of all: see answering.known
        fixed = request.path_params["fixed"]
        pairs = () if fixed == NOTHING_FIXED else pairs_in(fixed)
        return zipped(request, engine().compare(a, b, part, pairs))

    def changed(request: Request) -> Response:
        return packed(request, "changed")

    def against(request: Request) -> Response:
        of = request.path_params
        return packed(request, "against", of["layer"], _head(of["head"]))

    def cells(request: Request) -> Response:
        of = request.path_params
        return packed(request, "cells", of["layer"], _head(of["head"]), of["other"], _head(of["theirs"]))

    both = "/sightline/compare/{a}/{b}/{fixed}"
    return [
        Route(both + "/changed", answering(changed)),
        Route(both + "/against/{layer:index}/{head}", answering(against)),
        Route(both + "/cells/{layer:index}/{head}/{other:index}/{theirs}", answering(cells)),
    ]


def _head(part: str) -> int | str:
    return int(part) if part.isascii() and part.isdigit() and len(part) < 10 else part
