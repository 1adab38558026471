"""The Lab: attention on numbers small enough to see, and to change.

A `LabState` is everything that the Lab shows, as plain numbers: immutable, hashable, compared with ==, checked when it
is made. An edit makes a new state or raises ValueError with one plain sentence, so whoever holds the last good state
keeps it. All arithmetic is float64, by the one formula (`formula.attention.attend`).

    state = presets.PRESETS["animal"].state
    history = History(state)                     # .did(state) .undone() .redone() .reset(); .now is the state shown
    state = edits.with_cell(state, "w_q", 0, 1, parse_cell("0.5"))  # row, column of the whole matrix, all heads
    found = run.run(state)                   # LabRun: .matrices in the order they are computed, .of("weights", 0)
    text = link.to_link(state)               # any state; one longer than link.LINK_LIMIT is no address
    state = link.from_link(text)

| module | what is in it |
|---|---|
| `state` | `LabState`, `Switches`, `RealHead`, `History`, `parse_cell`, `allowed_pairs` |
| `edits` | `with_cell`, `with_words`, `with_switch`, `with_shape`, `moved`, `shuffled`, `randomised`, `to_real` |
| `run` | `run` → `LabRun` of `LabMatrix`: symbol, name, formula, operands, labels, tensor; `row_alone` |
| `facts` | `compare` with the standard, a sentence for each switch, numbers of each head, arrows in the plane |
| `presets` | `PRESETS`, each with its claim and a task that checks itself |
| `seed` | `from_trace`: q, k, v of a real head over a few tokens |
| `link` | `to_link`, `from_link` |
| `code`, `sheet`, `svg` | `python_source`, `spreadsheet` with live formulas, `matrix_svg` |
"""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.formula.masks import causal_mask, window_mask

VERSION = 1

Cells = tuple[tuple[float, ...], ...]  # a matrix, row by row
MatrixName = Literal["x", "w_q", "w_k", "w_v", "w_o", "q", "k", "v"]
SoftmaxKind = Literal["softmax", "none", "hard max"]
PositionsKind = Literal["none", "sinusoidal", "rotary", "alibi"]

MIN_WORDS, MAX_WORDS = 3, 8
MIN_D_MODEL, MAX_D_MODEL = 2, 16
MAX_HEADS = 4
MAX_JOINED = 64  # n_heads · d_head: one head of 64 for the lesson on scaling, or several of the same total size
MAX_REAL = 256  # d_head of a real head
MAX_VALUE = 1e4
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 100.0
WORD_LENGTH = 24  # characters
MAPPED: tuple[MatrixName, ...] = ("x", "w_q", "w_k", "w_v", "w_o")
DIRECT: tuple[MatrixName, ...] = ("q", "k", "v")
NAMES = {"x": "X", "w_q": "W_Q", "w_k": "W_K", "w_v": "W_V", "w_o": "W_O", "q": "Q", "k": "K", "v": "V"}


def parse_cell(text: str) -> float:
    """The number that a cell's text stands for, with a point or a comma, an ASCII or a typographic minus.

    Raises ValueError with a sentence for the reader: an empty cell, a word, NaN, ∞, or a magnitude above MAX_VALUE.
    """
    shown = text.strip()
    if not shown:
        raise ValueError("The cell is empty; type a number, for example 0 or -0.5.")
    plain = shown.replace("−", "-").replace(",", ".", 1).replace("∞", "inf")
    try:
        value = float(plain) if len(plain) <= 64 and "_" not in plain else None
    except ValueError:
        value = None
    if value is None:
        raise ValueError(f"“{_short(shown)}” is not a number; type one such as 0.5, -2 or 1e-3.")
    return checked_value(value, _short(shown))


def checked_value(value: float, shown: str = "") -> float:
    """`value` if a cell may hold it; -0 becomes 0. Raises ValueError with a sentence for the reader."""
    shown = shown or f"{value:g}"
    if math.isnan(value):
        raise ValueError(f"“{shown}” is not a number; a cell must hold a finite one.")
    if not abs(value) <= MAX_VALUE:
        what = "infinite" if math.isinf(value) else "too large"
        raise ValueError(f"“{shown}” is {what}: a cell holds numbers from -{MAX_VALUE:,.0f} to {MAX_VALUE:,.0f}.")
    return value + 0.0


