"""A Lab state as a Python file that needs nothing but NumPy, or torch, and prints every matrix that the Lab shows.

Only the lines that this state needs are written, so the file reads as its own short lesson. Words and numbers are
Python literals; the file can be run, changed and run again.
"""

from dataclasses import dataclass

from attention_core.lab.run import SLOPES, TIE
from attention_core.lab.state import NAMES, Cells, LabState

FLAVOURS = ("numpy", "torch")


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How each library says it."""

    imports: str
    install: str
    array: str  # opens a matrix literal
    close: str
    arange: str
    ones: str
    exp: str
    sin: str
    cos: str
    where: str
    inf: str
    joined: str
    copy: str
    largest: str
    total: str
    number: str
    as_number: str  # of booleans
    maximum: str


_DIALECTS = {
    "numpy": _Dialect(
        imports="import numpy as np", install="numpy", array="np.array(", close=")",
        arange="np.arange({}, dtype=float)",
        ones="np.ones(({0}, {1}), dtype=bool)", exp="np.exp", sin="np.sin", cos="np.cos", where="np.where",
        inf="-np.inf", joined="np.concatenate(outputs, axis=1)", copy=".copy()",
        largest=".max(axis=1, keepdims=True)", total=".sum(axis=1, keepdims=True)", number="np.array({}, dtype=float)",
        as_number=".astype(float)", maximum="np.maximum(abs(top), 1.0)",
    ),
    "torch": _Dialect(
        imports="import torch", install="torch", array="torch.tensor(", close=", dtype=torch.float64)",
        arange="torch.arange({}, dtype=torch.float64)", ones="torch.ones({0}, {1}, dtype=torch.bool)",
        exp="torch.exp", sin="torch.sin", cos="torch.cos", where="torch.where", inf='float("-inf")',
        joined="torch.cat(outputs, dim=1)", copy=".clone()", largest=".amax(dim=1, keepdim=True)",
        total=".sum(dim=1, keepdim=True)", number="torch.tensor({}, dtype=torch.float64)",
        as_number=".double()", maximum="abs(top).clamp(min=1.0)",
    ),
}  # fmt: skip


def python_source(state: LabState, flavour: str = "numpy") -> str:
    """The file's text. Raises ValueError for another flavour."""
    if flavour not in FLAVOURS:
        raise ValueError(f"The file can be for numpy or torch; got {flavour!r}.")
    say = _DIALECTS[flavour]
    lines = [
        '"""Attention on small matrices, every step printed. Change a number and run it again.',
        "",
        f"Needs Python 3 and {say.install}: pip install {say.install}",
        "Rows are words that look (queries), columns are words that are looked at (keys).",
        '"""',
        "",
        "import sys",
        "",
        say.imports,
        "",
        'sys.stdout.reconfigure(encoding="utf-8")',
        f"words = {list(state.words)!r}",
        "n = len(words)",
        f"n_heads = {state.n_heads}",
        "",
        "",
        "def show(name, matrix, head=None, by_word=True):",
        '    of_head = "" if head is None else f", head {head + 1}"',
        '    print(f"\\n{name}{of_head} [{matrix.shape[0]} x {matrix.shape[1]}]")',
        "    labels = words if by_word else range(1, len(matrix) + 1)",
        "    for label, row in zip(labels, matrix.tolist()):",
        '        print(f"{label!s:>12}", *(f"{value:12.6f}" for value in row))',
        "",
        "",
    ]
    if state.switches.positions == "rotary":
        lines += _turned(say)
    lines += _inputs(state, say)
    lines += _mask(state, say)
    lines += _heads(state, say)
    return "\n".join(lines) + "\n"


def _inputs(state: LabState, say: _Dialect) -> list[str]:
    lines = [line for name in state.matrices for line in _literal(NAMES[name], state.cells(name), say)]
    read, shown = "X", []
    if state.real is not None:
        made = ["Q", "K", "V"]
    else:
        shown = ["X"]
        if state.switches.positions == "sinusoidal":
            lines += [
                "# Positions: sine and cosine of the place, in pairs that turn more and more slowly.",
                "d_model = X.shape[1]",
                f"speed = 10000.0 ** (-{say.arange.format('0, d_model, 2')} / d_model)",
                f"angle = {say.arange.format('n')}[:, None] * speed",
                "P = 0 * X",
                f"P[:, 0::2] = {say.sin}(angle)",
                f"P[:, 1::2] = {say.cos}(angle)[:, : d_model // 2]",
                "X_P = X + P",
                "",
            ]
            read, shown = "X_P", ["X", "P", "X_P"]
        lines += ["# Queries, keys and values of all words at once, one matrix product each."]
        lines += [f"{name} = {read} @ W_{name}" for name in "QKV"]
        made = [part for name in "QKV" for part in (f"W_{name}", name)]
    lines += ["", *(_shown(name) for name in (*shown, *made)), ""]
    return lines


def _shown(name: str) -> str:
    return f'show("{name}", {name}{", by_word=False" if name.startswith("W_") else ""})'


def _turned(say: _Dialect) -> list[str]:
    return [
        "def turned(x):",
        '    """Each pair of components turned by the place times the speed of the pair (rotary positions)."""',
        "    even = x.shape[1] - x.shape[1] % 2",
        f"    speed = 10000.0 ** (-{say.arange.format('0, even, 2')} / max(even, 1))",
        f"    angle = {say.arange.format('n')}[:, None] * speed",
        f"    cos, sin = {say.cos}(angle), {say.sin}(angle)",
        "    first, second = x[:, 0:even:2], x[:, 1:even:2]",
        f"    out = x{say.copy}",
        "    out[:, 0:even:2] = first * cos - second * sin",
        "    out[:, 1:even:2] = first * sin + second * cos",
        "    return out",
        "",
        "",
    ]


