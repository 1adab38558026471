"""Lab states for tests: sizes are different primes where they may be, so that a swapped axis cannot pass."""

from attention_core.lab.edits import random_cells, randomised, with_cell
from attention_core.lab.state import LabState, RealHead, Switches

WORDS = ("the", "cat", "sat", "down", "here")

# Each switch alone, then several together. A string names the case in a test's id.
EVERY_SWITCH = [
    Switches(scale=False),
    Switches(causal=True),
    Switches(padding=(1, 3)),
    Switches(window=1),
    Switches(softmax="none"),
    Switches(softmax="hard max"),
    Switches(temperature=2.5),
    Switches(positions="sinusoidal"),
    Switches(positions="rotary"),
    Switches(positions="alibi"),
    Switches(scale=False, causal=True, padding=(2,), window=2, temperature=0.5, positions="alibi"),
    Switches(causal=True, softmax="none", temperature=3.0, positions="rotary", padding=(4,)),
    Switches(window=1, softmax="hard max", positions="sinusoidal"),
]


def random_state(
    switches: Switches | None = None,
    *,
    words: tuple[str, ...] = WORDS,
    d_model: int = 7,
    d_head: int = 3,
    n_heads: int = 2,
    seed: int = 11,
) -> LabState:
    def zeros(rows: int, columns: int) -> tuple[tuple[float, ...], ...]:
        return tuple((0.0,) * columns for _ in range(rows))

    joined = d_head * n_heads
    maps = [zeros(d_model, joined) for _ in range(3)]
    state = LabState(words, zeros(len(words), d_model), *maps, zeros(joined, d_model), n_heads, switches or Switches())
    return randomised(state, seed)


def real_state(switches: Switches | None = None, *, edited: bool = True) -> LabState:
    """A head with everything that a real one can have: a factor and a bias of its own, a mask of no simple shape."""
    q, k = (random_cells(5, 7, 2.0, name) for name in ("q", "k"))
    v = random_cells(5, 3, 2.0, "v")
    allowed = tuple(tuple(j != 2 or i == 2 for j in range(5)) for i in range(5))
    real = RealHead(
        "a model",
        "layer 1",
        1,
        2,
        (0, 2, 3, 5, 7),
        0.25,
        q,
        k,
        v,
        random_cells(5, 5, 1.0, "bias"),
        allowed,
    )
    state = LabState(WORDS, q=q, k=k, v=v, real=real, switches=switches or Switches())
    return with_cell(state, "k", 4, 6, -1.25) if edited else state
