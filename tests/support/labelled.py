"""The labels of bundled models, computed once for all files of tests that ask for them, whichever worker runs them."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from attention_core.heads.cards import LabelCard
from attention_core.heads.labelling import label_heads
from attention_core.models.loading import load_model

Cards = dict[tuple[int, int], LabelCard]


def cards_of(name: str, folders: pytest.TempPathFactory) -> Cards:
    """What `label_heads` says of a model, computed with one thread; `folders` is pytest's `tmp_path_factory`."""
    shared = folders.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # each worker has a folder of its own in the run's
    file = shared / f"labels of {Path(name).name}"
    with FileLock(f"{file}.lock"):
        if not file.exists():
            before = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                file.write_bytes(pickle.dumps(label_heads(load_model(name))))
            finally:
                torch.set_num_threads(before)
        return pickle.loads(file.read_bytes())  # noqa: S301  (written here, a moment ago)
