"""huggingface_hub: where its cache keeps a model, and how it reports what has come."""

from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

from attention_core.inside.of_hub import bytes_bar, cache_bytes, snapshots_folder
from tests.support.fake_hub import hub, serving

pytestmark = pytest.mark.reliance


def test_the_hub_its_cache_and_its_progress_are_as_we_read_them(tmp_path: Path):
    """A model's revisions are folders in `snapshots`; a bar with unit="B" is told each piece of a file."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text('{"model_type": "bert"}')
    (source / "model.safetensors").write_bytes(bytes(range(256)) * 4)
    said: list[float] = []
    with hub(serving({"owner/name": source}), tmp_path / "cache"):
        assert not snapshots_folder("owner/name").exists()
        folder = snapshot_download("owner/name", tqdm_class=bytes_bar(said.append))
        assert [str(one) for one in snapshots_folder("owner/name").iterdir()] == [folder]
    assert said[-1] == sum(file.stat().st_size for file in source.iterdir())
    assert said == sorted(said)
    with hub(serving({}), tmp_path / "cache"):
        assert cache_bytes("owner/name") == cache_bytes() == said[-1]
