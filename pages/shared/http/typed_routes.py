"""A picture's numbers for a text that is still being typed, without a rerun of the page.

A page asks under the key of the picture that it shows, and gets the key of the same picture of another text: the same
model, told the same, read the same. The answer is bounded as a visitor's own is: it takes its turn in the service; a
page has one at a time, for its next text cancels the one before, and so does leaving; and while others wait it is
refused, for whoever presses Enter comes first. A model is never loaded for it, a file's trace has no text to type.
"""

import asyncio
import json
from dataclasses import replace
from functools import partial
from threading import Lock

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from attention_core.formats.fields import well_formed
from attention_core.formats.json_data import JsonMapping
from pages.shared.address.edits import for_another_text
from pages.shared.address.view import View, from_report
from pages.shared.engine.choosing import engine
from pages.shared.engine.engine import Handle
from pages.shared.engine.plain import Refused, TraceSummary
from pages.shared.http.answering import body_of, mishap
from pages.shared.service.bounded import NoLongerWanted
from pages.shared.service.service import Gone
from pages.shared.service.sources import Picture, picture_of

MOST_BYTES = 40_000  # a longer text waits for Enter: reading it takes long
MOST_WAITING = 2  # loads and passes of others that run or wait: with more of them the picture waits for Enter

_texts = ("text", "pair", "target")


class Question:
    """One text of a page, for as long as somebody waits for its picture."""

    def __init__(self) -> None:
        self._job: Handle[TraceSummary] | None = None
        self._left = False
        self._lock = Lock()

    @property
    def left(self) -> bool:
        """Nobody waits any more."""
        return self._left

    def leave(self) -> None:
        """Nobody waits any more: what is on its way is cancelled."""
        with self._lock:
            self._left, job = True, self._job
        if job is not None:
            job.cancel()

    def wait_for(self, job: Handle[TraceSummary]) -> TraceSummary:
        """What the job comes to; NoLongerWanted if nobody waits for it meanwhile."""
        with self._lock:
            self._job, left = job, self._left
        if left:
            job.cancel()
        return job.future.result()


class Asking:
    """Which pages wait for an answer, one for each at most: a page's next question ends the one before."""

    def __init__(self) -> None:
        self._pages: dict[str, Question] = {}
        self._lock = Lock()

    def begin(self, page: str) -> Question:
        """The page's question; the one before is left."""
        question = Question()
        with self._lock:
            before, self._pages[page] = self._pages.get(page), question
        if before:
            before.leave()
        return question

    def end(self, page: str, question: Question) -> None:
        """The answer is there, or nobody waits for it: nothing of the page is kept."""
        question.leave()
        with self._lock:
            if self._pages.get(page) is question:
                del self._pages[page]

    def __len__(self) -> int:
        return len(self._pages)


asking = Asking()


def typed_routes(data: str) -> list[BaseRoute]:
    """The route, below the address of a picture's data."""
    return [Route(f"{data}/typed/{{page}}", typed, methods=["POST"])]


async def typed(request: Request) -> Response:
    """{"text", …} → {"key", "can"}: where the same picture of this text is, and what its trace allows.

    "pair", "target" and "start" are the picture's own (0 for the start) where they are left out; "layer" and "head" say
    what the browser will ask for first. 410: the picture is no longer here; 202: nothing was read, with a
    sentence (others wait, the text cannot be read, the page asked for another): no error in a browser's console.
    """
    page = request.path_params["page"]
    if not (page.isascii() and page.isalnum() and 8 <= len(page) <= 40):
        return _says(404, "There is no such page.")
    asked = await _asked(request)
    if isinstance(asked, Response):
        return asked
    try:
        picture = engine().picture(request.path_params["key"])
    except Gone as error:
        return _says(410, str(error))
    if picture.source.file or engine().loaded(picture.source.model) is None:
        return _says(202, "There is no model here that could read it.")
    if engine().waiting > MOST_WAITING:
        return _says(202, "Others wait: press Enter to wait with them.")
    question = asking.begin(page)
    leaving = asyncio.create_task(_wait_until_it_leaves(request, question))
    try:
        return await run_in_threadpool(partial(_answer, picture, asked, page, question))
    finally:
        leaving.cancel()
        asking.end(page, question)


async def _asked(request: Request) -> JsonMapping | Response:
    body = await body_of(request, MOST_BYTES)
    if body is None:
        return _says(413, "The text is too long to be followed while it is typed: press Enter.")
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict) or not all(isinstance(asked.get(name, ""), str) for name in _texts):
        return _says(400, 'send {"text": …}')
    if not str(asked.get("text", "")).strip():
        return _says(202, "There is no text yet.")
    return asked


async def _wait_until_it_leaves(request: Request, question: Question) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    question.leave()


def _answer(picture: Picture, asked: JsonMapping, page: str, question: Question) -> Response:
    from pages.shared.parts import components
    from pages.shared.session import state

    view = _view(picture, asked)
    try:
        trace = question.wait_for(engine().read(picture_of(view).source, page))
    except (Refused, NoLongerWanted) as error:
        return _says(202, str(error))
    except Exception as error:  # a stranger's tokenizer
        return mishap(error)
    if question.left:
        return _says(202, "another text was typed")
    view, _ = state.fitted(view, trace)
    found = picture_of(view)
    engine().prepare(found, view.layer, view.head)
    key = engine().key(found)
    return JSONResponse({"key": key, "can": components.explorer_data(view, trace, key)["can"]})


def _view(picture: Picture, asked: JsonMapping) -> View:
    """The view of the picture with the texts that were typed."""
    source = picture.source
    told = {name: getattr(source, name) for name in ("source_language", "target_language", "chat")}
    reading = {
        name: getattr(picture, name) for name in ("hide_special", "hide_first", "renormalise", "words", "by_norm")
    }
    start = asked.get("start", 0)
    texts = {name: well_formed(asked.get(name, getattr(source, name))) for name in _texts}
    if not isinstance(start, int) or not 0 < start < len(texts["text"]) or not texts["text"][start:].strip():
        start = 0
    same = all(text == getattr(source, name) for name, text in texts.items())
    edits = source.edits if same else for_another_text(source.edits)
    view = View(model=source.model, start=start, edits=edits, **texts, **told, **reading)
    place = {name: asked[name] for name in ("layer", "head") if name in asked}
    return replace(from_report(place, view), query=None, key=None)


def _says(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)
