"""What chance does: the same change in length, at the same places, in random directions; and links of the same weight.

An edit of a layer's attention changes what W_O writes by Δ, a vector for each token: the unedited run is the edited one
with −Δ written besides. The null writes −Δ·R there, where R turns the space at random: every vector keeps its length,
and any two of them their angle; only the directions are others. Each draw is an unedited run that might have been, and
its effect is what the same edit would have done to that. So if the direction in which a head writes meant nothing, its
effect would be one draw more, and nothing would tell it from the others.

Turning Δ in the *unedited* run would not do: what a head writes is part of the stream there, so that taking it away
shortens the stream, and adding as much in another direction does not.
Source: a Monte Carlo test (Dwass 1957), and the largest of many (Westfall and Young 1993).
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.experiment.asking import Asking
from attention_core.experiment.compiling import Op, Stage
from attention_core.experiment.edits import AddDirection, CutLink, Edit, Patch, ReplaceToken
from attention_core.experiment.running import Outcome, Runs
from attention_core.formats.shown import short_repr

Result = TypeVar("Result")

LEVEL = 0.95
ENOUGH = 20  # fewer are too few to say anything of the largest twentieth
_ALIKE = 1.25  # links whose weight is within ×/÷ this are alike
_MOST_LINKS = 40


class Stopped(Exception):
    """An experiment was stopped before it was done; nothing of it is kept."""


def to_the_end(
    running: Generator[tuple[int, int], None, Result], progress: Callable[[int, int], None] | None
) -> Result:
    """What an experiment in slices gives in the end; `progress` is told runs done and runs in all after each slice."""
    while True:
        try:
            done, total = next(running)
        except StopIteration as ended:
            return ended.value
        if progress is not None:
            progress(done, total)


@dataclass(frozen=True, slots=True, eq=False)
class Null:
    """Effects of chance beside one effect, in the question's unit."""

    values: Float[Tensor, " draw"]  # of the same lengths in random directions
    links: Float[Tensor, " link"] | None = None  # of other links of the same head with a weight within ×/÷ 1.25
    reason: str = ""  # a sentence: why there are no `values`

    __repr__ = short_repr

    @property
    def level(self) -> float | None:
        """95th percentile of |values|; None if there are too few."""
        return percentile(self.values)

    @property
    def links_level(self) -> float | None:
        """95th percentile of |links|; None if there are too few."""
        return None if self.links is None else percentile(self.links)

    def beyond(self, difference: float) -> bool | None:
        """Is an effect beyond what chance does, in every null that there is? None where none can tell."""
        levels = [level for level in (self.level, self.links_level) if level is not None]
        return all(abs(difference) > level for level in levels) if levels else None

    def says(self, difference: float) -> str:
        """The comparison in words."""
        parts = [self.reason] if self.reason else []
        for level, n, what in (
            (self.level, len(self.values), "changes of the same length in random directions"),
            (self.links_level, 0 if self.links is None else len(self.links), "other links with about this weight"),
        ):
            if level is not None:
                inside = "inside" if abs(difference) <= level else "beyond"
                parts.append(f"It is {inside} what chance does: 95 % of {n} {what} do at most {level:.3g}.")
            elif n or (what.startswith("other") and self.links is not None):
                parts.append(f"There are {n} {what}: too few to compare with.")
        return " ".join(parts)


def null_slices(  # noqa: PLR0913 (what is asked, of what, how often, and who may stop it)
    runs: Runs,
    edits: tuple[Edit, ...],
    asking: Asking,
    draws: int,
    seed: int,
    stop: Callable[[], bool],
) -> Generator[tuple[int, int], None, Null]:
    """The null of some edits of one layer, batch by batch: yields how many runs are done and how many there are.

    `stop` is asked before each batch. Raises Stopped if it said so.
    """
    layer, why = where_written(edits)
    if layer is None:
        return Null(torch.zeros(0, dtype=torch.float64), reason=why)
    outcome = runs.run([(), edits], keep=frozenset((layer,)))
    change = change_in(runs, outcome, 1, edits, layer)
    if change is None:
        return Null(torch.zeros(0, dtype=torch.float64), reason=_no_output(layer))
    links = _links_alike(runs, edits, seed)
    total, done = draws + len(links), 0
    found: list[Tensor] = []
    for size, values in drawn(runs, asking, edits, layer, change, draws, seed, stop):
        found.append(values)
        done += size
        yield done, total
    of_links: list[Tensor] = []
    for size, values in in_slices(runs, asking, links, stop):
        of_links.append(values)
        done += size
        yield done, total
    alike = _is_link(edits)
    return Null(torch.cat(found), torch.cat([*of_links, torch.zeros(0, dtype=torch.float64)]) if alike else None)


