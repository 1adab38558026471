"""A Lab state as an .xlsx spreadsheet of formulas: change a tinted cell and everything after it is computed again.

Every matrix is a block with its formula in words, and has a name that formulas use: `=MMULT(Q_1,TRANSPOSE(K_1))`. The
switches scale, temperature, causal, window and padding are cells too; softmax's kind and positions are built into the
formulas. Values are stored beside the formulas, for viewers that compute nothing.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from attention_core.formula.positions import BASE
from attention_core.lab.run import SLOPES, TIE, LabMatrix, LabRun, run
from attention_core.lab.state import LabState

if TYPE_CHECKING:  # imported where a sheet is made: 60 ms that the first page need not wait for
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format

RANGE_NAMES = {  # never like a cell's address (Q1), never R or C, which spreadsheets keep for row and column
    "x": "X", "positions": "P", "x_p": "X_P", "w_q": "W_Q", "q": "Q", "w_k": "W_K", "k": "K", "w_v": "W_V", "v": "V",
    "q_r": "Q_R", "k_r": "K_R", "scores": "S", "bias": "B", "scaled": "Z", "masked": "M", "weights": "A", "output": "O",
    "joined": "H", "w_o": "W_O", "projected": "Y",
}  # fmt: skip
MASKED = "-∞"  # text, which MAX and SUM pass over
_INPUTS, _MAPS, _RESULT = "Inputs", "Q K V", "Output"
_NO_WINDOW = 99

Cell = Callable[[int, int], str]  # the address of a cell of a block, with its sheet
Formula = Callable[[int, int], str]  # of a cell of a block


@dataclass(slots=True)
class _Book:
    """The workbook being written; each sheet's next free row."""

    book: "Workbook"
    numbers: "Format"  # of cells with a formula
    inputs: "Format"  # of cells to be changed
    bold: "Format"
    faint: "Format"
    next_row: dict[str, int] = field(default_factory=dict)

    def sheet(self, name: str) -> Any:  # a Worksheet, whose own annotations take no float for a cell's value
        """The sheet of this name, made when it is first asked for."""
        found = self.book.get_worksheet_by_name(name)
        if found is None:
            found = self.book.add_worksheet(name)
            found.set_column(0, 0, 22)
            found.set_column(1, 70, 10)
            self.next_row[name] = 0
        return found


@dataclass(frozen=True, slots=True)
class _Table:
    """A block of the sheet before it is written."""

    name: str  # of its cells, in formulas
    title: str
    says: str  # a sentence or a formula beside the title
    rows: tuple[str, ...]  # a label for each row
    columns: tuple[str, ...]
    values: list[list[float]]  # stored beside the formulas


def range_name(name: str, head: int | None = None) -> str:
    """What the cells of a matrix are called in the spreadsheet."""
    return RANGE_NAMES[name] + ("" if head is None else f"_{head + 1}")


def spreadsheet(state: LabState) -> bytes:
    """An .xlsx file."""
    import xlsxwriter  # 60 ms that the first page need not wait for

    found = run(state)
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = _Book(
        book,
        numbers=book.add_format({"num_format": "0.0000"}),
        inputs=book.add_format({"bg_color": "#FFF4CC", "num_format": "General", "border": 4}),
        bold=book.add_format({"bold": True, "font_size": 12}),
        faint=book.add_format({"italic": True, "font_color": "#5B5868"}),
    )
    _read_me(sheet, state)
    _input_cells(sheet, found)
    before = [matrix for matrix in found.matrices if matrix.head is None and matrix.name not in ("joined", "projected")]
    for matrix in before:
        if not matrix.editable:
            _before_heads(sheet, found, matrix)
    for head in range(state.n_heads):
        _head(sheet, found, head)
    if not state.direct:
        _after_heads(sheet, found)
    book.close()
    return file.getvalue()


