"""The recorded runs that come with Sightline, ready for the browser."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from attention_core.formats.json_data import JsonObject
from attention_core.grow import record
from attention_core.grow.record import Run
from attention_core.grow.tasks import TASKS, RunSettings
from pages.shared.address.growth import MODELS
from pages.shared.assets import ASSETS
from pages.shared.grow.packs import link_settings, model_settings, run_pack, title_of

FOLDER = ASSETS / "runs"
MODELS_FOLDER = ASSETS / "models"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run that is there before anybody has grown one."""

    id: str  # as in links and addresses
    settings: JsonObject
    title: str
    file: Path
    version: str  # changes with its numbers, so that browsers may keep them


@cache
def recorded() -> tuple[Recorded, ...]:
    """Every recorded run; the first of a task is the one that the page opens with."""
    runs = [(record.load_run(file).head.settings, file) for file in map(_file, record.recorded(FOLDER))]
    known = sorted(((settings, file) for settings, file in runs if settings), key=lambda one: _place(one[0]))
    found = [
        Recorded(
            settings.name,
            link_settings(settings),
            title_of(link_settings(settings), norm=settings.norm),
            file,
            _version(file),
        )
        for settings, file in known
    ]
    for model in MODELS:
        maps = MODELS_FOLDER / model / "growth" / "maps.safetensors"
        settings = model_settings(model)
        found.append(Recorded(model, settings, title_of(settings), maps, _version(maps)))
    return tuple(found)


@cache
def gzipped(run_id: str) -> bytes:
    """The pack of a recorded run, compressed once for everybody. Raises ValueError for a run that is not there."""
    return gzip.compress(run_pack(run(run_id)), mtime=0)


def run(run_id: str) -> Run:
    """A recorded run. Raises ValueError for one that is not there."""
    found = next((known for known in recorded() if known.id == run_id), None)
    if found is None:
        raise ValueError(f"there is no recorded run {run_id!r}")
    if run_id not in MODELS:
        return record.load_run(found.file)
    from attention_core.grow.own_models import growth  # torch, which the other runs do without

    return growth(run_id, MODELS_FOLDER / run_id)


def _file(name: str) -> Path:
    return FOLDER / f"{name}.run.gz"


def _version(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def _place(settings: RunSettings) -> tuple[object, ...]:
    """The usual settings first."""
    usual = RunSettings(settings.task)
    return (
        list(TASKS).index(settings.task),
        settings.norm != usual.norm,
        settings.positions != usual.positions,
        settings.n_heads != usual.n_heads,
        settings.n_heads,
        settings.seed,
    )
