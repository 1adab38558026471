"""Training runs as they are shown: what one saved step holds, what a run holds, and the file that keeps it.

Needs no torch, so that a page shows a recorded run at once. A run comes from two places and looks the same from both:
a file of `assets/runs` (`load_run`), or the records that a training process sends (`attention_core.grow.trainings`).

    run = load_run(path)
    run.head.settings, run.head.task, run.head.tokens   # what was trained on what; the tokens on the maps' axes
    run.steps, run.losses, run.right                    # [saved]: steps done, nats per scored token, share right
    run.maps                    # u8 [saved, layer, head, query, key] as formats.wire.encode_u1; 255 = masked
    run.scores["previous"]      # f4 [saved, layer, head]: mean weight on the keys of that job, 0 to 1
    run.cliff, run.formed()     # where the loss fell and where each score passed half: computed, None if they did not

A file is gzip over one pack of `formats.wire`. Above the diagonal nothing is kept: nobody may look there.
"""

import gzip
import math
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from numpy import ndarray

from attention_core.formats.json_data import JsonMapping, JsonObject
from attention_core.formats.plain_values import plain_values
from attention_core.formats.wire import U1_MASKED, pack, unpack
from attention_core.grow.tasks import SCORES, TASKS, RunSettings, Task

FORMAT, VERSION = "sightline-run", 1
LARGEST_FILE = 20_000_000  # bytes, unpacked: a file says how large it is only while it is read
HALF = 0.5  # a head has formed when its score stays above this
CLIFF = 0.5  # a loss has fallen if its end is less than this share of its beginning …
STRETCH = 3  # … and it fell fastest within this many saved steps


class RunFileError(ValueError):
    """A file of a run cannot be opened; the text is a plain sentence."""


@dataclass(frozen=True, slots=True)
class RunHead:
    """What is known of a run before its first step."""

    settings: RunSettings | None  # None: a run that was not made here (a model that comes with Sightline)
    title: str
    tokens: tuple[str, ...]  # of the row that the maps are of
    scored: tuple[bool, ...]  # which of them have to be predicted
    n_layers: int
    n_heads: int
    n_steps: int  # of the whole run
    chance: float  # nats: the loss of a guesser who knows which tokens are possible, and nothing else
    scores: tuple[str, ...]  # names in `tasks.SCORES`, in the order in which they are expected to appear
    even: tuple[float, ...]  # each score of a head that attends evenly to all it may read
    targets: tuple[tuple[tuple[int, int], ...], ...]  # for each score: the cells (query, key) that count, on this row
    n_parameters: int
    facts: Mapping[str, str] = field(default_factory=dict)  # machine, versions, command, notes: for people
    model: str = ""  # what links call it, of a run that was not made here
    keys: tuple[str, ...] = ()  # tokens on the other axis of the maps; none: the same as `tokens`, the queries
    causal: bool = True  # no query may look at a later key; a run that was made here is
    measured: str = ""  # what the loss is, in a sentence, if it is not the usual one

    @property
    def n_cells(self) -> int:
        """Cells of one map as they are kept: of a causal one the lower triangle."""
        n = len(self.tokens)
        return n * (n + 1) // 2 if self.causal else n * len(self.keys or self.tokens)

    @property
    def task(self) -> Task | None:
        """What was learned, in words; None for a run without settings of this page."""
        return TASKS[self.settings.task] if self.settings else None

    def as_json(self) -> JsonObject:
        """Plain dicts, lists, numbers and strings, for the header of a pack; `from_json` reads them back."""
        return {**asdict(self), "facts": dict(self.facts)}

    @classmethod
    def from_json(cls, fields: JsonMapping) -> "RunHead":
        """Undo `as_json`. Raises ValueError for anything else."""
        head = plain_values(fields, cls)
        if unknown := set(head.scores) - set(SCORES):
            raise ValueError(f"scores must be some of {', '.join(SCORES)}; got {sorted(unknown)}")
        return head


@dataclass(frozen=True, slots=True, eq=False)
class SavedStep:
    """The model after `step` steps, measured on rows that it does not learn from."""

    step: int
    seconds: float  # spent training so far
    loss: float  # nats per scored token; NaN: not measured
    right: float  # share of the scored tokens that it would guess right, 0 to 1; NaN: not measured
    scores: Float32[ndarray, "score layer head"]
    maps: UInt8[ndarray, "layer head query key"]  # of the one row; codes of wire.encode_u1

    def to_bytes(self) -> bytes:
        """One record of a training process."""
        numbers = np.array([self.seconds, self.loss, self.right], dtype=np.float32)
        return pack({"step": self.step}, numbers=numbers, scores=self.scores, maps=lower(self.maps))

    @classmethod
    def from_bytes(cls, data: bytes) -> "SavedStep":
        """Undo `to_bytes`. Raises ValueError if the bytes are no such record."""
        meta, arrays = unpack(data)
        seconds, loss, right = arrays["numbers"].tolist()
        return cls(meta["step"], seconds, loss, right, arrays["scores"], square(arrays["maps"]))


