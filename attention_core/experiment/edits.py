"""What can be changed in a run, as plain data: frozen, ordered, comparable, and the same again from JSON.

Layers are numbers in call order, as in `trace.layers`; heads, queries, keys and positions are numbers from 0. What each
edit does to numbers stands in `experiment/compiling`; here is what it is called and which of its fields go together.
"""

import json
from dataclasses import dataclass, fields
from functools import total_ordering
from typing import ClassVar, Literal, get_args

from attention_core.capturing.encode import CaptureError
from attention_core.formats.json_data import Json, JsonObject


class ExperimentError(CaptureError):
    """An edit, a question or a sweep that cannot be carried out here; the text is a plain sentence."""


Fill = Literal["zero", "mean", "resample"]
Cut = Literal["score", "weight"]
Rule = Literal["no scale", "no mask", "uniform", "hard max", "temperature", "previous", "itself", "other head"]
Part = Literal["z", "q", "k", "v", "pattern", "residual"]


@total_ordering
class Edit:
    """One change of a run. Edits are sorted by their plain form, so that a set of them always has one order."""

    __slots__ = ()
    name: ClassVar[str]

    def to_plain(self) -> JsonObject:
        """Names, numbers and texts alone, as JSON takes them; `edit_from_plain` makes the edit again."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]
        return {"edit": self.name} | {
            name: _listed(value) if isinstance(value, tuple) else value for name, value in values.items()
        }

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Edit):
            return NotImplemented
        return _sort_key(self) < _sort_key(other)

    @property
    def words(self) -> str:
        """The edit as a sentence without its full stop: what stands on everything that leaves an edited trace."""
        raise NotImplementedError

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that it changes itself, by number; () for one of the words."""
        return (self.layer,) if hasattr(self, "layer") else ()  # type: ignore[attr-defined]


def _listed(value: tuple[object, ...]) -> list[object]:
    return [_listed(one) if isinstance(one, tuple) else one for one in value]


def _sort_key(edit: Edit) -> str:
    return json.dumps(edit.to_plain(), sort_keys=True)


@dataclass(frozen=True, slots=True)
class SwitchOff(Edit):
    """A head's z, its slot of what W_O reads, replaced at every position.

    "zero" by 0: far from what the model knows. "mean" by the mean of z over the positions of `texts`, or of this text
    if there are none. "resample" by z of the one text in `texts`, position by position. None means "resample" if there
    is exactly one text, else "mean".
    """

    name = "switch off"
    layer: int
    head: int
    how: Fill | None = None
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _whole(self, "layer", "head")
        _one_of(self, "how", (None, *get_args(Fill)))
        _require(self.how != "resample" or len(self.texts) == 1, "resample needs exactly one text in texts")
        _require(self.how != "zero" or not self.texts, "zero takes no texts")

    @property
    def fill(self) -> Fill:
        """How it is replaced, the default resolved."""
        return self.how or ("resample" if len(self.texts) == 1 else "mean")

    @property
    def words(self) -> str:
        over = f"over the positions of {len(self.texts)} texts" if self.texts else "over this text's positions"
        how = {
            "zero": "set to 0, which is far from what the model knows",
            "mean": f"set to its mean {over}",
            "resample": f"taken from the run of “{self.texts[0][:60]}”" if self.texts else "",
        }[self.fill]
        return f"layer {self.layer} head {self.head} switched off: what it gives is {how}"


@dataclass(frozen=True, slots=True)
class CutLink(Edit):
    """A query no longer reads some keys.

    "score": the score is −∞ and the row is renormalised, so that the other keys get what was cut. "weight": the weight
    is set to 0 and the row is not renormalised, so that it sums to less than 1. `head` None means all heads. `until` is
    the last of a window of layers that begins with `layer`. `query` None cuts the keys for every query that may read
    another one as well; rows that would have nothing left stay as they are, and it is said which.
    Source: Geva et al. 2023, "Dissecting Recall of Factual Associations", section 4 (−∞, windows of layers).
    """

    name = "cut a link"
    layer: int
    head: int | None
    query: int | None
    keys: tuple[int, ...]
    how: Cut = "score"
    until: int | None = None

    def __post_init__(self) -> None:
        _whole(self, "layer")
        _whole(self, "head", "query", "until", or_none=True)
        _require(bool(self.keys) and all(_is_whole(key) for key in self.keys), "keys are at least one number from 0")
        _one_of(self, "how", get_args(Cut))
        _require(self.until is None or self.until >= self.layer, "until is not before layer")

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(range(self.layer, (self.layer if self.until is None else self.until) + 1))

    @property
    def words(self) -> str:
        where = f"layer {self.layer}" if len(self.layers) == 1 else f"layers {self.layer} to {self.until}"
        who = "all heads" if self.head is None else f"head {self.head}"
        row = "every query that may read another key" if self.query is None else f"query {self.query}"
        kind = "score −∞, the row renormalised" if self.how == "score" else "weight 0, the row not renormalised"
        return f"{where} {who}: {row} no longer reads key {', '.join(map(str, self.keys))} ({kind})"


