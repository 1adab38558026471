"""HTTP: how many tokens a text makes while it is being typed."""

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message

from pages.shared.engine.choosing import engine
from pages.shared.http.answering import body_of, mishap
from pages.shared.service.counting import Count, visitor_of
from pages.shared.service.service import FRAME_FIRST_SECONDS
from pages.shared.service.sources import Source
from pages.shared.service.turns import NoLongerWanted

MAX_COUNTED_BYTES = 200_000


async def count(request: Request) -> Response:
    """{"n", "limit", "cut_from", "specials", "more"} of a posted {"text", "pair"}, null if unknown.

    Only a page of this process has the key that the address must hold; a visitor's questions take turns with others',
    and one whose asker has gone is dropped.
    """
    visitor = visitor_of(request.query_params.get("key", ""))
    if visitor is None:
        return JSONResponse({"error": "counting needs the key of an open page"}, status_code=403)
    body = await body_of(request, MAX_COUNTED_BYTES)
    if body is None:
        return JSONResponse({"error": "The text is too long to count while typing."}, status_code=413)
    try:
        asked = json.loads(body)
        text, pair = str(asked["text"]), str(asked.get("pair") or "")
    except (ValueError, TypeError, KeyError, RecursionError):
        return JSONResponse({"error": 'send {"text": …, "pair": …}'}, status_code=400)
    await asyncio.wrap_future(engine().start(pause=FRAME_FIRST_SECONDS))
    of = request.query_params
    source = Source(of.get("model", ""), text, pair, source_language=of.get("sl", ""), chat=of.get("chat") == "1")
    try:
        return JSONResponse(asdict(await _answer(request, visitor, source)))
    except NoLongerWanted:
        return Response(status_code=204)  # which nobody reads
    except ValueError as error:
        return JSONResponse({"error": str(error)}, status_code=422)
    except Exception as error:  # a stranger's tokenizer
        return mishap(error)


async def _answer(request: Request, visitor: str, source: Source) -> Count:
    """The count, unless its asker hangs up before its turn comes. Raises what counting raises, or NoLongerWanted."""
    asked = engine().count(source, visitor)
    counting = asyncio.wrap_future(asked.future)
    hanging_up = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({counting, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
        if not counting.done():
            asked.cancel()
        return await counting
    finally:
        hanging_up.cancel()
        with suppress(asyncio.CancelledError):
            await hanging_up


async def _hung_up(request: Request) -> None:
    message: Message = {}
    while message.get("type") != "http.disconnect":
        message = await request.receive()
