"""Edits of a Lab state: each returns a new state, or raises ValueError with one sentence."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from attention_core.formats.json_data import Json
from attention_core.lab.state import (
    DIRECT,
    MAPPED,
    MAX_D_MODEL,
    MAX_HEADS,
    MAX_JOINED,
    MIN_D_MODEL,
    NAMES,
    Cells,
    LabState,
    Switches,
    checked_value,
)

T = TypeVar("T")  # of what stands in a row


def with_cell(state: LabState, matrix: str, row: int, column: int, value: float | int) -> LabState:
    """One cell changed; `column` counts over all heads."""
    cells = state.cells(matrix)
    if not (0 <= row < len(cells) and 0 <= column < len(cells[0])):
        raise ValueError(
            f"{NAMES[matrix]} is {len(cells)} × {len(cells[0])}; it has no row {row + 1}, column {column + 1}."
        )
    line = (*cells[row][:column], checked_value(float(value)), *cells[row][column + 1 :])
    return _with(state, {matrix: (*cells[:row], line, *cells[row + 1 :])})


def with_cells(state: LabState, matrix: str, cells: Cells) -> LabState:
    """A whole matrix changed, of the same shape."""
    old = state.cells(matrix)
    if [len(row) for row in cells] != [len(row) for row in old]:
        got = f"{len(cells)} × {'/'.join(sorted({str(len(row)) for row in cells})) or 0}"
        raise ValueError(f"{NAMES[matrix]} must be {len(old)} × {len(old[0])}; got {got}.")
    return _with(state, {matrix: tuple(tuple(checked_value(float(value)) for value in row) for row in cells)})


def with_switch(state: LabState, **switches: Json) -> LabState:
    """Switches by name: `with_switch(state, causal=True)`. `n_heads` regroups the same columns into other heads."""
    unknown = set(switches) - {field.name for field in fields(Switches)} - {"n_heads"}
    if unknown:
        raise ValueError(f"There is no switch {', '.join(sorted(unknown))}.")
    n_heads = switches.pop("n_heads", state.n_heads)
    return replace(state, n_heads=n_heads, switches=replace(state.switches, **switches))


def with_words(state: LabState, words: tuple[str, ...]) -> LabState:
    """Other words. A word that was there keeps its row, also at another place.

    A renamed one keeps the row of its place, a new one gets an embedding made from its letters.
    """
    if state.direct:
        raise ValueError("These rows are copied from a real head; choose other tokens there to see other words.")
    left = list(range(state.n_words))
    rows: list[int | None] = []
    for word in words:
        row = next((i for i in left if state.words[i] == word), None)
        if row is not None:
            left.remove(row)
        rows.append(row)
    if len(words) == state.n_words:
        for place, row in enumerate(rows):
            if row is None and place in left:
                left.remove(place)
                rows[place] = place
    x = tuple(
        embedding(word, state.d_model) if row is None else state.x[row] for word, row in zip(words, rows, strict=True)
    )
    padding = tuple(place for place, row in enumerate(rows) if row in state.switches.padding)
    return replace(state, words=words, x=x, switches=replace(state.switches, padding=padding))


def reordered(state: LabState, order: tuple[int, ...]) -> LabState:
    """The same words with their rows in another order; word `order[i]` comes to place i."""
    if sorted(order) != list(range(state.n_words)):
        raise ValueError(f"An order names each of {state.n_words} words once; got {order}.")

    def rows(cells: Sequence[T]) -> tuple[T, ...]:
        return tuple(cells[i] for i in order)

    def square(cells: Sequence[Sequence[T]] | None) -> tuple[tuple[T, ...], ...] | None:
        return None if cells is None else tuple(rows(row) for row in rows(cells))

    matrices = [name for name in state.matrices if name in ("x", *DIRECT)]
    changed: dict[str, Any] = {name: rows(state.cells(name)) for name in matrices}  # fields of `LabState`, by name
    if state.real is not None:
        real = state.real
        changed["real"] = replace(
            real, tokens=rows(real.tokens), q=rows(real.q), k=rows(real.k), v=rows(real.v),
            bias=square(real.bias), allowed=square(real.allowed),
        )  # fmt: skip
    padding = tuple(sorted(order.index(i) for i in state.switches.padding))
    return replace(state, words=rows(state.words), switches=replace(state.switches, padding=padding), **changed)


def moved(state: LabState, word: int, to: int) -> LabState:
    """One word taken out and put in at another place."""
    if not (0 <= word < state.n_words and 0 <= to < state.n_words):
        raise ValueError(f"There are places 1 to {state.n_words}; got {word + 1} and {to + 1}.")
    rest = [i for i in range(state.n_words) if i != word]
    return reordered(state, (*rest[:to], word, *rest[to:]))


def shuffle_order(n_words: int, seed: int) -> tuple[int, ...]:
    """An order in which at least one word has moved; the same for the same seed."""
    generator = random.Random(f"order {seed}")
    order = list(range(n_words))
    while order == sorted(order):
        generator.shuffle(order)
    return tuple(order)


def shuffled(state: LabState, seed: int) -> LabState:
    """The words in another order, each with its row."""
    return reordered(state, shuffle_order(state.n_words, seed))


def randomised(state: LabState, seed: int) -> LabState:
    """All matrices drawn anew, to two decimals; the same seed gives the same numbers on every machine.

    x and q, k, v are uniform with variance 1 (from -√3 to √3), maps with variance 1/rows: products keep variance 1.
    """
    drawn = {}
    for name in state.matrices:
        cells = state.cells(name)
        rows, columns = len(cells), len(cells[0])
        drawn[name] = random_cells(rows, columns, 3**0.5 / (rows**0.5 if name in MAPPED[1:] else 1), f"{name} {seed}")
    return _with(state, drawn)


def with_shape(
    state: LabState, *, d_model: int | None = None, d_head: int | None = None, n_heads: int | None = None
) -> LabState:
    """Other sizes. What fits stays, head by head.

    New cells of x come from the word's letters; those of maps are drawn once for all, with variance 1/d_model, so that
    a size gone through there and back gives the same numbers.
    """
    if state.direct:
        raise ValueError("A real head has the size that it has; take a preset to choose sizes.")
    width, heads, channels = (
        old if new is None else new
        for new, old in ((d_head, state.d_head), (n_heads, state.n_heads), (d_model, state.d_model))
    )
    if not MIN_D_MODEL <= channels <= MAX_D_MODEL:
        raise ValueError(f"An embedding has {MIN_D_MODEL} to {MAX_D_MODEL} numbers; got {channels}.")
    if not 1 <= heads <= MAX_HEADS:
        raise ValueError(f"The Lab has 1 to {MAX_HEADS} heads; got {heads}.")
    if width < 1 or width * heads > MAX_JOINED:
        raise ValueError(f"Heads times d_k must be 1 to {MAX_JOINED}; got {heads} × {width}.")

    def source(column: int) -> int | None:
        head, dim = divmod(column, width)
        return head * state.d_head + dim if head < state.n_heads and dim < state.d_head else None

    columns = [source(column) for column in range(heads * width)]
    embeddings = (embedding(word, channels) for word in state.words)
    x = tuple((*row, *new[len(row) :])[:channels] for row, new in zip(state.x, embeddings, strict=True))

    def into(name: str, cells: Cells) -> Cells:
        fresh = [_fresh(f"{name} {i}", MAX_JOINED * MAX_HEADS, channels) for i in range(channels)]
        return tuple(
            tuple(
                cells[i][c] if i < state.d_model and c is not None else fresh[i][place]
                for c, place in zip(columns, places, strict=True)
            )
            for i in range(channels)
        )

    places = [column % width * MAX_HEADS + column // width for column in range(heads * width)]  # of a dim of a head
    w_o = tuple(
        tuple(
            state.w_o[c][i] if i < state.d_model and c is not None else new
            for i, new in enumerate(_fresh(f"w_o {place}", channels, channels))
        )
        for c, place in zip(columns, places, strict=True)
    )
    features = state.features
    if features:
        features = (*features, *(f"x{i + 1}" for i in range(len(features), channels)))[:channels]
    return replace(
        state, x=x, w_q=into("w_q", state.w_q), w_k=into("w_k", state.w_k), w_v=into("w_v", state.w_v), w_o=w_o,
        n_heads=heads, features=features,
    )  # fmt: skip


def to_real(state: LabState, matrix: str | None = None, row: int | None = None, column: int | None = None) -> LabState:
    """Back to the real head's values: one cell, one matrix, or all."""
    if state.real is None:
        raise ValueError("These numbers were not copied from a real head.")
    if matrix is None:
        return _with(state, {name: getattr(state.real, name) for name in DIRECT})
    state.cells(matrix)
    cells: Cells = getattr(state.real, matrix)
    if row is None or column is None:
        return _with(state, {matrix: cells})
    if not (0 <= row < len(cells) and 0 <= column < len(cells[0])):
        raise ValueError(f"{NAMES[matrix]} is {len(cells)} × {len(cells[0])}; got row {row + 1}, column {column + 1}.")
    return with_cell(state, matrix, row, column, cells[row][column])