def _read_me(sheet: _Book, state: LabState) -> None:
    page = sheet.sheet("Read me")
    page.set_column(0, 0, 110)
    lines = [
        ("Attention on small matrices", sheet.bold),
        ("Every number but those in tinted cells is a formula: change a tinted cell on “Inputs” and all follow.", None),
        ("Rows are words that look (queries), columns are words that are looked at (keys).", None),
        ("Every matrix has a name, shown in brackets, that formulas use; pick it in the name box to jump there.", None),
        (f"A masked score is the text {MASKED}. A word with nothing left to look at shows a division by zero.", None),
        (f"Built in: {_softmax_words(state)}; positions: {state.switches.positions}.", None),
    ]
    if state.real is not None:
        real = state.real
        lines += [
            (
                f"q, k and v were copied from {real.model}, {real.place}, head {real.head}; they can be edited.",
                None,
            ),
            ("Weights are over these words alone, so they differ from the model's over its whole text.", None),
            *((note, None) for note in real.notes),
        ]
    for row, (line, style) in enumerate(lines):
        page.write_string(row, 0, line, style)


def _softmax_words(state: LabState) -> str:
    return {"softmax": "softmax", "none": "no softmax", "hard max": "hard max, equals share"}[state.switches.softmax]


def _input_cells(sheet: _Book, found: LabRun) -> None:
    """The tinted cells: switches first, then words, matrices and the mask that follows from the switches."""
    state, switches = found.state, found.state.switches
    page = sheet.sheet(_INPUTS)
    page.write_string(0, 0, "Switches", sheet.bold)
    rows = [
        ("scale", int(switches.scale), "1: divide by the root of d_k; 0: do not"),
        ("temperature", switches.temperature, "scores are divided by it; above 0"),
        ("causal", int(switches.causal), "1: nobody looks at a later word"),
        (
            "window",
            _NO_WINDOW if switches.window is None else switches.window,
            f"words to either side that are seen; {_NO_WINDOW}: all",
        ),
    ]
    for row, (name, value, says) in enumerate(rows, start=1):
        page.write_string(row, 0, name)
        page.write_number(row, 1, value, sheet.inputs)
        page.write_string(row, 2, says, sheet.faint)
        sheet.book.define_name(f"switch_{name}", f"='{_INPUTS}'!$B${row + 1}")
    factor = f"1/SQRT({state.d_head})" if state.real is None else repr(state.real.scale)
    value = 1.0 if not switches.scale else state.d_head**-0.5 if state.real is None else state.real.scale
    page.write_string(5, 0, "factor of the scores")
    page.write_formula(5, 1, f"=IF(switch_scale=1,{factor},1)", sheet.numbers, value)
    sheet.book.define_name("factor", f"='{_INPUTS}'!$B$6")
    page.write_string(7, 0, "Words", sheet.bold)
    for place, word in enumerate(state.words):
        page.write_string(7, 1 + place, word)
    page.write_string(8, 0, "padding (1: yes)")
    for place in range(state.n_words):
        page.write_number(8, 1 + place, int(place in switches.padding), sheet.inputs)
    sheet.next_row[_INPUTS] = 10
    for matrix in found.matrices:
        if matrix.editable:
            _block(sheet, _INPUTS, matrix, None)
    _mask(sheet, found)


def _mask(sheet: _Book, found: LabRun) -> None:
    state, words = found.state, found.state.words
    masked = found.of("weights", 0).masked
    real = state.real.allowed if state.real is not None else None

    def formula(i: int, j: int) -> str:
        parts = [f"ABS({j}-{i})<=switch_window", f"{_address(8, 1 + j)}=0"]
        parts += ["switch_causal=0"] if j > i else []
        parts += ["FALSE"] if real is not None and not real[i][j] else []
        return f"=IF(AND({','.join(parts)}),1,0)"

    allowed = torch.ones(len(words), len(words)) if masked is None else (~masked).float()
    says = "1 where the switches allow it"
    table = _Table("ALLOWED", "who may look at whom", says, words, words, allowed.tolist())
    _cells(sheet, _INPUTS, table, formula)


def _before_heads(sheet: _Book, found: LabRun, matrix: LabMatrix) -> None:
    """Q, K, V, and positions where they act on x, q or k."""
    formula: str | Formula
    if matrix.how == "row × column":
        formula = f"MMULT({range_name(matrix.left)},{range_name(matrix.right)})"
    elif matrix.name == "positions":
        formula = _wave(found.state.d_model)
    elif matrix.name == "x_p":
        formula = "X+P"
    else:
        formula = _turn(found.state, matrix.name.removesuffix("_r"))
    _block(sheet, _MAPS, matrix, formula)