def cells_of(rows: Float[Tensor, "row column"] | Sequence[Sequence[float | int]]) -> Cells:
    """A tensor or lists of numbers as cells. Raises ValueError if a cell may not hold a value."""
    listed: Sequence[Sequence[float | int]] = rows.tolist() if isinstance(rows, Tensor) else rows
    return tuple(tuple(checked_value(float(value)) for value in row) for row in listed)


@dataclass(frozen=True, slots=True)
class Switches:
    """What can be switched; the values here are the standard that a consequence is shown against."""

    scale: bool = True  # ÷ √d_k, or × the real head's own factor
    causal: bool = False
    padding: tuple[int, ...] = ()  # words that nobody may look at, by index
    window: int | None = None  # a word sees at most so many words to either side; None: all
    softmax: SoftmaxKind = "softmax"
    temperature: float = 1.0  # scores are divided by it
    positions: PositionsKind = "none"


@dataclass(frozen=True, slots=True)
class RealHead:
    """Where copied q, k and v come from, and their real values."""

    model: str
    place: str  # "encoder self layer 2"
    layer: int
    head: int
    tokens: tuple[int, ...]  # indices into the trace's tokens, one for each word
    scale: float  # the model's own factor of q·k
    q: Cells
    k: Cells
    v: Cells
    bias: Cells | None = None  # the head's own additive term, [word word]
    allowed: tuple[tuple[bool, ...], ...] | None = None  # the model's own mask over these words; None: all may be read
    notes: tuple[str, ...] = ()  # what of the real head is not here, a sentence each


@dataclass(frozen=True, slots=True)
class LabState:
    """Words and matrices. Either x and the four maps, or (of a real head) q, k and v themselves.

    Shapes: x [word, d_model]; w_q, w_k, w_v [d_model, n_heads · d_head]; w_o [n_heads · d_head, d_model];
    q, k [word, d_head], v [word, d_value] with one head. Raises ValueError, in one sentence, for anything else.
    """

    words: tuple[str, ...]
    x: Cells = ()
    w_q: Cells = ()
    w_k: Cells = ()
    w_v: Cells = ()
    w_o: Cells = ()
    n_heads: int = 1
    switches: Switches = field(default_factory=Switches)
    features: tuple[str, ...] = ()  # what the components of x stand for, if they have names
    q: Cells = ()
    k: Cells = ()
    v: Cells = ()
    real: RealHead | None = None

    def __post_init__(self) -> None:
        _check_words(self.words)
        if not 1 <= self.n_heads <= MAX_HEADS:
            raise ValueError(f"The Lab has 1 to {MAX_HEADS} heads; got {self.n_heads}.")
        if self.real is None:
            _check_mapped(self)
        else:
            _check_direct(self)
        _check_switches(self)

    @property
    def direct(self) -> bool:
        """q, k and v are the cells; there is no x and no map."""
        return self.real is not None

    @property
    def matrices(self) -> tuple[MatrixName, ...]:
        """The matrices whose cells can be edited."""
        return DIRECT if self.direct else MAPPED

    @property
    def n_words(self) -> int:
        """Words of the sentence: rows of x, q, k and v."""
        return len(self.words)

    @property
    def d_model(self) -> int:
        """0 for a real head, which has no x here."""
        return len(self.x[0]) if self.x else 0

    @property
    def d_head(self) -> int:
        """Components of one query or key: d_k."""
        return len((self.q or self.w_q)[0]) // self.n_heads

    @property
    def d_value(self) -> int:
        """Components of one value vector: d_v."""
        return len((self.v or self.w_v)[0]) // self.n_heads

    def cells(self, name: str) -> Cells:
        """One of `matrices` by name. Raises ValueError for another name."""
        if name not in self.matrices:
            raise ValueError(f"There is no matrix “{_short(name)}” here; there are {', '.join(self.matrices)}.")
        return getattr(self, name)

    def tensor(self, name: str) -> Float[Tensor, "row column"]:
        """One of `matrices` in float64."""
        return torch.tensor(self.cells(name), dtype=torch.float64)


