"""What a model's folder holds, found out without building or running anything of it.

A folder is data from a stranger. Its config is JSON, its weights are safetensors files whose headers say name, dtype
and shape of every tensor; both may lie, end early or ask for code. Everything here is read and compared before a
single tensor is allocated, and whatever is wrong ends in a `ModelError`: a plain sentence.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attention_core.formats.json_data import JsonMapping, JsonObject
from attention_core.formats.strict_json import strict_json
from attention_core.inside.of_transformers import knows_type
from attention_core.models.limits import LimitError, check_files, check_numbers, check_tokenizer_settings
from attention_core.observe.refusal import ModelError

PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
ONE_FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"  # of weights in several files

_BITS = {  # of the dtypes that a safetensors header names
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
_MAX_HEADER = 25_000_000  # bytes: a quarter of a million tensors; the format itself allows four times as much
_PARTS = (".incomplete", ".part", ".partial", ".crdownload", ".download", ".aria2", ".tmp")  # of a file to come
_POINTER = b"version https://git-lfs.github.com/spec/"
_MAX_AXES, _MAX_SIDE = 8, 2**48  # of one tensor


@dataclass(frozen=True, slots=True)
class Contents:
    """What a model's folder says that it holds."""

    config: JsonMapping  # config.json as it is
    shapes: Mapping[str, tuple[int, ...]]  # of every stored tensor
    dtypes: Mapping[str, str]  # safetensors' names: "F32", "BF16" …

    @property
    def n_numbers(self) -> int:
        """Stored numbers, buffers included."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def quantised(self) -> bool:
        """Weights stored as packed integers: their shapes are not those of the model."""
        return isinstance(self.config.get("quantization_config"), dict)


def read_folder(folder: Path, within: str = "", shown: str | None = None) -> Contents:
    """Check a model's folder and say what is in it; `within`: the model's own files lie in this folder of it.

    `shown` is what sentences call it, its own name if None.

    Raises ModelError with a plain sentence: no config, unknown architecture, own code, pickles only, damaged weights,
    files that are none of the folder's, numbers out of proportion.
    """
    shown = shown or folder.name
    try:
        check_files(folder)
        config = _config(folder / within, shown)
        contents = _contents(folder / within, shown, config)
        sides = [side for shape in contents.shapes.values() for side in shape]
        check_numbers(config, len(contents.shapes), max(sides, default=0))
        check_tokenizer_settings(folder)
    except LimitError as error:
        raise ModelError(f"{shown} {error}") from None
    return contents


def _contents(folder: Path, shown: str, config: JsonObject) -> Contents:
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes: dict[str, str] = {}
    for file in weight_files(folder, shown):
        for name, dtype, shape in _tensors(file, shown):
            shapes[name], dtypes[name] = shape, dtype
    return Contents(config, shapes, dtypes)


def check_config(name: str, config: object) -> JsonObject:
    """The parsed config.json, if it is of an architecture that transformers can build without other code."""
    if not isinstance(config, dict):
        raise ModelError(f"{name}/config.json does not hold a JSON object. Download the model again.")
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not knows_type(model_type):
        reason = (
            "it brings its own code, which Sightline never runs"
            if "auto_map" in config
            else "transformers does not know it"
        )
        raise ModelError(f"The architecture {str(model_type)[:60]!r} cannot be opened: {reason}. Choose another model.")
    return config


def free_memory_bytes(root: Path = Path("/")) -> int | None:
    """Memory that can be taken without swapping or passing a container's limit; None where the system does not say."""
    known = [free for free in (_free_of_machine(root), _free_of_container(root)) if free is not None]
    return min(known, default=None)


