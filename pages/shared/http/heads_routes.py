"""HTTP for the Heads page, beside the routes of the pictures and under the same keys."""

import gzip
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from attention_core.formats import wire
from attention_core.formats.json_data import JsonObject
from pages.shared.engine.choosing import engine
from pages.shared.http.answering import Endpoint
from pages.shared.service.bounded import BoundedCache
from pages.shared.service.service import compressed
from pages.shared.service.sources import Picture

LOOK = "look"  # the metric that is of two chosen tokens

SCATTERS = 64  # figures that are kept, about 15 kB each

Answering = Callable[[Callable[[Request], Response]], Endpoint]
Packed = Callable[..., Response]
Zipped = Callable[[Request, bytes], Response]
_scatters: BoundedCache[bytes] = BoundedCache(SCATTERS, lambda _: 1)


def heads_routes(answering: Answering, packed: Packed, zipped: Zipped) -> list[BaseRoute]:
    """The routes; `answering`, `packed` and `zipped` are those of routes.py, which imports this module."""

    def heads(request: Request) -> Response:
        return packed(request, "heads")

    def between(request: Request) -> Response:
        of = request.path_params
        return packed(request, "between", of["group"], of["query"], of["of"])

    def scatter(request: Request) -> Response:
        """Two metrics against each other; "look" is the weight from one token to another, which are named."""
        key = request.path_params["key"]
        names = request.path_params["across"], request.path_params["up"]
        pair = tuple(request.query_params.get(name, "") for name in ("group", "query", "of")) if LOOK in names else ()
        body = _scatters.get((key, *names, *pair), lambda: _scatter_pack(engine().picture(key), names, pair))
        return zipped(request, body)

    def like(request: Request) -> Response:
        return packed(request, "like", request.path_params["layer"], request.path_params["head"])

    def across(request: Request) -> Response:
        of = request.path_params
        return packed(request, "across", of["way"], of["group"], of["query"], of["how"])

    def writes(request: Request) -> Response:
        of = request.path_params
        return packed(request, "writes", of["layer"], of["head"], of["query"])

    def labels(request: Request) -> Response:
        source = engine().picture(request.path_params["key"]).source
        told = engine().label(source, request.query_params.get("by", ""))
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    data = "/sightline/data/{key}/heads"
    return [
        Route(data, answering(heads)),
        Route(data + "/between/{group}/{query:index}/{of:index}", answering(between)),
        Route(data + "/scatter/{across}/{up}", answering(scatter)),
        Route(data + "/like/{layer:index}/{head:index}", answering(like)),
        Route(data + "/writes/{layer:index}/{head:index}/{query:index}", answering(writes)),
        Route(data + "/labels", answering(labels)),
        Route(data + "/{way}/{group}/{query:index}/{how}", answering(across)),
    ]


def _index(text: str) -> int:
    """The number of a token. Raises ValueError for anything else."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f"a token is named by its number, from 0; got {text[:20]!r}")
    return int(text)


def _scatter_pack(picture: Picture, names: tuple[str, str], pair: tuple[str, ...]) -> bytes:
    """Two metrics against each other, as a figure: the header has it as `scatter`.

    `pair` is a group of layers and two tokens, by their numbers, where one of the names is LOOK; else ().
    Raises ValueError for a name that no metric has.
    """
    from pages.shared.parts import figures

    of, arrays = _unpacked(picture, "heads")
    known = {
        metric["name"]: figures.Quantity(metric["title"], metric["unit"], metric["low"], metric["high"], values)
        for metric, values in zip(of["metrics"], arrays["values"], strict=True)
    }
    if pair:
        group, query, key = pair[0], _index(pair[1]), _index(pair[2])
        looks = _unpacked(picture, "between", group, query, key)[1]["weights"]
        what = "‖a·v·W_O‖" if picture.by_norm else "attention"
        title = f"token {query} looks at token {key}"
        known[LOOK] = figures.Quantity(title, f"share of the row’s {what}", 0, 1, looks)
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"there is no metric {unknown[0]!r}; there are {', '.join(known)}")
    return compressed(figures.figure_pack(scatter=figures.two_metrics(known[names[0]], known[names[1]])))


def _unpacked(picture: Picture, *part: str | int) -> tuple[JsonObject, dict[str, NDArray[np.number]]]:
    return wire.unpack(gzip.decompress(engine().pack(picture, part)))