@dataclass(frozen=True, slots=True)
class History:
    """The state shown, those before it and those undone. Immutable: every step makes a new one."""

    now: LabState
    past: tuple[LabState, ...] = ()
    future: tuple[LabState, ...] = ()  # the next one to redo last
    first: LabState | None = None  # what `reset` goes back to; None: the oldest
    limit: int = 200

    def did(self, state: LabState) -> "History":
        """After an edit. An edit that changes nothing is no step."""
        if state == self.now:
            return self
        return replace(self, now=state, past=(*self.past, self.now)[-self.limit :], future=(), first=self.start)

    def undone(self) -> "History":
        """One step back; itself where there is none."""
        if not self.past:
            return self
        return replace(self, now=self.past[-1], past=self.past[:-1], future=(*self.future, self.now), first=self.start)

    def redone(self) -> "History":
        """One undone step forth again; itself where there is none."""
        if not self.future:
            return self
        return replace(
            self, now=self.future[-1], past=(*self.past, self.now), future=self.future[:-1], first=self.start
        )

    def reaching(self, state: LabState) -> "Iterator[History]":
        """Every place of this history where `state` is shown, the nearest first: so many steps undone or redone."""
        back = forth = self
        while back or forth:
            for place in (back, forth):
                if place and place.now == state:
                    yield place
            back = back.undone() if back and back.past else None
            forth = forth.redone() if forth and forth.future else None

    def reset(self) -> "History":
        """Back to the start, which is an edit and can be undone."""
        return self.did(self.start)

    @property
    def start(self) -> LabState:
        """The state that `reset` goes back to."""
        return self.first or (self.past[0] if self.past else self.now)

    @property
    def can_undo(self) -> bool:
        """Whether `undone` would change anything."""
        return bool(self.past)

    @property
    def can_redo(self) -> bool:
        """Whether `redone` would change anything."""
        return bool(self.future)


def allowed_pairs(switches: Switches, n_words: int, real: RealHead | None = None) -> Bool[Tensor, "query key"] | None:
    """Who may look at whom, by all masks together; None where everybody may look at everybody."""
    masks = []
    if switches.causal:
        masks.append(causal_mask(n_words))
    if switches.window is not None:
        masks.append(window_mask(n_words, back=switches.window, ahead=switches.window))
    if switches.padding:
        present = torch.ones(n_words, dtype=torch.bool)
        present[list(switches.padding)] = False
        masks.append(present.expand(n_words, n_words))
    if real is not None and real.allowed is not None:
        masks.append(torch.tensor(real.allowed, dtype=torch.bool))
    if not masks:
        return None
    return torch.stack(masks).all(dim=0)


def _check_words(words: tuple[str, ...]) -> None:
    if not MIN_WORDS <= len(words) <= MAX_WORDS:
        raise ValueError(f"The Lab takes {MIN_WORDS} to {MAX_WORDS} words; got {len(words)}.")
    _check_labels(words, "word")


def _check_labels(labels: tuple[str, ...], what: str) -> None:
    for label in labels:
        if not label.strip():
            raise ValueError(f"A {what} is empty; every row and column needs one.")
        if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in label):
            raise ValueError(
                f"A {what} is one line of text; “{_short(repr(label)[1:-1])}” holds a character that is not."
            )
        if len(label) > WORD_LENGTH:
            raise ValueError(f"A {what} has at most {WORD_LENGTH} characters; “{_short(label)}” has {len(label)}.")


def _check_mapped(state: LabState) -> None:
    if state.q or state.k or state.v:
        raise ValueError("q, k and v are cells of their own only for a real head; this state has none.")
    d_model = len(state.x[0]) if state.x else 0
    if not MIN_D_MODEL <= d_model <= MAX_D_MODEL:
        raise ValueError(f"An embedding has {MIN_D_MODEL} to {MAX_D_MODEL} numbers; got {d_model}.")
    if state.features and len(state.features) != d_model:
        raise ValueError(f"{d_model} components need {d_model} names or none; got {len(state.features)}.")
    _check_labels(state.features, "component's name")
    joined = len(state.w_q[0]) if state.w_q else 0
    if not 1 <= joined <= MAX_JOINED:
        raise ValueError(f"Heads times d_k must be 1 to {MAX_JOINED}; got {joined}.")
    if joined % state.n_heads:
        raise ValueError(f"{joined} columns cannot be shared evenly among {state.n_heads} heads.")
    _check_shape("x", state.x, (state.n_words, d_model))
    for name in ("w_q", "w_k", "w_v"):
        _check_shape(name, getattr(state, name), (d_model, joined))
    _check_shape("w_o", state.w_o, (joined, d_model))


