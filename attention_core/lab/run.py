"""A Lab state computed: every matrix in the order in which it comes about, each with its formula and its labels.

Scores, scaling, bias, mask and softmax are `attention.attend`, the formula of every other page. Only what no model does
(no softmax, hard max) is done here, from attend's masked scores.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.formula.attention import AttentionSteps, attend, merge_heads, split_heads
from attention_core.formula.positions import alibi_bias, alibi_slopes, rotary, sinusoidal
from attention_core.lab.state import NAMES, LabState, SoftmaxKind, Switches, allowed_pairs

Role = Literal["input", "map", "query", "key", "value", "scores", "weights", "output"]
TIE = (
    1e-9  # hard max shares a row among scores this close to the largest: what is equal on paper may differ by rounding
)

# ALiBi's slopes of a model with 8 heads, 1/2, 1/4, 1/8, 1/16: those of a single head (1/256) show nothing on 8 words.
SLOPES = alibi_slopes(8)


@dataclass(frozen=True, slots=True, eq=False)
class LabMatrix:
    """One matrix on the screen."""

    name: str  # "q"; with `head` it names the matrix
    head: int | None
    symbol: str  # "Q"
    title: str  # "queries"
    formula: str  # "Q = X · W_Q"; empty for what is given
    role: Role
    row_axis: str  # "word", "component" (of x), "dim" (of q, k, v, or of all heads side by side)
    column_axis: str
    rows: tuple[str, ...]  # a label for each row
    columns: tuple[str, ...]
    values: Float[Tensor, "row column"]  # -inf where masked scores are masked
    masked: Bool[Tensor, "row column"] | None = None  # True where a mask forbids; None: nothing is
    editable: bool = False
    left: str = ""  # the matrices it is made of, by name; of the same head where they have one
    right: str = ""
    how: str = ""  # "row × column", "row × row" (for QKᵀ), "cell" (cell by cell), "row" (a whole row makes a cell)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.values.shape[0], self.values.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class LabRun:
    """All matrices of a state, in order."""

    state: LabState
    matrices: tuple[LabMatrix, ...]
    q: Float[Tensor, "head query d_head"]  # as attention received them: turned, if rotary
    k: Float[Tensor, "head key d_head"]
    v: Float[Tensor, "head key d_value"]
    weights: Float[Tensor, "head query key"]
    output: Float[Tensor, "head query d_value"]
    result: Float[Tensor, "word channel"]  # projected, or of a real head its output

    def of(self, name: str, head: int | None = None) -> LabMatrix:
        """Raises KeyError if there is no such matrix."""
        for matrix in self.matrices:
            if matrix.name == name and matrix.head == head:
                return matrix
        raise KeyError(f"{name} of head {head}")


@dataclass(frozen=True, slots=True, eq=False)
class _Inputs:
    """What attention receives."""

    q: Float[Tensor, "head query d_head"]
    k: Float[Tensor, "head key d_head"]
    v: Float[Tensor, "head key d_value"]
    scale: float
    allowed: Bool[Tensor, "query key"] | None
    bias: Float[Tensor, "head query key"] | None


def run(state: LabState) -> LabRun:
    """Compute everything, in float64."""
    found: list[LabMatrix] = []
    inputs = _mapped(state, found) if not state.direct else _direct(state, found)
    steps = attended(inputs, state.switches)
    for head in range(state.n_heads):
        found += _head_matrices(state, inputs, steps, head)
    joined = merge_heads(steps.output)
    result = joined
    if not state.direct:
        dims, components = dim_labels(state), component_labels(state)
        w_o, by_word = state.tensor("w_o"), _by_word(state)
        result = joined @ w_o
        formula = "H = [O₁ … O_h] side by side" if state.n_heads > 1 else "H = O: one head, nothing to join"
        found += [
            by_word(
                name="joined", symbol="H", title="heads joined", formula=formula, role="output",
                column_axis="dim", columns=dims, values=joined, left="output", how="cell",
            ),
            _given(state, "w_o", "output map", dims, components),
            by_word(
                name="projected", symbol="Y", title="output of the layer", formula="Y = H · W_O", role="output",
                column_axis="component", columns=components, values=result,
                left="joined", right="w_o", how="row × column",
            ),
        ]  # fmt: skip
    return LabRun(state, tuple(found), inputs.q, inputs.k, inputs.v, steps.weights, steps.output, result)


def attended(inputs: _Inputs, switches: Switches) -> AttentionSteps:
    """`attend`, then the softmax exchanged if the switch says so. The temperature divides scores and bias."""
    temperature = switches.temperature
    bias = None if inputs.bias is None else inputs.bias / temperature
    steps = attend(inputs.q, inputs.k, inputs.v, scale=inputs.scale / temperature, allowed=inputs.allowed, bias=bias)
    if switches.softmax == "softmax":
        return steps
    weights = weights_without_softmax(steps.masked_scores, switches.softmax)
    return AttentionSteps(steps.scores, steps.scaled_scores, steps.masked_scores, weights, weights @ inputs.v)


def weights_without_softmax(
    masked_scores: Float[Tensor, "*batch query key"], kind: SoftmaxKind
) -> Float[Tensor, "*batch query key"]:
    """ "none": the scores themselves, 0 where masked. "hard max": everything to the largest, shared among equals."""
    if kind == "none":
        return masked_scores.masked_fill(masked_scores.isinf(), 0.0)
    top = masked_scores.amax(dim=-1, keepdim=True)
    winners = (masked_scores >= top - TIE * top.abs().clamp_min(1.0)).to(masked_scores)
    return winners / winners.sum(dim=-1, keepdim=True)


@dataclass(frozen=True, slots=True, eq=False)
class RowAlone:
    """One query computed without the others."""

    weights: Float[Tensor, "head key"]
    result: Float[Tensor, " channel"]
    difference: float  # largest, from the row of the whole product, weights and result


def row_alone(state: LabState, query: int) -> RowAlone:
    """One row from its own query, all keys and all values: what the whole product does for all rows at once.

    Raises ValueError if there is no such word.
    """
    if not 0 <= query < state.n_words:
        raise ValueError(f"There are words 0 to {state.n_words - 1}; got {query}.")
    whole = run(state)
    inputs = _direct(state, []) if state.direct else _mapped(state, [])
    row = slice(query, query + 1)
    alone = _Inputs(
        inputs.q[:, row],
        inputs.k,
        inputs.v,
        inputs.scale,
        None if inputs.allowed is None else inputs.allowed[row],
        None if inputs.bias is None else inputs.bias[:, row],
    )
    steps = attended(alone, state.switches)
    result = merge_heads(steps.output)
    if not state.direct:
        result = result @ state.tensor("w_o")
    differences = (steps.weights[:, 0] - whole.weights[:, query]).abs().max(), (result[0] - whole.result[query]).abs()
    return RowAlone(steps.weights[:, 0], result[0], max(float(differences[0]), float(differences[1].max())))


def component_labels(state: LabState) -> tuple[str, ...]:
    """Names of the components of x."""
    return state.features or tuple(f"x{i + 1}" for i in range(state.d_model))


def dim_labels(state: LabState) -> tuple[str, ...]:
    """Names of the columns of Q, K, V: the component, after the head where there are several."""
    if state.n_heads == 1:
        return tuple(str(i + 1) for i in range(state.d_value if state.direct else state.d_head))
    return tuple(f"h{head + 1}.{i + 1}" for head in range(state.n_heads) for i in range(state.d_head))


_QKV: tuple[tuple[str, str, Role], ...] = (("q", "queries", "query"), ("k", "keys", "key"), ("v", "values", "value"))


def _mapped(state: LabState, found: list[LabMatrix]) -> _Inputs:
    components, dims = component_labels(state), dim_labels(state)
    x, by_word = state.tensor("x"), _by_word(state)
    found.append(_given(state, "x", "embeddings", state.words, components))
    read, symbol = "x", "X"
    if state.switches.positions == "sinusoidal":
        added = sinusoidal(state.n_words, state.d_model)
        x = x + added
        read, symbol = "x_p", "X′"
        found += [
            by_word(
                name="positions", symbol="P", title="sinusoidal positions", role="input",
                formula="P[p, 2i] = sin(p / 10000^(2i/d)), P[p, 2i+1] = cos(…)",
                column_axis="component", columns=components, values=added,
            ),
            by_word(
                name="x_p", symbol="X′", title="embeddings with positions", formula="X′ = X + P", role="input",
                column_axis="component", columns=components, values=x, left="x", right="positions", how="cell",
            ),
        ]  # fmt: skip
    made = {}
    for name, title, role in _QKV:
        made[name] = x @ state.tensor(f"w_{name}")
        upper = name.upper()
        found += [
            _given(state, f"w_{name}", f"{role} map", components, dims),
            by_word(
                name=name, symbol=upper, title=title, formula=f"{upper} = {symbol} · W_{upper}", role=role,
                column_axis="dim", columns=dims, values=made[name],
                left=read, right=f"w_{name}", how="row × column",
            ),
        ]  # fmt: skip
    heads = {name: split_heads(values, state.n_heads) for name, values in made.items()}
    return _placed(state, heads["q"], heads["k"], heads["v"], state.d_head**-0.5, None, found)


def _direct(state: LabState, found: list[LabMatrix]) -> _Inputs:
    real = state.real
    if real is None:
        raise ValueError("This state has no q, k and v of its own.")
    for name, title in (("q", "queries"), ("k", "keys"), ("v", "values")):
        width = len(state.cells(name)[0])
        found.append(_given(state, name, title, state.words, tuple(str(i + 1) for i in range(width))))
    bias = None if real.bias is None else torch.tensor(real.bias, dtype=torch.float64)[None]
    q, k, v = (state.tensor(name)[None] for name in ("q", "k", "v"))
    return _placed(state, q, k, v, real.scale, bias, found)


def _placed(
    state: LabState,
    q: Float[Tensor, "head query d_head"],
    k: Float[Tensor, "head key d_head"],
    v: Float[Tensor, "head key d_value"],
    scale: float,
    bias: Float[Tensor, "head query key"] | None,
    found: list[LabMatrix],
) -> _Inputs:
    """Positions that act on q and k or on scores."""
    positions = state.switches.positions
    if positions == "rotary":
        q, k = rotary(q), rotary(k)
        dims = dim_labels(state) if not state.direct else tuple(str(i + 1) for i in range(state.d_head))
        for (name, title, role), values in zip(_QKV, (q, k), strict=False):
            upper = name.upper()
            found.append(
                _by_word(state)(
                    name=f"{name}_r", symbol=f"{upper}′", title=f"{title}, turned by position", role=role,
                    formula=f"{upper}′: each pair of {upper} turned by p · 10000^(-2i/d_k)",
                    column_axis="dim", columns=dims, values=merge_heads(values), left=name, how="cell",
                )
            )  # fmt: skip
    if positions == "alibi":
        far = alibi_bias(state.n_words, SLOPES[: state.n_heads])
        bias = far if bias is None else bias + far
    if not state.switches.scale:
        scale = 1.0
    return _Inputs(q, k, v, scale, allowed_pairs(state.switches, state.n_words, state.real), bias)


def _head_matrices(state: LabState, inputs: _Inputs, steps: AttentionSteps, head: int) -> list[LabMatrix]:
    switches, turned = state.switches, state.switches.positions == "rotary"
    i = "" if state.n_heads == 1 else "₁₂₃₄"[head]
    q, k = (f"Q′{i}", f"K′{i}") if turned else (f"Q{i}", f"K{i}")
    masked = None if inputs.allowed is None else ~inputs.allowed
    made: list[LabMatrix] = []

    def add(
        name: str, symbol: str, title: str, formula: str, role: Role, values: Float[Tensor, "row column"], **more: str
    ) -> None:
        hidden = masked if name in ("masked", "weights") else None
        columns = state.words if name != "output" else tuple(str(c + 1) for c in range(values.shape[1]))
        axis = "word" if name != "output" else "dim"
        made.append(
            LabMatrix(
                name, head, symbol, title, formula, role, "word", axis, state.words, columns, values, hidden,
                left=more.get("left", ""), right=more.get("right", ""), how=more.get("how", "cell"),
            )
        )  # fmt: skip

    add(
        "scores", f"S{i}", "scores", f"S{i} = {q} · {k}ᵀ", "scores", steps.scores[head],
        left="q_r" if turned else "q", right="k_r" if turned else "k", how="row × row",
    )  # fmt: skip
    if inputs.bias is not None:
        formula = {True: f"B{i} = the head's own bias", False: ""}[state.direct and switches.positions != "alibi"]
        slope = f"-{float(SLOPES[head]):g} · |row - column|"
        if not formula:
            formula = f"B{i} = {slope}" if state.real is None or state.real.bias is None else f"B = own bias {slope}"
        add("bias", f"B{i}", "bias of the scores", formula, "scores", inputs.bias[head], how="")
    add(
        "scaled", f"S′{i}", "scaled scores", scaled_formula(state, i), "scores", steps.scaled_scores[head],
        left="scores", right="" if inputs.bias is None else "bias",
    )  # fmt: skip
    words = "M{0} = S′{0}, -∞ where masked" if masked is not None else "M{0} = S′{0}: no mask is on"
    add("masked", f"M{i}", "masked scores", words.format(i), "scores", steps.masked_scores[head], left="scaled")
    says = {
        "softmax": f"A{i} = softmax of each row of M{i}",
        "none": f"A{i} = M{i} itself, 0 where masked: no softmax",
        "hard max": f"A{i} = 1 at the largest of each row of M{i}, 0 elsewhere",
    }
    add("weights", f"A{i}", "weights", says[switches.softmax], "weights", steps.weights[head], left="masked", how="row")
    add(
        "output", f"O{i}", "output of the head", f"O{i} = A{i} · V{i}", "output", steps.output[head],
        left="weights", right="v", how="row × column",
    )  # fmt: skip
    return made


def scaled_formula(state: LabState, i: str) -> str:
    """How S′ comes from S, with the numbers that are used."""
    switches = state.switches
    parts = f"S{i}"
    if switches.scale:
        parts += f" ÷ √{state.d_head}" if _by_root(state) else f" × {state.real.scale:.4g}" if state.real else ""
    if switches.positions == "alibi" or (state.real is not None and state.real.bias is not None):
        parts += f" + B{i}"
    if switches.temperature != 1:
        parts = f"({parts}) ÷ {switches.temperature:g}" if " " in parts else f"{parts} ÷ {switches.temperature:g}"
    if parts == f"S{i}":
        return f"S′{i} = S{i}: not divided by √d_k"
    return f"S′{i} = {parts}" + ("" if switches.scale else ": not divided by √d_k")


def _by_root(state: LabState) -> bool:
    return state.real is None or abs(state.real.scale * state.d_head**0.5 - 1) < 1e-6


def _given(state: LabState, name: str, title: str, rows: tuple[str, ...], columns: tuple[str, ...]) -> LabMatrix:
    by_word = name in ("x", "q", "k", "v")
    role: Role = {"x": "input", "q": "query", "k": "key", "v": "value"}.get(name, "map")  # type: ignore[assignment]
    return LabMatrix(
        name, None, NAMES[name], title, "", role,
        "word" if by_word else "dim" if name == "w_o" else "component",
        "component" if name in ("x", "w_o") else "dim",
        rows, columns, state.tensor(name), editable=True,
    )  # fmt: skip


def _by_word(state: LabState) -> "partial[LabMatrix]":
    """Makes a matrix of all heads with a row for each word."""
    return partial(LabMatrix, head=None, row_axis="word", rows=state.words)
