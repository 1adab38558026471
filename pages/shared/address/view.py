"""The view as a URL: what is on screen, as short query parameters, read back with forgiveness.

A link is versioned and complete: model, text, layer and head are always written out, so that an old link shows the same
picture after a default has changed. Reading never fails: what cannot be used is replaced by its default and named in a
plain sentence. These sentences quote the link: show them as text, never as markup.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from attention_core.formats.fields import (
    LINK_LIMIT,
    Field,
    Value,
    one_of,
    query,
    quoted,
    read,
    reported,
    shaped,
    share,
    single,
    switch,
    whole,
)
from attention_core.formats.fields import to_params as params_of
from attention_core.formats.json_data import JsonMapping
from attention_core.text.languages import plain_name
from pages.shared.address.edits import for_another_text, verified

VERSION = 1
DEFAULT_TEXT = "The animal didn't cross the street because it was too tired."
PICTURES = ("heatmap", "links", "sentence")
LONGEST_QUESTION = 1_000  # characters
MODES = ("story", "numbers", "formula", "code")


@dataclass(frozen=True, slots=True)
class View:
    """Everything that decides what the explorer shows. `query` and `key` are token indices of the model's input."""

    model: str = "minilm"
    text: str = DEFAULT_TEXT
    start: int = 0  # character from which the text is read: a later window of one that is longer than the model reads
    pair: str = ""  # second sentence
    target: str = ""  # decoder text of an encoder-decoder
    source_language: str = ""  # that the tokenizer is told, by its own name; "": what is usual
    target_language: str = ""
    chat: bool = False  # the model's chat template is put around the text
    layer: int | str = 3  # or "all:<stack>:<kind>": all layers of one kind, for the mean or maximum over their heads
    head: int | str = 1  # or "mean", "max"
    query: int | None = None
    key: int | None = None
    hide_special: bool = False
    hide_first: bool = False
    renormalise: bool = False
    words: bool = False
    by_norm: bool = False  # what each key adds, ‖a·v·W_O‖, instead of its weight
    per_head_scale: bool = False
    threshold: float = 0.05  # links below this weight are not drawn
    picture: str = "heatmap"  # what a narrow screen shows
    step: str = "x"  # of the computation, by its name in the ledger
    mode: str = "story"  # how a step is told
    metric: str = "previous"  # of a head, by its name in the catalogue of metrics: what the map of heads is coloured by
    metric_x: str = "entropy"  # of the scatter of heads, across
    metric_y: str = "previous"  # and up
    sort: str = "head"  # of the table of heads: a column, with "-" before it for largest first
    only: str = ""  # heads that the table shows: "label:induction;layer:3;entropy:2.5", the last one a smallest value
    question: str = ""  # what an experiment asks, as JSON of plain data; "": the first that is proposed
    edits: str = ""  # what is changed in the run, as `address/edits` writes it
    unedited: bool = False  # the run before those changes is shown
    fill: str = "mean"  # what an experiment puts in the place of a head that it switches off: "mean" or "zero"

    @property
    def text_read(self) -> str:
        """What the model is given of the text, as far as it reads: all from `start` on."""
        return self.text[self.start :]


_DEFAULT = View()
PARAMETERS = {  # field → parameter; the order is the order in the link
    "model": "m",
    "text": "t",
    "start": "from",
    "pair": "p",
    "target": "d",
    "source_language": "sl",
    "target_language": "tl",
    "chat": "chat",
    "layer": "l",
    "head": "h",
    "query": "q",
    "key": "k",
    "hide_special": "s",
    "hide_first": "f",
    "renormalise": "n",
    "words": "w",
    "by_norm": "c",
    "per_head_scale": "x",
    "threshold": "th",
    "picture": "pic",
    "step": "step",
    "mode": "mode",
    "metric": "hm",
    "metric_x": "hx",
    "metric_y": "hy",
    "sort": "hs",
    "only": "hf",
    "question": "ask",
    "edits": "e",
    "unedited": "u",
    "fill": "off",
}
_ALWAYS = ("model", "text", "layer", "head")
_WORDS = {  # how a sentence calls the field
    "start": "place from which the text is read",
    "pair": "second sentence",
    "target": "decoder text",
    "source_language": "language of the text",
    "target_language": "language of the decoder text",
    "chat": "“chat template”",
    "hide_special": "“hide special tokens”",
    "hide_first": "“hide first token”",
    "renormalise": "“renormalise rows”",
    "words": "“words, not pieces”",
    "by_norm": "“norm-based”",
    "per_head_scale": "“scale per head”",
    "metric": "metric of the map",
    "metric_x": "metric across",
    "metric_y": "metric up",
    "sort": "order of the heads",
    "only": "filter of the heads",
    "question": "question",
    "edits": "change of the run",
    "unedited": "“run before”",
    "fill": "way to switch a head off",
}


