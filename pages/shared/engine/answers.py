"""What an experiment answers, as plain data: no tensor crosses the seam."""

from dataclasses import dataclass

from attention_core.formats.json_data import JsonObject
from pages.shared.engine.plain import SaidChoice

Plain = JsonObject  # an edit, a question or what a sweep goes through, as its `to_plain` writes it


@dataclass(frozen=True, slots=True)
class Variant:
    """One run of a sweep: what was edited, and what that did."""

    edits: tuple[Plain, ...]
    words: str  # the edits, in words
    difference: float  # after − before, in the question's unit


@dataclass(frozen=True, slots=True)
class ByChance:
    """What chance does to the largest of all that were tested, in the question's unit."""

    n: int  # effects of chance that were drawn
    largest: float  # 95th percentile of the largest
    tested: int


@dataclass(frozen=True, slots=True)
class Swept:
    """What became of a sweep."""

    question: Plain
    unit: str
    before: float  # in the question's unit
    found: tuple[Variant, ...]  # in the order of the model; those that were done
    notes: tuple[str, ...] = ()  # sentences: where edits were made
    chance: ByChance | None = None  # None: not computed
    why_no_chance: str = ""
    total: int = 0  # how many variants there are
    finished: bool = True  # all that was asked for was done; else somebody stopped it

    @property
    def nbytes(self) -> int:
        """About what it takes in memory."""
        return 2_000 + sum(600 + 2 * len(one.words) for one in self.found)


@dataclass(frozen=True, slots=True)
class Lensed:
    """One row of one head through five lenses; None where a lens has no number for a key, or none at all."""

    tokens: tuple[str, ...]  # the keys
    weight: tuple[float | None, ...]
    length: tuple[float | None, ...] | None
    signed: tuple[float | None, ...] | None
    zeroed: tuple[float | None, ...]
    cut: tuple[float | None, ...]
    top: dict[str, int | None]  # of each lens the key that is first
    missing: tuple[str, ...]  # sentences: why a lens is not there
    says: str  # where their first keys differ and, if the numbers show it, why

    @property
    def nbytes(self) -> int:
        """About what it takes in memory."""
        return 2_000 + 200 * len(self.tokens)


@dataclass(frozen=True, slots=True)
class Effected:
    """What some edits do to what a model says."""

    question: Plain
    unit: str
    words: tuple[str, ...]  # each edit in words
    before: float  # in the question's unit
    after: float
    top_before: tuple[SaidChoice, ...]  # the likeliest tokens, where the model says words
    top_after: tuple[SaidChoice, ...]
    notes: tuple[str, ...] = ()
    null: tuple[float, ...] = ()  # effects of changes of the same length in random directions
    level: float | None = None  # 95 % of them do at most this; None: not computed, or too few
    control: str = ""  # the comparison with chance, or why there is none, in words

    @property
    def difference(self) -> float:
        """after − before."""
        return self.after - self.before

    @property
    def nbytes(self) -> int:
        """About what it takes in memory."""
        return 2_000 + 2 * len(repr(self.words)) + 16 * len(self.null)