@dataclass(frozen=True, slots=True)
class Formed:
    """When a head got a job: from this saved step on its score stays above half."""

    score: str
    layer: int
    head: int
    saved: int  # index among the saved steps
    step: int
    value: float  # the score in the last saved step


@dataclass(frozen=True, slots=True)
class Cliff:
    """Where the loss fell fastest: between two saved steps."""

    first: int  # indices among the saved steps
    last: int
    before: float  # nats
    after: float


@dataclass(frozen=True, eq=False)
class Run:
    """A whole run, or what there is of it so far."""

    head: RunHead
    saved: tuple[SavedStep, ...] = ()
    weights: Mapping[int, Mapping[str, ndarray]] = field(default_factory=dict)  # by saved index: kept for replay

    @cached_property
    def steps(self) -> Int32[ndarray, " saved"]:
        """Training steps done at each saved step."""
        return np.array([saved.step for saved in self.saved], dtype=np.int32)

    @cached_property
    def losses(self) -> Float32[ndarray, " saved"]:
        """Nats per scored token at each saved step."""
        return np.array([saved.loss for saved in self.saved], dtype=np.float32)

    @cached_property
    def right(self) -> Float32[ndarray, " saved"]:
        """Share of the scored tokens that were predicted right, 0 to 1."""
        return np.array([saved.right for saved in self.saved], dtype=np.float32)

    @cached_property
    def maps(self) -> UInt8[ndarray, "saved layer head query key"]:
        """Weights of every head on the fixed row, as `formats.wire.encode_u1` codes; 255 = masked."""
        n = len(self.head.tokens)
        empty = np.zeros((0, self.head.n_layers, self.head.n_heads, n, n), dtype=np.uint8)
        return np.stack([saved.maps for saved in self.saved]) if self.saved else empty

    @cached_property
    def scores(self) -> dict[str, Float32[ndarray, "saved layer head"]]:
        """By name (`head.scores`): mean weight on the keys of that job, 0 to 1."""
        empty = np.zeros((0, len(self.head.scores), self.head.n_layers, self.head.n_heads), dtype=np.float32)
        found = np.stack([saved.scores for saved in self.saved]) if self.saved else empty
        return {name: found[:, i] for i, name in enumerate(self.head.scores)}

    @property
    def seconds(self) -> float:
        """Spent training, up to the last saved step."""
        return self.saved[-1].seconds if self.saved else 0.0

    def best(self, score: str) -> tuple[int, int]:
        """Layer and head of the largest score in the last saved step."""
        layer, head = np.unravel_index(int(self.scores[score][-1].argmax()), self.scores[score].shape[1:])
        return int(layer), int(head)

    def formed(self) -> tuple[Formed, ...]:
        """Each score's best head at the end, and since when it has been that: those that passed half, in order."""
        found = []
        for score in self.head.scores if self.saved else ():
            layer, head = self.best(score)
            curve = self.scores[score][:, layer, head]
            low = np.flatnonzero(~(curve > HALF))
            since = int(low[-1]) + 1 if low.size else 0
            if since < len(curve):
                found.append(Formed(score, layer, head, since, int(self.steps[since]), float(curve[-1])))
        return tuple(sorted(found, key=lambda one: one.saved))

    @cached_property
    def cliff(self) -> Cliff | None:
        """Where the loss fell fastest, if it ever fell to less than half of what it began with."""
        known = np.flatnonzero(np.isfinite(self.losses))
        if len(known) <= STRETCH or self.losses[known].min() > CLIFF * self.losses[known[0]]:
            return None
        fall = self.losses[known[:-STRETCH]] - self.losses[known[STRETCH:]]
        at = int(fall.argmax())
        first, last = int(known[at]), int(known[at + STRETCH])
        return Cliff(first, last, float(self.losses[first]), float(self.losses[last]))

    def to_pack(self, *, first: int = 0, weights: bool = False) -> bytes:
        """The run as one pack of `attention_core.formats.wire`, from saved step `first` on.

        meta: format, version, head, formed (list of `Formed`), cliff (`Cliff` or null). Arrays: steps i4 [saved],
        numbers f4 [saved, 3] (seconds, loss, share right), scores f4 [score, saved, layer, head] and maps u1 [saved,
        layer, head, cell] with the cells of the lower triangle row by row: (query, key) is cell query · (query + 1) ÷
        2 + key. With `weights` also those that are kept.
        """
        part = Run(self.head, self.saved[first:])
        numbers = [(saved.seconds, saved.loss, saved.right) for saved in part.saved]
        arrays: dict[str, ndarray] = {
            "steps": part.steps,
            "numbers": np.array(numbers, dtype=np.float32).reshape(-1, 3),
            "scores": np.stack(list(part.scores.values())),
            "maps": lower(part.maps),
        }
        kept: dict[str, dict[str, str]] = {}
        for at, tensors in self.weights.items() if weights else ():
            kept[str(at)] = {name: f"{at}.{name}" for name in tensors}
            arrays |= {f"{at}.{name}": tensor.astype("<f2").view("<u2") for name, tensor in tensors.items()}
        meta = {
            "format": FORMAT,
            "version": VERSION,
            "head": self.head.as_json(),
            "formed": [asdict(one) for one in self.formed()],
            "cliff": asdict(self.cliff) if self.cliff else None,
            "weights": kept,
        }
        return pack(meta, **arrays)


