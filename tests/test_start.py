"""What the process does when it starts, so that the first picture comes sooner."""

import gc
import json
import subprocess
import sys

from pages.shared import process
from tests.serving import ROOT

LEAN = """
import json, sys
from pathlib import Path
from pages.shared.lean_imports import import_transformers, models_structure
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
}))
"""


def test_lean_transformers_reads_a_text_and_knows_every_model():
    """In a process of its own: in this one transformers may be here already."""
    done = subprocess.run(
        [sys.executable, "-c", LEAN], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert abs(found.pop("row") - 1) < 1e-5
    assert found == {"same names": True, "optimizers of scipy": False}


def test_garbage_is_collected_again_once_the_server_has_started():
    process.collect_no_garbage()
    try:
        assert not gc.isenabled()
    finally:
        process.started()
    assert gc.isenabled()
