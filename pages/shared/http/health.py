"""The health endpoint: readiness, queue, memory and uptime for monitoring, and nothing that a visitor wrote."""

import time

import psutil
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

import attention_core
from pages.shared.engine.choosing import engine
from pages.shared.process.boot import BOOT

_begun = time.monotonic()


async def health(request: Request) -> JSONResponse:
    """200 while the server lives; with ?ready=1 503 until it is ready.

    It is ready when the start is over: the first model is in memory, or it is one of the hub, for which whoever asks
    first waits, or one that cannot be loaded, which he is told. A start that failed of itself leaves it unready.

    {"version", "ready", "model": "loaded" | "loading", "waiting": loads and forward passes in the queue, "running",
    "models", "cache_bytes": {"traces", "pictures", "models", …}, "disk_bytes": of traces that wait there, "rss_bytes",
    "uptime_s", "boot": another one after a restart, "processor_s": {"pass", "packs", …: seconds by where they went,
    "all"}}; of a reader process also "reader": {"rss_bytes", "restarts", "processor_s"}.
    """
    state = await run_in_threadpool(engine().condition)  # a reader may have to be asked
    answer = {
        "version": attention_core.__version__,
        **state,
        "rss_bytes": psutil.Process().memory_info().rss,
        "uptime_s": round(time.monotonic() - _begun),
        "boot": BOOT,
    }
    unready = "ready" in request.query_params and not state["ready"]
    return JSONResponse(answer, status_code=503 if unready else 200, headers={"Cache-Control": "no-store"})
