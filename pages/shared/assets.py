"""Paths of the files in assets/, and the versioned address under which a browser may cache them for ever."""

import hashlib
from importlib.metadata import version
from importlib.util import find_spec
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


# plotly.js comes from the installed package and weighs 4.8 MB: only a view that draws with it asks for it.
PLOTLY_URL = f"assets/plotly-{version('plotly')}/plotly.min.js"


def plotly_file() -> dict[str, Path]:
    """plotly.js by the address that changes with its version. plotly itself is not imported for it.

    Raises ImportError if plotly is not installed.
    """
    found = find_spec("plotly")
    if found is None or not found.origin:
        raise ImportError("the charts need the package plotly, which requirements.txt names")
    return {f"/{PLOTLY_URL}": Path(found.origin).parent / "package_data" / "plotly.min.js"}
