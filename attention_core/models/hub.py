"""Fetching a model from the hub: its size first, then its files, with progress, into the hub's own cache.

Only plain data is fetched: configuration, tokenizer and safetensors files at the top of the repository, and, of a
sentence encoder, in the folders that its list of modules names.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
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

from attention_core.inside.of_hub import bytes_bar, cache_bytes, snapshots_folder
from attention_core.models.folder import INDEX, ONE_FILE, weight_files
from attention_core.models.limits import DATA, MOST_PART_BYTES
from attention_core.models.sentence_modules import MODULES, MOST_BYTES, ModulesError, parse_modules, transformer_place
from attention_core.observe.refusal import ModelError

_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")  # as transformers names them

GATED = "{} is gated: its owner wants you to accept terms. Do so on the hub, log in with `hf auth login`, try again."
NO_HUB = "{} could not be fetched: the model hub does not answer. Check the network, or choose a bundled model."
UNFINISHED = (
    "The download of {} is not finished, and the model hub does not answer. Check the network and open it again: "
    "what has come is kept."
)
NO_MODEL = "The hub has no model {}. Check the spelling: owner/name."
DISK_FULL = (
    "{} takes {:,.1f} MB, and what was fetched before takes {:,.1f} of the {:,.1f} MB that models may take here. "
    "Choose one that is here already, or ask whoever runs this server to make room."
)
NO_SAFETENSORS = "{} has no safetensors weights (pickles are never loaded, they can run code). Choose another model."


def fetch(
    name: str,
    progress: Callable[[str], None],
    check_size: Callable[[Mapping[str, int]], None] = lambda counts: None,
    *,
    token: str | bool | None = None,
    most_bytes: int | None = None,
) -> Path:
    """The folder of a hub model on this machine, downloaded if it is not there yet.

    `progress` is given sentences such as "Fetching 120 of 440 MB …". `check_size` is given the number of stored values
    of each dtype ("F32" → 109482240) before anything large is fetched, and raises ModelError if that is too much.

    `token` is whom the hub sees: None the one that is stored on this machine, if any, False nobody. `most_bytes` is
    what all that was fetched may take on the disk.

    Raises ModelError with a plain sentence: no network, not found, gated, no safetensors, no room.
    """
    problem = ""
    try:
        progress(f"Asking the hub for {name} …")
        api = HfApi(token=token)
        info = api.model_info(name, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        if ONE_FILE not in sizes and INDEX not in sizes and ("config.json" in sizes or MODULES not in sizes):
            raise NotASafetensorsRepoError()
        places = _places(name, info.sha, sizes, token)
        counts, weights = _weights(api, name, info.sha, sizes, places)
        check_size(counts)
        wanted = [file for file in sizes if _is_wanted(file, sizes[file], weights, places)]
        total = sum(sizes[file] for file in wanted)
        taken, here = cache_bytes(), cache_bytes(name)
        if most_bytes is not None and total > here and taken - here + total > most_bytes:
            raise ModelError(DISK_FULL.format(name, total / 1e6, taken / 1e6, most_bytes / 1e6))
        bar = bytes_bar(lambda n: progress(f"Fetching {n / 1e6:,.0f} of {total / 1e6:,.0f} MB of {name} …"))
        # Exact names: a pattern would match files in folders too (onnx/, checkpoints).
        # And the revision that was asked about: the branch may have moved on since.
        return Path(snapshot_download(name, revision=info.sha, allow_patterns=wanted, tqdm_class=bar, token=token))
    except GatedRepoError:
        problem = GATED.format(name)
    except (RepositoryNotFoundError, HFValidationError):
        problem = NO_MODEL.format(name)
    except (NotASafetensorsRepoError, SafetensorsParsingError):
        problem = NO_SAFETENSORS.format(name)
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, httpx2.HTTPError, ConnectionError):
        kept = kept_snapshots(name)  # fetched before: needs no network
        whole = next((folder for folder in kept if _is_whole(folder)), None)
        if whole is not None:
            return whole
        problem = (UNFINISHED if kept else NO_HUB).format(name)
    except OSError as error:  # the disk: full, or not writable
        problem = f"{name} could not be stored: {error.strerror or type(error).__name__}. Make room and try again."
    raise ModelError(problem)


def _places(name: str, revision: str | None, sizes: Mapping[str, int], token: str | bool | None) -> tuple[str, ...]:
    """The folders of a sentence encoder's modules, in their order; none for other models."""
    if MODULES not in sizes or sizes[MODULES] > MOST_BYTES:
        return ()
    try:
        listed = Path(hf_hub_download(name, MODULES, revision=revision, token=token)).read_bytes()
        return tuple(module.path for module in parse_modules(listed))
    except ModulesError:  # said once the folder is here
        return ()


def _weights(
    api: HfApi, name: str, revision: str | None, sizes: Mapping[str, int], places: tuple[str, ...]
) -> tuple[dict[str, int], set[str]]:
    """Stored values of each dtype, and the files that hold the model itself."""
    if ONE_FILE in sizes or INDEX in sizes:
        metadata = api.get_safetensors_metadata(name, revision=revision)
        return {str(dtype): n for dtype, n in metadata.parameter_count.items()}, set(metadata.files_metadata)
    within = f"{places[0]}/" if places and places[0] else ""
    files = {file for file in sizes if _WEIGHTS.fullmatch(file.removeprefix(within)) and file.startswith(within)}
    if not within or f"{within}config.json" not in sizes or not files:
        raise NotASafetensorsRepoError()
    counts: dict[str, int] = {}
    for file in files:
        for dtype, n in api.parse_safetensors_file_metadata(name, file, revision=revision).parameter_count.items():
            counts[str(dtype)] = counts.get(str(dtype), 0) + n
    return counts, files


def _is_wanted(file: str, n_bytes: int, weights: set[str], places: tuple[str, ...]) -> bool:
    place, _, last = file.rpartition("/")
    if file in weights:
        return True
    if file.endswith(".safetensors"):  # of a dense layer
        return bool(place) and place in places and last == ONE_FILE and n_bytes <= MOST_PART_BYTES
    return (not place or place in places) and file.endswith(DATA)


def kept_snapshots(name: str) -> list[Path]:
    """The revisions of a hub model that this machine's cache holds, whole or not; the one that came last is first."""
    folder = snapshots_folder(name)
    folders = list(folder.iterdir()) if folder.is_dir() else []
    found = [path for path in folders if (path / "config.json").is_file() or (path / MODULES).is_file()]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _is_whole(folder: Path) -> bool:
    try:
        return bool(weight_files(folder / transformer_place(folder)))
    except ModelError:
        return False
