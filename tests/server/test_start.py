"""What the process does when it starts, so that the first picture comes sooner."""

import gc
import json
import subprocess
import sys

import pytest

from pages.shared.process import memory
from tests.support.serving import ROOT

LEAN = """
import json, sys
from pathlib import Path
from pages.shared.inside.of_transformers import models_structure
from pages.shared.process.lean_imports import import_transformers
import_transformers()
from attention_core import capture, load_model
weights = capture(load_model("minilm"), "The cat sat.").layers[0].weights(0)
import transformers.utils.import_utils as utils
folder = Path(utils.__file__).parents[1] / "models"
known = models_structure(utils.define_import_structure, folder)
utils.define_import_structure.cache_clear()
print(json.dumps({
    "row": float(weights[0].sum()),
    "same names": known == utils.define_import_structure(str(folder / "__init__.py")),
    "optimizers of scipy": "scipy.optimize" in sys.modules,
    "compiler": "torch._dynamo" in sys.modules,
}))
"""

COMPILES = """
from pages.shared.process import lean_imports
lean_imports.import_transformers()
import torch
compiled = torch.compile(lambda x: torch.nn.functional.gelu(x) + 1, backend="eager", fullgraph=True)
print(float(compiled(torch.zeros(2))[0]))
"""

NO_MARKS = """
import sys
from pages.shared.inside import of_torch
from pages.shared.process import lean_imports
of_torch._MARKS = ()
lean_imports.import_transformers()
from attention_core import capture, load_model
weights = capture(load_model("minilm"), "The cat sat.").layers[0].weights(0)
print(float(weights[0].sum()), "torch._dynamo" in sys.modules)
"""


def said_by(script: str) -> str:
    """The last line that a Python of its own prints: in this one transformers may be here already."""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_lean_transformers_reads_a_text_and_knows_every_model():
    found = json.loads(said_by(LEAN))
    assert abs(found.pop("row") - 1) < 1e-5
    assert found == {"same names": True, "optimizers of scipy": False, "compiler": False}


@pytest.mark.slow
def test_torch_still_compiles_after_a_lean_import():
    assert said_by(COMPILES) == "1.0"


@pytest.mark.slow
def test_transformers_that_wants_more_of_the_compiler_gets_it():
    row, compiler = said_by(NO_MARKS).split()
    assert abs(float(row) - 1) < 1e-5
    assert compiler == "True"


def test_garbage_is_collected_again_once_the_server_has_started():
    memory.collect_no_garbage()
    try:
        assert not gc.isenabled()
    finally:
        memory.started()
    assert gc.isenabled()
