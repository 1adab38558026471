"""The view as a URL: what is on screen, as short query parameters, read back with forgiveness.

A link is versioned and complete: model, text, layer and head are always written out, so that an old link shows the same
picture after a default has changed. Reading never fails: what cannot be used is replaced by its default and named in a
plain sentence. These sentences quote the link: show them as text, never as markup.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import quote_plus

from attention_core.text.languages import plain_name

VERSION = 1
LINK_LIMIT = 4096  # bytes of the query string; longer ones are cut by some mail programs, proxies and chats
DEFAULT_TEXT = "The animal didn't cross the street because it was too tired."
PICTURES = ("heatmap", "links", "sentence")
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
}


def to_params(view: View) -> dict[str, str]:
    """Query parameters that stand for `view`: version, model, text, layer and head, and whatever is not the default."""
    params = {"v": str(VERSION)}
    for field, name in PARAMETERS.items():
        value = getattr(view, field)
        if field in _ALWAYS or value != getattr(_DEFAULT, field):
            params[name] = str(int(value)) if isinstance(value, bool) else str(value)
    return params


def from_params(params: Mapping[str, str | Sequence[str]]) -> tuple[View, tuple[str, ...]]:
    """The view that query parameters stand for, and one sentence for each value that could not be used.

    Never raises. Parameters with unknown names are left to others. Whether the model, layer, head and tokens exist is
    decided later, by `clamp`.
    """
    sentences: list[str] = []
    version = _single(params, "v", "version", sentences)
    if version is not None and version != str(VERSION):
        sentences.append(
            f"This link was made for version {_quoted(version)} of the view and this is version {VERSION}; "
            "what both know was used."
        )
    values: dict[str, Any] = {}
    for field, name in PARAMETERS.items():
        text = _single(params, name, _WORDS.get(field, field), sentences)
        if text is None:
            continue
        wanted, parse = _PARSERS[field]
        try:
            values[field] = parse(text)
        except ValueError:
            sentences.append(
                f"The {_WORDS.get(field, field)} in this link must be {wanted}, not {_quoted(text)}; {_used(field)}."
            )
    view = View(**values)
    if view.start and not view.text_read.strip():
        sentences.append(
            f"The text in this link ends before character {view.start + 1:,}: it is read from its beginning."
        )
        view = replace(view, start=0)
    return view, tuple(sentences)


def link(view: View) -> str | None:
    """`?v=1&m=…&t=…` for `view`; None if it would be longer than `LINK_LIMIT` bytes."""
    pairs = to_params(view).items()
    query = "&".join(f"{name}={quote_plus(well_formed(value))}" for name, value in pairs)
    return f"?{query}" if len(query) <= LINK_LIMIT else None


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
        sentences.append(
            f"There are no layers called {_quoted(layer)}; layer {_last(_DEFAULT.layer, layers)} is shown."
        )
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
        sentences.append(f"This model does not know {_quoted(asked)} as the {_WORDS[field]}; {used}.")
        view = replace(view, **{field: ""})
    if view.chat and not chat:
        sentences.append("This model has no chat template: the text is read as it is.")
        view = replace(view, chat=False)
    return view, tuple(sentences)


def _single(params: Mapping[str, str | Sequence[str]], name: str, words: str, sentences: list[str]) -> str | None:
    """The value of one parameter; of a repeated one, the last."""
    value = params.get(name)
    if value is None or isinstance(value, str):
        return value
    values = [str(item) for item in value]
    if len(values) > 1:
        sentences.append(f"This link gives the {words} {len(values)} times; the last one was used.")
    return values[-1] if values else None


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError
    return int(text)


def _layer(text: str) -> int | str:
    return text if re.fullmatch(r"all:[a-z]{1,20}:[a-z ]{1,30}", text) else _whole(text)


def _head(text: str) -> int | str:
    return text if text in ("mean", "max") else _whole(text)


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError
    return text == "1"


def _share(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise ValueError
    return value


def _picture(text: str) -> str:
    if text not in PICTURES:
        raise ValueError
    return text


def _step(text: str) -> str:
    if not re.fullmatch(r"[a-z]{1,20}", text):
        raise ValueError
    return text


def _mode(text: str) -> str:
    if text not in MODES:
        raise ValueError
    return text


def _metric(text: str) -> str:
    if not re.fullmatch(r"[a-z_]{1,40}", text):
        raise ValueError
    return text


def _sort(text: str) -> str:
    return text[:1] + _metric(text[1:]) if text.startswith("-") else _metric(text)


def _only(text: str) -> str:
    if not re.fullmatch(r"([a-z_]{1,40}:[a-z0-9_*.+-]{1,40}(;|$)){0,3}", text):
        raise ValueError
    return text


def _model(text: str) -> str:
    if not text.strip() or len(text) > 500 or not text.isprintable():
        raise ValueError
    return text


def _language(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_-]{1,40}", text):
        raise ValueError
    return text


_SWITCH = ("0 or 1", _switch)
_PARSERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "model": ("the name of a model", _model),
    "text": ("a text", str),
    "start": ("the number of a character, from 0", _whole),
    "pair": ("a text", str),
    "target": ("a text", str),
    "source_language": ("the name of a language", _language),
    "target_language": ("the name of a language", _language),
    "chat": _SWITCH,
    "layer": ("a whole number from 0 or “all:” with the kind of layers", _layer),
    "head": ("a whole number from 0, “mean” or “max”", _head),
    "query": ("the number of a token, from 0", _whole),
    "key": ("the number of a token, from 0", _whole),
    "hide_special": _SWITCH,
    "hide_first": _SWITCH,
    "renormalise": _SWITCH,
    "words": _SWITCH,
    "by_norm": _SWITCH,
    "per_head_scale": _SWITCH,
    "threshold": ("a number from 0 to 1", _share),
    "picture": ("one of heatmap, links, sentence", _picture),
    "step": ("the name of a step", _step),
    "mode": ("one of story, numbers, formula, code", _mode),
    "metric": ("the name of a metric", _metric),
    "metric_x": ("the name of a metric", _metric),
    "metric_y": ("the name of a metric", _metric),
    "sort": ("the name of a column, with “-” before it for largest first", _sort),
    "only": ("conditions such as layer:3;entropy:2.5", _only),
}


def _used(field: str) -> str:
    """What happened instead, as the end of a sentence."""
    default = getattr(_DEFAULT, field)
    if default is None:
        return f"no {field} is selected"
    if isinstance(default, bool):
        return "it is on" if default else "it is off"
    return f"{default} was used" if default != "" else "none was used"


def _quoted(value: str) -> str:
    """A value of the link, short and printable, in quotation marks."""
    shown = "".join(character if character.isprintable() else "�" for character in value[:40])
    return f"“{shown}{'…' if len(value) > 40 else ''}”"


def well_formed(text: str) -> str:
    """`text` with lone surrogates, which no URL can hold, as U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _last(index: Any, layers: Sequence[Any]) -> int:
    return min(int(index), len(layers) - 1)


if {field.name for field in fields(View)} != set(PARAMETERS) or set(PARAMETERS) != set(_PARSERS):
    raise RuntimeError("every field of View needs a parameter name and a parser")
