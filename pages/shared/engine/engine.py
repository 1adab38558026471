"""The seam: what the pages and the routes may ask of whoever computes, in plain data."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar

from attention_core.formats.json_data import Json, JsonObject
from pages.shared.engine.answers import Effected, Lensed, Plain, Swept
from pages.shared.engine.packs import Fixed, Part, SavedFile, Wanted
from pages.shared.engine.plain import (
    Closest,
    First,
    ModelSummary,
    Progress,
    Said,
    Surveyed,
    TraceSummary,
    Written,
)
from pages.shared.process.settings import Settings
from pages.shared.service.counting import Count
from pages.shared.service.sources import Picture, Source

Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)


class Handle(Protocol, Generic[Answer]):
    """A job on its way."""

    @property
    def future(self) -> "Future[Answer]":
        """Its answer; who waits for it gets what the job raises."""
        ...

    def progress(self) -> Progress:
        """How far it is: its place in the queue, what is done. Never waits for the job."""
        ...

    def cancel(self) -> None:
        """Nobody waits any more: it is dropped when its turn comes, or ends at its next step. Twice is once."""
        ...


class Engine(ABC):
    """Who computes. Everything that crosses is plain data, so that the computing may be in another process.

    Jobs that take their turn come back as handles; what is asked in passing waits for its answer. A text, model, layer
    or head that cannot be had raises `plain.Refused` or ValueError with a sentence for the visitor; `service.Gone`
    says that what an opened file held is no longer here.
    """

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """What the operator has set."""

    @abstractmethod
    def start(self, *, pause: float = 0.0) -> "Future[None]":
        """Begin to load the first model, after a pause (seconds) if it is the first call; done when it is there."""

    @abstractmethod
    def close(self) -> None:
        """The server stops: end what belongs to this engine."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Loads, texts and pictures that are computed or wait for their turn."""

    @abstractmethod
    def condition(self) -> JsonObject:
        """How it is, in numbers and names of models of the operator's; see `http/health`."""

    @abstractmethod
    def key(self, picture: Picture) -> str:
        """An unguessable name for a picture's data, the same for every visitor."""

    @abstractmethod
    def picture(self, key: str) -> Picture:
        """What a key stands for. Raises `service.Gone` if it is not known (any more)."""

    @abstractmethod
    def loaded(self, name: str) -> ModelSummary | None:
        """A model if it has been loaded; asks nobody and waits for nothing."""

    @abstractmethod
    def known(self, source: Source) -> TraceSummary | None:
        """A trace that need not be computed."""

    @abstractmethod
    def known_at_once(self, source: Source) -> TraceSummary | None:
        """A trace for which nothing has to be done at all: no file is read, nobody is asked."""

    @abstractmethod
    def read(self, source: Source, visitor: str = "") -> Handle[TraceSummary]:
        """Read a text, loading its model first if need be; the same text and model once for everybody."""

    @abstractmethod
    def readout(self, source: Source, visitor: str = "") -> Handle[Said]:
        """What the model says about a text; computed once for everybody."""

    @abstractmethod
    def known_readout(self, source: Source) -> Said | None:
        """The same, if it is known already."""

    @abstractmethod
    def write(self, source: Source, n: int, how: str, seed: int, visitor: str = "") -> Handle[Written]:
        """Let the model continue the text by up to n tokens, "greedy" or "sampled"; `progress` counts them."""

    @abstractmethod
    def put_token(self, source: Source, token: int, which: int) -> Written:
        """The text with one token after it, or in place of its mask number `which`."""

    @abstractmethod
    def survey(self, model: str, files: Sequence[tuple[str, bytes]], lines: bool | None, name: str) -> Handle[Surveyed]:
        """Metrics and labels over text files (name and bytes); its labels are kept under `name`.

        `lines` says whether each line is a text; None guesses. What was stopped goes on when the same is asked again
        under the same name.
        """

    @abstractmethod
    def label(self, source: Source, by: str = "") -> JsonObject:
        """The labels of a text's model, or those kept under `by`: {"state", "done", "total", "says", "cards"}.

        Never waits: the first to ask begins them, once for everybody, and "state" says how far they are.
        """

    @abstractmethod
    def prepare(self, picture: Picture, layer: int | str, head: int | str) -> "Future[None]":
        """Begin to make what a browser is about to fetch; whoever fetches it meanwhile waits for this."""

    @abstractmethod
    def pack(self, picture: Picture, part: Part) -> bytes:
        """One pack of a picture, as a gzip file; made once and kept."""

    @abstractmethod
    def compare(self, a: Picture, b: Picture, part: Part, fixed: Fixed) -> bytes:
        """One pack of two pictures' traces side by side, as a gzip file; made once and kept.

        `fixed` are tokens of A and of B that belong together; the rest is aligned around them.
        """

    @abstractmethod
    def bring(self, model: str, beside: str, visitor: str = "") -> Handle[bool]:
        """Load a model, unless it would push out the one `beside`: then Refused, with the sizes of both."""

    @abstractmethod
    def save(self, picture: Picture, wanted: Wanted) -> SavedFile:
        """One file of a picture."""

    @abstractmethod
    def count(self, source: Source, visitor: str = "") -> Handle[Count]:
        """How many tokens a text makes, in a turn of its own; nothing is known if the model is not loaded."""

    @abstractmethod
    def first_text(self, model: str) -> First:
        """A text that a loaded model can read, the usual one if it can."""

    @abstractmethod
    def open_file(self, data: bytes) -> Source:
        """Open a trace file, or matrices made elsewhere; kept until it has to make room."""

    @abstractmethod
    def forget(self, source: Source) -> None:
        """Let go of a source's trace: nobody looks at it any more."""

    @abstractmethod
    def row(self, source: Source, layer: int, head: int, query: int) -> list[float]:
        """The weights of one query over all keys."""

    @abstractmethod
    def strongest_link(self, source: Source, layer: int, head: int) -> tuple[int, int] | None:
        """Query and key of the largest weight of a head from one word to another; None if no word reads another.

        In a causal layer of a query from the middle of the text, where the mask shows.
        """

    @abstractmethod
    def finds(self, source: Source) -> JsonObject:
        """What heads do in this text that beats chance: {"state", "finds": [{"kind", "layer", "head", …}], "says"}.

        The state is "later" while others wait: ask again.
        """

    @abstractmethod
    def lesson_step(self, source: Source, step: JsonObject) -> JsonObject:
        """What a learner sees of a lesson's step on a text before answering: `lessons.showing.shown`."""

    @abstractmethod
    def lesson_mark(self, source: Source, step: JsonObject, answer: Json) -> JsonObject:
        """An answer marked, and what is so: `lessons.showing.revealed`; an answer of None is not marked."""

    @abstractmethod
    def closest(self, source: Source, texts: Sequence[str]) -> Closest | None:
        """The closest of other sentences, by a model that was trained to compare; None for any other model."""

    @abstractmethod
    def seed(self, source: Source, layer: int, head: int, tokens: tuple[int, ...]) -> str:
        """One head's q, k and v for some tokens, as a state of the Lab in a link's letters (`lab/link`)."""

    @abstractmethod
    def effect(
        self, source: Source, edits: Sequence[Plain], question: Plain | None, draws: int, visitor: str = ""
    ) -> Handle[Effected]:
        """What some edits together do to what the model says, with `draws` effects of chance beside it (0: none).

        Edits and question are plain data as the core writes them; without a question the usual one of the model is
        asked. `progress` counts the runs of the control; who cancels gets the effect without it.
        """

    @abstractmethod
    def sweep(
        self, source: Source, what: Plain, question: Plain | None, draws: int, visitor: str = ""
    ) -> Handle[Swept]:
        """What each of many edits does alone: every head, layer, token or link, as plain data.

        Without `draws` effects alone; with 20 or more also what chance does to the largest of them, which takes as many
        times the runs. `progress` counts the runs. Cancelled it comes to what was done so far, `finished` false.
        """

    @abstractmethod
    def lenses(self, source: Source, layer: int, head: int, query: int, visitor: str = "") -> Handle[Lensed]:
        """One row of one head through five lenses, of a text of at most `experiments.MOST_KEYS` keys."""
