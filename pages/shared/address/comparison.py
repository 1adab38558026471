"""What Compare shows beside the view (which is A), as short query parameters, read back with forgiveness.

B is what A is but for what is said here: another text, another model, another head. An empty model or text, and a layer
or head that is None, are A's. The names of the parameters are none of those of `address.view` and `address.growth`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from attention_core.formats.fields import Field, Value, one_of, read, reported, switch, whole
from attention_core.formats.fields import to_params as params_of
from attention_core.formats.json_data import JsonMapping

VERSION = "1"


@dataclass(frozen=True, slots=True)
class ComparedView:
    """What B is, where in it, and how the two are put beside each other."""

    version: str = VERSION  # always in the link: it says that there is a B
    model: str = ""  # "": A's
    text: str = ""  # "": A's texts
    pair: str = ""
    target: str = ""
    layer: int | None = None  # None: A's
    head: int | str | None = None  # a number, "mean" or "max"; None: A's
    query: int | None = None  # of a row that A has not: B's token
    key: int | None = None
    fixed: str = ""  # "3-4_6-5": tokens of A and of B that were put together by hand
    own_scale: bool = False  # colours of A − B up to its own largest difference, not to ±1

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The tokens that were put together by hand, rising."""
        return pairs_in(self.fixed)


PARAMETERS = {  # field → parameter; the order is the order in the link
    "version": "b",
    "model": "bm",
    "text": "bt",
    "pair": "bp",
    "target": "bd",
    "layer": "bl",
    "head": "bh",
    "query": "bq",
    "key": "bk",
    "fixed": "bx",
    "own_scale": "bs",
}
_DEFAULT = ComparedView()


def to_params(view: ComparedView) -> dict[str, str]:
    """Whatever of B is not A's."""
    return params_of(view, FIELDS)


def from_params(params: Mapping[str, str]) -> tuple[ComparedView, tuple[str, ...]]:
    """What the parameters stand for, and a sentence for each value that could not be used. Never raises."""
    values, sentences = read(params, FIELDS)
    return ComparedView(**values), sentences


def from_report(report: JsonMapping, before: ComparedView) -> ComparedView:
    """What the browser reports (JSON, each name with `b_` before it); what is no such value stays as it was."""
    told = {name.removeprefix("b_"): value for name, value in report.items() if name.startswith("b_")}
    return replace(before, **reported(told, _REPORTED))


def pairs_in(fixed: str) -> tuple[tuple[int, int], ...]:
    """Pairs of tokens such as "3-4_6-5", rising. Raises ValueError for anything else, or pairs that cross."""
    if not fixed:
        return ()
    pairs = []
    for part in fixed.split("_"):
        one, dash, other = part.partition("-")
        if not dash:
            raise ValueError(f"two tokens are put together as 3-4, not as {part[:20]!r}")
        pairs.append((whole(one), whole(other)))
    if len(pairs) > 64 or any(a[0] >= b[0] or a[1] >= b[1] for a, b in zip(pairs, pairs[1:], strict=False)):
        raise ValueError("tokens that are put together must not cross, and be 64 pairs at most")
    return tuple(pairs)


def _fixed(text: str) -> str:
    pairs_in(text)
    return text


def _head(text: str) -> int | str:
    return text if text in ("mean", "max") else whole(text)


def _model(text: str) -> str:
    if len(text) > 500 or not text.isprintable():
        raise ValueError
    return text


_TOKEN = ("the number of a token, from 0", whole)
_PARSERS: dict[str, tuple[str, Callable[[str], Value]]] = {
    "version": (f"{VERSION}, as this page writes it", one_of(VERSION)),
    "model": ("the name of a model", _model),
    "text": ("a text", str),
    "pair": ("a text", str),
    "target": ("a text", str),
    "layer": ("the number of a layer, from 0", whole),
    "head": ("the number of a head, from 0, “mean” or “max”", _head),
    "query": _TOKEN,
    "key": _TOKEN,
    "fixed": ("pairs of tokens such as 3-4_6-5 that do not cross", _fixed),
    "own_scale": ("0 or 1", switch),
}
_CALLED = {
    "version": "The version of the comparison",
    "fixed": "What was put together by hand",
    "own_scale": "“Scale to the largest difference”",
}
if {field.name for field in fields(ComparedView)} != set(PARAMETERS) or set(PARAMETERS) != set(_PARSERS):
    raise RuntimeError("every field of ComparedView needs a parameter name and a parser")

FIELDS = {
    name: Field(
        parameter,
        *_PARSERS[name],
        called=_CALLED.get(name, f"B’s {name}"),
        instead="it was left out",
        default=getattr(_DEFAULT, name),
        always=name == "version",
    )
    for name, parameter in PARAMETERS.items()
}
_REPORTED = {name: FIELDS[name] for name in ("layer", "head", "query", "key", "fixed", "own_scale")}
