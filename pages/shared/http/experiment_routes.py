"""HTTP for the page Experiment, beside the routes of the pictures and under the same keys.

A page begins an experiment, looks how it stands, and stops it; looking begins nothing. What is asked travels as JSON in
the query string: edits and questions are plain data.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from attention_core.formats.json_data import Json, JsonMapping, JsonObject
from pages.shared.engine.answers import Lensed, Swept
from pages.shared.engine.choosing import engine
from pages.shared.experiment.book import Asked, Found, Kind, Told, book
from pages.shared.experiment.script import script
from pages.shared.http.answering import Endpoint
from pages.shared.service.service import compressed

Answering = Callable[[Callable[[Request], Response]], Endpoint]
Zipped = Callable[[Request, bytes], Response]

MOST_ASKED = 20_000  # characters of what is asked
_ROW = ("layer", "head", "query")
PAGE = 40  # characters of a page's name


def experiment_routes(answering: Answering, zipped: Zipped) -> list[BaseRoute]:
    """The routes; `answering` and `zipped` are those of routes.py, which imports this module."""

    def look(request: Request) -> Response:
        return _telling(request, book().look(_asked(request), _page(request)))

    def begin(request: Request) -> Response:
        return _telling(request, book().begin(_asked(request), _page(request)))

    def stop(request: Request) -> Response:
        book().stop(_asked(request), _page(request))
        return Response(status_code=204)

    def strip(request: Request) -> Response:
        """Every effect, by layer, beside what chance does, as a figure: `strip` in the header."""
        from pages.shared.parts import figures

        found = book().look(_asked(request), "").found
        if not isinstance(found, Swept) or not found.found:
            raise ValueError("this experiment has no result yet")
        chance = found.chance.largest if found.chance else None
        effects = [(*_place(one.edits[0]), one.difference) for one in found.found]
        return zipped(
            request, compressed(figures.figure_pack(strip=figures.effects_by_layer(effects, chance, found.unit)))
        )

    def program(request: Request) -> Response:
        """The experiment as Python."""
        headers = {"Content-Disposition": 'attachment; filename="sightline-experiment.py"'}
        return Response(script(_asked(request)), media_type="text/x-python", headers=headers)

    data = "/sightline/data/{key}/experiment/{kind}"
    return [
        Route(data, answering(look)),
        Route(data + "/begin", answering(begin), methods=["POST"]),
        Route(data + "/stop", answering(stop), methods=["POST"]),
        Route(data + "/strip", answering(strip)),
        Route(data + "/script.py", answering(program)),
    ]


def _asked(request: Request) -> Asked:
    """What is asked, from the address. Raises ValueError for what is no question."""
    kind = request.path_params["kind"]
    named = next((one for one in get_args(Kind) if one == kind), None)
    if named is None:
        raise ValueError(f"there is no experiment {kind[:20]!r}")
    of = _plain(request, "of")
    if not isinstance(of, list if kind == "effect" else dict):
        raise ValueError("a sweep goes through one thing, lenses look at one row, an effect is of a list of edits")
    if kind == "lenses" and not (isinstance(of, dict) and all(_is_index(of.get(name)) for name in _ROW)):
        raise ValueError("a row is named by layer, head and query, numbers from 0")
    question = _plain(request, "question")
    if not (question is None or isinstance(question, dict)):
        raise ValueError("a question is plain data")
    return Asked.plainly(named, engine().picture(request.path_params["key"]).source, of, question)


def _is_index(value: object) -> bool:
    return type(value) is int and value >= 0


def _plain(request: Request, name: str) -> Json:
    text = request.query_params.get(name, "")
    if len(text) > MOST_ASKED:
        raise ValueError(f"{name} has at most {MOST_ASKED:,} characters")
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        raise ValueError(f"{name} is JSON") from None


def _page(request: Request) -> str:
    return request.query_params.get("page", "")[:PAGE]


def _telling(request: Request, told: Told) -> Response:
    """How it stands; the numbers only if the page has not those of this stage."""
    stage = f"{told.state}{len(told.found.found) if isinstance(told.found, Swept) else ''}{bool(told.found)}"
    if told.found is not None and _compared(told.found):
        stage += "c"
    news = told.found is not None and request.query_params.get("have", "") != stage
    body = {
        "state": told.state,
        "says": told.says,
        "done": told.done,
        "total": told.total,
        "ahead": told.ahead,
        "stage": stage,
        "found": _in_json(told.found) if news and told.found is not None else None,
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def _compared(found: Found) -> bool:
    if isinstance(found, Lensed):
        return False
    return found.chance is not None if isinstance(found, Swept) else bool(found.control)


def _in_json(found: Found) -> JsonObject:
    if isinstance(found, Lensed):
        return asdict(found)
    if isinstance(found, Swept):
        return {
            "question": found.question,
            "unit": found.unit,
            "before": _number(found.before),
            "found": [
                {
                    "layer": _place(one.edits[0])[0],
                    "head": _place(one.edits[0])[1],
                    "edits": list(one.edits),
                    "words": one.words,
                    "difference": _number(one.difference),
                }
                for one in found.found
            ],
            "notes": list(found.notes),
            "chance": None
            if found.chance is None
            else {"n": found.chance.n, "largest": _number(found.chance.largest), "tested": found.chance.tested},
            "why": found.why_no_chance,
            "total": found.total,
            "finished": found.finished,
        }
    return {
        "question": found.question,
        "unit": found.unit,
        "words": list(found.words),
        "before": _number(found.before),
        "after": _number(found.after),
        "difference": _number(found.difference),
        "top_before": [{"id": one.id, "t": one.text, "p": one.probability} for one in found.top_before],
        "top_after": [{"id": one.id, "t": one.text, "p": one.probability} for one in found.top_after],
        "notes": list(found.notes),
        "null": [_number(one) for one in found.null],
        "level": None if found.level is None else _number(found.level),
        "control": found.control,
    }


def _place(edit: JsonMapping) -> tuple[int | None, int | None]:
    return edit.get("layer"), edit.get("head")


def _number(value: float) -> float | None:
    """JSON has no word for what is not a number."""
    return value if math.isfinite(value) else None
