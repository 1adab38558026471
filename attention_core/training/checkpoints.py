"""A training run that can be stopped: its log, maps and checkpoints in a folder, and going on from the newest one."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attention_core.training.loop import Kind, Progress, Schedule, train


def run_to_the_end(  # noqa: PLR0913 (what a recipe decides, and where the run is kept)
    model: Any,
    batch_at: Callable[[int], Kind],
    schedule: Schedule,
    optimizers: Sequence[torch.optim.Optimizer],
    work: Path,
    *,
    watch: Callable[[Progress, bool], tuple[dict[str, float], Any]],
    loss_of: Callable[[nn.Module, Kind], Tensor] | None = None,
    report_every: int = 50,
    save_every: int = 250,
    autocast: bool = False,
) -> None:
    """Train to the end, with checkpoints in `work`; go on from the newest one there.

    At every report `watch(progress, saving)` gives the figures for the log (`log.jsonl`) and the maps for
    `maps-STEP.pt`; `saving` is True where a checkpoint and the model (`step-STEP/`) are written as well.
    """
    work.mkdir(parents=True, exist_ok=True)
    newest, first, before = work / "newest.pt", 0, 0.0
    if newest.is_file():
        kept = torch.load(newest, weights_only=True)
        model.load_state_dict(kept["model"])
        for optimizer, state in zip(optimizers, kept["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        first, before = kept["step"], kept["seconds"]
    say(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters, from step {first}")
    reports = train(
        model,
        batch_at,
        schedule,
        optimizers=optimizers,
        first_step=first,
        report_every=report_every,
        loss_of=loss_of,
        autocast=autocast,
    )
    for now in reports:
        saving = now.step % save_every == 0 or now.finished
        line: dict[str, float] = {"step": now.step, "seconds": before + now.seconds, "loss": now.loss}
        figures, maps = watch(now, saving)
        line |= figures
        with (work / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        torch.save(maps, work / f"maps-{now.step:05}.pt")
        say("  ".join(f"{name} {value:.4g}" for name, value in line.items()))
        if saving:
            state = {
                "model": model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "step": now.step,
                "seconds": before + now.seconds,
            }
            torch.save(state, work / "writing.pt")
            (work / "writing.pt").replace(newest)
            model.save_pretrained(work / f"step-{now.step:05}")


def say(line: str) -> None:
    """Write one line to standard output at once: who watches a log must not wait for a full buffer."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