def to_params(view: View) -> dict[str, str]:
    """Query parameters that stand for `view`: version, model, text, layer and head, and whatever is not the default."""
    return {"v": str(VERSION), **params_of(view, FIELDS)}


def from_params(params: Mapping[str, str | Sequence[str]]) -> tuple[View, tuple[str, ...]]:
    """The view that query parameters stand for, and one sentence for each value that could not be used.

    Never raises. Parameters with unknown names are left to others. Whether the model, layer, head and tokens exist is
    decided later, by `clamp`.
    """
    version, sentences = single(params, "v", "The version")
    if version is not None and version != str(VERSION):
        sentences.append(
            f"This link was made for version {quoted(version)} of the view and this is version {VERSION}; "
            "what both know was used."
        )
    values, faults = read(params, FIELDS)
    sentences += faults
    view = View(**values)
    if view.start and not view.text_read.strip():
        sentences.append(
            f"The text in this link ends before character {view.start + 1:,}: it is read from its beginning."
        )
        view = replace(view, start=0)
    return view, tuple(sentences)


def from_report(report: JsonMapping, before: View) -> View:
    """The view that a browser's view reports (JSON); what it leaves out or what is no such value stays as it was.

    The model, its texts and what it is told are not a view's to report.
    """
    return replace(before, **reported(report, _REPORTED))


def carried(before: View, after: View) -> View:
    """The view after a change, with those edits of the run that still mean the same there.

    Another model has other heads; tokens of another text are others, unless it only goes on where the one before ended.
    """
    if after.model != before.model:
        return replace(after, edits="", unedited=False)
    same = all(getattr(before, name) == getattr(after, name) for name in ("start", "pair", "target"))
    if same and after.text.startswith(before.text):
        return after
    return replace(after, edits=for_another_text(after.edits))


def link(view: View) -> str | None:
    """`?v=1&m=…&t=…` for `view`; None if it would be longer than `LINK_LIMIT` bytes."""
    made = query(to_params(view))
    return made if len(made) <= LINK_LIMIT + 1 else None


def clamp(
    view: View,
    layers: Sequence[tuple[int, int, int]],
    groups: Mapping[str, tuple[int, int]] | None = None,
) -> tuple[View, tuple[str, ...]]:
    """`view` with layer, head, query and key that exist, and one sentence for each that was changed.

    `layers` gives (n_heads, n_query, n_key) of each layer; `groups` gives (n_query, n_key) of each "all:<stack>:<kind>"
    that there is (None: any is taken). Raises ValueError if there are no layers.
    """
    if not layers:
        raise ValueError("layers must hold at least one layer; got none")
    sentences: list[str] = []
    layer, head = view.layer, view.head
    if isinstance(layer, str) and groups is not None and layer not in groups:
        sentences.append(f"There are no layers called {quoted(layer)}; layer {_last(_DEFAULT.layer, layers)} is shown.")
        layer = _last(_DEFAULT.layer, layers)
    elif isinstance(layer, int) and layer >= len(layers):
        sentences.append(f"There is no layer {layer}; the last one, layer {len(layers) - 1}, is shown.")
        layer = len(layers) - 1

    if isinstance(layer, str):
        if isinstance(head, int):
            sentences.append(f"All layers together have no head {head}; the mean over their heads is shown.")
            head = "mean"
        n_query, n_key = (groups or {}).get(layer, (max(n for _, n, _ in layers), max(n for *_, n in layers)))
    else:
        n_heads, n_query, n_key = layers[layer]
        if isinstance(head, int) and head >= n_heads:
            sentences.append(f"Layer {layer} has no head {head}; its last one, head {n_heads - 1}, is shown.")
            head = n_heads - 1

    query, key = view.query, view.key
    if query is not None and query >= n_query:
        sentences.append(f"There is no query token {query} among the {n_query} here; no query is selected.")
        query = None
    if key is not None and key >= n_key:
        sentences.append(f"There is no key token {key} among the {n_key} here; no key is selected.")
        key = None
    return replace(view, layer=layer, head=head, query=query, key=key), tuple(sentences)


