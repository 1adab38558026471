"""A Lab state as plain data for its view: every matrix with labels, formula and what it was made of."""

import re
from dataclasses import asdict

from attention_core.formats.json_data import JsonObject
from attention_core.lab.edits import changed_from_real, shuffle_order
from attention_core.lab.facts import Comparison, HeadNumbers, changed_switches, compare, plane, shuffle_difference
from attention_core.lab.link import to_link
from attention_core.lab.presets import PRESETS, Look
from attention_core.lab.run import LabMatrix, LabRun, row_alone
from attention_core.lab.state import MAX_WORDS, MIN_WORDS, LabState
from pages.shared.address.view import View
from pages.shared.engine.choosing import engine
from pages.shared.engine.plain import TraceSummary
from pages.shared.service.sources import Source

_ROLES = {"w_q": "query", "w_k": "key", "w_v": "value", "w_o": "output"}
_MADE_BY = {"row × column": "columns", "row × row": "rows", "cell": "cell", "row": "row"}


def lab_data(state: LabState, preset: str) -> JsonObject:
    """Everything that the view draws, as JSON without NaN: null stands for a masked cell."""
    compared = _compared(state)
    found = compared.yours
    changed = changed_from_real(state)
    word = state.n_words - 1
    return {
        "state": to_link(state),
        "words": state.words,
        "n_heads": state.n_heads,
        "d_model": state.d_model,
        "d_head": state.d_head,
        "joined": state.d_head * state.n_heads,
        "direct": state.direct,
        "real": _real(state, sum(map(len, changed.values()))),
        "switches": asdict(state.switches),
        "matrices": [_matrix(found, one, changed.get(one.name)) for one in found.matrices],
        "preset": _preset(preset, state),
        "presets": [
            {"name": one.name, "title": one.title, "teaches": _first_sentence(one.notice)} for one in PRESETS.values()
        ],
        "compare": {
            "switched": bool(compared.sentences),
            "sentences": [said.says for said in compared.sentences],
            "standard": [
                _matrix(compared.standard, compared.standard.of("weights", head), None)
                for head in range(compared.standard.state.n_heads)
            ],
            "facts": [
                _facts(mine, compared.standard_heads[min(mine.head, len(compared.standard_heads) - 1)])
                for mine in compared.your_heads
            ],
        },
        "plane": _plane(found),
        "alone": {"word": word, "difference": row_alone(state, word).difference},
        "shuffled": _shuffled(state),
        "limits": {"min_words": MIN_WORDS, "max_words": MAX_WORDS},
    }


def model_data(view: View, source: Source, trace: TraceSummary | None, problem: str) -> JsonObject | None:
    """What can be copied from the model that the other pages show; None while it reads the text."""
    if trace is None and not problem:
        return None
    if trace is not None and trace.given and not any(layer.exact for layer in trace.layers):
        problem = f"{trace.facts.name}: {trace.only_weights}. There is no q and no k to copy into cells."
    if trace is None or problem:
        return {"name": "", "layers": [], "tokens": [], "layer": 0, "head": 0, "chosen": [], "problem": problem}
    layer = min(view.layer, len(trace.layers) - 1) if isinstance(view.layer, int) else 0
    head = min(view.head, trace.layers[layer].n_heads - 1) if isinstance(view.head, int) else 0
    return {
        "name": trace.facts.name,
        "layers": [{"label": one.label, "n_heads": one.n_heads} for one in trace.layers],
        "tokens": [
            [{"text": token.text, "special": token.special} for token in trace.query_tokens(i)]
            for i in range(len(trace.layers))
        ],
        "layer": layer,
        "head": head,
        "chosen": _telling(source, trace, layer, head, view.query),
        "problem": "",
    }


def _telling(source: Source, trace: TraceSummary, layer: int, head: int, query: int | None, most: int = 5) -> list[int]:
    """The query that is looked at and the words that it looks at most; none if the layer's keys are other tokens."""
    tokens = trace.query_tokens(layer)
    if query is None or query >= len(tokens) or trace.layers[layer].kind == "cross":
        return []
    weights = engine().row(source, layer, head, query)
    words = [i for i, token in enumerate(tokens) if not token.special and i != query]
    chosen = sorted([query, *sorted(words, key=lambda i: -weights[i])[: most - 1]])
    return chosen if len(chosen) >= MIN_WORDS else []


def _compared(state: LabState) -> Comparison:
    """Beside every switch at its standard; if only the number of heads is not, beside one head of the same size."""
    return compare(state, "n_heads") if changed_switches(state) == ("n_heads",) else compare(state)


def _shuffled(state: LabState) -> float | None:
    """How much a result differs after a shuffle of the words; None if the masks then leave some word nothing to see."""
    try:
        return shuffle_difference(state, shuffle_order(state.n_words, 0))
    except ValueError:
        return None


