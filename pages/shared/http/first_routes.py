"""HTTP for what the first screen says beside the pictures: what the model says, and finds, under the pictures' keys."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from attention_core.formats.json_data import JsonObject
from pages.shared.engine.choosing import engine
from pages.shared.http.heads_routes import Answering
from pages.shared.parts.readout_words import Line, closest_line, line_of, panel_data, who_says_next
from pages.shared.service.service import Gone
from pages.shared.service.sources import Source

_NOT_KEPT = {"Cache-Control": "no-store"}  # it depends on who asks, or on when
MOST_BEFORE = 8  # pictures that the same visitor saw, and whose texts are compared


def first_routes(answering: Answering) -> list[BaseRoute]:
    """The routes; `answering` is that of routes.py, which imports this module."""

    def says(request: Request) -> Response:
        source = engine().picture(request.path_params["key"]).source
        before = list(filter(None, request.query_params.get("before", "").split(".")))
        return JSONResponse(said_in_a_line(source, before), headers=_NOT_KEPT)

    def finds(request: Request) -> Response:
        source = engine().picture(request.path_params["key"]).source
        return JSONResponse(engine().finds(source), headers=_NOT_KEPT)

    data = "/sightline/data/{key}"
    return [Route(data + "/says", answering(says)), Route(data + "/finds", answering(finds))]


def said_in_a_line(source: Source, before: Sequence[str] = ()) -> JsonObject:
    """What the model says about a text: {"line", "panel", "act", "other"}.

    `panel` is what the opened panel draws, or None; `act` "mask" where a mask in the text would make the model speak,
    else ""; `other` the bundled model that says a next word, where this one does not. `before` are keys of pictures
    that the same visitor saw: a sentence encoder says which of their texts is closest.
    """
    trace = engine().read(source).future.result()
    said = engine().readout(source).future.result()
    line, act = line_of(said, trace), ""
    if said.kind == "unsaid" and not source.file:
        act = "mask" if said.mask else ""
        if not said.mask and trace.pair is None:
            line = _closest(source, before) or line
    other = None if said.kind == "next" or source.file else who_says_next(source.model)
    return {"line": line, "panel": panel_data(said, trace), "act": act, "other": other}


def _closest(source: Source, before: Sequence[str]) -> Line | None:
    """What a sentence encoder has to say: the closest of the sentences before; None for any other model."""
    found = engine().closest(source, _texts_of(before, source))
    if found is None:
        return None
    return closest_line(found.text, found.cosine) if found.text else ["no next word: this model compares sentences"]


def _texts_of(keys: Sequence[str], source: Source) -> list[str]:
    texts = []
    for key in keys[:MOST_BEFORE]:
        try:
            other = engine().picture(key).source
        except Gone:
            continue
        if other.model == source.model and not other.file:
            texts.append(other.text)
    return texts
