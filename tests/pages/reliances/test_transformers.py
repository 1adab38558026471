"""transformers and torch while they are imported, in a Python of its own: in this one they may be here already."""

import subprocess
import sys
from pathlib import Path

import pytest

from pages.shared.inside import of_torch, of_transformers

pytestmark = pytest.mark.reliance

ROOT = Path(__file__).resolve().parents[3]


def said_by(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_transformers_leaves_out_what_it_is_told_is_not_there():
    """`import_lean`: two questions in `transformers.utils`, asked while it is imported."""
    left_out = ["scipy.optimize", "torch.distributed.fsdp", "torch.distributed.tensor"]
    lean = f"""
import sys
from {of_torch.__name__} import compiler_aside
from {of_transformers.__name__} import {of_transformers.import_lean.__name__}
with compiler_aside():  # which would bring two of them along
    import_lean()
print(*({left_out} & sys.modules.keys()), "transformers.modeling_utils" in sys.modules)
""".replace(str(left_out), f"set({left_out})")
    assert said_by(lean) == ["True"]
    as_ever = f"import sys, transformers.modeling_utils; print(*(set({left_out}) & sys.modules.keys()))"
    assert set(said_by(as_ever)) == set(left_out)


@pytest.mark.slow
def test_transformers_has_read_its_models_when_it_is_imported():
    """`models_structure`: what it found under "models" is what `transformers.models` asks for again."""
    script = f"""
from pathlib import Path
from {of_transformers.__name__} import models_structure
import transformers.utils.import_utils as utils
folder = Path(utils.__file__).parents[1] / "models"
known = {of_transformers.models_structure.__name__}(utils.define_import_structure, folder)
found = utils.define_import_structure.cache_info().hits
utils.define_import_structure.cache_clear()
print(found > 0, known == utils.define_import_structure(str(folder / "__init__.py")))
"""
    assert said_by(script) == ["True", "True"]


@pytest.mark.slow
def test_torch_does_without_its_compiler_until_somebody_compiles():
    """`compiler_aside`, `look_for_compiler`: three marks of `torch._dynamo` are all that is wanted of it."""
    script = f"""
import sys
from {of_torch.__name__} import {of_torch.compiler_aside.__name__}, {of_torch.look_for_compiler.__name__}
with compiler_aside():
    import transformers.modeling_utils
    import transformers.generation.utils
    look_for_compiler()
print("torch._dynamo" in sys.modules)
import torch
torch.nn.Linear(2, 3, device="meta")
print("torch._dynamo" in sys.modules)
print(torch.compile(torch.exp, backend="eager")(torch.zeros(1)).item(), "torch._dynamo" in sys.modules)
"""
    assert said_by(script) == ["False", "False", "1.0", "True"]
