"""HTTP of Grow a head: recorded runs, and a visitor's own run while it grows.

Asking for one's own run is also the sign that somebody watches: one that nobody asks for ends
(`grow.trainings.Trainings`).
"""

import gzip
from collections.abc import Callable
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from attention_core.formats import wire
from attention_core.grow import trainings as growing
from attention_core.grow.record import Run
from pages.shared.grow import library
from pages.shared.grow.packs import name_of, run_pack
from pages.shared.grow.trainings import status, trainings
from pages.shared.http.answering import Endpoint, answering, answering_few
from pages.shared.service.service import Gone

CURVES = 64  # of recorded runs, alone or two by two, kept compressed: about 15 kB each
_FOREVER = "public, max-age=31536000, immutable"


def grow_routes() -> list[BaseRoute]:
    """The routes of this page."""
    live = "/sightline/grow/live/{key}"
    return [
        Route("/sightline/grow/run/{version}/{id}", recorded_run),
        Route("/sightline/grow/run/{version}/{id}/file", recorded_file),
        Route("/sightline/grow/run/{version}/{id}/curves", recorded_curves),
        Route(live + "/", live_run),
        Route(live + "/file", live_file),
        Route(live + "/curves", live_curves),
        Route(live + "/stop", stop, methods=["POST"]),
        Route(live + "/leave", leave, methods=["POST"]),
    ]


def _answering(build: Callable[[Request], Response]) -> Endpoint:
    return answering(_kept_runs(build))


def _answering_few(build: Callable[[Request], Response]) -> Endpoint:
    return answering_few(_kept_runs(build))


def _kept_runs(build: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def kept(request: Request) -> Response:
        try:
            return build(request)
        except growing.Gone as error:
            raise Gone("The server no longer has this run.") from error

    return kept


@_answering
def recorded_run(request: Request) -> Response:
    """A recorded run, whole."""
    return _kept(request, library.gzipped(request.path_params["id"]))


def _kept(request: Request, gzipped: bytes) -> Response:
    """What a browser may keep for ever, in the form that it takes."""
    headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
    else:
        gzipped = gzip.decompress(gzipped)
    return Response(gzipped, media_type="application/octet-stream", headers=headers)


@_answering
def recorded_curves(request: Request) -> Response:
    """The curves of a recorded run, alone or beside another (`vs=<version>/<id>` or `vs=<key of a live run>`)."""
    run_id, vs = request.path_params["id"], request.query_params.get("vs", "")
    if live := _live(vs):
        return _changing(_curves(library.run(run_id), live))
    return _kept(request, _recorded_curves(run_id, vs.rpartition("/")[2]))


@lru_cache(maxsize=CURVES)
def _recorded_curves(run_id: str, vs: str) -> bytes:
    runs = [library.run(name) for name in (run_id, vs) if name]
    return gzip.compress(_curves(*runs), mtime=0)


def _live(name: str) -> Run | None:
    """What there is of the live run with this key; None for the names of recorded runs, which have a slash."""
    return _saved(name) if name and "/" not in name else None


def _saved(key: str) -> Run:
    run = trainings().look(key).run
    if run is None or not run.saved:
        raise ValueError("this run has no saved step yet")
    return run


def _curves(*runs: Run) -> bytes:
    """Figures of the loss and of the heads' scores, as `loss` and `scores` in the header."""
    from pages.shared.parts import figures

    return figures.figure_pack(loss=figures.loss_curves(runs), scores=figures.score_curves(runs))


def _changing(body: bytes) -> Response:
    return Response(body, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})


@_answering_few
def recorded_file(request: Request) -> Response:
    """A recorded run as a file to save."""
    return _file(library.run(request.path_params["id"]))


@_answering
def live_run(request: Request) -> Response:
    """Where one's own run stands, and its saved steps from number `from` on."""
    first = request.query_params.get("from", "0")
    if not first.isdecimal():
        raise ValueError(f"from must be the number of a saved step, from 0; got {first[:20]!r}")
    live = trainings().look(request.path_params["key"])
    where = status(live)
    body = wire.pack({"status": where}) if live.run is None else run_pack(live.run, first=int(first), status=where)
    return _changing(body)


@_answering
def live_curves(request: Request) -> Response:
    """The curves of one's own run so far, alone or beside a recorded one (`vs=<version>/<id>`)."""
    runs = [_saved(request.path_params["key"])]
    if vs := request.query_params.get("vs", ""):
        runs.append(_live(vs) or library.run(vs.rpartition("/")[2]))
    return _changing(_curves(*runs))


@_answering_few
def live_file(request: Request) -> Response:
    """One's own run, so far, as a file to save; 404 before its first saved step."""
    return _file(_saved(request.path_params["key"]))


@_answering
def stop(request: Request) -> Response:
    """End the training and keep what it saved."""
    trainings().stop(request.path_params["key"])
    return Response(status_code=204)


@_answering
def leave(request: Request) -> Response:
    """The tab is being closed: end the training and forget it."""
    trainings().leave(request.path_params["key"])
    return Response(status_code=204)


def _file(run: Run) -> Response:
    """A run as `grow.record.load_run` opens it."""
    headers = {"Content-Disposition": f'attachment; filename="sightline-{name_of(run)}.run.gz"'}
    return Response(
        gzip.compress(run.to_pack(weights=True), mtime=0), media_type="application/octet-stream", headers=headers
    )