def _mask(state: LabState, say: _Dialect) -> list[str]:
    switches, real = state.switches, state.real
    lines = [
        "# Who may look at whom: allowed[query, key].",
        f"allowed = {say.ones.format('n', 'n')}",
    ]
    if switches.causal or switches.window is not None:
        lines += [f"place = {say.arange.format('n')}"]
    if switches.causal:
        lines += ["allowed &= place[None, :] <= place[:, None]  # nobody looks at a later word"]
    if switches.window is not None:
        lines += [f"allowed &= abs(place[None, :] - place[:, None]) <= {switches.window}  # a window to either side"]
    if switches.padding:
        lines += [f"allowed[:, {list(switches.padding)!r}] = False  # padding"]
    if real is not None and real.allowed is not None:
        rows = [[int(may) for may in row] for row in real.allowed]
        lines += [f"allowed &= {say.number.format(rows)} == 1  # the model's own mask"]
    return [*lines, ""]


def _heads(state: LabState, say: _Dialect) -> list[str]:
    real, rotary = state.real, state.switches.positions == "rotary"
    lines = [
        "d_k = Q.shape[1] // n_heads",
        "d_v = V.shape[1] // n_heads",
    ]
    if rotary:
        heads = "[turned({0}[:, h * d_k : (h + 1) * d_k]) for h in range(n_heads)]"
        for name in "QK":
            lines += [
                f"outputs = {heads.format(name)}",
                f"{name}_R = {say.joined}",
                f'show("{name}_R", {name}_R)',
            ]
    lines += [*_bias(state, say), "", "outputs = []", "for head in range(n_heads):"]
    suffix = "_R" if rotary else ""
    body = [
        f"q = Q{suffix}[:, head * d_k : (head + 1) * d_k]",
        f"k = K{suffix}[:, head * d_k : (head + 1) * d_k]",
        "v = V[:, head * d_v : (head + 1) * d_v]",
        "scores = q @ k.T",
        'show("scores", scores, head)',
    ]
    body += [
        *_scaled(state),
        'show("scaled", scaled, head)',
        f"masked = {say.where}(allowed, scaled, {say.inf})",
        'show("masked", masked, head)',
        *_weights(state, say),
        'show("weights", weights, head)',
        "output = weights @ v",
        'show("output", output, head)',
        "outputs.append(output)",
    ]
    lines += [f"    {line}" for line in body]
    if real is None:
        lines += [
            "",
            "# The heads side by side, then one more map.",
            f"joined = {say.joined}",
            'show("joined", joined)',
            _shown("W_O"),
            "projected = joined @ W_O",
            'show("projected", projected)',
        ]
    return lines


def _bias(state: LabState, say: _Dialect) -> list[str]:
    """What the scores of a head get added, before the loop over heads."""
    lines = []
    if state.real is not None and state.real.bias is not None:
        lines += _literal("own_bias", state.real.bias, say)
    if state.switches.positions == "alibi":
        slopes = [float(slope) for slope in SLOPES[: state.n_heads]]
        lines += [
            f"distance = abs({say.arange.format('n')}[None, :] - {say.arange.format('n')}[:, None])",
            f"slopes = {slopes!r}  # ALiBi: so much for each word of distance",
        ]
    return lines


def _scaled(state: LabState) -> list[str]:
    """From scores to scaled scores, inside the loop: scale, bias, temperature."""
    switches, real = state.switches, state.real
    scaled = "scores"
    if switches.scale:
        scaled = "scores / d_k**0.5" if real is None else f"scores * {real.scale!r}"
    parts = ["own_bias"] if real is not None and real.bias is not None else []
    parts += ["-slopes[head] * distance"] if switches.positions == "alibi" else []
    lines = []
    if parts:
        lines += [f"bias = {' + '.join(parts)}", 'show("bias", bias, head)']
        scaled += " + bias"
    if switches.temperature != 1:
        scaled = f"({scaled}) / {switches.temperature!r}"
    return [*lines, f"scaled = {scaled}" + ("" if switches.scale else "  # not divided by the root of d_k")]


def _weights(state: LabState, say: _Dialect) -> list[str]:
    kind = state.switches.softmax
    if kind == "none":
        return [f"weights = {say.where}(allowed, masked, 0.0)  # no softmax"]
    top = [f"top = masked{say.largest}"]
    if kind == "hard max":
        return [
            *top,
            f"winners = (masked >= top - {TIE!r} * {say.maximum}){say.as_number}",
            f"weights = winners / winners{say.total}  # the largest takes all, equals share",
        ]
    if say.install == "torch":
        return ["weights = torch.softmax(masked, dim=1)"]
    return [
        *top,
        f"exps = {say.exp}(masked - top)  # minus the row's largest: the same weights, and no overflow",
        f"weights = exps / exps{say.total}",
    ]


def _literal(name: str, cells: Cells, say: _Dialect) -> list[str]:
    rows = [f"    [{', '.join(repr(value) for value in row)}]," for row in cells]
    return [f"{name} = {say.array}[", *rows, f"]{say.close}", ""]