def _wave(d_model: int) -> Formula:
    """Sinusoidal: one cell."""

    def formula(i: int, j: int) -> str:
        return f"={'COS' if j % 2 else 'SIN'}({i}/{BASE:g}^({j - j % 2}/{d_model}))"

    return formula


def _turn(state: LabState, name: str) -> Formula:
    """Rotary: the cell and its partner in the pair, turned; INDEX finds them by the matrix's name."""
    upper, even = range_name(name), state.d_head - state.d_head % 2

    def formula(i: int, j: int) -> str:
        dim = j % state.d_head
        here = f"INDEX({upper},{i + 1},{j + 1})"
        if dim >= even:
            return f"={here}"
        angle = f"{i}*{BASE:g}^(-{dim - dim % 2}/{even})"
        if dim % 2 == 0:
            return f"={here}*COS({angle})-INDEX({upper},{i + 1},{j + 2})*SIN({angle})"
        return f"=INDEX({upper},{i + 1},{j})*SIN({angle})+{here}*COS({angle})"

    return formula


def _head(sheet: _Book, found: LabRun, head: int) -> None:
    state, words = found.state, found.state.words
    page, i = f"Head {head + 1}", f"_{head + 1}"
    turned = state.switches.positions == "rotary"
    for name, values in (("q", found.q[head]), ("k", found.k[head]), ("v", found.v[head])):
        whole = range_name(f"{name}_r" if turned and name != "v" else name)
        width = values.shape[1]
        first, dims = head * width, tuple(str(c + 1) for c in range(width))

        def part(row: int, column: int, whole: str = whole, first: int = first) -> str:
            return f"=INDEX({whole},{row + 1},{first + column + 1})"

        upper, says = name.upper(), f"columns {first + 1} to {first + width} of {whole}"
        table = _Table(upper + i, f"{upper} of this head", says, words, dims, values.tolist())
        _cells(sheet, page, table, part)

    def of(name: str) -> LabMatrix:
        return found.of(name, head)

    score = _block(sheet, page, of("scores"), f"MMULT(Q{i},TRANSPOSE(K{i}))")
    add: Cell | None = None
    if any(matrix.name == "bias" for matrix in found.matrices):
        own = state.real.bias if state.real is not None else None

        def bias(row: int, column: int) -> str:
            slope = f"-{float(SLOPES[head])!r}*ABS({row}-{column})" if state.switches.positions == "alibi" else ""
            return f"={own[row][column]!r}{slope}" if own is not None else f"={slope}"

        add = _block(sheet, page, of("bias"), bias)

    def scale(row: int, column: int) -> str:
        plus = "" if add is None else f"+{add(row, column)}"
        return f"=({score(row, column)}*factor{plus})/switch_temperature"

    scaled = _block(sheet, page, of("scaled"), scale)

    def mask(row: int, column: int) -> str:
        return f'=IF({_allowed(row, column)},{scaled(row, column)},"{MASKED}")'

    masked = _block(sheet, page, of("masked"), mask)
    _weights(sheet, page, found, head, masked)
    _block(sheet, page, of("output"), f"MMULT(A{i},V{i})")


def _allowed(row: int, column: int) -> str:
    return f"INDEX(ALLOWED,{row + 1},{column + 1})=1"


