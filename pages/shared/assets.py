"""Paths of the files in assets/, and the versioned address under which a browser may cache them for ever."""

import hashlib
from pathlib import Path

ASSETS = Path(__file__).resolve().parents[2] / "assets"


SERVED = ("js", "css", "lessons")  # the only folders of assets/ that the network sees


LAB_FILES = "sightline/lab"


def _version() -> str:
    """Changes with any file a browser may have kept, so that addresses can be cached for ever."""
    digest = hashlib.sha256()
    for folder in SERVED:
        for file in _files(folder):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _files(folder: str) -> list[Path]:
    return sorted(file for file in (ASSETS / folder).rglob("*") if file.is_file())


ASSETS_URL = f"assets/{_version()}/"


def asset_files() -> dict[str, Path]:
    """Our own files, by the address that changes with their content."""
    files = (file for folder in SERVED for file in _files(folder))
    return {f"/{ASSETS_URL}{file.relative_to(ASSETS).as_posix()}": file for file in files}
