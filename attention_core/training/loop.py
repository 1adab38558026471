"""Training small causal transformers while watching their heads: tasks, the loop, and what to measure.

    python -m attention_core.training --text tales.txt --out FOLDER

trains the Storyteller (see `storyteller`). The parts here are general: `train` takes any module from
tokens to logits, and every batch is a function of a seed and a step, so a run that was stopped goes on exactly as if it
had not been.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

Kind = TypeVar("Kind")  # of batches: `Batch`, or what a recipe's own loss takes


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Sequences to learn from, and which of their tokens count."""

    tokens: Int[Tensor, "batch token"]
    scored: Bool[Tensor, "batch token"]  # True: predicting this token from those before it counts; column 0 never


def repeated_pairs(
    n_rows: int,
    n_tokens: int,
    symbols: int,
    generator: torch.Generator,
    *,
    shortest: int = 4,
    longest: int | None = None,
) -> Batch:
    """Rows of random stretches, each followed by its copy: A A B B C C …, with lengths drawn anew each time.

    Tokens are uniform over 0 … `symbols` − 1, lengths over `shortest` … `longest` (half a row if None). Scored is what
    can be known: the copies without their first token (nothing before says where a copy begins). A row's last pair may
    be cut.
    """
    longest = n_tokens // 2 if longest is None else longest
    if not 2 <= shortest <= longest <= n_tokens // 2:
        raise ValueError(
            f"stretches need lengths between 2 and half a row of {n_tokens}; asked for {shortest} to {longest}"
        )
    tokens = torch.empty(n_rows, n_tokens, dtype=torch.long)
    scored = torch.zeros(n_rows, n_tokens, dtype=torch.bool)
    for row in range(n_rows):
        start = 0
        while start < n_tokens:
            length = int(torch.randint(shortest, longest + 1, (), generator=generator))
            stretch = torch.randint(symbols, (length,), generator=generator)
            room = n_tokens - start
            tokens[row, start : start + 2 * length] = torch.cat((stretch, stretch))[:room]
            scored[row, start + length + 1 : start + 2 * length] = True
            start += 2 * length
    return Batch(tokens, scored)


