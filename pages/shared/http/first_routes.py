"""HTTP for what the first screen says beside the pictures: what the model says, and finds, under the pictures' keys."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pages.shared.http.heads_routes import Answering
from pages.shared.service import first_words
from pages.shared.service.service import service

_NOT_KEPT = {"Cache-Control": "no-store"}  # it depends on who asks, or on when


def first_routes(answering: Answering) -> list[BaseRoute]:
    """The routes; `answering` is that of routes.py, which imports this module."""

    def says(request: Request) -> Response:
        source = service().picture(request.path_params["key"]).source
        before = tuple(filter(None, request.query_params.get("before", "").split(".")))
        return JSONResponse(first_words.said(source, before), headers=_NOT_KEPT)

    def finds(request: Request) -> Response:
        source = service().picture(request.path_params["key"]).source
        return JSONResponse(first_words.finds_in(source), headers=_NOT_KEPT)

    data = "/sightline/data/{key}"
    return [Route(data + "/says", answering(says)), Route(data + "/finds", answering(finds))]
