"""What we lean on inside huggingface_hub: where its cache keeps a model, and how it reports what has come."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name
from tqdm.auto import tqdm


def snapshots_folder(name: str) -> Path:
    """The folder of this machine's cache that holds the revisions of a model, each in a folder; it may not exist.

    The documented `scan_cache_dir` looks at every file of every model there is. Without this, a model that was fetched
    before could not be opened where there is no network.
    """
    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model") / "snapshots"


def cache_bytes(name: str = "") -> int:
    """Bytes on the disk of this machine's cache, or of one model in it: what it stores, each file once.

    Without it a server's visitors could fill its disk with models.
    """
    folder = Path(constants.HF_HUB_CACHE)
    below = folder / repo_folder_name(repo_id=name, repo_type="model") if name else folder
    stored = below.glob("blobs/*" if name else "*/blobs/*")
    return sum(file.stat().st_size for file in stored if file.is_file())


def bytes_bar(say: Callable[[float], None]) -> type[tqdm]:
    """A class of progress bars for `snapshot_download` that draws nothing and says how many bytes have come.

    That a class may be given is documented; that it is made with `unit="B"` for bytes (and another unit for files) and
    told each piece by `update` is not. Without it a model would come in silence.
    """
    lock = Lock()  # several files come at once, each in a thread

    class Bar(tqdm):
        # tqdm's own arguments, passed on.
        def __init__(self, *args: Any, **options: Any) -> None:
            self.received = 0.0
            self.bytes = options.get("unit") == "B"
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: int | float | None = 1) -> bool | None:
            with lock:
                self.received += n or 0
                if self.bytes:
                    say(self.received)
            return None

    return Bar
