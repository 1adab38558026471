"""Measure what a switch of the Lab changes: the state against the one with standard switches, each row's entropy and
gradient, and q and k as arrows in a plane."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formula.attention import attend
from attention_core.formula.metrics import entropy
from attention_core.lab.edits import random_cells, reordered, shuffle_order, with_switch
from attention_core.lab.run import LabRun, run
from attention_core.lab.state import LabState, Switches

SWITCHES = ("scale", "causal", "padding", "window", "softmax", "temperature", "positions", "n_heads")


@dataclass(frozen=True, slots=True, eq=False)
class HeadNumbers:
    """One head described. Entropy and gradient are None without softmax: weights are no probabilities then."""

    head: int
    entropy: Float[Tensor, " query"] | None  # bits; 0 = one word, log2(words) = all alike
    gradient: Float[Tensor, " query"] | None  # norm of softmax's derivative; 0: the scores get no gradient
    largest: float  # weight
    row_sums: tuple[float, float]  # smallest and largest

    @property
    def mean_entropy(self) -> float | None:
        """Over queries, in bits; None without softmax."""
        return None if self.entropy is None else float(self.entropy.mean())

    @property
    def mean_gradient(self) -> float | None:
        """Over queries, the norm of softmax's derivative; None without softmax."""
        return None if self.gradient is None else float(self.gradient.mean())