def changed_from_real(state: LabState) -> dict[str, tuple[tuple[int, int], ...]]:
    """The cells of q, k and v that are not the real head's, by matrix: (row, column)."""
    if state.real is None:
        return {}
    return {
        name: tuple(
            (i, j)
            for i, (row, real) in enumerate(zip(state.cells(name), getattr(state.real, name), strict=True))
            for j, (value, was) in enumerate(zip(row, real, strict=True))
            if value != was
        )
        for name in DIRECT
    }


def embedding(word: str, d_model: int) -> tuple[float, ...]:
    """An embedding for a word that has none: from -1 to 1 in tenths, always the same for the same word, no meaning."""
    digest = hashlib.shake_256(word.encode("utf-8", "surrogatepass")).digest(d_model)
    return tuple((byte % 21 - 10) / 10 + 0.0 for byte in digest)


def random_cells(rows: int, columns: int, reach: float, seed: str) -> Cells:
    """Uniform from -reach to reach, to two decimals. `random.Random` gives the same numbers in every Python."""
    generator = random.Random(seed)
    return tuple(
        tuple(round((2 * generator.random() - 1) * reach, 2) + 0.0 for _ in range(columns)) for _ in range(rows)
    )


def _fresh(seed: str, n: int, d_model: int) -> tuple[float, ...]:
    return random_cells(1, n, (3 / d_model) ** 0.5, f"fresh {seed}")[0]


def _with(state: LabState, matrices: dict[str, Cells]) -> LabState:
    return replace(state, **matrices)  # type: ignore[arg-type]