def _check_direct(state: LabState) -> None:
    real = state.real
    assert real is not None  # for the type checker: the caller looked
    if any((state.x, state.w_q, state.w_k, state.w_v, state.w_o, state.features)) or state.n_heads != 1:
        raise ValueError("A real head is one head of q, k and v alone; x, maps and further heads do not belong to it.")
    widths = [len(cells[0]) if cells else 0 for cells in (state.q, state.k, state.v)]
    if widths[0] != widths[1] or not all(1 <= width <= MAX_REAL for width in widths):
        raise ValueError(f"q and k need the same 1 to {MAX_REAL} components, v as many or others; got {widths}.")
    for name, width in zip(DIRECT, widths, strict=True):
        _check_shape(name, getattr(state, name), (state.n_words, width))
        _check_shape(name, getattr(real, name), (state.n_words, width))
    if len(real.tokens) != state.n_words:
        raise ValueError(f"{state.n_words} words need {state.n_words} tokens; got {len(real.tokens)}.")
    if not (math.isfinite(real.scale) and 0 < abs(real.scale) <= MAX_VALUE):
        raise ValueError(f"The real head's factor must be a finite number; got {real.scale:g}.")
    if real.bias is not None:
        _check_shape("bias", real.bias, (state.n_words, state.n_words))
    if real.allowed is not None and [len(row) for row in real.allowed] != [state.n_words] * state.n_words:
        raise ValueError(f"The real head's mask must be {state.n_words} × {state.n_words}.")


def _check_shape(name: str, cells: Cells, shape: tuple[int, int]) -> None:
    rows = {len(row) for row in cells}
    if len(cells) != shape[0] or rows != {shape[1]}:
        got = f"{len(cells)} × {'/'.join(map(str, sorted(rows))) or 0}"
        raise ValueError(f"{NAMES.get(name, name)} must be {shape[0]} × {shape[1]}; got {got}.")
    for i, row in enumerate(cells):
        for j, value in enumerate(row):
            if not abs(value) <= MAX_VALUE:  # false for NaN as well
                raise ValueError(
                    f"{NAMES.get(name, name)} has {value:g} in row {i + 1}, column {j + 1}; "
                    f"a cell holds numbers from -{MAX_VALUE:,.0f} to {MAX_VALUE:,.0f}."
                )


def _check_switches(state: LabState) -> None:
    switches, n = state.switches, state.n_words
    if switches.softmax not in get_args(SoftmaxKind):
        raise ValueError(f"softmax must be one of {get_args(SoftmaxKind)}; got {switches.softmax!r}.")
    if switches.positions not in get_args(PositionsKind):
        raise ValueError(f"positions must be one of {get_args(PositionsKind)}; got {switches.positions!r}.")
    if not MIN_TEMPERATURE <= switches.temperature <= MAX_TEMPERATURE:
        raise ValueError(
            f"The temperature is a number from {MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}; "
            f"got {switches.temperature:g}."
        )
    if switches.window is not None and not 0 <= switches.window < MAX_WORDS:
        raise ValueError(f"The window reaches 0 to {MAX_WORDS - 1} words; got {switches.window}.")
    if list(switches.padding) != sorted(set(switches.padding) & set(range(n))):
        raise ValueError(f"Padding names words from 0 to {n - 1}, in order and once; got {switches.padding}.")
    if state.direct and switches.positions == "sinusoidal":
        raise ValueError(
            "Sinusoidal positions are added to x, and a real head has only q, k and v here; take rotary or ALiBi."
        )
    allowed = allowed_pairs(switches, n, state.real)
    if allowed is None:
        return
    empty = [state.words[i] for i in (~allowed.any(dim=-1)).nonzero()[:, 0].tolist()]
    if empty:
        named = ", ".join(f"“{_short(word)}”" for word in empty)
        raise ValueError(
            f"{named} would have nothing to look at: the masks leave no word to it, and a softmax over nothing is 0/0. "
            "Take back a padding word, widen the window or switch the causal mask off."
        )


def _short(text: str) -> str:
    return text if len(text) <= WORD_LENGTH else text[: WORD_LENGTH - 1] + "…"
