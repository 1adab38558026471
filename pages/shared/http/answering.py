"""Run HTTP endpoints in a thread and turn their exceptions into answers: a status and plain words, no error details.

What endpoints of several modules read of a request is here too.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from attention_core.formats.memory import OUT_OF_MEMORY, is_out_of_memory
from pages.shared.process import mishaps
from pages.shared.service.service import Gone, service

AT_ONCE = 8  # files that are made or wait for the worker; the others wait here

Endpoint = Callable[[Request], Awaitable[Response]]


def answering(build: Callable[[Request], Response]) -> Endpoint:
    """Run a blocking endpoint in a thread; what is gone answers 410, what is not there 404, anything else 5xx."""

    async def endpoint(request: Request) -> Response:
        try:
            return await run_in_threadpool(build, request)
        except Gone as error:
            return JSONResponse({"error": str(error)}, status_code=410)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except Exception as error:
            return mishap(error)

    return endpoint


def answering_few(build: Callable[[Request], Response]) -> Endpoint:
    """As `answering`, a few at a time: what waits for its turn holds no thread, and is dropped if nobody waits for it.

    For what takes long. Hundreds of such threads would stand before everybody's pictures.
    """
    answer = answering(build)

    async def endpoint(request: Request) -> Response:
        async with _few():
            return Response(status_code=204) if await request.is_disconnected() else await answer(request)

    return endpoint


_doors: "WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]" = WeakKeyDictionary()


def _few() -> asyncio.Semaphore:
    return _doors.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))


def known(build: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """Build an answer about a picture whose key is known; Gone for any other."""

    def answer(request: Request) -> Response:
        # First of all, and before anything is imported: a browser that asks a server which has just been started again
        # would import torch beside the worker, and half-imported modules answer nobody.
        service().picture(request.path_params["key"])
        return build(request)

    return answer


def mishap(error: Exception) -> Response:
    """The server lives on, the log has the place, the visitor a reference to it."""
    if is_out_of_memory(error):
        return JSONResponse({"error": OUT_OF_MEMORY}, status_code=503)
    return JSONResponse({"error": mishaps.sentence(error)}, status_code=500)


async def body_of(request: Request, limit: int) -> bytes | None:
    """What was posted, or None if it is longer than `limit` bytes: then the rest is not even received."""
    kept = bytearray()
    async for chunk in request.stream():
        kept += chunk
        if len(kept) > limit:
            return None
    return bytes(kept)


def layer_and_head(request: Request) -> tuple[int | str, int | str]:
    """The layer and the head that the address names, by number or by name ("all:…", "mean", "max")."""
    return _number_or_name(request.path_params["layer"]), _number_or_name(request.path_params["head"])


def _number_or_name(part: str) -> int | str:
    return int(part) if re.fullmatch("[0-9]{1,9}", part) else part