def _matrix(found: LabRun, matrix: LabMatrix, changed: tuple[tuple[int, int], ...] | None) -> JsonObject:
    rows, columns = matrix.shape
    values: list[float | None] = matrix.values.flatten().tolist()
    if matrix.masked is not None:
        values = [None if hidden else x for x, hidden in zip(values, matrix.masked.flatten().tolist(), strict=True)]
    weights = matrix.role == "weights" and found.state.switches.softmax != "none"
    return {
        "id": _id(matrix),
        "name": matrix.name,
        "head": matrix.head,
        "symbol": matrix.symbol,
        "title": matrix.title,
        "formula": matrix.formula,
        "role": _ROLES.get(matrix.name, matrix.role if matrix.role in _ROLES.values() else ""),
        "kind": "weights" if weights else "signed",
        "editable": matrix.editable,
        "shape": [rows, columns],
        "rows": matrix.rows,
        "columns": matrix.columns,
        "words": matrix.row_axis == "word",
        "values": values,
        "made": _made(found, matrix),
        **({} if changed is None else {"changed": [row * columns + column for row, column in changed]}),
    }


def _made(found: LabRun, matrix: LabMatrix) -> JsonObject | None:
    """How a cell came to be, in the words of `assets/js/lab/numbers.js`."""
    state, head = found.state, matrix.head or 0
    if matrix.name == "joined":
        parts = [f"output:{one}" for one in range(state.n_heads)]
        return {"by": "joined", "left": parts[0], "parts": parts, "width": state.d_value}
    if matrix.how not in _MADE_BY or not matrix.left:
        return None
    names = [_named(found, name, matrix.head) for name in (matrix.left, matrix.right)]
    made = {"by": _MADE_BY[matrix.how], "left": names[0], "right": names[1]}
    if matrix.how == "row × row":
        return {**made, "from": head * state.d_head, "width": state.d_head}
    if matrix.name == "output":
        return {**made, "from": head * state.d_value, "width": state.d_value}
    return made


def _named(found: LabRun, name: str, head: int | None) -> str:
    of_head = any(one.name == name and one.head == head for one in found.matrices)
    return f"{name}:{head}" if head is not None and of_head else name


def _id(matrix: LabMatrix) -> str:
    return matrix.name if matrix.head is None else f"{matrix.name}:{matrix.head}"


def _preset(name: str, state: LabState) -> JsonObject | None:
    if name not in PRESETS:
        return None
    preset = PRESETS[name]
    result = preset.check(state)
    return {
        "name": name,
        "title": preset.title,
        "notice": preset.notice,
        "task": preset.task,
        "hint": preset.hint,
        "done": result.done,
        "says": result.says,
        "look": {"id": _place(preset.look), "row": preset.look.row, "column": preset.look.column},
    }


def _first_sentence(text: str) -> str:
    """Up to the first full stop that a blank and a capital letter follow."""
    return re.split(r"(?<=\.)\s+(?=[A-Z“])", text, maxsplit=1)[0]


def _place(look: Look) -> str:
    return look.matrix if look.head is None else f"{look.matrix}:{look.head}"


def _real(state: LabState, changed: int) -> JsonObject | None:
    if state.real is None:
        return None
    real = state.real
    return {"says": f"{real.model}, {real.place}, head {real.head}", "notes": real.notes, "changed": changed}


def _facts(mine: HeadNumbers, standard: HeadNumbers) -> list[JsonObject]:
    lowest, highest = mine.row_sums
    return [
        _fact("mean spread of a row", "bits", mine.mean_entropy, standard.mean_entropy),
        _fact("largest weight", "", mine.largest, standard.largest),
        _fact("softmax's gradient, mean norm", "", mine.mean_gradient, standard.mean_gradient),
        _fact("smallest row sum", "", lowest, standard.row_sums[0]),
        _fact("largest row sum", "", highest, standard.row_sums[1]),
    ]


def _fact(label: str, unit: str, yours: float | None, standard: float | None) -> JsonObject:
    return {"label": label, "unit": unit, "yours": yours, "standard": standard}


def _plane(found: LabRun) -> JsonObject | None:
    heads = []
    for head in range(found.state.n_heads):
        drawn = plane(found, head)
        if drawn is None:
            return None
        n = found.state.n_words
        pairs = [[drawn.pair(query, key) for key in range(n)] for query in range(n)]
        queries = zip(drawn.q.tolist(), (row[0].query_length for row in pairs), strict=True)
        keys = zip(drawn.k.tolist(), (pair.key_length for pair in pairs[0]), strict=True)
        heads.append(
            {
                "queries": [{"x": x, "y": y, "length": length} for (x, y), length in queries],
                "keys": [{"x": x, "y": y, "length": length} for (x, y), length in keys],
                "dots": [[pair.dot for pair in row] for row in pairs],
                "angles": [[pair.angle for pair in row] for row in pairs],
            }
        )
    return {"heads": heads}