def repeating(n_rows: int, n_tokens: int, period: int, symbols: int, generator: torch.Generator) -> Batch:
    """Rows of `period` random tokens again and again, cut at `n_tokens`. The second half of the row is scored.

    With a period of half a row or less all that is scored has been there before.
    """
    if not 1 <= period <= n_tokens // 2:
        raise ValueError(f"the period must lie between 1 and half a row of {n_tokens}; it is {period}")
    stretch = torch.randint(symbols, (n_rows, period), generator=generator)
    scored = (torch.arange(n_tokens) >= n_tokens // 2).expand(n_rows, -1)
    return Batch(stretch.repeat(1, -(-n_tokens // period))[:, :n_tokens], scored)


def repeated_once(n_rows: int, period: int, symbols: int, generator: torch.Generator) -> Batch:
    """Rows of `period` random tokens and the same again: what induction is measured on. The second half is scored."""
    return repeating(n_rows, 2 * period, period, symbols, generator)


def text_blocks(ids: Int[Tensor, " position"], n_rows: int, n_tokens: int, generator: torch.Generator) -> Batch:
    """Stretches of a text from random places; every token but the first is scored."""
    if len(ids) < n_tokens:
        raise ValueError(f"the text must have at least one block of {n_tokens} tokens; it has {len(ids)}")
    starts = torch.randint(len(ids) - n_tokens + 1, (n_rows, 1), generator=generator)
    scored = (torch.arange(n_tokens) > 0).expand(n_rows, -1)
    return Batch(ids[starts + torch.arange(n_tokens)], scored)


def join(*batches: Batch) -> Batch:
    """Several batches of the same row length as one."""
    return Batch(torch.cat([b.tokens for b in batches]), torch.cat([b.scored for b in batches]))


def generator_of(seed: int, step: int) -> torch.Generator:
    """The random numbers of one step of a run: the same for the same seed and step, whatever came before."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def token_losses(
    logits: Float[Tensor, "batch token vocab"], tokens: Int[Tensor, "batch token"]
) -> Float[Tensor, "batch target"]:
    """Surprise in nats at every token after the first: column t − 1 is −log p(token t | tokens before t)."""
    wrong = functional.cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten(), reduction="none")
    return wrong.view(tokens.shape[0], -1)


def mean_loss(logits: Float[Tensor, "batch token vocab"], batch: Batch) -> Float[Tensor, ""]:
    """Mean surprise in nats over the scored tokens of a batch."""
    return token_losses(logits, batch.tokens)[batch.scored[:, 1:]].mean()


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long a run is and how its learning rate goes, in straight lines from point to point.

    A point is a step and what the highest rate is multiplied by there; the last point's step is the number of steps.
    """

    points: tuple[tuple[int, float], ...]
    least: float = 0.01  # the factor is never less

    @classmethod
    def trapezoid(cls, n_steps: int, warmup: int = 100, cooldown: float = 0.3) -> "Schedule":
        """Up in `warmup` steps, level, and down to nothing over the last share `cooldown` of the steps."""
        top = max(1, min(warmup, n_steps)) - 1
        return cls(((0, 1 / (top + 1)), (top, 1.0), (max(top, round(n_steps * (1 - cooldown))), 1.0), (n_steps, 0.0)))

    @property
    def n_steps(self) -> int:
        """Steps of the whole schedule."""
        return self.points[-1][0]

    def factor(self, step: int) -> float:
        """What the highest learning rate is multiplied by at this step (0 … n_steps − 1)."""
        for (start, low), (end, high) in pairwise(self.points):
            if step < end:
                return max(self.least, low + (high - low) * (step - start) / (end - start))
        return max(self.least, self.points[-1][1])


def make_optimizers(
    model: nn.Module, *, matrix_rate: float = 0.02, other_rate: float = 3e-3, weight_decay: float = 0.1
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings, norms and biases.

    Muon makes every update orthogonal, which for small models saves about half of the steps. Weight decay is for
    matrices only. Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    matrices, others = [], []
    for parameter in model.parameters():
        (matrices if parameter.ndim == 2 and id(parameter) not in embeddings else others).append(parameter)
    made: list[torch.optim.Optimizer] = []
    if others:
        made.append(torch.optim.AdamW(others, lr=other_rate, betas=(0.9, 0.98), weight_decay=0.0))
    if matrices:
        made.append(torch.optim.Muon(matrices, lr=matrix_rate, momentum=0.95, weight_decay=weight_decay))
    return made


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training run stands; the model itself is the one that was given to `train`."""

    step: int  # steps done so far
    loss: float  # nats, mean of the batches since the last report; NaN before the first step
    seconds: float  # spent in this call, the time of whoever watches left out
    finished: bool  # True: the last report


def train(  # noqa: PLR0913 (public; a training loop's usual options, each with a default)
    model: nn.Module,
    batch_at: Callable[[int], Kind],
    schedule: Schedule,
    *,
    optimizers: Sequence[torch.optim.Optimizer] | None = None,
    first_step: int = 0,
    report_every: int = 50,
    seconds: float = math.inf,
    loss_of: Callable[[nn.Module, Kind], Tensor] | None = None,
    autocast: bool = False,
    clip: float = 1.0,
) -> Iterator[Progress]:
    """Train in place, pausing at a report before the first step, after every `report_every` and after the last.

    While it pauses the model may be measured or saved; not asking for the next report stops the run. `seconds` bounds
    the time spent training (checked after each step). `batch_at(step)` gives the batch of a step; `loss_of` replaces
    the mean surprise of `model(tokens)` (logits, or an output that has `.logits`) and is needed for batches of another
    kind than `Batch`. `autocast` multiplies in bfloat16
    where the processor can; parameters stay float32. To go on with a stopped run, give its `optimizers` and
    `first_step`. Gradients longer than `clip` are shortened to it.
    """
    optimizers = make_optimizers(model) if optimizers is None else optimizers
    highest = [[group.get("highest_rate", group["lr"]) for group in each.param_groups] for each in optimizers]
    for each, rates in zip(optimizers, highest, strict=True):
        for group, rate in zip(each.param_groups, rates, strict=True):
            group["highest_rate"] = rate  # kept in the optimizer's state, where "lr" is the last step's
    loss_of = loss_of or _next_token_loss
    losses: list[float] = []
    spent, step = 0.0, first_step
    yield Progress(step, math.nan, 0.0, step >= schedule.n_steps)
    while step < schedule.n_steps:
        began = time.perf_counter()
        model.train()
        factor = schedule.factor(step)
        for each, rates in zip(optimizers, highest, strict=True):
            for group, rate in zip(each.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss = loss_of(model, batch_at(step))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        for each in optimizers:
            each.step()
            each.zero_grad(set_to_none=True)
        losses.append(loss.item())
        step += 1
        spent += time.perf_counter() - began
        finished = step >= schedule.n_steps or spent >= seconds
        if finished or step % report_every == 0:
            model.eval()
            yield Progress(step, math.fsum(losses) / len(losses), spent, finished)
            losses.clear()
        if finished:
            return


# The loss where a recipe has none of its own: its batches are each a `Batch`.
def _next_token_loss(model: nn.Module, batch: Any) -> Float[Tensor, ""]:
    return mean_loss(logits_of(model, batch.tokens), batch)


def logits_of(model: nn.Module, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token vocab"]:
    """What a model says about every token: its output, or its output's `.logits`."""
    output = model(tokens)
    return getattr(output, "logits", output)


def previous_token_weight(weights: Float[Tensor, "*batch query key"]) -> Float[Tensor, "*batch"]:
    """Mean weight on the token before, over all queries but the first."""
    return weights.diagonal(-1, dim1=-2, dim2=-1).mean(dim=-1)


def induction_weight(weights: Float[Tensor, "*batch query key"], period: int) -> Float[Tensor, "*batch"]:
    """Mean weight on the token after the earlier occurrence, over the queries of the second copy of a stretch.

    In A A with a stretch of `period` tokens query t repeats token t − period, so that key is t − period + 1. The key
    must lie before the query: a period of 1 raises ValueError. Source: Olsson et al. 2022, "prefix matching score".
    """
    if period < 2:
        raise ValueError(f"the period must be at least 2; it is {period}")
    return weights.diagonal(1 - period, dim1=-2, dim2=-1)[..., 1:].mean(dim=-1)
