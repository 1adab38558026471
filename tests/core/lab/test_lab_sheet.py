"""The spreadsheet, computed by LibreOffice, gives the Lab's numbers."""

import io
import re
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import openpyxl
import pytest
import torch

from attention_core.lab.edits import randomised
from attention_core.lab.presets import PRESETS
from attention_core.lab.run import run
from attention_core.lab.sheet import MASKED, range_name, spreadsheet
from attention_core.lab.state import LabState, Switches
from tests.support.lab_states import EVERY_SWITCH, random_state, real_state

ALWAYS_RECALCULATE = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode"><value>0</value></prop>
</item>
</oor:items>"""

CASES = {
    **{name: preset.state for name, preset in PRESETS.items()},
    **{str(switches): random_state(switches) for switches in EVERY_SWITCH},
    "real": real_state(),
    "real, switched": real_state(Switches(scale=False, causal=True, temperature=2.0, positions="alibi")),
    "one head of five": random_state(Switches(positions="rotary"), n_heads=1, d_head=5),
    "four heads": random_state(Switches(causal=True), n_heads=4, d_head=2),
    "words are data": random_state(words=("=1+1", "+cmd|' /C calc'!A0", "@x", "<b>&", "寿司🍣")),
}


def changed(state: LabState) -> LabState:
    """Other numbers, and other settings of the switches that are cells: what a reader of the spreadsheet can change."""
    other = randomised(state, 99)
    switches = state.switches
    return replace(
        other,
        switches=replace(
            switches, scale=not switches.scale, causal=not switches.causal, temperature=switches.temperature + 0.75,
            padding=() if switches.padding else (2,), window=None if switches.window is not None else 2,
        ),
    )  # fmt: skip


def input_cells(state: LabState) -> dict[str, float]:
    """The tinted cells of a state's spreadsheet by address."""
    book = openpyxl.load_workbook(io.BytesIO(spreadsheet(state)))
    sheet = book["Inputs"]
    tinted = {}
    for row in sheet.iter_rows():
        for cell in row:
            if cell.fill.fgColor.rgb == "FFFFF4CC":
                tinted[cell.coordinate] = cell.value
    return tinted


def with_inputs(state: LabState, inputs: dict[str, float]) -> bytes:
    """The state's spreadsheet with other numbers in its tinted cells; formulas and stored values stay as they were."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(spreadsheet(state))) as old, zipfile.ZipFile(written, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "xl/worksheets/sheet2.xml":
                tree, left = ElementTree.fromstring(data), dict(inputs)
                for cell in tree.iter(f"{space}c"):
                    if (address := cell.get("r")) in left:
                        value = cell.find(f"{space}v")
                        assert value is not None
                        value.text = repr(left.pop(address))
                assert not left
                data = ElementTree.tostring(tree)
            new.writestr(name, data)
    return written.getvalue()


def matrices(file: bytes) -> dict[str, list[list[object]]]:
    """The values that are stored in a spreadsheet, by the name of their range."""
    book = openpyxl.load_workbook(io.BytesIO(file), data_only=True)
    found = {}
    for name, defined in book.defined_names.items():
        sheet, cells = defined.attr_text.rsplit("!", 1)
        block = book[sheet.strip("'$")][cells.replace("$", "")]
        found[name] = [[cell.value for cell in row] for row in block] if isinstance(block, tuple) else [[block.value]]
    return found


def recalculated(files: dict[tuple[str, str], bytes], folder: Path) -> dict[tuple[str, str], bytes]:
    """What LibreOffice makes of the files: every formula computed anew, whatever is stored beside it."""
    office = shutil.which("soffice")
    if office is None:
        pytest.fail("LibreOffice is missing: `make test` installs it (on Debian: apt-get install libreoffice-calc)")
    profile, there, back = folder / "profile", folder / "there", folder / "back"
    for made in (profile / "user", there):
        made.mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(ALWAYS_RECALCULATE, encoding="utf-8")
    for number, file in enumerate(files.values()):
        (there / f"{number}.xlsx").write_bytes(file)
    command = [office, f"-env:UserInstallation={profile.as_uri()}", "--headless", "--convert-to", "xlsx", "--outdir"]
    paths = [str(there / f"{number}.xlsx") for number in range(len(files))]
    done = subprocess.run([*command, str(back), *paths], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return {name: (back / f"{number}.xlsx").read_bytes() for number, name in enumerate(files)}


def same_numbers(file: bytes, state: LabState) -> None:
    found = matrices(file)
    for matrix in run(state).matrices:
        cells = found[range_name(matrix.name, matrix.head)]
        numbers = torch.tensor(
            [[-torch.inf if cell == MASKED else float(str(cell)) for cell in row] for row in cells], dtype=torch.float64
        )
        torch.testing.assert_close(numbers, matrix.values, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], bytes]:
    """Spreadsheets of every case, as they are and with every input changed, after LibreOffice: it is started once."""
    files = {("as it is", name): spreadsheet(state) for name, state in CASES.items()}
    for name, state in CASES.items():
        files["changed", name] = with_inputs(state, input_cells(changed(state)))
    return recalculated(files, tmp_path_factory.mktemp("office"))


@pytest.mark.slow
def test_libreoffice_computes_the_numbers_of_the_page_after_every_input_was_changed(computed):
    """Formulas of one state, inputs of another: right only if every formula is alive and was computed."""
    for name, state in CASES.items():
        same_numbers(computed["changed", name], changed(state))


@pytest.mark.slow
def test_libreoffice_computes_the_numbers_of_the_page(computed):
    for name, state in CASES.items():
        same_numbers(computed["as it is", name], state)


@pytest.mark.parametrize("name", CASES)
def test_the_stored_values_are_the_numbers_of_the_page(name: str):
    """For viewers that compute nothing."""
    same_numbers(spreadsheet(CASES[name]), CASES[name])


def test_a_word_that_looks_like_a_formula_is_text():
    book = openpyxl.load_workbook(io.BytesIO(spreadsheet(CASES["words are data"])))
    cells = [cell for row in book["Inputs"].iter_rows() for cell in row if cell.value in ("=1+1", "+cmd|' /C calc'!A0")]
    assert len(cells) >= 4
    assert {cell.data_type for cell in cells} == {"s"}


def test_a_row_that_loses_its_last_key_shows_an_error_and_not_a_number(tmp_path: Path):
    state = CASES["four heads"]
    inputs = input_cells(state)
    padding = [address for address in inputs if re.fullmatch(r"[A-Z]+9", address)]
    assert len(padding) == state.n_words
    file = with_inputs(state, inputs | dict.fromkeys(padding, 1.0))
    weights = matrices(recalculated({"all padding": file}, tmp_path)["all padding"])["A_1"]
    assert {cell for row in weights for cell in row} == {"#DIV/0!"}


def test_every_matrix_after_the_inputs_is_a_formula():
    book = openpyxl.load_workbook(io.BytesIO(spreadsheet(PRESETS["animal"].state)))
    for name in ("Q", "S_1", "Z_1", "M_1", "A_1", "O_1", "H", "Y"):
        sheet, cells = book.defined_names[name].attr_text.rsplit("!", 1)
        first = book[sheet.strip("'$")][cells.replace("$", "").split(":")[0]]
        assert first.data_type == "f", name
