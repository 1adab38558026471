"""HTTP of the files that a visitor saves: pictures, tables, traces, scripts, and what the Lab writes."""

from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from pages.shared.assets import LAB_FILES
from pages.shared.http.answering import answering_few, body_of, known, layer_and_head
from pages.shared.service.made_files import MadeFile
from pages.shared.service.service import service


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


def _sent(file: MadeFile, media_type: str, name: str) -> Response:
    """The file from the disk, as fast as its visitor reads."""

    async def parts() -> AsyncIterator[bytes]:
        at = 0
        while at < file.nbytes:
            part = await run_in_threadpool(file.read, at, CHUNK)
            at += len(part)
            yield part

    return StreamingResponse(
        parts(), media_type=media_type, headers={**_attached(name), "Content-Length": str(file.nbytes)}
    )


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}


def _download(body: str | bytes, media_type: str, name: str) -> Response:
    return Response(body, media_type=media_type, headers=_attached(name))


def export(request: Request) -> Response:
    """One picture as SVG, CSV or NPZ."""
    from attention_core.pictures.files import EXPORTS, svg

    name = request.path_params["name"]
    if name not in EXPORTS:
        raise ValueError(f"there is no download {name!r}")
    media_type, make = EXPORTS[name]
    layer, head = layer_and_head(request)
    own_scale = make is svg and request.query_params.get("scale") == "head"
    if own_scale:
        make = partial(svg, per_head_scale=True)
    file = service().file(
        request.path_params["key"],
        (name, layer, head, own_scale),
        lambda trace, reading: make(trace, reading, layer, head),
    )
    return _sent(file, media_type, f"sightline-layer{layer}-head{head}-{name}".replace(":", "-"))


def trace_file(request: Request) -> Response:
    """The whole trace, to be opened again without the model."""
    from attention_core.pictures.heatmap_svg import TRACE_FILE
    from attention_core.record.file import MOST_MAPS, maps_bytes, trace_bytes

    file = service().file(
        request.path_params["key"],
        ("trace",),  # what it proves, its header says
        lambda trace, _: trace_bytes(trace, projections=maps_bytes(trace) <= MOST_MAPS),
    )
    return _sent(file, "application/octet-stream", TRACE_FILE)


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
