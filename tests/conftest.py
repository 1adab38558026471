"""Settings for every test.

attention_core is not imported here: jaxtyping checks shapes only in modules that are imported after its hook.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]

os.environ["HF_HUB_OFFLINE"] = "1"  # a test that asks the model hub fails at once
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a worker has a core, not the machine
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # servers are started as subprocesses of this one

# Shapes in signatures are checked in tests and free in the app. Only in modules that write shapes: checking every call
# of every other function there is took half of the time of many a test.
SHAPED = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in sorted(ROOT.glob("attention_core/**/*.py"))
    if "from jaxtyping import" in file.read_text(encoding="utf-8")
]
assert "attention_core" not in sys.modules, "imported too early: its shapes would not be checked"
install_import_hook(SHAPED, "beartype.beartype")

settings.register_profile("repeatable", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("repeatable")


@pytest.fixture
def unchecked() -> Iterator[None]:
    """No shape is checked: for thousands of passes through what other tests go through with their shapes checked."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def _same_random_numbers_every_time():
    """Seed torch before each test, if the test run uses torch at all."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
