"""What a stranger's model folder may hold at most, checked before anything of it is parsed or built.

Three kinds of bombs are kept out: files that are no files of this folder (a link to elsewhere, a pipe) or too large to
be what they are called; a config.json whose numbers would have modules or tables built one by one; and settings that
make transformers read another file of this machine, or fetch code.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from attention_core.formats.json_data import Json, JsonMapping
from attention_core.formats.strict_json import strict_json
from attention_core.models.sentence_modules import ModulesError, PathError, modules_of, transformer_place

DATA = (".json", ".txt", ".model", ".jinja", ".tiktoken", ".vocab")  # endings of what is read beside the weights
MOST_DATA_BYTES = 64_000_000  # one such file; the largest tokenizer.json in use has half
MOST_CONFIG_BYTES = 8_000_000  # config.json and other settings; those in use stay under 2 MB
_SETTINGS = ("config.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json")
_PLACES = ("", "1_Pooling", "target_tokenizer")  # the folder and what is always read in folders of it
MOST_PART_BYTES = 600_000_000  # the weights of a sentence encoder's dense layer; those in use have a tenth

_MODULES = re.compile(r"^(num|n)_|_num$|layers?$|depth$|_groups?$|_blocks?$|block_sizes$")  # built one by one
_OTHER_COUNTS = re.compile(
    r"vocab|words|embd?|positions|ctx|n_inner|langs|bucket|labels|state|dims?|tokens|heads?$|kv$"
)
_STACKED = re.compile(r"experts?$|heads?$")  # many in one tensor
_POSITIONS = re.compile(r"position|seq|length|context|ctx|window|chunk|max_len")
_FREE = re.compile(r"theta|seed|base$|param|scal|rate$|train|steps")  # size nothing
_TOKENS = re.compile(r"_ids?$|_index$")  # small models keep the numbers of a large vocabulary's special tokens
_FEW_MODULES, _MANY_STACKED = 512, 4_096  # that a config may state without a tensor for each
_SIDE, _TABLE, _READS = 2**14, 2**14, 2**24  # a size without a tensor of it; rows of a table; positions without one

# Architectures that compute a table with a row for each position, some of them number by number in Python.
_TABLES = frozenset(
    "codegen ctrl distilbert flaubert fsmt gptj m2m_100 marian musicflamingo musicgen musicgen_melody nllb-moe pegasus "
    "pegasus_x roformer seamless_m4t seamless_m4t_v2 tipsv2_text_model xglm xlm".split()
)


class LimitError(ValueError):
    """A folder holds something that is not opened; the text says what, as the end of a sentence about the folder."""


def check_files(folder: Path) -> None:
    """Every file that may be read is a file, of this folder, and of a believable size.

    Raises LimitError.
    """
    root = _root(folder)
    _check_file(folder / "modules.json", root)  # before it says where else to look
    home = transformer_place(folder)
    for place in _places(folder):
        inside = folder / place
        if place and not inside.is_dir():
            continue
        if place and not inside.resolve().is_relative_to(root):
            raise LimitError(f"has {place[:80]} as a link to a folder outside of it. Copy that into the folder.")
        for path in inside.iterdir():
            if path.suffix in DATA or path.suffix == ".safetensors":
                _check_file(path, root)
            if path.suffix == ".safetensors" and place not in ("", home) and path.stat().st_size > MOST_PART_BYTES:
                raise LimitError(f"has {place[:80]}/{path.name[:80]} of {path.stat().st_size / 1e6:,.0f} MB.")
    if (folder / home / "adapter_config.json").exists():
        raise LimitError(
            "holds an adapter (adapter_config.json), which names another model. "
            "Merge it into its model (PEFT: merge_and_unload) and save that."
        )


def check_data_size(name: str, n_bytes: int) -> None:
    """Whether a file beside the weights has a believable size. Raises LimitError."""
    most = MOST_CONFIG_BYTES if name in _SETTINGS else MOST_DATA_BYTES
    if n_bytes > most:
        raise LimitError(f"has a {name[:80]} of {n_bytes / 1e6:,.0f} MB; at most {most / 1e6:,.0f} MB are read.")


def _places(folder: Path) -> tuple[str, ...]:
    """The folders in which files are read: the usual ones and those of a sentence encoder's modules."""
    try:
        modules = modules_of(folder) or ()
    except PathError as error:
        raise LimitError(str(error)) from None
    except ModulesError:  # no list: nothing of it is read, which is said where sentences are compared
        modules = ()
    return tuple(dict.fromkeys((*_PLACES, *(module.path for module in modules))))


