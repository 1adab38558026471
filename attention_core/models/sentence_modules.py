"""The list of modules that a sentence encoder's folder brings: which folders belong to it, none of them elsewhere.

`modules.json` names the parts of a sentence encoder in their order, each with a class and the folder of its files. It
is a stranger's data: a path must lead into a folder of this folder, and there are a few of them.
Source: sentence_transformers 6.2, base/model.py, `_load_config_modules`.
"""

import re
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from attention_core.formats.json_data import Json
from attention_core.formats.strict_json import strict_json

MODULES = "modules.json"
MOST_MODULES = 16
MOST_BYTES = 1_000_000  # of modules.json and of a module's own settings; those in use have a few hundred
_LONGEST_PATH, _DEEPEST_PATH = 100, 2


class ModulesError(ValueError):
    """A list of modules that is none; the text says why, as the end of a sentence about the folder."""


class PathError(ModulesError):
    """A module's path that leads out of the folder."""


@dataclass(frozen=True, slots=True)
class Module:
    """One entry of the list."""

    kind: str  # its class: "sentence_transformers.models.Pooling"
    path: str  # of its folder, "" for the model's own

    @property
    def name(self) -> str:
        """The library's name of its class; "" for a class of somebody else's."""
        parts = self.kind.split(".")
        return parts[-1] if parts[0] == "sentence_transformers" else ""


def parse_modules(raw: bytes) -> tuple[Module, ...]:
    """The entries in the file's order. Raises ModulesError, and PathError for a path that leads out of the folder."""
    if len(raw) > MOST_BYTES:
        raise ModulesError(f"has a {MODULES} of {len(raw) / 1e6:,.0f} MB.")
    try:
        listed = strict_json(raw)
    except ValueError:
        raise ModulesError(f"has a {MODULES} that cannot be read as JSON.") from None
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_MODULES:
        raise ModulesError(f"has a {MODULES} that lists no modules, or more than {MOST_MODULES}.")
    return tuple(_module(entry) for entry in listed)


def modules_of(folder: Path) -> tuple[Module, ...] | None:
    """The modules of a folder; None if it lists none. Raises as `parse_modules` does."""
    file = folder / MODULES
    if not file.is_file():
        return None
    if file.stat().st_size > MOST_BYTES:
        raise ModulesError(f"has a {MODULES} of {file.stat().st_size / 1e6:,.0f} MB.")
    return parse_modules(file.read_bytes())


def transformer_place(folder: Path) -> str:
    """Where the model itself lies: "" for the folder, else a folder of it ("0_Transformer").

    The second only where config.json is not at the top. A list that cannot be read names no place.
    """
    if (folder / "config.json").is_file():
        return ""
    try:
        modules = modules_of(folder)
    except ModulesError:
        return ""
    first = modules[0].path if modules else ""
    return first if first and (folder / first / "config.json").is_file() else ""


def _module(entry: Json) -> Module:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise ModulesError(f"has a {MODULES} with an entry that names no class.")
    path = entry.get("path")
    if not isinstance(path, str) or not _stays_inside(path):
        raise PathError(f"has a {MODULES} whose path {str(path)[:60]!r} is not a folder of it. Download it again.")
    return Module(entry["type"][:200], "/".join(part for part in path.split("/") if part not in ("", ".")))


def _stays_inside(path: str) -> bool:
    """A relative path of a few plain names, on every system and for the hub's library, which matches patterns."""
    parts = PureWindowsPath(path).parts
    return (
        len(path) <= _LONGEST_PATH
        and not PureWindowsPath(path).anchor
        and not path.startswith(("/", "~"))
        and len(parts) <= _DEEPEST_PATH
        and ".." not in parts
        and "\\" not in path
        and not re.search(r"[\x00-\x1f:*?\[\]]", path)
    )
