"""Presets of the Lab: each shows one thing, says what to notice, and sets a small task.

All numbers are written by hand, so that a reader sees why each is there; embeddings have named components. The tasks
are marked in `lab/tasks`, from the tensors alone, so any way to solve one counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from attention_core.lab import tasks
from attention_core.lab.edits import randomised, with_cell, with_cells, with_switch
from attention_core.lab.state import Cells, LabState, Switches, cells_of
from attention_core.lab.tasks import TaskResult


class Look(NamedTuple):
    """The cell to look at first."""

    matrix: str
    head: int | None
    row: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Preset:
    """One lesson."""

    name: str
    title: str
    notice: str  # what to see before anything is changed
    task: str
    state: LabState
    check: Callable[[LabState], TaskResult]
    solution: LabState  # one way to do the task
    look: Look
    hint: str


def _eye(n: int, factor: float = 1.0) -> Cells:
    return tuple(tuple(factor if i == j else 0.0 for j in range(n)) for i in range(n))


def _animal() -> Preset:
    words = ("the", "animal", "was", "tired", "so", "it", "slept")
    x = cells_of(
        [
            [0.1, 0.1, 0, 0],
            [1, 0, 0.1, 0.1],
            [0, 0, 0, 0.5],
            [0, 0, 1, 0],
            [0, 0.1, 0.1, 0],
            [0.2, 1, 0, 0],
            [0, 0, 0.1, 1],
        ]
    )
    w_q = cells_of([[0, 0], [0, 2], [0, 0], [0, 0]])
    thing_and_quality = cells_of([[1, 0], [0, 0], [0, 1], [0, 0]])
    state = LabState(
        words, x, w_q, cells_of([[2, 0], [0, 0], [0, 2], [0, 0]]), thing_and_quality,
        cells_of([[1, 0, 0, 0], [0, 0, 1, 0]]), features=("thing", "pronoun", "quality", "act"),
    )  # fmt: skip
    return Preset(
        "animal",
        "Make “it” look at “animal”",
        "The query of “it” comes from its component “pronoun” and asks for dim 2, where keys hold “quality”: "
        "so “it” looks at “tired”, and what it takes from there is a quality.",
        "Change W_Q so that “it” gives “animal” at least 60% of its attention.",
        state,
        tasks.it_looks_at_animal,
        with_cells(state, "w_q", cells_of([[0, 0], [3, 0], [0, 0], [0, 0]])),
        Look("w_q", None, 1, 1),
        "Keys hold “thing” in dim 1. In W_Q's row “pronoun” put 0 in column 2 and something large in column 1.",
    )


def _similarity() -> Preset:
    words = ("cat", "dog", "car", "truck", "lion")
    x = cells_of([[2, 0.2], [1.8, 0.9], [0, 2], [-0.7, 1.9], [-1, -1.5]])
    one = _eye(2)
    state = LabState(words, x, one, one, one, one, features=("animal", "vehicle"))
    return Preset(
        "similarity",
        "Identity maps: attention by similarity",
        "With every map the identity, a score is the dot product of two embeddings: words that point the same way look "
        "at each other, the scores are symmetric, and each word looks at itself too, most of all if all are "
        "equally long.",
        "“lion” stands alone. Move its embedding so that it gives “cat” and “dog” together at least half.",
        state,
        tasks.lion_looks_at_animals,
        with_cells(state, "x", (*x[:4], (1.9, 0.5))),
        Look("x", None, 4, 0),
        "Only the two numbers in the last row of X have to change: take some between those of “cat” and “dog”.",
    )


def _previous() -> Preset:
    words = ("we", "sat", "by", "the", "old", "river")
    x = cells_of([[0, 0, 0.9, 0.1], [0, 0, 0.1, 1], [0, 0, 0.3, 0.2], [0, 0, 0.1, 0.1], [0, 0, 0.5, 0.4], [0, 0, 1, 0]])
    # The positions' first pair is (sin p, cos p). Times this it becomes 4 · (sin(p - 1), cos(p - 1)): one step back.
    w_q = cells_of([[2.16, 3.37], [-3.37, 2.16], [0, 0], [0, 0]])
    w_k = cells_of([[2, 0], [0, 2], [0, 0], [0, 0]])
    content = cells_of([[0, 0], [0, 0], [1, 0], [0, 1]])
    w_o = cells_of([[0, 0, 1, 0], [0, 0, 0, 1]])
    state = LabState(
        words, x, w_q, w_k, content, w_o,
        switches=Switches(causal=True, positions="sinusoidal"), features=("clock 1", "clock 2", "thing", "act"),
    )  # fmt: skip
    return Preset(
        "previous",
        "The previous word, by position",
        "Keys are the sinusoidal clock (sin p, cos p); W_Q turns the query's clock back by one word, so each word "
        "finds the one before it, whatever the words are. Without positions nothing is left.",
        "Make every word look two back: from the third word on, at least 60% on the word before the previous one.",
        state,
        tasks.two_words_back,
        with_cells(state, "w_q", cells_of([[-1.66, 3.64], [-3.64, -1.66], [0, 0], [0, 0]])),
        Look("w_q", None, 0, 0),
        "W_Q is 4 times a turn by one: 4·cos 1 = 2.16 and 4·sin 1 = 3.37. For two: 4·cos 2 = -1.66, 4·sin 2 = 3.64.",
    )


def _copying() -> Preset:
    words = ("cat", "dog", "fish", "who")
    w_q = cells_of([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 8, 0, 0]])
    state = LabState(words, _eye(4), w_q, _eye(4), _eye(4), _eye(4), features=words)
    swapped = cells_of([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return Preset(
        "copying",
        "A copying head: what W_V · W_O writes",
        "Where a head looks is decided by W_Q and W_K; what it writes there by W_V and W_O. Here W_V · W_O is the "
        "identity, so “who”, which looks at “dog”, gets “dog” written into it: it copies.",
        "Make it a translator: looking at “dog” writes “cat”, looking at “cat” writes “dog”, “fish” stays “fish”, "
        "and “who” goes on looking at “dog”.",
        state,
        tasks.cat_and_dog_exchanged,
        with_cells(state, "w_o", swapped),
        Look("w_o", None, 1, 1),
        "Exchange the first two rows of W_O (or the first two columns of W_V).",
    )


def _uniform() -> Preset:
    words = ("good", "warm", "soup", "<pad>")
    x = cells_of([[1, 0.2, 0], [0.4, 1, 0], [0.2, 0.5, 1], [-1, -1, -1]])
    w_k = cells_of([[0.5, -1, 0.3], [1, 0.2, -0.4], [-0.6, 0.8, 1]])
    state = LabState(
        words, x, _eye(3, 0.0), w_k, _eye(3), _eye(3), features=("pleasant", "warm", "food")
    )  # fmt: skip
    return Preset(
        "uniform",
        "A uniform head: the plain average",
        "W_Q is 0, so every score is 0, every weight 1/4, and every word gets the same: the average of all values. "
        "A head that asks for nothing still writes something.",
        "“<pad>” is only filling and spoils the average. Without touching W_Q, make every row 1/3, 1/3, 1/3, 0.",
        state,
        tasks.average_without_padding,
        with_switch(state, padding=(3,)),
        Look("weights", 0, 0, 3),
        "There is a switch that says which words are padding.",
    )


def _sink() -> Preset:
    words = ("<s>", "the", "cat", "saw", "it")
    x = cells_of([[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0.1, 0], [0, 1, 0, 1]])
    state = LabState(
        words,
        x,
        cells_of([[0, 0], [4, 0], [0, 0], [0, 0]]),
        cells_of([[2, 0], [0, 0], [0, 2], [0, 0]]),
        cells_of([[0, 0], [0, 0], [1, 0], [0, 1]]),
        cells_of([[0, 0, 1, 0], [0, 0, 0, 1]]),
        features=("start", "always", "thing", "pronoun"),
    )
    return Preset(
        "sink",
        "A sink: how a head does nothing",
        "Softmax must give away 100%. Every query asks for “<s>”, whose value is 0: the head looks there and writes "
        "almost nothing. Heads of real models rest in this way on their first token or on separators.",
        "Wake it for one word: “it” gives “cat” at least half, all the others stay at least 90% in the sink.",
        state,
        tasks.only_it_wakes,
        with_cell(state, "w_q", 3, 1, 5.0),
        Look("weights", 0, 0, 0),
        "Keys hold “thing” in dim 2, and only “it” has the component “pronoun”: W_Q, row “pronoun”, column 2.",
    )


def _two_heads() -> Preset:
    words = ("cat", "sees", "dog", "eats", "fish")
    thing, act = [0.0, 0.0, 2.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 2.0, 0.0]
    x = cells_of([thing, act, thing, act, thing])
    w_q = cells_of([[2.16, 3.37, 0, 0], [-3.37, 2.16, 0, 0], [0, 0, 2, 0], [0] * 4, [0, 0, 0, 2], [0] * 4])
    w_k = cells_of([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 1, 0], [0] * 4, [0, 0, 0, 1], [0] * 4])
    w_v = cells_of([[0] * 4, [0] * 4, [1, 0, 1, 0], [0] * 4, [0, 1, 0, 1], [0] * 4])
    w_o = cells_of([[0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1]])
    state = LabState(
        words, x, w_q, w_k, w_v, w_o, n_heads=2, switches=Switches(positions="sinusoidal"),
        features=("clock 1", "clock 2", "thing", "before", "act", "alike"),
    )  # fmt: skip
    other_kind = tuple((*row[:2], row[3], row[2]) for row in w_q)
    return Preset(
        "two-heads",
        "Two heads, two jobs",
        "Head 1 reads the clock and looks at the previous word; head 2 reads the kind of word and looks at its like. "
        "Joined, every word knows both. One head of the same total size must mix the two in one row of weights.",
        "Make head 2 look at the other kind (things at acts, acts at things, at least 80%), "
        "while head 1 goes on with the previous word.",
        state,
        tasks.heads_with_other_jobs,
        with_cells(state, "w_q", other_kind),
        Look("weights", 1, 0, 2),
        "In W_Q, columns 3 and 4 belong to head 2. Let “thing” ask in column 4 and “act” in column 3.",
    )


def _dictionary() -> Preset:
    words = ("one", "two", "three", "?")
    x = cells_of([[1, 0, 0, 0, 10], [-0.5, 0.87, 0, 0, 20], [-0.5, -0.87, 0, 0, 30], [0, 0, -0.5, 0.87, 0]])
    w_q = cells_of([[0, 0], [0, 0], [6, 0], [0, 6], [0, 0]])
    w_k = cells_of([[1, 0], [0, 1], [0, 0], [0, 0], [0, 0]])
    state = LabState(
        words, x, w_q, w_k, cells_of([[0, 0], [0, 0], [0, 0], [0, 0], [1, 0]]),
        cells_of([[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]]), features=("key 1", "key 2", "ask 1", "ask 2", "entry"),
    )  # fmt: skip
    asks = tuple(0.0 if i not in (2, 3) else (1.0, 1.73)[i - 2] for i in range(5))
    return Preset(
        "dictionary",
        "A soft dictionary",
        "Three words have a key and an entry: 10, 20, 30. “?” asks with the key of “two” and reads almost 20. "
        "The look-up is not exact: every entry comes along, by the weight of its key.",
        "Ask for something between “one” and “two”, so that “?” reads 15 (from 14.5 to 15.5).",
        state,
        tasks.reads_fifteen,
        with_cells(state, "x", (*x[:3], asks)),
        Look("output", 0, 3, 0),
        "The key half-way between (1, 0) and (-0.5, 0.87) points to (0.5, 0.87). Ask louder, twice as long, to drown "
        "the others.",
    )


def _scaling() -> Preset:
    words = ("we", "watch", "how", "a", "softmax", "runs", "into", "saturation")
    zeros = tuple((0.0,) * 64 for _ in range(8))
    empty = LabState(words, _eye(8), zeros, zeros, zeros, tuple((0.0,) * 8 for _ in range(64)))
    state = with_switch(randomised(empty, 64), scale=False)
    return Preset(
        "scaling",
        "Why ÷ √d_k: with 64 dims softmax saturates",
        "A dot product of 64 random components is about √64 = 8 times as large as one component's product. Without the "
        "division almost every row gives all to one word, and softmax's gradient is nearly gone. Make d_k smaller and "
        "it comes back.",
        "Leave the division off and save softmax with another switch: every weight as with it, to 0.001.",
        state,
        tasks.saved_without_scaling,
        with_switch(state, temperature=8.0),
        Look("weights", 0, 0, 0),
        "The temperature divides scores as well. By which number does the standard divide?",
    )


def _order() -> Preset:
    words = ("dog", "bites", "man")
    x = cells_of([[1, 0.2, 0, 0.5], [0, 1, 0.3, -0.4], [0.8, -0.2, 1, 0]])
    state = LabState(
        words,
        x,
        cells_of([[1, 0.5], [-0.5, 1], [0.3, 0.8], [0, -1]]),
        cells_of([[0.5, 1], [1, -0.3], [-0.8, 0.4], [0.2, 0.6]]),
        cells_of([[1, 0], [0, 1], [0.5, 0.5], [-0.5, 0.2]]),
        cells_of([[1, 0, 0.5, 0], [0, 1, 0, 0.5]]),
    )
    return Preset(
        "order",
        "Without positions order does not count",
        "“dog bites man” and “man bites dog” are the same to it: shuffle the words, and every word's result moves with "
        "it unchanged. Attention compares contents, not places.",
        "Make the order count: some number of the result must differ by 0.05 when the sentence is read backwards.",
        state,
        tasks.order_counts,
        with_switch(state, positions="sinusoidal"),
        Look("projected", None, 0, 0),
        "There is a switch for positions. (The causal mask does it too: why?)",
    )


def _distance() -> Preset:
    words = ("key", "was", "in", "that", "old", "wooden", "box", "door")
    filler = [0, 0, 0.3]
    x = cells_of([[1, 0, 0], filler, filler, filler, [0, 0, 0.5], [0, 0.1, 0.4], [0.3, 0, 0.2], [0, 1, 0]])
    state = LabState(
        words, x, cells_of([[0, 0], [4, 0], [0, 0]]), cells_of([[1, 0], [0, 0], [0, 1]]),
        cells_of([[1, 0], [0, 0], [0, 1]]), cells_of([[1, 0, 0], [0, 0, 1]]), features=("opens", "closed", "other"),
    )  # fmt: skip
    return Preset(
        "distance",
        "Far costs nothing",
        "“door” finds “key” seven words away as surely as next to it: every pair of words is one step apart. "
        "Move “key” where you like, the weight stays.",
        "Make distance cost: with “key” seven words away, its weight is less than half of that with “key” next to it.",
        state,
        tasks.distance_costs,
        with_switch(state, positions="alibi"),
        Look("weights", 0, 7, 0),
        "One kind of positions takes something off every score for each word of distance.",
    )


_ALL = (
    _animal, _similarity, _dictionary, _copying, _uniform, _sink, _two_heads, _previous, _order, _distance, _scaling,
)  # fmt: skip
PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in (make() for make in _ALL)})
