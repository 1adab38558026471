"""Failures of the machine (a full disk, a folder that vanishes, no memory left) give a sentence, and the next request
works."""

import subprocess
import sys
from pathlib import Path

import pytest

from attention_core import ModelError, load_model
from attention_core.models import loading
from tests.support import tiny
from tests.support.serving import ROOT


@pytest.fixture
def saved(tmp_path) -> Path:
    folder = tmp_path / "tiny-bert"
    tiny.bare("bert").save_pretrained(folder, max_shard_size="20KB")
    tiny.tokenizer().save_pretrained(folder)
    return folder


def test_a_shard_that_vanishes_between_check_and_load_gets_a_sentence(saved, monkeypatch):
    shard = sorted(saved.glob("*.safetensors"))[-1]
    kept, check = shard.read_bytes(), loading._check_sizes

    def vanish(*told) -> None:
        check(*told)
        shard.unlink()

    with monkeypatch.context() as patch:
        patch.setattr(loading, "_check_sizes", vanish)
        with pytest.raises(ModelError) as told:
            load_model(str(saved))
    assert str(told.value).endswith(".") and "\n" not in str(told.value)
    shard.write_bytes(kept)
    assert load_model(str(saved)).facts.n_layers > 0


OUT_OF_MEMORY = """
import resource, torch
from attention_core import capture
from attention_core.capturing.encode import CaptureError
from attention_core.formats.memory import OUT_OF_MEMORY
from tests.support import tiny
torch.set_num_threads(1)
model = tiny.family("gpt2")
capture(model, tiny.SENTENCE)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
real = torch.nn.functional.layer_norm
def layer_norm(*given, **options):
    torch.empty(8_000_000_000, dtype=torch.uint8)  # what a real model would ask for, of the real allocator
    return real(*given, **options)
torch.nn.functional.layer_norm = layer_norm
resource.setrlimit(resource.RLIMIT_AS, (held + 500_000_000, resource.RLIM_INFINITY))
try:
    capture(model, tiny.SENTENCE)
except CaptureError as error:
    assert str(error) == OUT_OF_MEMORY, error
else:
    raise SystemExit("nothing was refused")
torch.nn.functional.layer_norm = real
assert len(capture(model, tiny.SENTENCE).layers) > 0
print("lives")
"""

DISK_FULL = """
import resource, signal, sys
from pathlib import Path
from attention_core import ModelError; from attention_core.models import loading as models
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
place = Path(sys.argv[1])
def write(*_):
    (place / "weights").write_bytes(bytes(5000))
located = models.Located("some/model", None, place, local=False)
real, models._built = models._built, write
try:
    models.build(located)
except ModelError as error:
    assert "no room on this machine's disk" in str(error), error
else:
    raise SystemExit("nothing was refused")
models._built = real
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
from tests.support import tiny
folder = place / "tiny-bert"
tiny.bare("bert").save_pretrained(folder)
tiny.tokenizer().save_pretrained(folder)
assert models.load_model(str(folder)).facts.n_layers > 0
print("lives")
"""


@pytest.mark.slow
@pytest.mark.parametrize("script", [OUT_OF_MEMORY, DISK_FULL], ids=["no memory while capturing", "disk full"])
def test_what_this_machine_has_no_room_for_gets_a_sentence_and_the_next_works(script, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=500
    )
    assert done.stdout.endswith("lives\n"), done.stderr[-3_000:]