@dataclass(frozen=True, slots=True)
class ReplaceToken(Edit):
    """Another token at one place; the tokens stay as many. `token` None is the tokenizer's [MASK], where it has one."""

    name = "replace a word"
    position: int
    token: int | None = None
    target: bool = False  # of the decoder's text

    def __post_init__(self) -> None:
        _whole(self, "position")
        _whole(self, "token", or_none=True)

    @property
    def words(self) -> str:
        side = "the decoder's token" if self.target else "token"
        return f"{side} {self.position} replaced by {'[MASK]' if self.token is None else f'token number {self.token}'}"


@dataclass(frozen=True, slots=True)
class Break(Edit):
    """A head's weights made by another rule than the model's.

    "no scale": q·k is not multiplied by 1/√d (or whatever the model's scale is). "no mask": every key may be read,
    later ones too. "uniform": every key that may be read gets the same weight. "hard max": the largest becomes 1.
    "temperature": all scores ÷ `temperature`. "previous": every query reads the one before it (the first itself).
    "itself": every query reads itself. "other head": the weights of head `other` of the same layer.
    """

    name = "break it"
    layer: int
    head: int
    rule: Rule
    temperature: float | None = None
    other: int | None = None

    def __post_init__(self) -> None:
        _whole(self, "layer", "head")
        _one_of(self, "rule", get_args(Rule))
        _whole(self, "other", or_none=True)
        given = self.temperature
        _require(
            (self.rule == "temperature") == (given is not None), "a temperature goes with that rule, and only with it"
        )
        _require(given is None or (_is_number(given) and given > 0), "temperature is a number above 0")
        _require(
            (self.rule == "other head") == (self.other is not None), "other goes with “other head”, and only with it"
        )

    @property
    def words(self) -> str:
        how = {
            "no scale": "scores not scaled",
            "no mask": "no mask: it may look ahead",
            "uniform": "the same weight for every key that may be read",
            "hard max": "all weight on the largest",
            "temperature": f"scores ÷ {self.temperature}",
            "previous": "reads the token before",
            "itself": "reads the token itself",
            "other head": f"has the weights of head {self.other}",
        }[self.rule]
        return f"layer {self.layer} head {self.head}: {how}"


@dataclass(frozen=True, slots=True)
class ZeroValue(Edit):
    """The value of one key is 0 for a head, or for all heads of the layer (`head` None) as in the paper.

    The weights stay as they are. Heads that share a value share it still: only what this head reads is 0.
    Source: Mohebbi et al. 2023, "Quantifying Context Mixing in Transformers", section 3.
    """

    name = "zero a value"
    layer: int
    head: int | None
    key: int

    def __post_init__(self) -> None:
        _whole(self, "layer", "key")
        _whole(self, "head", or_none=True)

    @property
    def words(self) -> str:
        who = "all heads" if self.head is None else f"head {self.head}"
        return f"layer {self.layer} {who}: the value of key {self.key} set to 0"