def check_tokenizer_settings(folder: Path) -> None:
    """No setting of the tokenizer names a file of this machine. Raises LimitError."""
    for place in _places(folder):
        file = folder / place / "tokenizer_config.json"
        if not file.is_file():
            continue
        try:
            settings = strict_json(file.read_bytes())
        except ValueError:
            raise LimitError("has a tokenizer_config.json that cannot be read as JSON.") from None
        if not isinstance(settings, dict):
            raise LimitError("has a tokenizer_config.json that holds no JSON object.")
        for key, value in settings.items():
            # What save_pretrained notes about its own origin is not read.
            noted = key in ("name_or_path", "tokenizer_file", "special_tokens_map_file")
            if isinstance(value, str) and not noted and _is_file_here(value):
                raise LimitError(f"has a tokenizer_config.json whose {key[:40]!r} names a file of this machine.")


def check_numbers(config: JsonMapping, n_tensors: int, largest_side: int) -> None:
    """No number of the config is out of all proportion to what is stored.

    Raises LimitError naming the first that is.
    """
    model_type = str(config.get("model_type"))
    for part, key, value in _settings_in(config):
        if isinstance(value, str) and key.endswith("_implementation") and re.search(r"[/:@]", value):
            raise LimitError(f"states {key} = {value[:60]!r}, which would fetch code. Sightline runs none but its own.")
        kind = part.get("model_type")
        most = _most(key, kind if isinstance(kind, str) else model_type, n_tensors, largest_side)
        if _amount(key, value) > most:
            raise LimitError(
                f"states {key[:60]} = {_short(value)}; its weights have {n_tensors:,} tensors, "
                f"none longer than {largest_side:,}. They do not belong together: download the model again."
            )


def _most(key: str, model_type: str, n_tensors: int, largest_side: int) -> int | float:
    """The largest value that this number of a config may have."""
    if _FREE.search(key):
        return float("inf")
    if _TOKENS.search(key):
        return _READS
    if _POSITIONS.search(key):
        return max(_TABLE, largest_side) if model_type in _TABLES else _READS
    if _STACKED.search(key):
        return max(_MANY_STACKED, n_tensors)
    if _MODULES.search(key) and not _OTHER_COUNTS.search(key):
        return max(_FEW_MODULES, n_tensors)
    return max(_SIDE, largest_side)


def _amount(key: str, value: object) -> int | float:
    """How much a setting states: of a list of counts their sum (blocks of layers), of other lists the largest."""
    values: list[Json] = value if isinstance(value, list) else [value]
    numbers = [n for n in values if type(n) in (int, float) and n > 0]  # a bool is no amount
    return (sum(numbers) if _MODULES.search(key) else max(numbers)) if numbers else 0


def _settings_in(config: JsonMapping, depth: int = 0) -> Iterator[tuple[JsonMapping, str, Json]]:
    """Every setting with the part of the config that it stands in, however deep."""
    if depth > 20:
        raise LimitError("has a config.json with settings nested more than 20 deep.")
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _settings_in(value, depth + 1)
        else:
            yield config, key, value


def _short(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and abs(value) < 10**30 else str(value)[:40]


def _root(folder: Path) -> Path:
    """Where the files of a folder may really lie: in it, or, in the hub's cache, in the blobs beside its snapshots."""
    folder = folder.resolve()
    return folder.parent.parent if folder.parent.name == "snapshots" else folder


def _check_file(path: Path, root: Path) -> None:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        raise LimitError(f"has {path.name[:80]} as a link to a file outside of it. Copy that file into the folder.")
    if not path.is_file():
        if path.exists() and not path.is_dir():
            raise LimitError(f"has {path.name[:80]}, which is not a plain file.")
        return
    if path.suffix != ".safetensors":
        check_data_size(path.name, path.stat().st_size)


def _is_file_here(value: str) -> bool:
    try:
        return len(value) < 4_096 and Path(value).expanduser().exists() and value not in ("", ".", "..")
    except (OSError, ValueError, RuntimeError):  # no file system accepts that name
        return False