def save_run(run: Run, file: str | Path) -> None:
    """Write a run to a file, by convention `*.run.gz`, with the weights that it keeps."""
    Path(file).write_bytes(gzip.compress(run.to_pack(weights=True), compresslevel=9, mtime=0))


def load_run(file: str | Path) -> Run:
    """Open a file of `save_run`. Raises RunFileError if it is none, or an OSError if it cannot be read."""
    data = _unzip(Path(file))
    try:
        meta, arrays = unpack(data)
        if meta.get("format") != FORMAT or meta.get("version") != VERSION:
            raise ValueError(f"it is {meta.get('format')!r} {meta.get('version')!r}, not {FORMAT!r} {VERSION}")
        head = RunHead.from_json(meta["head"])
        n_saved, n = len(arrays["steps"]), len(head.tokens)
        shapes = {
            "numbers": (n_saved, 3),
            "scores": (len(head.scores), n_saved, head.n_layers, head.n_heads),
            "maps": (n_saved, head.n_layers, head.n_heads, n * (n + 1) // 2),
        }
        for name, shape in shapes.items():
            if arrays[name].shape != shape:
                raise ValueError(f"{name} must have the shape {shape}; got {arrays[name].shape}")
        maps = square(arrays["maps"])
        saved = tuple(
            SavedStep(int(step), float(seconds), float(loss), float(right), arrays["scores"][:, i], maps[i])
            for i, (step, (seconds, loss, right)) in enumerate(zip(arrays["steps"], arrays["numbers"], strict=True))
        )
        weights = {
            int(at): {name: arrays[key].view("<f2") for name, key in names.items()}
            for at, names in meta["weights"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunFileError(f"{Path(file).name} holds no run that this version can open: {error}") from error
    return Run(head, saved, weights)


def recorded(folder: str | Path) -> tuple[str, ...]:
    """Names of the runs in a folder, in alphabetical order; `folder / f"{name}.run.gz"` is the file of one."""
    return tuple(sorted(file.name.removesuffix(".run.gz") for file in Path(folder).glob("*.run.gz")))


def lower(maps: UInt8[ndarray, "*batch query key"]) -> UInt8[ndarray, "*batch cell"]:
    """The lower triangle of causal maps, row by row: cell query · (query + 1) ÷ 2 + key."""
    return np.ascontiguousarray(maps[(..., *np.tril_indices(maps.shape[-1]))])


def square(cells: UInt8[ndarray, "*batch cell"]) -> UInt8[ndarray, "*batch query key"]:
    """Undo `lower`: above the diagonal every cell is masked. Raises ValueError if the cells make no triangle."""
    n = (math.isqrt(8 * cells.shape[-1] + 1) - 1) // 2
    if n * (n + 1) // 2 != cells.shape[-1]:
        raise ValueError(f"the cells of a triangle must number n · (n + 1) ÷ 2; there are {cells.shape[-1]}")
    maps = np.full((*cells.shape[:-1], n, n), U1_MASKED, dtype=np.uint8)
    maps[(..., *np.tril_indices(n))] = cells
    return maps


def _unzip(file: Path) -> bytes:
    try:
        with gzip.open(file) as stream:
            data = stream.read(LARGEST_FILE + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise RunFileError(f"{file.name} is no file of a run: {error}") from error
    if len(data) > LARGEST_FILE:
        raise RunFileError(f"{file.name} is larger than any run: over {LARGEST_FILE:,} bytes")
    return data