def drawn(  # noqa: PLR0913 (what is asked, of which edit, how often, and who may stop it)
    runs: Runs,
    asking: Asking,
    edits: tuple[Edit, ...],
    layer: int,
    change: Float[Tensor, "token d_model"],
    draws: int,
    seed: int,
    stop: Callable[[], bool],
) -> Iterator[tuple[int, Float[Tensor, " draw"]]]:
    """Effects of chance in slices, how many and which: what some edits of one layer do to runs in which `change`, what
    they take from that layer's writing or add to it, has a random direction.

    `stop` is asked before each slice. Raises Stopped.
    """
    ops = [added(layer, stage_of(edits), -one) for one in turned(change, draws, seed)]
    at_once = evenly(draws, runs.rows_at_once(edits) - 1)
    for start in range(0, draws, at_once):
        _stop_if(stop)
        chosen = ops[start : start + at_once]
        outcome = runs.run([edits] * (1 + len(chosen)), more=[(), *((op,) for op in chosen)])
        yield len(chosen), asking.from_bases(outcome)


def in_slices(
    runs: Runs,
    asking: Asking,
    variants: Sequence[Sequence[Edit]],
    stop: Callable[[], bool],
    keep: frozenset[int] = frozenset(),
    seen: Callable[[int, Outcome, float], None] = lambda start, outcome, before: None,
) -> Iterator[tuple[int, Float[Tensor, " row"]]]:
    """Effects of edits in slices, each a batch with the base as its first row: how many, and after − before of each.

    `stop` is asked before each slice; `seen` is shown what each ended with and what its
    first row says. Raises Stopped.
    """
    at_once = evenly(len(variants), runs.rows_at_once(_earliest(variants)) - 1)
    for start in range(0, len(variants), at_once):
        _stop_if(stop)
        outcome = runs.run([(), *variants[start : start + at_once]], keep=keep)
        values = asking.read(outcome).values
        seen(start, outcome, float(values[0]))
        yield len(values) - 1, values[1:] - values[0]


def evenly(n: int, most: int) -> int:
    """The size of slices of at most so many, as few as can be and then as even: 12 by at most 7 are 6 and 6."""
    return math.ceil(n / math.ceil(n / most)) if n else 1


def _earliest(variants: Sequence[Sequence[Edit]]) -> Sequence[Edit]:
    """The variant that begins first; one of the words before all others."""
    return min(
        variants,
        key=lambda edits: min((layer for edit in edits for layer in edit.layers), default=-1),
        default=(),
    )


def _stop_if(stop: Callable[[], bool]) -> None:
    if stop():
        raise Stopped("The experiment was stopped.")


def where_written(edits: Sequence[Edit]) -> tuple[int | None, str]:
    """The one layer that some edits change, or None and why there is no null of the same length."""
    if any(isinstance(edit, ReplaceToken) for edit in edits):
        return None, "There is no null of the same length for a replaced word: its vector is another, not a longer one."
    layers = sorted({layer for edit in edits for layer in edit.layers})
    if len(layers) == 1:
        return layers[0], ""
    if not layers:
        return None, "Nothing was edited, so there is nothing to compare."
    return None, f"Layers {', '.join(map(str, layers))} were edited: a null of the same length is made for one layer."


