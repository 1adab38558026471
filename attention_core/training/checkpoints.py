"""A training run that can be stopped: its log, maps and checkpoints in a folder, and going on from the newest one."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from attention_core.training.loop import Kind, Progress, Schedule, train

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def run_to_the_end(  # noqa: PLR0913 (what a recipe decides, and where the run is kept)
    model: "PreTrainedModel",
    batch_at: Callable[[int], Kind],
    schedule: Schedule,
    optimizers: Sequence[torch.optim.Optimizer],
    work: Path,
    *,
    watch: Callable[[Progress, bool], tuple[dict[str, float], Tensor | dict[str, Tensor]]],
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


def keep_growth(work: Path, out: Path, most: int = 40) -> None:
    """What *Grow a head* shows of a run: maps (weight × 255, rounded) and log of some steps, into `out / "growth"`.

    At most `most` steps of those that were watched, the first and the last among them, closer together at the start,
    where more happens. A step that was watched again because the run went on there has its loss from before.
    """
    from safetensors.torch import save_file

    log = [json.loads(line) for line in (work / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    lines: dict[int, dict[str, float]] = {}
    for line in log:
        if line["step"] not in lines or line["loss"] == line["loss"]:
            lines[line["step"]] = line
    steps, last = sorted(lines), len(lines) - 1
    chosen = [steps[at] for at in sorted({round(last * (place / (most - 1)) ** 1.5) for place in range(most)})]
    maps = [torch.load(work / f"maps-{step:05}.pt", weights_only=True) for step in chosen]
    named = [each if isinstance(each, dict) else {"weights": each} for each in maps]
    kept = {name: torch.stack([each[name] for each in named]).float().mul(255).round().byte() for name in named[0]}
    (out / "growth").mkdir(parents=True, exist_ok=True)
    save_file(kept | {"steps": torch.tensor(chosen)}, out / "growth" / "maps.safetensors")
    curves = [{name: value for name, value in lines[step].items() if name != "seconds"} for step in chosen]
    text = ",\n ".join(json.dumps(_none_for_nan(line)) for line in curves)
    (out / "growth" / "curves.json").write_text(f"[{text}]\n", encoding="utf-8")


def _none_for_nan(line: dict[str, float]) -> dict[str, float | None]:
    return {name: None if value != value else value for name, value in line.items()}


def say(line: str) -> None:
    """Write one line to standard output at once: who watches a log must not wait for a full buffer."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
