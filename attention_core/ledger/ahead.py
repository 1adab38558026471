"""What a causal model would say if its heads could look ahead: the mask taken off in a run, and measured."""

import math

from attention_core.capturing.capture import Prepared, prepare
from attention_core.experiment.edits import Break, ExperimentError
from attention_core.experiment.effect import Effect, effect_of
from attention_core.experiment.question import LogProb
from attention_core.experiment.running import Runs
from attention_core.formats import wire
from attention_core.formats.json_data import JsonObject
from attention_core.reading.readout import Choice
from attention_core.record.record import Record


def ahead_pack(trace: Record, layer: int, head: int, query: int) -> bytes:
    """What the model says after the query's token, as it is and without its mask, as a pack of no buffers.

    Header: `next`, the token that really follows ("" after the last, then the likeliest one is followed); `rows`, what
    was changed in words, the probability of that token, the five likeliest, and what chance does beside it; `why_not`,
    a sentence where it cannot be measured, and then no rows.

    Raises ValueError for a layer or head that does not exist.
    """
    layer, head = trace.place(layer, head)
    header: JsonObject = {"next": "", "rows": [], "why_not": ""}
    try:
        header |= _measured(trace, layer, head, query)
    except ExperimentError as error:
        header["why_not"] = str(error)
    return wire.pack(header)


def _measured(trace: Record, layer: int, head: int, query: int) -> JsonObject:
    if trace.ending is None:
        raise ExperimentError("The model that made this trace is not here, and so nothing can be changed in it.")
    if trace.layers[layer].kind != "decoder self" or not trace.layers[layer].causal:
        raise ExperimentError("Nothing is hidden from this layer: it looks ahead already.")
    runs = Runs(_prepared(trace))
    ids = (runs.prepared.decoder or runs.prepared.source).ids
    follows = query + 1 < len(ids)
    question = LogProb(ids[query + 1] if follows else None, query)
    alone = effect_of(runs, (Break(layer, head, "no mask"),), question)
    every = tuple(
        Break(place, one, "no mask")
        for place, found in enumerate(trace.layers)
        if found.kind == "decoder self"
        for one in range(found.n_heads)
    )
    together = effect_of(runs, every, question)
    return {
        "next": trace.query_tokens(layer)[query + 1].text if follows else alone.top_before[0].text,
        "rows": [
            _row("as it is", alone.before, alone.top_before, ""),
            _changed(f"head {head} of layer {trace.layers[layer].index} alone looks ahead", alone),
            _changed("every head of every layer looks ahead", together),
        ],
    }


def _prepared(trace: Record) -> Prepared:
    """The text of a trace, encoded as it was."""
    assert trace.ending is not None
    return prepare(
        trace.ending.model,
        trace.text if trace.chat is None else trace.chat,
        trace.pair,
        trace.target,
        source_language=trace.source_language,
        target_language=trace.target_language,
        chat=trace.chat is not None,
    )


def _changed(what: str, effect: Effect) -> JsonObject:
    beside = "" if effect.control is None else effect.control.says(effect.difference)
    return _row(what, effect.after, effect.top_after, beside)


def _row(what: str, log_probability: float, top: tuple[Choice, ...], beside: str) -> JsonObject:
    return {
        "what": what,
        "p": wire.number(math.exp(log_probability)),
        "says": [{"t": choice.text, "p": wire.number(choice.probability)} for choice in top],
        "beside": beside,
    }
