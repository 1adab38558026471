"""Lessons over HTTP: a step on a text, and the mark of an answer. Nothing is kept of either."""

import json
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from attention_core.formats.fields import well_formed
from attention_core.formats.json_data import JsonMapping, JsonObject
from attention_core.lessons.lesson import Lesson, Step, plain_step
from pages.shared.address.learning import LONGEST_OWN
from pages.shared.address.view import View, link
from pages.shared.engine.choosing import engine
from pages.shared.engine.plain import Refused
from pages.shared.http.answering import Endpoint, body_of, mishap
from pages.shared.learn.library import lesson_of, step_of
from pages.shared.process import spent
from pages.shared.service.sources import Source
from pages.shared.service.turns import NoLongerWanted

MOST_BYTES = 40_000  # of a question: a sentence and as many bars as it has tokens
MOST_WAITING = 30  # texts of others that wait: a class, each with one

Build = Callable[[Lesson, Step, Source, JsonMapping], JsonObject]


def learn_routes() -> list[BaseRoute]:
    """The two routes."""
    return [
        Route("/sightline/learn/step", _answering(_step), methods=["POST"]),
        Route("/sightline/learn/mark", _answering(_mark), methods=["POST"]),
    ]


def _step(lesson: Lesson, step: Step, source: Source, _: JsonMapping) -> JsonObject:
    """{"lesson", "step", "own"} → the step as `lessons.showing.shown` has it, with "text" and "open"."""
    seen = engine().lesson_step(source, plain_step(step))
    return {**seen, "text": source.text, "open": _open(step, source, seen["query"])}


def _mark(lesson: Lesson, step: Step, source: Source, asked: JsonMapping) -> JsonObject:
    """{"lesson", "step", "own", "answer"} → the mark, as `lessons.showing.revealed` has it; null shows the answer."""
    return engine().lesson_mark(source, plain_step(step), asked.get("answer"))


def _open(step: Step, source: Source, query: int | None) -> JsonObject | None:
    """The page that shows what the step is about, and its address; None where it has no link."""
    titles = {"explore": ("", "Explore"), "steps": ("steps", "Step by step")}
    if step.view.page not in titles:
        return None
    path, title = titles[step.view.page]
    usual, view = View(), step.view
    place = View(
        model=source.model,
        text=source.text,
        layer=usual.layer if view.layer is None else view.layer,
        head=usual.head if view.head is None else view.head,
        query=query,
        step=view.step or usual.step,
    )
    address = link(place)
    return None if address is None else {"title": title, "address": path + address}


def _answering(build: Build) -> Endpoint:
    """Read the question, answer it in a thread; what cannot be asked is a sentence with status 400."""

    async def endpoint(request: Request) -> Response:
        body = await body_of(request, MOST_BYTES)
        if body is None:
            return _says(413, "This is too long for an answer.")
        if engine().waiting > MOST_WAITING:
            return _says(503, "Many others wait just now. Try again in a moment.")
        try:
            lesson, step, source, asked = _read(body)
            return JSONResponse(await run_in_threadpool(_counted, build, lesson, step, source, asked))
        except NoLongerWanted:
            return Response(status_code=204)
        except (Refused, ValueError) as error:
            return _says(400, str(error))
        except Exception as error:
            return mishap(error)

    return endpoint


def _counted(build: Build, lesson: Lesson, step: Step, source: Source, asked: JsonMapping) -> JsonObject:
    with spent.on("routes"):
        return build(lesson, step, source, asked)


def _read(body: bytes) -> tuple[Lesson, Step, Source, JsonMapping]:
    """The question. Raises ValueError with a sentence where it is none."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise ValueError('Send {"lesson": …, "step": …}.')
    name, index, own = asked.get("lesson"), asked.get("step"), asked.get("own", "")
    if not isinstance(name, str) or not isinstance(index, int) or isinstance(index, bool) or not isinstance(own, str):
        raise ValueError("A lesson has a name, a step a number, and a sentence is a text.")
    if len(own) > LONGEST_OWN:
        raise ValueError(f"A sentence of your own has at most {LONGEST_OWN:,} characters.")
    lesson = lesson_of(name)
    text = well_formed(own) if own.strip() else lesson.text
    return lesson, step_of(lesson, index), Source(lesson.model, text), asked


def _says(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)
