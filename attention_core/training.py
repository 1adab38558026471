"""Training small causal transformers while watching their heads: tasks, the loop, the figures, and one command.

    python -m attention_core.training --text tales.txt --out FOLDER

trains the Storyteller on any text: a byte-level tokenizer, a LLaMA-type model, its checkpoints and its figures. The
parts are general: `train` takes any module from tokens to logits, and every batch is a function of a seed and a step,
so a run that was stopped goes on exactly as if it had not been.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Sequences to learn from, and which of their tokens count."""

    tokens: Int[Tensor, "batch token"]
    scored: Bool[Tensor, "batch token"]  # True: predicting this token from those before it counts; column 0 never


def repeated_pairs(n_rows: int, n_tokens: int, symbols: int, generator: torch.Generator, *, shortest: int = 4) -> Batch:
    """Rows of random stretches, each followed by its copy: A A B B C C …, with lengths drawn anew each time.

    Tokens are uniform over 0 … `symbols` − 1, lengths over `shortest` … `n_tokens` // 2. Scored is what can be known:
    the copies without their first token (nothing before says where a copy begins). A row's last pair may be cut.
    """
    _check_row(n_tokens, 2 * shortest)
    tokens = torch.empty(n_rows, n_tokens, dtype=torch.long)
    scored = torch.zeros(n_rows, n_tokens, dtype=torch.bool)
    for row in range(n_rows):
        start = 0
        while start < n_tokens:
            length = int(torch.randint(shortest, n_tokens // 2 + 1, (), generator=generator))
            stretch = torch.randint(symbols, (length,), generator=generator)
            room = n_tokens - start
            tokens[row, start : start + 2 * length] = torch.cat((stretch, stretch))[:room]
            scored[row, start + length + 1 : start + 2 * length] = True
            start += 2 * length
    return Batch(tokens, scored)


def repeated_once(n_rows: int, period: int, symbols: int, generator: torch.Generator) -> Batch:
    """Rows of `period` random tokens and the same again: what induction is measured on. The second half is scored."""
    _check_row(2 * period, 2)
    half = torch.randint(symbols, (n_rows, period), generator=generator)
    scored = (torch.arange(2 * period) >= period).expand(n_rows, -1)
    return Batch(torch.cat((half, half), dim=1), scored)


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
    """How the learning rate goes: up in a line, level, down in a line to a hundredth at the last step."""

    n_steps: int
    warmup: int = 100  # steps
    cooldown: float = 0.3  # share of the steps, at the end

    def factor(self, step: int) -> float:
        """What the highest learning rate is multiplied by at this step (0 … n_steps − 1)."""
        rising = (step + 1) / max(1, self.warmup)
        falling = (self.n_steps - step) / max(1.0, self.cooldown * self.n_steps)
        return max(0.01, min(1.0, rising, falling))


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


def train(
    model: nn.Module,
    batch_at: Callable[[int], Batch],
    schedule: Schedule,
    *,
    optimizers: Sequence[torch.optim.Optimizer] | None = None,
    first_step: int = 0,
    report_every: int = 50,
    seconds: float = math.inf,
    loss_of: Callable[[nn.Module, Batch], Tensor] | None = None,
    autocast: bool = False,
    clip: float = 1.0,
) -> Iterator[Progress]:
    """Train in place, pausing at a report before the first step, after every `report_every` and after the last.

    While it pauses the model may be measured or saved; not asking for the next report stops the run. `seconds` bounds
    the time spent training (checked after each step). `batch_at(step)` gives the batch of a step; `loss_of` replaces
    the mean surprise of `model(tokens)` (logits, or an output that has `.logits`). `autocast` multiplies in bfloat16
    where the processor can; parameters stay float32. To go on with a stopped run, give its `optimizers` and
    `first_step`. Gradients longer than `clip` are shortened to it.
    """
    optimizers = make_optimizers(model) if optimizers is None else optimizers
    highest = [[group.get("highest_rate", group["lr"]) for group in each.param_groups] for each in optimizers]
    for each, rates in zip(optimizers, highest, strict=True):
        for group, rate in zip(each.param_groups, rates, strict=True):
            group["highest_rate"] = rate  # kept in the optimizer's state, where "lr" is the last step's
    loss_of = loss_of or (lambda model, batch: mean_loss(_logits(model, batch.tokens), batch))
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


def _logits(model: nn.Module, tokens: Tensor) -> Tensor:
    output = model(tokens)
    return getattr(output, "logits", output)


def _check_row(n_tokens: int, least: int) -> None:
    if n_tokens < least:
        raise ValueError(f"a row needs at least {least} tokens; asked for {n_tokens}")


@dataclass(frozen=True, slots=True)
class HeadFigures:
    """What a head does on random tokens, 0 to 1 each: mean weight on one key, over all queries that have it."""

    previous: float  # on the token before
    previous_chance: float  # the same if every query spread its attention evenly
    induction: float  # stretch and copy: on the token after the earlier occurrence of the query's token
    induction_control: float  # the same cells where nothing repeats
    induction_chance: float


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


def layer_weights(model: nn.Module, tokens: Int[Tensor, "batch token"]) -> Float[Tensor, "layer batch head query key"]:
    """Every attention matrix of a transformers model, as its eager attention returns them."""
    with torch.inference_mode():
        return torch.stack(model(tokens, output_attentions=True).attentions)


def held_out_losses(model: nn.Module, ids: Int[Tensor, " position"], n_tokens: int) -> Float[Tensor, " target"]:
    """Surprise in nats at every token of a text but the first, read in windows of `n_tokens` that overlap by half.

    Each token is scored once, where it has the most context: at least half a window, except in the first.
    """
    if len(ids) < 2:
        raise ValueError(f"a text to be predicted needs at least 2 tokens; it has {len(ids)}")
    half = max(1, n_tokens // 2)
    found = []
    with torch.inference_mode():
        done = 1  # tokens scored or without a context
        while done < len(ids):
            end = min(len(ids), max(done + half, min(n_tokens, len(ids)))) if done == 1 else min(len(ids), done + half)
            window = ids[max(0, end - n_tokens) : end].unsqueeze(0)
            found.append(token_losses(_logits(model, window), window)[0, -(end - done) :])
            done = end
    return torch.cat(found)


class KneserNeyTrigram:
    """The baseline a neural model has to beat: an interpolated Kneser–Ney trigram, counted on the same tokens.

    One discount per order, n₁ ÷ (n₁ + 2 n₂) of its counts; the unigram is mixed with the uniform distribution, so no
    token of the vocabulary has probability 0. Source: Chen & Goodman 1999, section 3 (interpolated, not modified).
    """

    def __init__(self, ids: Int[Tensor, " position"], d_vocab: int) -> None:
        if len(ids) < 3:
            raise ValueError(f"a trigram needs at least 3 tokens to count; there are {len(ids)}")
        if int(ids.min()) < 0 or int(ids.max()) >= d_vocab:
            raise ValueError(f"token ids must lie in 0 … {d_vocab - 1}")
        self.d_vocab = d_vocab
        trigrams = (ids[:-2] * d_vocab + ids[1:-1]) * d_vocab + ids[2:]
        types, counts = trigrams.unique(return_counts=True)
        self._trigram = _Order(types, counts, d_vocab)
        # Lower orders count the different tokens that come before, not occurrences: the idea of Kneser and Ney.
        types, counts = (types % d_vocab**2).unique(return_counts=True)
        self._bigram = _Order(types, counts, d_vocab)
        types, counts = (types % d_vocab).unique(return_counts=True)
        self._unigram = _Order(types, counts, d_vocab)

    def probability(self, grams: Int[Tensor, "gram 3"]) -> Float[Tensor, " gram"]:
        """p(third token | first two) for each row, float64."""
        first, second, third = grams.T
        uniform = torch.full((len(grams),), 1 / self.d_vocab, dtype=torch.float64)
        unigram = self._unigram.mix(third, torch.zeros_like(third), uniform)
        bigram = self._bigram.mix(second * self.d_vocab + third, second, unigram)
        context = first * self.d_vocab + second
        return self._trigram.mix(context * self.d_vocab + third, context, bigram)

    def losses(self, ids: Int[Tensor, " position"]) -> Float[Tensor, " target"]:
        """Surprise in nats at every token of a text from the third on, float64."""
        return -self.probability(ids.unfold(0, 3, 1)).log()


class _Order:
    """Counts of the n-grams of one order, ready to be looked up by their code: context · d_vocab + token."""

    def __init__(self, types: Tensor, counts: Tensor, d_vocab: int) -> None:
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        self.discount = once / (once + 2 * twice) if once else 0.5
        self.types, self.counts = types, counts.double()
        contexts, place = (types // d_vocab).unique(return_inverse=True)
        self.contexts = contexts
        self.totals = torch.zeros(len(contexts), dtype=torch.float64).index_add_(0, place, self.counts)
        self.followers = torch.zeros(len(contexts), dtype=torch.float64).index_add_(
            0, place, torch.ones(len(types), dtype=torch.float64)
        )

    def mix(self, grams: Tensor, contexts: Tensor, lower: Tensor) -> Tensor:
        """Discounted share of each gram plus what the discount freed, spread as the lower order says."""
        counts = _look_up(self.types, self.counts, grams)
        totals = _look_up(self.contexts, self.totals, contexts)
        followers = _look_up(self.contexts, self.followers, contexts)
        seen = totals > 0
        safe = totals.clamp_min(1)
        mixed = (counts - self.discount).clamp_min(0) / safe + self.discount * followers / safe * lower
        return torch.where(seen, mixed, lower)


def _look_up(keys: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
    """The value of each wanted key in a sorted list of keys; 0 where it is missing."""
    at = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
    return torch.where(keys[at] == wanted, values[at], 0.0)