def _free_of_machine(root: Path) -> int | None:
    try:
        for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _free_of_container(root: Path) -> int | None:
    """What this process's cgroup and those around it leave it (version 2); None where none has a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if own is None:
        return None
    names = [name for name in own.split("/") if name]
    left = [_left_in(root.joinpath("sys/fs/cgroup", *names[:depth])) for depth in range(len(names) + 1)]
    return min((n_bytes for n_bytes in left if n_bytes is not None), default=None)


def _left_in(cgroup: Path) -> int | None:
    try:
        most = int((cgroup / "memory.max").read_text(encoding="ascii"))  # the word "max" is no limit
        taken = int((cgroup / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    # Files that were read and lie idle count as taken, but make room: a download alone would fill a container.
    return max(0, most - taken + _idle_files(cgroup))


def _idle_files(cgroup: Path) -> int:
    try:
        lines = (cgroup / "memory.stat").read_text(encoding="ascii").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("inactive_file ")), 0)
    except (OSError, ValueError, IndexError):
        return 0


def too_big(name: str, needed: int, free: int, advice: str = "Choose a smaller model.") -> str:
    """The sentence for a model that does not fit."""
    return f"{name} needs {gigabytes(needed)} GB of memory, and {gigabytes(free)} GB are free. {advice}"


def gigabytes(n_bytes: int) -> str:
    """Billions of bytes with as many digits as say something: 0.09, 1.5, 14."""
    amount = n_bytes / 1e9
    return f"{amount:.0f}" if amount >= 10 else f"{amount:.1f}" if amount >= 1 else f"{amount:.2g}"


def _config(folder: Path, shown: str) -> JsonObject:
    file = folder / "config.json"
    if not file.is_file():
        if _is_unfinished(folder):
            raise ModelError(_unfinished(shown, "config.json"))
        raise ModelError(f"{shown} has no config.json, so it is not a model's folder. Pick the folder that holds it.")
    try:
        config = strict_json(file.read_bytes())
    except ValueError:
        raise ModelError(f"{shown}/config.json cannot be read as JSON. Download the model again.") from None
    return check_config(shown, config)


def weight_files(folder: Path, shown: str | None = None) -> list[Path]:
    """The files that hold the weights, each of them there.

    Raises ModelError with a plain sentence: a download that was not finished, pickles only, no weights at all.
    """
    shown = shown or folder.name
    if (folder / ONE_FILE).is_file():
        return [folder / ONE_FILE]
    if (folder / INDEX).is_file():
        try:
            index = strict_json((folder / INDEX).read_bytes())
            names = sorted(set(index["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ModelError(f"{shown}/{INDEX} cannot be read. Download the model again.") from None
        for name in names:
            # A name is a file of this folder and nothing else.
            if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
                raise ModelError(f"{shown}/{INDEX} names {str(name)[:60]!r} as weights. Download the model again.")
        lacking = [name for name in names if not (folder / name).is_file()]
        if lacking:
            parts = f"{len(lacking)} of its {len(names)} files of weights" if len(names) > 1 else "its file of weights"
            raise ModelError(_unfinished(shown, f"{parts} ({shown} lacks {lacking[0]})"))
        return [folder / name for name in names]
    names = [path.name for path in folder.iterdir()]
    if "adapter_model.safetensors" in names:
        raise ModelError(
            f"{shown} holds an adapter only. Merge it into its model (PEFT: merge_and_unload) and save that."
        )
    if _is_unfinished(folder):
        raise ModelError(_unfinished(shown, "its weights"))
    if any(name.endswith(PICKLE_ENDINGS) for name in names):
        raise ModelError(
            f"{shown} holds its weights as pickles only, and a pickle can run code. "
            "Save it again with save_pretrained(), which writes safetensors."
        )
    other = next((name for name in sorted(names) if name.endswith(".safetensors")), None)
    if other is not None:
        raise ModelError(
            f"{shown} holds {other[:80]}, but neither {ONE_FILE} nor {INDEX}, which says what belongs to it. "
            "Download the model again, or save it with save_pretrained()."
        )
    raise ModelError(
        f"{shown} has its config.json but no weights (no {ONE_FILE} file): its download is not finished, or they were "
        "never copied. Download the model again."
    )


def pruned_heads(folder: Path) -> int:
    """How many heads a folder's config.json says were taken out of the model before it was saved."""
    try:
        config = strict_json((folder / "config.json").read_bytes())
        parts = [config, *(part for part in config.values() if isinstance(part, dict))]
        pruned = [part["pruned_heads"] for part in parts if isinstance(part.get("pruned_heads"), dict)]
        return sum(len(heads) for of_layers in pruned for heads in of_layers.values())
    except (OSError, ValueError, AttributeError, TypeError):
        return 0