def clamp_telling(
    view: View, source_language: str | None, target_language: str | None, *, chat: bool
) -> tuple[View, tuple[str, ...]]:
    """`view` with what its model was told as it read, and one sentence for each thing that it could not be told.

    The languages are the tokenizer's names (None: it is told none); `chat`: the chat template was put around the text.
    """
    sentences: list[str] = []
    for field, told in (("source_language", source_language), ("target_language", target_language)):
        asked = getattr(view, field)
        if not asked or asked == told:
            continue
        if told is not None and plain_name(asked) == plain_name(told):
            view = replace(view, **{field: told})
            continue
        used = "none is told to this model" if told is None else f"{told} was used"
        sentences.append(f"This model does not know {quoted(asked)} as the {_WORDS[field]}; {used}.")
        view = replace(view, **{field: ""})
    if view.chat and not chat:
        sentences.append("This model has no chat template: the text is read as it is.")
        view = replace(view, chat=False)
    return view, tuple(sentences)


def _layer(text: str) -> int | str:
    return text if re.fullmatch(r"all:[a-z]{1,20}:[a-z ]{1,30}", text) else whole(text)


def _head(text: str) -> int | str:
    return text if text in ("mean", "max") else whole(text)


def _question(text: str) -> str:
    """A question as plain data: names and numbers; whether it can be asked of this text, the engine says."""
    if not text:
        return ""
    try:
        plain = json.loads(text)
    except RecursionError:
        raise ValueError from None
    fits = isinstance(plain, dict) and isinstance(plain.get("question"), str) and len(text) <= LONGEST_QUESTION
    if not fits or any(isinstance(value, dict | list | float) for value in plain.values()):
        raise ValueError
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _model(text: str) -> str:
    if not text.strip() or len(text) > 500 or not text.isprintable():
        raise ValueError
    return text


_SWITCH = ("0 or 1", switch)
_LANGUAGE = ("the name of a language", shaped(r"[A-Za-z_-]{1,40}"))
_TOKEN = ("the number of a token, from 0", whole)
_METRIC = ("the name of a metric", shaped(r"[a-z_]{1,40}"))
_PARSERS: dict[str, tuple[str, Callable[[str], Value]]] = {
    "model": ("the name of a model", _model),
    "text": ("a text", str),
    "start": ("the number of a character, from 0", whole),
    "pair": ("a text", str),
    "target": ("a text", str),
    "source_language": _LANGUAGE,
    "target_language": _LANGUAGE,
    "chat": _SWITCH,
    "layer": ("a whole number from 0 or “all:” with the kind of layers", _layer),
    "head": ("a whole number from 0, “mean” or “max”", _head),
    "query": _TOKEN,
    "key": _TOKEN,
    "hide_special": _SWITCH,
    "hide_first": _SWITCH,
    "renormalise": _SWITCH,
    "words": _SWITCH,
    "by_norm": _SWITCH,
    "per_head_scale": _SWITCH,
    "threshold": ("a number from 0 to 1", share),
    "picture": ("one of heatmap, links, sentence", one_of(*PICTURES)),
    "step": ("the name of a step", shaped(r"[a-z]{1,20}")),
    "mode": ("one of story, numbers, formula, code", one_of(*MODES)),
    "metric": _METRIC,
    "metric_x": _METRIC,
    "metric_y": _METRIC,
    "sort": ("the name of a column, with “-” before it for largest first", shaped(r"-?[a-z_]{1,40}")),
    "only": ("conditions such as layer:3;entropy:2.5", shaped(r"([a-z_]{1,40}:[a-z0-9_*.+-]{1,40}(;|$)){0,3}")),
    "question": ("a question as it is copied from this page", _question),
    "edits": ("changes as they are copied from this page", verified),
    "unedited": _SWITCH,
    "fill": ("mean or zero", one_of("mean", "zero")),
}


def _used(field: str) -> str:
    """What happens instead, as the end of a sentence."""
    default = getattr(_DEFAULT, field)
    if default is None:
        return f"no {field} is selected"
    if isinstance(default, bool):
        return "it is on" if default else "it is off"
    return f"{default} was used" if default != "" else "none was used"


def _last(index: int | str, layers: Sequence[object]) -> int:
    return min(int(index), len(layers) - 1)


if {field.name for field in fields(View)} != set(PARAMETERS) or set(PARAMETERS) != set(_PARSERS):
    raise RuntimeError("every field of View needs a parameter name and a parser")

FIELDS = {
    name: Field(
        parameter,
        *_PARSERS[name],
        called=f"The {_WORDS.get(name, name)}",
        instead=_used(name),
        default=getattr(_DEFAULT, name),
        always=name in _ALWAYS,
    )
    for name, parameter in PARAMETERS.items()
}
_GIVEN = ("model", "text", "start", "pair", "target", "source_language", "target_language", "chat", "edits", "unedited")
_REPORTED = {name: field for name, field in FIELDS.items() if name not in _GIVEN}