@dataclass(frozen=True, slots=True)
class Patch(Edit):
    """Something of a second run put in the place of this run's: `part` of a head, or the residual stream.

    `text` is what the second run reads. `places` are pairs (position here, position there); () means every position,
    and then the two runs must be of one length: nothing is trimmed. "residual" is the stream that enters the layer's
    block, of no head. "k" and "v" belong to all heads that share them; "pattern" are the weights, rows by `places`.
    """

    name = "patch"
    layer: int
    head: int | None
    part: Part
    text: str
    places: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        _whole(self, "layer")
        _whole(self, "head", or_none=True)
        _one_of(self, "part", get_args(Part))
        _require((self.part == "residual") == (self.head is None), "the residual stream has no head; all else has one")
        paired = all(len(pair) == 2 and all(map(_is_whole, pair)) for pair in self.places)
        _require(paired, "places are pairs of positions: here, there")

    @property
    def words(self) -> str:
        what = "the residual stream before" if self.head is None else f"{self.part} of head {self.head} in"
        where = f" at {', '.join(str(here) for here, _ in self.places)}" if self.places else ""
        return f"{what} layer {self.layer}{where} taken from the run of “{self.text[:60]}”"


@dataclass(frozen=True, slots=True)
class Strengthen(Edit):
    """A head's z × `factor` at every position: 2 is twice as strong, 0 switches it off, below 0 turns it round."""

    name = "strengthen"
    layer: int
    head: int
    factor: float

    def __post_init__(self) -> None:
        _whole(self, "layer", "head")
        _require(_is_number(self.factor), "factor is a number")

    @property
    def words(self) -> str:
        return f"layer {self.layer} head {self.head}: what it gives × {self.factor:g}"


@dataclass(frozen=True, slots=True)
class AddDirection(Edit):
    """A direction added to the residual stream before a layer's block: the difference of two texts' last vectors there.

    factor × (stream of `plus` − stream of `minus`), each at its last token, at `positions` (() means at every one).
    """

    name = "add a direction"
    layer: int
    plus: str
    minus: str
    factor: float = 1.0
    positions: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _whole(self, "layer")
        _require(_is_number(self.factor), "factor is a number")
        _require(all(map(_is_whole, self.positions)), "positions are numbers from 0")

    @property
    def words(self) -> str:
        return (
            f"{self.factor:g} × (“{self.plus[:40]}” − “{self.minus[:40]}”) added to the residual stream before layer "
            f"{self.layer}"
        )


KINDS: dict[str, type[Edit]] = {
    kind.name: kind for kind in (SwitchOff, CutLink, ReplaceToken, Break, ZeroValue, Patch, Strengthen, AddDirection)
}


def edit_from_plain(plain: Json) -> Edit:
    """The edit that `to_plain` wrote. Raises ExperimentError naming what is not as it should be."""
    if not isinstance(plain, dict) or plain.get("edit") not in KINDS:
        raise ExperimentError(f"an edit is one of {', '.join(KINDS)}; got {plain!r:.80}")
    kind = KINDS[plain["edit"]]
    given = {name: _tupled(value) for name, value in plain.items() if name != "edit"}
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(given) - known):
        raise ExperimentError(f"“{kind.name}” has no {unknown[0]!r:.40}; it has {', '.join(sorted(known))}")
    try:
        return kind(**given)
    except TypeError as error:
        raise ExperimentError(f"“{kind.name}”: {str(error)[:120]}") from None


def edits_of(given: object) -> tuple[Edit, ...]:
    """One edit or several, as a tuple. Raises ExperimentError for anything else."""
    listed = (given,) if isinstance(given, Edit) else tuple(given) if isinstance(given, tuple | list) else None
    if listed is None or not all(isinstance(one, Edit) for one in listed):
        raise ExperimentError(f"edits are a tuple of edits, such as SwitchOff(0, 1); got {given!r:.80}")
    return listed


def _tupled(value: Json) -> Json:
    return tuple(_tupled(one) for one in value) if isinstance(value, list | tuple) else value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _whole(edit: Edit, *names: str, or_none: bool = False) -> None:
    for name in names:
        value = getattr(edit, name)
        if not _is_whole(value) and not (or_none and value is None):
            raise ExperimentError(f"“{edit.name}”: {name} is a number from 0{' or None' * or_none}; got {value!r:.40}")


def _one_of(edit: Edit, name: str, allowed: tuple[object, ...]) -> None:
    if getattr(edit, name) not in allowed:
        shown = ", ".join(f"“{one}”" for one in allowed if one is not None)
        raise ExperimentError(f"“{edit.name}”: {name} is one of {shown}; got {getattr(edit, name)!r:.40}")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ExperimentError(f"an edit does not go together: {what}")
