"""HTTP for the Heads page, beside the routes of the pictures and under the same keys."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pages.shared.http.answering import Endpoint
from pages.shared.service.service import service

LOOK = "look"  # the metric that is of two chosen tokens

Answering = Callable[[Callable[[Request], Response]], Endpoint]
Packed = Callable[[Request, tuple[object, ...], Callable[[Any, Any], bytes]], Response]


def heads_routes(answering: Answering, packed: Packed) -> list[BaseRoute]:
    """The routes; `answering` and `packed` are those of routes.py, which imports this module."""
    from pages.shared.service import heads as heads_service

    def heads(request: Request) -> Response:
        from attention_core.heads.packs import heads_pack

        picture = service().picture(request.path_params["key"])
        # Before the pack's turn at the worker: the metrics have one of their own, and are kept for all visitors.
        scores = heads_service.scores_of(picture.source, by_norm=picture.by_norm)
        return packed(request, ("heads",), lambda trace, _: heads_pack(trace, scores, by_norm=picture.by_norm))

    def between(request: Request) -> Response:
        from attention_core.heads.packs import between_pack

        of = request.path_params
        pair = of["group"], of["query"], of["of"]
        return packed(
            request, ("between", *pair), lambda trace, reading: between_pack(trace, *pair, by_norm=reading.by_norm)
        )

    def scatter(request: Request) -> Response:
        """Two metrics against each other; "look" is the weight from one token to another, which are named."""
        picture = service().picture(request.path_params["key"])
        by_norm = picture.by_norm
        scores = heads_service.scores_of(picture.source, by_norm=by_norm)
        names = request.path_params["across"], request.path_params["up"]
        pair = tuple(request.query_params.get(name, "") for name in ("group", "query", "of")) if LOOK in names else ()

        return packed(
            request, ("scatter", *names, *pair), lambda trace, _: _scatter_pack(trace, scores, by_norm, names, pair)
        )

    def like(request: Request) -> Response:
        from attention_core.heads.packs import like_pack

        of = request.path_params
        place = of["layer"], of["head"]
        return packed(
            request, ("like", *place), lambda trace, reading: like_pack(trace, *place, by_norm=reading.by_norm)
        )

    def across(request: Request) -> Response:
        from attention_core.heads.across import flow_pack, rollout_pack

        of = request.path_params
        way, group, query = of["way"], of["group"], of["query"]
        if way not in ("rollout", "flow") or of["how"] not in ("mean", "max"):
            raise ValueError("attention is followed by rollout or flow, over the mean or the max of heads")
        make, how = rollout_pack if way == "rollout" else flow_pack, "mean" if of["how"] == "mean" else "max"
        return packed(request, (way, group, query, how), lambda trace, _: make(trace, group, query, how))

    def writes(request: Request) -> Response:
        from attention_core.heads.across import writes_pack

        of = request.path_params
        place = of["layer"], of["head"], of["query"]
        return packed(request, ("writes", *place), lambda trace, _: writes_pack(trace, *place))

    def labels(request: Request) -> Response:
        source = service().picture(request.path_params["key"]).source
        return JSONResponse(
            heads_service.labels_of(source, request.query_params.get("by", "")), headers={"Cache-Control": "no-store"}
        )

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


def _scatter_pack(trace: Any, scores: Any, by_norm: bool, names: tuple[str, str], pair: tuple[str, ...]) -> bytes:
    """Two metrics against each other, as a figure: the header has it as `scatter`.

    `pair` is a group of layers and two tokens, by their numbers, where one of the names is LOOK; else ().
    Raises ValueError for a name that no metric has.
    """
    from attention_core.formats import wire
    from attention_core.heads.packs import between_pack, heads_pack
    from pages.shared.parts import figures

    of, arrays = wire.unpack(heads_pack(trace, scores, by_norm=by_norm))
    known = {
        metric["name"]: figures.Quantity(metric["title"], metric["unit"], metric["low"], metric["high"], values)
        for metric, values in zip(of["metrics"], arrays["values"], strict=True)
    }
    if pair:
        group, query, key = pair[0], _index(pair[1]), _index(pair[2])
        looks = wire.unpack(between_pack(trace, group, query, key, by_norm=by_norm))[1]["weights"]
        what = "‖a·v·W_O‖" if by_norm else "attention"
        title = f"token {query} looks at token {key}"
        known[LOOK] = figures.Quantity(title, f"share of the row’s {what}", 0, 1, looks)
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"there is no metric {unknown[0]!r}; there are {', '.join(known)}")
    return figures.figure_pack(scatter=figures.two_metrics(known[names[0]], known[names[1]]))