def _weights(sheet: _Book, page: str, found: LabRun, head: int, masked: Cell) -> None:
    """Softmax in three blocks, as one would do it by hand: each row's largest, the exponentials, the shares."""
    kind, words, i = found.state.switches.softmax, found.state.words, f"_{head + 1}"
    weights, scores = found.of("weights", head), found.of("masked", head).values
    if kind == "none":
        _block(sheet, page, weights, lambda row, column: f"=IF({_allowed(row, column)},{masked(row, column)},0)")
        return

    def whole_row(cell: Cell, row: int) -> str:
        return f"{cell(row, 0)}:{cell(row, len(words) - 1).split('!')[1]}"

    def largest(row: int, _: int) -> str:
        return f"=MAX({whole_row(masked, row)})"

    says, tops = "masked cells do not count", scores.amax(dim=-1, keepdim=True)
    table = _Table(f"TOP{i}", "largest of each row", says, words, ("largest",), tops.tolist())
    top = _cells(sheet, page, table, largest)

    def wins(row: int, column: int) -> str:
        enough = f"{top(row, 0)}-{TIE:.9f}*MAX(1,ABS({top(row, 0)}))"
        return f"=IF({_allowed(row, column)},IF({masked(row, column)}>={enough},1,0),0)"

    def exps(row: int, column: int) -> str:
        return f"=IF({_allowed(row, column)},EXP({masked(row, column)}-{top(row, 0)}),0)"

    if kind == "hard max":
        values = (scores >= tops - TIE * tops.abs().clamp_min(1.0)).double().tolist()
        says = "1 where a score is the largest of its row"
        before = _cells(sheet, page, _Table(f"WINS{i}", "winners", says, words, words, values), wins)
    else:
        values = (scores - tops).exp().tolist()
        says = "exp(score - largest of the row), 0 where masked"
        before = _cells(sheet, page, _Table(f"EXPS{i}", "exponentials", says, words, words, values), exps)
    _block(sheet, page, weights, lambda row, column: f"={before(row, column)}/SUM({whole_row(before, row)})")


def _after_heads(sheet: _Book, found: LabRun) -> None:
    width = found.state.d_value

    def part(row: int, column: int) -> str:
        return f"=INDEX(O_{column // width + 1},{row + 1},{column % width + 1})"

    _block(sheet, _RESULT, found.of("joined"), part)
    _block(sheet, _RESULT, found.of("projected"), "MMULT(H,W_O)")


def _block(sheet: _Book, page: str, matrix: LabMatrix, formula: str | Formula | None) -> Cell:
    """A matrix of the run. `formula`: one for the whole block, one for each cell, or None for cells to be changed."""
    values = matrix.values.tolist()
    name = range_name(matrix.name, matrix.head)
    return _cells(sheet, page, _Table(name, matrix.title, matrix.formula, matrix.rows, matrix.columns, values), formula)


def _cells(sheet: _Book, page: str, table: _Table, formula: str | Formula | None) -> Cell:
    target, rows, values = sheet.sheet(page), table.rows, table.values
    at = sheet.next_row[page]
    target.write_string(at, 0, f"{table.title} [{table.name}]", sheet.bold)
    target.write_string(at, 1, f"{len(rows)} × {len(table.columns)}   {table.says}", sheet.faint)
    for j, label in enumerate(table.columns):
        target.write_string(at + 1, 1 + j, label, sheet.faint)
    first = at + 2
    for i, label in enumerate(rows):
        target.write_string(first + i, 0, label)
    if isinstance(formula, str):
        last = first + len(rows) - 1, len(table.columns)
        target.write_array_formula(first, 1, *last, f"{{={formula}}}", sheet.numbers, values[0][0])
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            at_cell = first + i, 1 + j
            if formula is None:
                target.write_number(*at_cell, value, sheet.inputs)
            elif not isinstance(formula, str):
                shown: float | str = MASKED if value == -float("inf") else value
                local = formula(i, j).replace(f"'{page}'!", "")  # within a sheet an address alone reads better
                target.write_formula(*at_cell, local, sheet.numbers, shown)
            elif (i, j) != (0, 0):
                target.write_number(*at_cell, value, sheet.numbers)  # the stored value inside the array
    corner = _address(first, 1), _address(first + len(rows) - 1, len(table.columns))
    sheet.book.define_name(table.name, f"='{page}'!{corner[0]}:{corner[1]}")
    sheet.next_row[page] = first + len(rows) + 1
    return lambda i, j: f"'{page}'!{_address(first + i, 1 + j)}"


def _address(row: int, column: int) -> str:
    from xlsxwriter.utility import xl_rowcol_to_cell

    return xl_rowcol_to_cell(row, column, row_abs=True, col_abs=True)
