"""A Lab state as a program: it runs, and prints the Lab's numbers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from attention_core.lab.code import FLAVOURS, python_source
from attention_core.lab.presets import PRESETS
from attention_core.lab.run import LabMatrix, run
from attention_core.lab.state import LabState, Switches
from tests.support.lab_states import EVERY_SWITCH, random_state, real_state

PRINTED = {
    "x": "X", "positions": "P", "x_p": "X_P", "w_q": "W_Q", "q": "Q", "w_k": "W_K", "k": "K", "w_v": "W_V", "v": "V",
    "q_r": "Q_R", "k_r": "K_R", "w_o": "W_O",
}  # fmt: skip


CASES = {
    **{name: preset.state for name, preset in PRESETS.items()},
    **{f"{switches}": random_state(switches) for switches in EVERY_SWITCH},
    "real": real_state(),
    "real, switched": real_state(Switches(scale=False, causal=True, temperature=2.0, positions="alibi")),
    "words are data": random_state(words=('"""', "';import os", "\\", "{n}", "寿司🍣")),
}


def run_files(sources: dict[str, str], folder: Path) -> dict[str, str]:
    """What each file prints. One interpreter for all: torch takes seconds to import."""
    lines = ["import runpy", "import sys"]
    for number, source in enumerate(sources.values()):
        (folder / f"case{number}.py").write_text(source, encoding="utf-8")
        lines += [f"runpy.run_path('case{number}.py', run_name='__main__')", "print('\\f', end='')"]
    return dict(zip(sources, run_file("\n".join(lines), folder).split("\f"), strict=False))


def run_file(source: str, folder: Path) -> str:
    """In a new interpreter, outside the repository; a warning or a word on stderr fails."""
    file = folder / "attention.py"
    file.write_text(source, encoding="utf-8")
    command = [sys.executable, "-W", "error", str(file)]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def read(printed: str) -> dict[tuple[str, int | None], torch.Tensor]:
    """The matrices that a file printed."""
    found = {}
    for block in printed.strip().split("\n\n"):
        heading, *lines = block.splitlines()
        match = re.fullmatch(r"(\w+)(?:, head (\d))? \[(\d+) x (\d+)\]", heading)
        assert match, heading
        rows, columns = int(match[3]), int(match[4])
        assert len(lines) == rows
        numbers = [[float(part) for part in line.split()[-columns:]] for line in lines]
        found[match[1], int(match[2]) - 1 if match[2] else None] = torch.tensor(numbers, dtype=torch.float64)
    return found


def named(matrix: LabMatrix) -> tuple[str, int | None]:
    return PRINTED.get(matrix.name, matrix.name), matrix.head


def same_numbers(printed: str, state: LabState) -> None:
    found, expected = read(printed), run(state).matrices
    assert list(found) == [named(matrix) for matrix in expected]  # all of them, in the order of the page
    for matrix in expected:
        # Printed to six decimals: half of the last one.
        torch.testing.assert_close(found[named(matrix)], matrix.values, rtol=1e-12, atol=5.1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_file_runs_alone_and_prints_the_matrices_of_the_page(flavour: str, tmp_path: Path):
    state = PRESETS["two-heads"].state
    same_numbers(run_file(python_source(state, flavour), tmp_path), state)


@pytest.mark.slow
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_preset_every_switch_and_a_real_head_are_right_in_the_file(flavour: str, tmp_path: Path):
    printed = run_files({name: python_source(state, flavour) for name, state in CASES.items()}, tmp_path)
    for name, state in CASES.items():
        same_numbers(printed[name], state)


def test_another_flavour_is_refused():
    with pytest.raises(ValueError, match="numpy or torch; got 'julia'"):
        python_source(PRESETS["animal"].state, "julia")
