"""Run HTTP endpoints in a thread and turn their exceptions into answers: a status and plain words, no error details."""

from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from attention_core.formats.memory import OUT_OF_MEMORY, is_out_of_memory
from pages.shared.process import mishaps, spent
from pages.shared.service.service import Gone

Endpoint = Callable[[Request], Awaitable[Response]]


def answering(build: Callable[[Request], Response]) -> Endpoint:
    """Run a blocking endpoint in a thread; what is gone answers 410, what is not there 404, anything else 5xx."""

    async def endpoint(request: Request) -> Response:
        try:
            return await run_in_threadpool(_counted, build, request)
        except Gone as error:
            return JSONResponse({"error": str(error)}, status_code=410)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except Exception as error:
            return mishap(error)

    return endpoint


def _counted(build: Callable[[Request], Response], request: Request) -> Response:
    with spent.on("routes"):
        return build(request)


def mishap(error: Exception) -> Response:
    """The server lives on, the log has the place, the visitor a reference to it."""
    if is_out_of_memory(error):
        return JSONResponse({"error": OUT_OF_MEMORY}, status_code=503)
    return JSONResponse({"error": mishaps.sentence(error)}, status_code=500)
