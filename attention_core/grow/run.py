"""Growing a head: a small attention-only model learns a task, and everything its heads do is recorded.

    python -m attention_core.grow --task repeated --seed 1 --out FOLDER    records one run, prints what formed
    python -m attention_core.grow --task repeated --live                   the same as records on standard output

`grow` gives one `SavedStep` after another, so a page can draw them while the next ones are computed. Random numbers
come from the seed and the step; the weights of two machines agree as far as their processors round alike. That is why
a recorded run keeps the weights of three of its steps: `replay` makes their maps again.
"""

import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formats.wire import encode_u1
from attention_core.grow.batches import Probe, batch_at, even_weight, probe_of, weight_on
from attention_core.grow.model import AttentionOnly
from attention_core.grow.record import Run, RunHead, SavedStep
from attention_core.grow.tasks import TASKS, RunSettings
from attention_core.training.loop import Schedule, make_optimizers, token_losses, train

SAVED = 60  # saved steps of a run, besides the one before the first step
WARMUP = 30


def new_model(settings: RunSettings) -> AttentionOnly:
    """The model of a run before its first step."""
    task = TASKS[settings.task]
    return AttentionOnly(
        len(task.labels),
        max(task.n_tokens, probe_of(task.name).batch.tokens.shape[1]),
        n_heads=settings.n_heads,
        positions=settings.positions,
        norm=settings.norm,
        seed=settings.seed,
    )


def head_of(settings: RunSettings, facts: Mapping[str, str] | None = None) -> RunHead:
    """What is known of a run before its first step."""
    task, probe, model = TASKS[settings.task], probe_of(settings.task), new_model(settings)
    return RunHead(
        settings=settings,
        title=task.title,
        tokens=tuple(task.labels[token] for token in probe.batch.tokens[0].tolist()),
        scored=tuple(probe.batch.scored[0].tolist()),
        n_layers=len(model.layers),
        n_heads=model.n_heads,
        n_steps=settings.n_steps,
        chance=math.log(task.n_choices),
        scores=task.scores,
        even=tuple(even_weight(probe.targets[name]) for name in task.scores),
        targets=tuple(
            tuple((query, key) for query, key in probe.targets[name][0].nonzero().tolist()) for name in task.scores
        ),
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        facts=dict(facts or {}),
    )


def grow(
    settings: RunSettings,
    *,
    seconds: float = math.inf,
    keep: Callable[[dict[str, Tensor]], None] | None = None,
) -> Iterator[SavedStep]:
    """Train a model and stop at each step to save; not asking for the next one ends the run.

    `seconds` bounds the time spent training. What is measured are the weights rounded to 16 bits, as `keep` is given
    them at every saved step: so whoever keeps them can make the very same maps again.
    """
    task, probe = TASKS[settings.task], probe_of(settings.task)
    model, shown = new_model(settings), new_model(settings)
    optimizers = make_optimizers(model, matrix_rate=task.matrix_rate, other_rate=task.other_rate, weight_decay=0.0)
    reports = train(
        model,
        lambda step: batch_at(task.name, settings.seed, step),
        Schedule.trapezoid(settings.n_steps, warmup=WARMUP),
        optimizers=optimizers,
        report_every=math.ceil(settings.n_steps / SAVED),
        seconds=seconds,
    )
    for now in reports:
        weights = {name: tensor.detach().half() for name, tensor in model.state_dict().items()}
        shown.load_state_dict(weights)
        if keep is not None:
            keep(weights)
        yield measure(shown, probe, now.step, now.seconds)


def measure(model: AttentionOnly, probe: Probe, step: int, seconds: float) -> SavedStep:
    """What a model does on the fixed rows of its task."""
    tokens, scored = probe.batch.tokens, probe.batch.scored[:, 1:]
    with torch.inference_mode():
        logits, weights = model.maps(tokens)
        losses = token_losses(logits, tokens)[scored]
        right = (logits[:, :-1].argmax(dim=-1) == tokens[:, 1:])[scored].float()
        scores = torch.stack(
            [torch.stack([weight_on(layer, wanted) for layer in weights]) for wanted in probe.targets.values()]
        )
    return SavedStep(
        step, seconds, losses.mean().item(), right.mean().item(), scores.float().numpy(), codes(weights[:, 0])
    )


def codes(weights: Float[Tensor, "*batch query key"]) -> np.ndarray:
    """Causal weights as 8-bit codes of `attention_core.formats.wire`, masked above the diagonal."""
    n_tokens = weights.shape[-1]
    return encode_u1(weights.numpy(), ~np.tri(n_tokens, dtype=np.bool_))


def record(settings: RunSettings, facts: Mapping[str, str] | None = None) -> Run:
    """A whole run, with the weights of three steps: the first, the one at the foot of the cliff, and the last."""
    kept: list[dict[str, Tensor]] = []
    began = time.perf_counter()
    saved = tuple(grow(settings, keep=kept.append))
    took = time.perf_counter() - began
    run = Run(head_of(settings), saved)
    middle = run.cliff.last if run.cliff else len(saved) // 2
    weights = {at: {name: tensor.numpy() for name, tensor in kept[at].items()} for at in {0, middle, len(saved) - 1}}
    known = {"seconds": f"{took:.0f} by the clock, {run.seconds:.0f} of them training", **machine(), **(facts or {})}
    return Run(replace(run.head, facts=known), saved, dict(sorted(weights.items())))


def replay(run: Run, at: int) -> SavedStep:
    """Measure the model of a saved step again, from its kept weights.

    Raises ValueError if the weights of that step were not kept.
    """
    if run.head.settings is None or at not in run.weights:
        raise ValueError(f"weights must have been kept of saved step {at}; they were of {sorted(run.weights)}")
    model = new_model(run.head.settings)
    model.load_state_dict({name: torch.from_numpy(tensor.copy()) for name, tensor in run.weights[at].items()})
    return measure(model, probe_of(run.head.settings.task), run.saved[at].step, run.saved[at].seconds)


def machine() -> dict[str, str]:
    """The machine and the versions, for people."""
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} used",
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}",
    }
