"""HTTP of the files that a visitor saves: pictures, tables, traces, scripts, and what the Lab writes."""

from collections.abc import AsyncIterator
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from pages.shared.assets import LAB_FILES
from pages.shared.engine.choosing import engine
from pages.shared.engine.packs import SCRIPT, TRACE, Wanted
from pages.shared.http.answering import answering_few, body_of, known, layer_and_head, token_of


def file_routes() -> list[BaseRoute]:
    """The routes."""
    export_to = "/sightline/data/{key}/export"
    return [
        Route(f"{export_to}/trace.safetensors", answering_few(known(trace_file))),
        Route(f"{export_to}/script.py", answering_few(known(script))),
        Route(export_to + "/{layer}/{head}/{name}", answering_few(known(export))),
        Route(f"/{LAB_FILES}/{{name}}", lab_file, methods=["POST"]),
    ]


CHUNK = 256 * 1024  # bytes in memory for each visitor who is being sent a file


def _sent(request: Request, wanted: Wanted) -> Response:
    """The file from the disk, as fast as its visitor reads."""
    saved = engine().save(engine().picture(request.path_params["key"]), wanted)
    file = saved.file

    async def parts() -> AsyncIterator[bytes]:
        at = 0
        while at < file.nbytes:
            part = await run_in_threadpool(file.read, at, CHUNK)
            at += len(part)
            yield part

    headers = {**_attached(saved.name), "Content-Length": str(file.nbytes)}
    return StreamingResponse(parts(), media_type=saved.media_type, headers=headers)


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}


def _download(body: str | bytes, media_type: str, name: str) -> Response:
    return Response(body, media_type=media_type, headers=_attached(name))


def export(request: Request) -> Response:
    """One picture as SVG, CSV or NPZ."""
    name = request.path_params["name"]
    pictured = name.endswith("svg")
    wanted = Wanted(
        name,
        *layer_and_head(request),
        per_head_scale=pictured and request.query_params.get("scale") == "head",
        pin=(token_of(request, "q"), token_of(request, "k")) if pictured else (None, None),
    )
    return _sent(request, wanted)


def trace_file(request: Request) -> Response:
    """The whole trace, to be opened again without the model."""
    return _sent(request, Wanted(TRACE))


def script(request: Request) -> Response:
    """The code that makes this view."""
    from pages.shared.address.view import PARAMETERS, from_params

    asked = request.query_params
    chosen, _ = from_params({PARAMETERS[name]: asked[name] for name in ("layer", "head", "query") if name in asked})
    return _sent(request, Wanted(SCRIPT, chosen.layer, chosen.head, chosen.query))


async def lab_file(request: Request) -> Response:
    """A file of the Lab's state, which is the request's body: a program, a spreadsheet, a matrix as SVG."""
    from attention_core.lab.link import TEXT_LIMIT

    body = await body_of(request, TEXT_LIMIT)
    if body is None:
        return JSONResponse({"error": "these matrices are larger than the Lab's"}, status_code=413)
    text, name = body.decode("ascii", "replace"), request.path_params["name"]
    dark = request.query_params.get("theme") == "dark"
    return await answering_few(lambda _: _lab_file(name, text, dark))(request)


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
