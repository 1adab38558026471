"""docs/support.md: the results as a table, and the table read back."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from tests.commands.matrix.architectures import TASKS
from tests.commands.matrix.checking import Outcome

FILE = Path(__file__).parents[3] / "docs/support.md"
BESIDE = ("text → tokens", "longest text", "readout", "heads edited")
FIELDS = ("tokens", "longest", "readout", "edited")  # of a result, by column
COLUMNS = ("model_type", "result", "class", "layers", "terms of the formula", "checks", *BESIDE, "note")

_MEANING: dict[Outcome, str] = {
    "exact": "q, k, v and output are captured; every check below holds in every head of every layer",
    "in part": "so are some of its layers; others compute attention of their own, which is not shown",
    "weights only": "hides q and k; the weights that it returns itself are shown, and the page says so",
    "not attention": "there are no attention weights to show",
    "not text alone": "is listed as a text model, but needs images, sound or positions on a page, or another model",
    "refused": "attends, but what it passes or returns is not known well enough to draw; the error says so",
    "cannot be built tiny": "no random model of it can be made here",
    "wrong": "a check fails: a fault of ours",
}


def table(results: Sequence[dict[str, Any]], transformers_version: str) -> str:
    """The whole of docs/support.md."""
    counts = Counter(result["outcome"] for result in results)
    lines = [
        "# Architectures",
        "",
        "What Sightline shows of every text architecture that transformers knows. Made by `make matrix ARGS=--write`, "
        "which builds a tiny random model of each from its configuration class, captures a sentence, and compares. "
        "`make matrix` does the same again and fails if a line of this page has changed.",
        "",
        f"transformers {transformers_version}: {len(results)} values of `model_type`.",
        "",
        "| result | architectures | meaning |",
        "|---|---:|---|",
        *(
            f"| {outcome} | {counts[outcome]} | {_MEANING[outcome]} |"
            for outcome in get_args(Outcome)
            if counts[outcome]
        ),
        "",
        "**How the list is made.** Every `model_type` in one of transformers' lists of models by task: "
        + ", ".join(f"{task} (`{mapping}`)" for task, mapping in TASKS.items())
        + ". Nothing is added or left out by hand. Those that can read images or sound as well are given text alone.",
        "",
        "**What *exact* means.** The captured run equals the same model with its plain attention function bit by bit. "
        "It equals a second model with the same weights and transformers' eager attention to within 1e-5 × max(1, "
        "largest magnitude). In every head of every layer our formula gives the model's own output, and the weights "
        "that the modelling file's eager function gives for the captured q, k and v, to within the same tolerance; "
        "where the eager model returns weights by name, those agree too. No other attention was computed while the "
        "model ran. *checks* names what was compared in every layer: q, k and v with the linear maps that made them "
        "(and norms and rotations on the way), the mask, the weights, the output, and W_O: the linear map that reads "
        "the output. What could not be observed is not in the list.",
        "",
        "**Beside the attention.** *text → tokens*: the tokens of a text, and of the decoder's text, are those of the "
        "tokenizer's own call, for a tiny tokenizer of the class that transformers names for the architecture; the "
        "target (`text_target=`) is moved right by the class with the head, and where the tokenizer is told languages "
        "two are chosen. *longest text*: tokens that the card claims; so many are captured, and one more is cut with a "
        "note; the tokenizer sets no limit there. *readout*: every class with a head that transformers' lists have for "
        "the architecture is saved, opened by what its config.json names, and `trace.readout()` agrees with what that "
        "class gives by itself. *heads edited*: where an experiment changes a head. At W_O's input; after a norm or a "
        "gate, where one stands between the attention function's output and W_O and all heads pass it, so that a head "
        "is changed behind it, in what W_O reads; at the function's output where W_O was not observed; refused where "
        "neither is known. ✓: each head of each layer set to 0, as a row of a batch, ends within 1e-5 × max(1, largest "
        "magnitude) of a run with a hook written by hand at that very place. ✗ is a fault of ours, – is nothing to "
        "compare, with the reason in the cell.",
        "",
        "| column | part | ✓ agrees | ✗ differs | – |",
        "|---|---|---:|---:|---:|",
        *counted(results),
        "",
        "**How small.** Sizes come from rules by the words of a setting's name (`tests/commands/matrix/shrinking.py`); "
        "settings that a few architectures need are in `tests/commands/matrix/special_cases.json`. The capture itself "
        "has no list of architectures.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
        *map(row, results),
        "",
    ]
    return "\n".join(lines)


def counted(results: Sequence[dict[str, Any]]) -> list[str]:
    """The cells of the columns beside the attention, counted part by part."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for column, field, parts_of in zip(BESIDE, FIELDS, (", ", "; ", ", ", ", "), strict=True):
        for result in results:
            for part in (result.get(field) or "").split(parts_of):
                if part:
                    counts.setdefault((column, _name(column, part)), Counter())[_state(column, part)] += 1
    return [
        f"| {column} | {name} | {found['✓']} | {found['✗']} | {found['–']} |"
        for (column, name), found in counts.items()
    ]


def _name(column: str, part: str) -> str:
    """What a part of a cell is about: its first words."""
    if column == "longest text":
        return "decoder's text" if part.startswith("decoder") else "text"
    return re.split(r" ?[✓✗–:]", part)[0] or "source"


def _state(column: str, part: str) -> str:
    if "✗" in part:
        return "✗"
    return "✓" if "✓" in part or (column == "longest text" and "no limit" not in part) else "–"


def row(result: dict[str, Any]) -> str:
    cells = (
        f"`{result['model_type']}`",
        result["outcome"],
        f"{result['model_class']}" if result.get("model_class") else "",
        result.get("layers", ""),
        result.get("terms", ""),
        result.get("steps", ""),
        result.get("tokens", ""),
        result.get("longest", ""),
        result.get("readout", ""),
        result.get("edited", ""),
        result.get("why", ""),
    )
    return f"| {' | '.join(cell.replace('|', '¦') for cell in cells)} |"


def rows_of(text: str) -> dict[str, tuple[str, ...]]:
    """model_type → its cells, from the text of docs/support.md. Raises ValueError if there is no such table."""
    head = f"| {' | '.join(COLUMNS)} |"
    if head not in text:
        raise ValueError("there is no table of architectures in this text")
    rows: dict[str, tuple[str, ...]] = {}
    for line in text.split(head)[1].splitlines()[2:]:
        if line.startswith("| `"):
            cells = tuple(cell.strip() for cell in line.strip("|").split(" | "))
            rows[cells[0].strip("`")] = cells
    return rows