def change_in(
    runs: Runs, outcome: Outcome, row: int, edits: Sequence[Edit], layer: int
) -> Float[Tensor, "token d_model"] | None:
    """Δ of a row of a batch whose first is unedited: what W_O writes otherwise, or the residual stream where that was
    edited. None where W_O was not observed."""
    if stage_of(edits) == "residual":
        return outcome.stream[layer][row].float() - outcome.stream[layer][0].float()
    matrix = runs.sites.site(layer).matrix()
    read = outcome.read[layer]
    return None if matrix is None else (read[row].float() - read[0].float()) @ matrix.to(read.device)


def turned(change: Float[Tensor, "token d_model"], n: int, seed: int) -> Iterator[Float[Tensor, "token d_model"]]:
    """The change in random directions, n times: lengths and angles stay."""
    u, s, _ = torch.linalg.svd(change.float(), full_matrices=False)
    rank = int((s > 1e-6 * s[0].clamp_min(1e-30)).sum()) if s.numel() else 0
    shape = u[:, :rank] * s[:rank]
    random = torch.Generator().manual_seed(seed)
    for _ in range(n):
        directions, _ = torch.linalg.qr(torch.randn(change.shape[1], max(1, rank), generator=random))
        yield shape @ directions[:, :rank].T.to(change.device)


def percentile(values: Float[Tensor, " draw"], level: float = LEVEL) -> float | None:
    """What one more |draw| of the same kind exceeds with a probability of at most 1 − level; None if there are too few.

    The ⌈level · (n + 1)⌉-th smallest of n: of 20 the largest, with 1 / 21. Interpolating between draws, as quantiles of
    a sample do, would be exceeded more often than it says: of 20 by nearly one in ten.
    """
    n = len(values)
    return None if n < ENOUGH else float(values.abs().sort().values[math.ceil(level * (n + 1) - 1e-9) - 1])


def largest_by_chance(draws: Float[Tensor, "tested draw"], level: float = LEVEL) -> float | None:
    """`percentile` of the largest |effect| among all that were tested, in each draw; None if there are too few."""
    return percentile(draws.abs().amax(dim=0), level)


def added(layer: int, stage: Stage, change: Float[Tensor, "token d_model"]) -> Op:
    """Add a vector for each token to what W_O writes in a layer, or to the residual stream before it."""
    return Op(layer, stage, lambda x: (x.float() + change).to(x.dtype))


def stage_of(edits: Sequence[Edit]) -> Stage:
    """Where the null of some edits is added: to the residual stream if they change it, else to what W_O writes."""
    in_stream = any(isinstance(edit, AddDirection) or (isinstance(edit, Patch) and edit.head is None) for edit in edits)
    return "residual" if in_stream else "written"


def _no_output(layer: int) -> str:
    return f"Layer {layer}: W_O was not observed, so how much is written is not known and there is no null."


def _is_link(edits: Sequence[Edit]) -> bool:
    if len(edits) != 1 or not isinstance(edits[0], CutLink):
        return False
    edit = edits[0]
    return edit.head is not None and edit.query is not None and len(edit.keys) == 1 and len(edit.layers) == 1


def _links_alike(runs: Runs, edits: Sequence[Edit], seed: int) -> list[tuple[Edit, ...]]:
    """Cuts of other links of the same head whose weight is about that of the one that was cut, at most 40 of them."""
    if not _is_link(edits):
        return []
    edit = edits[0]
    assert isinstance(edit, CutLink) and edit.head is not None and edit.query is not None
    weights = runs.record.layers[edit.layer].weights(edit.head)
    own = float(weights[edit.query, edit.keys[0]])
    alike = (weights >= own / _ALIKE) & (weights <= own * _ALIKE) & (weights > 0)
    alike[edit.query, edit.keys[0]] = False
    alike &= ((weights > 0).sum(dim=-1) > 1)[:, None]  # a row's only key cannot be cut
    places = alike.nonzero().tolist()
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen = [places[i] for i in sorted(order[:_MOST_LINKS])]
    return [(CutLink(edit.layer, edit.head, query, (key,), edit.how),) for query, key in chosen]