@dataclass(frozen=True, slots=True)
class Said:
    """What one switch does here."""

    switch: str  # one of SWITCHES
    says: str  # with the numbers of this state


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A state beside the same state with every switch at its standard value."""

    yours: LabRun
    standard: LabRun
    your_heads: tuple[HeadNumbers, ...]
    standard_heads: tuple[HeadNumbers, ...]
    sentences: tuple[Said, ...]  # one for each switch that is not standard; empty: there is nothing to compare


def changed_switches(state: LabState) -> tuple[str, ...]:
    """The switches that are not at their standard value, in the order of SWITCHES; several heads count as one."""
    plain = Switches()
    return tuple(
        name
        for name in SWITCHES
        if (state.n_heads > 1 if name == "n_heads" else getattr(state.switches, name) != getattr(plain, name))
    )


def standard(state: LabState, *switches: str) -> LabState:
    """The state with these switches put back to their standard; without any named, all but the number of heads."""
    plain, names = Switches(), switches or tuple(name for name in SWITCHES if name != "n_heads")
    unknown = set(names) - set(SWITCHES)
    if unknown:
        raise ValueError(f"There is no switch {', '.join(sorted(unknown))}.")
    return with_switch(state, **{name: 1 if name == "n_heads" else getattr(plain, name) for name in names})


def compare(state: LabState, *switches: str) -> Comparison:
    """`state` beside `standard(state, *switches)`, and what each of its changed switches does, one at a time."""
    plain = standard(state, *switches)
    yours, others = run(state), run(plain)
    shown = [name for name in changed_switches(state) if not switches or name in switches]
    sentences = tuple(Said(name, _says(name, state, yours)) for name in shown)
    return Comparison(yours, others, head_numbers(yours), head_numbers(others), sentences)


def head_numbers(found: LabRun) -> tuple[HeadNumbers, ...]:
    """Entropy, gradient, largest weight and row sums of every head."""
    kind = found.state.switches.softmax
    numbers = []
    for head, weights in enumerate(found.weights):
        sums = weights.sum(dim=-1)
        gradient = softmax_gradient(weights) if kind == "softmax" else torch.zeros_like(sums)
        numbers.append(
            HeadNumbers(
                head,
                None if kind == "none" else entropy(weights),
                None if kind == "none" else gradient,
                float(weights.max()),
                (float(sums.min()), float(sums.max())),
            )
        )
    return tuple(numbers)


def softmax_gradient(weights: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch query"]:
    """Frobenius norm of softmax's Jacobian diag(p) - ppᵀ for each row p; 0 where one weight is 1.

    ‖diag(p) - ppᵀ‖² = Σp² - 2Σp³ + (Σp²)². It is what a change of the scores is multiplied with on its way to the
    weights, and a gradient on its way back. Source: Vaswani et al. 2017, section 3.2.1, "extremely small gradients".
    """
    squares = weights.square().sum(dim=-1)
    return (squares - 2 * weights.pow(3).sum(dim=-1) + squares.square()).clamp_min(0.0).sqrt()


def shuffle_difference(state: LabState, order: Sequence[int]) -> float:
    """How far the result of the reordered words is from the reordered result: 0 if order does not count."""
    reordered_result = run(reordered(state, tuple(order))).result
    return float((reordered_result - run(state).result[list(order)]).abs().max())


@dataclass(frozen=True, slots=True)
class Saturation:
    """Softmax over products of random vectors of one size, with and without ÷ √d_k."""

    d_k: int
    entropy: float  # mean, bits, of 8 keys: at most 3
    entropy_unscaled: float
    gradient: float  # mean norm of softmax's Jacobian
    gradient_unscaled: float


def saturation(sizes: Sequence[int] = (1, 2, 4, 8, 16, 32, 64), n_draws: int = 32) -> tuple[Saturation, ...]:
    """Why scores are divided by √d_k: q·k of components with mean 0 and variance 1 has variance d_k.

    8 queries and 8 keys, drawn `n_draws` times with fixed seeds; a smaller d_k takes the first components of the same
    vectors. Source: Vaswani et al. 2017, footnote 4.
    """
    largest = max(sizes)

    def drawn(name: str) -> Tensor:
        cells = [random_cells(8, largest, 3**0.5, f"saturation {name} {n}") for n in range(n_draws)]
        return torch.tensor(cells, dtype=torch.float64)

    q, k = drawn("q"), drawn("k")
    found = []
    for size in sizes:
        scaled, plain = (attend(q[..., :size], k[..., :size], k[..., :1], scale=scale).weights for scale in (None, 1.0))
        means = (float(of(weights).mean()) for of in (entropy, softmax_gradient) for weights in (scaled, plain))
        found.append(Saturation(size, *means))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a key as arrows in the plane."""

    dot: float  # |q| · |k| · cos(angle)
    query_length: float
    key_length: float
    angle: float | None  # degrees, 0 to 180; None if one of them has no length
    projection: float | None  # length of k along q; times |q| it is the dot product


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The queries and keys of a head with d_k = 2, as attention received them."""

    q: Float[Tensor, "word 2"]
    k: Float[Tensor, "word 2"]

    def pair(self, query: int, key: int) -> Pair:
        """Lengths, angle and dot product of one query and one key, by index of their words."""
        return arrows(self.q[query], self.k[key])


def plane(found: LabRun, head: int) -> Plane | None:
    """The arrows of a head; None if d_k is not 2."""
    return Plane(found.q[head], found.k[head]) if found.q.shape[-1] == 2 else None


def arrows(q: Float[Tensor, " d_head"], k: Float[Tensor, " d_head"]) -> Pair:
    """Dot product, lengths, angle and projection of two vectors of any size."""
    dot, q_length, k_length = float(q @ k), float(q.norm()), float(k.norm())
    if q_length == 0 or k_length == 0:
        return Pair(dot, q_length, k_length, None, None if q_length == 0 else 0.0)
    cosine = min(max(dot / (q_length * k_length), -1.0), 1.0)
    return Pair(dot, q_length, k_length, math.degrees(math.acos(cosine)), dot / q_length)


def _says(switch: str, state: LabState, yours: LabRun) -> str:
    before = standard(state, switch)
    plain = run(before)
    return {
        "scale": _says_scale,
        "causal": _says_causal,
        "padding": _says_padding,
        "window": _says_window,
        "softmax": _says_softmax,
        "temperature": _says_temperature,
        "positions": _says_positions,
        "n_heads": _says_heads,
    }[switch](state, yours, plain)


def _says_scale(state: LabState, yours: LabRun, plain: LabRun) -> str:
    factor = state.d_head**0.5 if state.real is None else 1 / state.real.scale
    return f"Without the division scores are {factor:.3g} times as large; {_spread(yours, plain)}."


def _says_temperature(state: LabState, yours: LabRun, plain: LabRun) -> str:
    t = state.switches.temperature
    if state.switches.softmax == "hard max":
        return f"A temperature of {t:g} changes nothing here: the largest score stays the largest."
    does = "draws scores together: attention spreads" if t > 1 else "drives scores apart: attention sharpens"
    return f"A temperature of {t:g} {does}; {_spread(yours, plain)}."


def _spread(yours: LabRun, plain: LabRun) -> str:
    """Entropy and gradient, mean over all rows and heads."""
    mine, theirs = head_numbers(yours), head_numbers(plain)
    if any(numbers.entropy is None for numbers in (*mine, *theirs)):
        return f"the largest weight is {yours.weights.max():.3g} instead of {plain.weights.max():.3g}"

    def mean(all_numbers: tuple[HeadNumbers, ...], name: str) -> float:
        return sum(float(getattr(numbers, name).mean()) for numbers in all_numbers) / len(all_numbers)

    return (
        f"mean entropy is {mean(mine, 'entropy'):.2f} instead of {mean(theirs, 'entropy'):.2f} bits, "
        f"softmax's gradient {mean(mine, 'gradient'):.2g} instead of {mean(theirs, 'gradient'):.2g}"
    )


def _says_causal(state: LabState, yours: LabRun, plain: LabRun) -> str:
    return _says_mask("The causal mask", state, yours, plain)


def _says_window(state: LabState, yours: LabRun, plain: LabRun) -> str:
    sides = state.switches.window
    return _says_mask(f"The window of ± {sides}" if sides else "The window of the word itself", state, yours, plain)


def _says_mask(named: str, state: LabState, yours: LabRun, plain: LabRun) -> str:
    """What this mask hides that no other one does."""
    hidden = (yours.of("weights", 0).masked, plain.of("weights", 0).masked)
    now, before = (torch.zeros(state.n_words, state.n_words, dtype=torch.bool) if m is None else m for m in hidden)
    new = now & ~before
    if state.switches.softmax == "none":
        return f"{named} alone hides {int(new.sum())} of {state.n_words**2} cells."
    share = float((plain.weights * new).sum(dim=-1).mean())
    return (
        f"{named} alone hides {int(new.sum())} of {state.n_words**2} cells; "
        f"without it they would get {share:.0%} of all attention."
    )


def _says_padding(state: LabState, yours: LabRun, plain: LabRun) -> str:
    columns = list(state.switches.padding)
    named = ", ".join(f"“{state.words[i]}”" for i in columns)
    if state.switches.softmax == "none":
        return f"Nobody looks at {named}."
    share = float(plain.weights[..., columns].sum(dim=-1).mean())
    return f"Nobody looks at {named}; unmasked, a word would give {share:.0%} of its attention there."


def _says_softmax(state: LabState, yours: LabRun, plain: LabRun) -> str:
    if state.switches.softmax == "none":
        (numbers, *_), n_negative = head_numbers(yours), int((yours.weights < 0).sum())
        sums = numbers.row_sums
        negative = {0: "no weight is", 1: "1 weight is"}.get(n_negative, f"{n_negative} weights are")
        return (
            f"Without softmax the scores themselves are the weights: rows of the first head sum to {sums[0]:.3g} … "
            f"{sums[1]:.3g} instead of 1, and {negative} negative."
        )
    return (
        f"With hard max the largest score takes all: the largest weight is {yours.weights.max():.2f} instead of "
        f"{plain.weights.max():.2f}, and the gradient is 0: nothing could be learnt through it."
    )


def _says_positions(state: LabState, yours: LabRun, plain: LabRun) -> str:
    kind = {"alibi": "ALiBi’s bias moves", "sinusoidal": "Sinusoidal positions move", "rotary": "Rotary positions move"}
    apart = float((yours.weights - plain.weights).abs().max())
    moves = f"{kind[state.switches.positions]} weights by up to {apart:.2g}."
    order = shuffle_order(state.n_words, 0)
    try:
        mine, theirs = (shuffle_difference(found.state, order) for found in (yours, plain))
    except ValueError:  # in that order the masks would leave some word nothing to look at
        return moves
    return f"{moves} After a shuffle of the words a result differs by up to {mine:.2g}; " + (
        f"without positions by {theirs:.1g}." if theirs < 1e-6 else f"by the masks alone up to {theirs:.2g}."
    )


def _says_heads(state: LabState, yours: LabRun, plain: LabRun) -> str:
    d_head = state.d_head
    change = float((yours.result - plain.result).abs().max())
    apart = max(float((one - other).abs().max()) for i, one in enumerate(yours.weights) for other in yours.weights[:i])
    return (
        f"{state.n_heads} heads of {d_head} instead of one of {d_head * state.n_heads}, from the same maps: "
        f"two heads' weights differ by up to {apart:.2f}, and the result by up to {change:.2g}."
    )
