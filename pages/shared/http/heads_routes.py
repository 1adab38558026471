"""HTTP for the Heads page, beside the routes of the pictures and under the same keys."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pages.shared.http.answering import Endpoint
from pages.shared.service.service import service

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
        Route(data + "/like/{layer:index}/{head:index}", answering(like)),
        Route(data + "/writes/{layer:index}/{head:index}/{query:index}", answering(writes)),
        Route(data + "/labels", answering(labels)),
        Route(data + "/{way}/{group}/{query:index}/{how}", answering(across)),
    ]
