"""Fetching a model from the hub: its size first, then its files, with progress, into the hub's own cache.

Only plain data is fetched: configuration, tokenizer and safetensors files at the top of the repository.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import httpx2
from huggingface_hub import HfApi, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    NotASafetensorsRepoError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    SafetensorsParsingError,
)
from tqdm.auto import tqdm

from attention_core.folder_limits import DATA
from attention_core.model_files import INDEX, ONE_FILE, ModelError

_POOLING = "1_Pooling/config.json"  # how a sentence encoder makes one vector of many

GATED = "{} is gated: its owner wants you to accept terms. Do so on the hub, log in with `hf auth login`, try again."
NO_HUB = "{} could not be fetched: the model hub does not answer. Check the network, or choose a bundled model."
NO_MODEL = "The hub has no model {}. Check the spelling: owner/name."
NO_SAFETENSORS = "{} has no safetensors weights (pickles are never loaded, they can run code). Choose another model."


def fetch(
    name: str, progress: Callable[[str], None], check_size: Callable[[Mapping[str, int]], None] = lambda counts: None
) -> Path:
    """The folder of a hub model on this machine, downloaded if it is not there yet.

    `progress` is given sentences such as "Fetching 120 of 440 MB …". `check_size` is given the number of stored values
    of each dtype ("F32" → 109482240) before anything large is fetched, and raises ModelError if that is too much.

    Raises ModelError with a plain sentence: no network, not found, gated, no safetensors.
    """
    problem = ""
    try:
        progress(f"Asking the hub for {name} …")
        api = HfApi()
        info = api.model_info(name, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        if ONE_FILE not in sizes and INDEX not in sizes:
            raise NotASafetensorsRepoError()
        metadata = api.get_safetensors_metadata(name, revision=info.sha)
        check_size({str(dtype): n for dtype, n in metadata.parameter_count.items()})
        wanted = [file for file in sizes if _is_wanted(file, set(metadata.files_metadata))]
        bar = _bar(name, sum(sizes[file] for file in wanted), progress)
        # Exact names: a pattern would match files in folders too (onnx/, checkpoints).
        return Path(snapshot_download(name, allow_patterns=wanted, tqdm_class=bar))
    except GatedRepoError:
        problem = GATED.format(name)
    except (RepositoryNotFoundError, HFValidationError):
        problem = NO_MODEL.format(name)
    except (NotASafetensorsRepoError, SafetensorsParsingError):
        problem = NO_SAFETENSORS.format(name)
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, httpx2.HTTPError, ConnectionError):
        kept = try_to_load_from_cache(name, "config.json")  # fetched before: needs no network
        if isinstance(kept, str):
            return Path(kept).parent
        problem = NO_HUB.format(name)
    except OSError as error:  # the disk: full, or not writable
        problem = f"{name} could not be stored: {error.strerror or type(error).__name__}. Make room and try again."
    raise ModelError(problem)


def _is_wanted(file: str, weights: set[str]) -> bool:
    if file.endswith(".safetensors"):
        return file in weights
    return file == _POOLING or ("/" not in file and file.endswith(DATA))


def _bar(name: str, total: int, progress: Callable[[str], None]) -> type[tqdm]:
    """A progress bar class, as the hub's library wants one, that reports bytes in a sentence and draws nothing."""
    lock = Lock()  # several files come at once, each in a thread

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self.received = 0.0
            self.bytes = options.get("unit") == "B"
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: int | float | None = 1) -> bool | None:
            with lock:
                self.received += n or 0
                if self.bytes:
                    progress(f"Fetching {self.received / 1e6:,.0f} of {total / 1e6:,.0f} MB of {name} …")
            return None

    return Bar
