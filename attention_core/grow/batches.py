"""Batches for each task: rows of token ids to train on, and the fixed rows that heads are measured on."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.grow.tasks import INDUCTION, OPENER, PREVIOUS, SOURCE, TASKS
from attention_core.training.loop import Batch, generator_of, repeated_once, repeated_pairs

ROWS_TO_LEARN, ROWS_TO_MEASURE = 16, 32
PROBE_SEED = 770_077  # the same rows for every run, so that runs can be compared
PERIOD = 16  # of the repeated rows that are measured
LETTERS, COPIED, SORTED = 26, 12, 10  # letters there are, and how many of them a row has
KINDS, DEEPEST = 3, 4  # of brackets: 0 1 2 open, 3 4 5 close


def batch_at(task: str, seed: int, step: int) -> Batch:
    """The rows of one step of a run: a function of seed and step alone. Raises ValueError for an unknown task."""
    return _rows(task, ROWS_TO_LEARN, generator_of(seed, step))


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Fixed rows that no run learns from; the maps on screen are those of row 0."""

    batch: Batch
    targets: dict[str, Bool[Tensor, "row query key"]]  # by score: the keys that the job needs; some queries have none


def probe_of(task: str) -> Probe:
    """The rows that a task's heads are measured on, the same for all runs. Raises ValueError for an unknown task."""
    generator = generator_of(PROBE_SEED, 0)
    if task == "repeated":
        batch = repeated_once(ROWS_TO_MEASURE, PERIOD, len(TASKS[task].labels), generator)
        scored = batch.scored.clone()
        scored[:, PERIOD] = False  # nothing says where the copy begins
        batch = Batch(batch.tokens, scored)
    else:
        batch = _rows(task, ROWS_TO_MEASURE, generator)
    return Probe(batch, {score: _TARGETS[score](batch) for score in TASKS[task].scores})


def weight_on(
    weights: Float[Tensor, "row head query key"], targets: Bool[Tensor, "row query key"]
) -> Float[Tensor, " head"]:
    """Each head's mean weight on the target keys, over all queries that have one.

    Raises ValueError if no query has any.
    """
    wanted = targets.any(dim=-1)
    if not wanted.any():
        raise ValueError(f"some query needs a target key; none of {wanted.numel()} has one")
    on_targets = (weights * targets.unsqueeze(1)).sum(dim=-1)
    return on_targets.transpose(1, 2)[wanted].mean(dim=0)


def even_weight(targets: Bool[Tensor, "row query key"]) -> float:
    """The same for a head that spreads its attention evenly over what it may read: the score's chance level."""
    n_tokens = targets.shape[-1]
    even = torch.ones(n_tokens, n_tokens).tril()
    even = (even / even.sum(dim=-1, keepdim=True)).expand(targets.shape[0], 1, -1, -1)
    return weight_on(even, targets).item()


def previous_targets(batch: Batch) -> Bool[Tensor, "row query key"]:
    """The token before, for every query but the first."""
    n_rows, n_tokens = batch.tokens.shape
    return torch.ones(n_tokens - 1, dtype=torch.bool).diag(-1).expand(n_rows, -1, -1)


def induction_targets(batch: Batch) -> Bool[Tensor, "row query key"]:
    """In rows A A: the token after the earlier occurrence, for the queries of the second copy (Olsson et al. 2022)."""
    n_rows, n_tokens = batch.tokens.shape
    period = n_tokens // 2
    query, key = torch.arange(n_tokens)[:, None], torch.arange(n_tokens)
    return ((query >= period) & (key == query - period + 1)).expand(n_rows, -1, -1)


def source_targets(batch: Batch) -> Bool[Tensor, "row query key"]:
    """Where the token that comes next stands before the bar, for every query whose next token is scored."""
    n_tokens = batch.tokens.shape[1]
    after = torch.zeros_like(batch.tokens).index_copy(1, torch.arange(n_tokens - 1), batch.tokens[:, 1:])
    wanted = torch.zeros_like(batch.scored).index_copy(1, torch.arange(n_tokens - 1), batch.scored[:, 1:])
    same = after[:, :, None] == batch.tokens[:, None, :]
    before_the_bar = ~batch.scored & (batch.tokens != LETTERS)
    return same & wanted[:, :, None] & before_the_bar[:, None, :]


def opener_targets(batch: Batch) -> Bool[Tensor, "row query key"]:
    """The bracket that the next token closes, for every query whose next token closes one."""
    found = torch.zeros(*batch.tokens.shape, batch.tokens.shape[1], dtype=torch.bool)
    for row, tokens in enumerate(batch.tokens.tolist()):
        opened: list[int] = []
        for at, token in enumerate(tokens):
            if token < KINDS:
                opened.append(at)
            else:
                found[row, at - 1, opened.pop()] = True
    return found


_TARGETS: dict[str, Callable[[Batch], Tensor]] = {
    PREVIOUS: previous_targets,
    INDUCTION: induction_targets,
    SOURCE: source_targets,
    OPENER: opener_targets,
}


def _rows(task: str, n_rows: int, generator: torch.Generator) -> Batch:
    if task == "repeated":
        return repeated_pairs(n_rows, TASKS[task].n_tokens, len(TASKS[task].labels), generator)
    if task == "brackets":
        return _brackets(n_rows, TASKS[task].n_tokens, generator)
    if task not in TASKS:
        raise ValueError(f"the task must be one of {', '.join(TASKS)}; got {task!r}")
    # Different letters in each row, so that the letter to write next stands in one place only.
    drawn = torch.rand(n_rows, LETTERS, generator=generator).argsort(dim=1)
    given = drawn[:, : SORTED if task == "sorting" else COPIED]
    written = {"copying": given, "reversing": given.flip(1), "sorting": given.sort(dim=1).values}[task]
    bar = torch.full((n_rows, 1), LETTERS)
    scored = torch.arange(2 * given.shape[1] + 1) > given.shape[1]
    return Batch(torch.cat((given, bar, written), dim=1), scored.expand(n_rows, -1))


def _brackets(n_rows: int, n_tokens: int, generator: torch.Generator) -> Batch:
    """Balanced rows: each step opens or closes by a coin, within the depth and the length that is left."""
    coins = random.Random(int(torch.randint(2**31, (), generator=generator)))
    rows = []
    for _ in range(n_rows):
        row: list[int] = []
        opened: list[int] = []
        while len(row) < n_tokens:
            left = n_tokens - len(row)
            if not opened or (len(opened) < min(DEEPEST, left - 1) and coins.random() < 0.5):
                opened.append(coins.randrange(KINDS))
                row.append(opened[-1])
            else:
                row.append(opened.pop() + KINDS)
        rows.append(row)
    tokens = torch.tensor(rows)
    return Batch(tokens, tokens >= KINDS)
