"""Settings for every test.

attention_core is not imported here: jaxtyping checks shapes only in modules that are imported after its hook.
"""

import os
import sys

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"  # a test that asks the model hub fails at once
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # servers are started as subprocesses of this one

settings.register_profile("repeatable", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _same_random_numbers_every_time():
    """Seed torch before each test, if the test run uses torch at all."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
