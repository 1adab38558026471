"""What a small attention-only model can learn while a class watches: five tasks, in words and numbers.

Needs no torch. What the rows of a task look like is in `attention_core.grow.batches`, the model in
`attention_core.grow.model`, the training in `attention_core.grow.run`.
"""

import string
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from attention_core.formats.json_data import Json, JsonObject

Positions = Literal["learned", "rotary", "none"]

PREVIOUS, INDUCTION, SOURCE, OPENER = "previous", "induction", "source", "opener"
NEXT, FIELD = "next", "field"  # of the models that come with Sightline


@dataclass(frozen=True, slots=True)
class Score:
    """A job that a head can have, measured as its mean weight on the keys that the job needs."""

    name: str
    title: str
    says: str  # which keys, for which queries


SCORES = {
    score.name: score
    for score in (
        Score(PREVIOUS, "previous token", "Mean weight on the token before, over all tokens but the first."),
        Score(
            INDUCTION,
            "induction",
            "Mean weight on the token after the earlier occurrence, over the tokens of the second copy.",
        ),
        Score(
            SOURCE,
            "source",
            "Mean weight on the token that has to be written next, where it stands before the bar.",
        ),
        Score(
            OPENER,
            "opener",
            "Mean weight on the bracket that has to be closed next, wherever the next token closes one.",
        ),
        Score(NEXT, "next token", "Mean weight on the token after, over all tokens but the last."),
        Score(
            FIELD,
            "right field",
            "Mean weight on the year while the year is written, on the month, on the day: over the eight digits.",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Task:
    """Something to learn: its rows are made of `labels`, and some tokens of each row have to be predicted."""

    name: str
    title: str
    says: str  # what the model must do
    watch: str  # what to watch forming
    labels: tuple[str, ...]  # how each token of the vocabulary is written
    n_choices: int  # symbols that a scored token can be: a guesser has the loss ln(n_choices)
    scores: tuple[str, ...]  # jobs that are measured, in the order in which they are expected to appear
    n_tokens: int  # of a row to learn from
    n_steps: int  # of a whole run
    positions: Positions = "learned"  # the usual ones of this task
    n_heads: int = 4  # … and heads
    matrix_rate: float = 0.01
    other_rate: float = 2e-3


_LETTERS = tuple(string.ascii_lowercase)
BAR = "|"

TASKS = {
    task.name: task
    for task in (
        Task(
            "repeated",
            "Repeated sequences",
            "Random tokens, then the same again: predict the second time.",
            "A head of layer 0 learns to look at the token before. With what it writes, a head of layer 1 can look at "
            "what followed the last time: the two form together, and the loss falls off a cliff.",
            (*_LETTERS, *"123456"),
            32,
            (PREVIOUS, INDUCTION),
            n_tokens=48,
            n_steps=900,
            positions="rotary",
            matrix_rate=0.02,
            other_rate=3e-3,
        ),
        Task(
            "copying",
            "Copying",
            "Twelve letters, a bar, then the same letters in the same order.",
            "The letter to write next always stands twelve tokens back: a diagonal, in one layer, by position alone.",
            (*_LETTERS, BAR),
            26,
            (SOURCE, PREVIOUS),
            n_tokens=25,
            n_steps=600,
        ),
        Task(
            "reversing",
            "Reversing",
            "Twelve letters, a bar, then the same letters backwards.",
            "The letter to write next moves one to the left with each letter written: the diagonal runs the other way.",
            (*_LETTERS, BAR),
            26,
            (SOURCE,),
            n_tokens=25,
            n_steps=600,
        ),
        Task(
            "sorting",
            "Sorting",
            "Ten different letters, a bar, then the same letters from a to z.",
            "The letter written last looks for the next larger one among the ten: by what the letters are, not where. "
            "Several heads share this job, so that each does less of it than one alone.",
            (*_LETTERS, BAR),
            26,
            (SOURCE,),
            n_tokens=21,
            n_steps=600,
            n_heads=1,
        ),
        Task(
            "brackets",
            "Brackets",
            "Three kinds of brackets, up to four deep: say which one closes next.",
            "The token before a closing bracket looks back, past all pairs that are closed already, at the bracket "
            "that is still open.",
            tuple("([{)]}"),
            3,
            (OPENER, PREVIOUS),
            n_tokens=32,
            n_steps=900,
            matrix_rate=0.02,
            other_rate=3e-3,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What decides a run, besides the version of the code: the same settings give the same batches.

    Raises ValueError for an unknown task and for settings outside what the page offers.
    """

    task: str = "repeated"
    seed: int = 1
    n_heads: int = 0  # 0: as many as the task has usually
    positions: Positions | Literal[""] = ""  # "": the usual ones of the task
    norm: bool = True  # a layer norm before each attention and before the unembedding
    n_steps: int = 0  # 0: as many as the task asks for; fewer are for tests

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"the task must be one of {', '.join(TASKS)}; got {self.task!r}")
        if type(self.seed) is not int or not 0 <= self.seed < 1_000_000:
            raise ValueError(f"the seed must be a whole number from 0 to 999999; got {self.seed!r}")
        task = TASKS[self.task]
        for name, usual in (("n_heads", task.n_heads), ("positions", task.positions), ("n_steps", task.n_steps)):
            if getattr(self, name) in (0, ""):
                object.__setattr__(self, name, usual)
        if self.n_heads not in (1, 2, 4, 8):
            raise ValueError(f"heads must be 1, 2, 4 or 8; got {self.n_heads!r}")
        if self.positions not in get_args(Positions):
            raise ValueError(f"positions must be one of {', '.join(get_args(Positions))}; got {self.positions!r}")
        if type(self.norm) is not bool:
            raise ValueError(f"norm must be True or False; got {self.norm!r}")
        if type(self.n_steps) is not int or not 0 <= self.n_steps <= 10_000:
            raise ValueError(f"steps must be a whole number from 0 to 10000; got {self.n_steps!r}")

    @property
    def name(self) -> str:
        """Short and safe as a file name; usual positions are left out, as the number of steps is."""
        parts = [self.task, f"seed{self.seed}", f"{self.n_heads}head{'s' if self.n_heads > 1 else ''}"]
        if self.positions != TASKS[self.task].positions:
            parts.append("nopositions" if self.positions == "none" else self.positions)
        if not self.norm:
            parts.append("nonorm")
        return "-".join(parts)

    def as_json(self) -> JsonObject:
        """Plain numbers and strings by field name; `from_json` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Json) -> "RunSettings":
        """Undo `as_json`. Raises ValueError for anything else."""
        if not isinstance(fields, dict) or set(fields) - set(cls.__slots__):
            raise ValueError(f"settings must be an object with some of {', '.join(cls.__slots__)}; got {fields!r}")
        try:
            return cls(**fields)
        except TypeError as error:
            raise ValueError(f"settings must be words and whole numbers; got {fields!r}") from error