def _is_unfinished(folder: Path) -> bool:
    """Is there a trace of a download that was broken off: a part of a file, or a link whose file has not come?"""
    inside = list(folder.iterdir())
    # The hub's library keeps what has come so far beside the folder's files, or in the cache beside its snapshots.
    beside = [folder / ".cache/huggingface/download"]
    if folder.parent.name == "snapshots":
        beside.append(folder.parent.parent / "blobs")
    inside += [path for place in beside if place.is_dir() for path in place.iterdir()]
    return any(path.name.endswith(_PARTS) or (path.is_symlink() and not path.exists()) for path in inside)


def _unfinished(shown: str, what: str) -> str:
    return f"The download of {shown} is not finished: {what} did not come. Download it again; what is here is kept."


def _tensors(file: Path, shown: str) -> list[tuple[str, str, tuple[int, ...]]]:
    """Name, dtype and shape of every tensor of a file whose header fits its length, byte by byte.

    Source: the format's description, https://github.com/huggingface/safetensors#format.
    """

    def damaged(how: str) -> ModelError:
        return ModelError(f"The weights of {shown} are damaged: {file.name} {how}. Download them again.")

    n_bytes = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        if start == _POINTER[:8] and stream.read(len(_POINTER) - 8) == _POINTER[8:]:
            raise ModelError(
                f"{shown} holds a pointer of Git LFS in the place of {file.name}: its weights were not fetched. "
                "Run git lfs pull in its folder."
            )
        size = int.from_bytes(start, "little")
        if len(start) < 8 or not 2 <= size <= n_bytes - 8:
            raise damaged("ends before its header does")
        if size > _MAX_HEADER:
            raise damaged(f"has a header of {size / 1e6:,.0f} MB; at most {_MAX_HEADER / 1e6:,.0f} MB are read")
        raw = stream.read(size)
    try:
        header = strict_json(raw)
        entries = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
        described = [(name, entry["dtype"], tuple(entry["shape"]), *entry["data_offsets"]) for name, entry in entries]
        # Sides that are no numbers, or so many of them that to multiply them would take hours.
        short = all(len(shape) <= _MAX_AXES for _, _, shape, *_ in described)
        whole = short and all(
            type(n) is int and 0 <= n < _MAX_SIDE for _, _, shape, *ends in described for n in (*shape, *ends)
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise damaged("has a header that cannot be read") from None
    if not described or not whole:
        raise damaged("has a header that cannot be read")
    position = 0
    for name, dtype, shape, begin, end in sorted(described, key=lambda tensor: tensor[3:]):
        bits = _BITS.get(dtype)
        if bits is None:
            raise damaged(f"stores {name[:80]} as {str(dtype)[:20]!r}, which is not known here")
        if begin != position or end < begin:
            raise damaged(f"does not say where {name[:80]} lies")
        if (end - begin) * 8 != math.prod(shape) * bits:
            raise damaged(f"states a size for {name[:80]} that it does not have")
        position = end
    if 8 + size + position != n_bytes:
        missing = 8 + size + position - n_bytes
        raise damaged(f"lacks its last {missing:,} bytes" if missing > 0 else "is longer than its header says")
    return [(name, dtype, shape) for name, dtype, shape, _, _ in described]
