"""The command `python -m attention_core.grow`: record runs, make their maps again, or train for a page."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import IO, get_args

from attention_core.grow.record import Run, load_run, save_run
from attention_core.grow.tasks import SCORES, TASKS, Positions, RunSettings

# What is shipped: the main run of every task, and the one about induction again with one thing changed at a time.
SHIPPED = (
    *(RunSettings(task) for task in TASKS),
    RunSettings("repeated", seed=2),
    RunSettings("repeated", n_heads=1),
    RunSettings("repeated", positions="learned"),
    RunSettings("repeated", positions="none"),
    RunSettings("sorting", n_heads=4),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train a two-layer attention-only model on a task and keep what its heads do while it learns."""
    parser = argparse.ArgumentParser(prog="python -m attention_core.grow", description=main.__doc__)
    parser.add_argument("--task", choices=TASKS, default="repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--heads", type=int, default=0, help="1, 2, 4 or 8; 0: as usual for the task")
    parser.add_argument("--positions", choices=get_args(Positions), default="", help="as usual for the task")
    parser.add_argument("--no-norm", action="store_true", help="leave the layer norms out")
    parser.add_argument("--steps", type=int, default=0, help="0: as many as the task asks for")
    parser.add_argument("--out", type=Path, help="folder for the recorded run")
    parser.add_argument("--all", action="store_true", help="record every run that is shipped")
    parser.add_argument("--check", type=Path, nargs="+", metavar="FILE", help="make the maps of recorded runs again")
    parser.add_argument("--live", action="store_true", help="for a page: orders on standard input, records on output")
    chosen = parser.parse_args(arguments)
    if chosen.live:
        live()
        return
    import torch

    torch.set_num_threads(1)
    if chosen.check:
        worst = max(check(load_run(file), file.name) for file in chosen.check)
        sys.exit(0 if worst <= 1 else 1)
    settings = RunSettings(chosen.task, chosen.seed, chosen.heads, chosen.positions, not chosen.no_norm, chosen.steps)
    for each in SHIPPED if chosen.all else (settings,):
        run_one(each, chosen.out)


def run_one(settings: RunSettings, out: Path | None) -> Run:
    """Record one run, print what formed, and write it to `out` if given."""
    from attention_core.grow.run import record

    run = record(settings, {"command": command_of(settings)})
    say(report(run))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        file = out / f"{settings.name}.run.gz"
        save_run(run, file)
        say(f"  {file.name}, {file.stat().st_size:,} bytes")
    return run


def command_of(settings: RunSettings) -> str:
    """The command that records a run with these settings."""
    words = f"python -m attention_core.grow --task {settings.task} --seed {settings.seed} --heads {settings.n_heads}"
    words += f" --positions {settings.positions}" + ("" if settings.norm else " --no-norm")
    return words + ("" if settings.n_steps == TASKS[settings.task].n_steps else f" --steps {settings.n_steps}")


def report(run: Run) -> str:
    """What a run came to, each figure beside its chance level."""
    name = run.head.settings.name if run.head.settings else run.head.title
    end = run.saved[-1]
    lines = [
        f"{name}: {run.head.n_parameters:,} parameters, {end.step} steps in {run.seconds:.1f} s of training",
        f"  loss {run.losses[0]:.3f} → {end.loss:.3f} nats per scored token (a guesser: {run.head.chance:.3f}), "
        f"{end.right:.1%} right",
    ]
    if cliff := run.cliff:
        lines.append(
            f"  fell fastest from step {run.steps[cliff.first]} to {run.steps[cliff.last]} "
            f"(after {run.saved[cliff.last].seconds:.1f} s): {cliff.before:.3f} → {cliff.after:.3f}"
        )
    formed = {one.score: one for one in run.formed()}
    for score, even in zip(run.head.scores, run.head.even, strict=True):
        layer, head = run.best(score)
        best = f"  {SCORES[score].title}: layer {layer}, head {head} at {run.scores[score][-1, layer, head]:.3f}"
        since = f", above half since step {formed[score].step}" if score in formed else ", not formed"
        if score in formed:
            since += f" ({run.saved[formed[score].saved].seconds:.1f} s)"
        lines.append(f"{best} (even attention {even:.3f}){since}")
    return "\n".join(lines)


def check(run: Run, name: str) -> int:
    """Make the maps of the kept steps again and print the largest difference, in 253rds of a weight."""
    import numpy as np

    from attention_core.grow.run import replay

    worst = 0
    for at in run.weights:
        again = replay(run, at)
        difference = int(np.abs(again.maps.astype(int) - run.saved[at].maps.astype(int)).max())
        say(f"{name}, step {run.saved[at].step}: maps made again differ by at most {difference} ÷ 253")
        worst = max(worst, difference)
    return worst


def live() -> None:
    """Train what the first line of standard input asks for, in records; end at once when that input does.

    The line is JSON: settings, seconds (by the clock, from now), memory_mb, niceness. The kernel keeps the bounds,
    whatever state this process is in: SIGALRM ends it when its time is over, and it gets no more memory than it may
    have.
    """
    began = time.monotonic()
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # nothing else may write between the records
    order = json.loads(sys.stdin.buffer.readline())
    _bound(order["seconds"], order["memory_mb"], order["niceness"])
    _end_when_it_closes(sys.stdin.fileno())
    Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    from attention_core.formats.wire import pack
    from attention_core.grow.trainings import write_record

    try:
        import torch

        from attention_core.grow.run import grow, head_of, machine

        torch.set_num_threads(1)
        settings = RunSettings.from_json(order["settings"])
        write_record(output, pack({"head": head_of(settings, machine()).as_json()}))
        step = 0
        for saved in grow(settings, seconds=order["seconds"] - (time.monotonic() - began)):
            write_record(output, saved.to_bytes())
            step = saved.step
        write_record(output, pack({"end": "finished" if step >= settings.n_steps else "time"}))
    except MemoryError:
        write_record(output, pack({"end": "memory"}))
    except RuntimeError as error:  # torch's word for it
        if "alloc" not in str(error):
            raise
        write_record(output, pack({"end": "memory"}))


def _bound(seconds: float, memory_mb: int, niceness: int) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds + 10)  # not handled: it ends the process
    if hasattr(os, "nice"):
        os.nice(niceness)
    try:
        import resource
    except ImportError:  # not a Unix: the clock above all is kept by who started this
        return
    most = memory_mb * 1_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_when_it_closes(pipe: int) -> None:
    """Let the kernel end this process when the other end of its input does, whatever it is computing then.

    A thread that waits for the end is not enough: it gets no turn while torch is imported, which takes seconds.
    """
    try:
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)  # SIGIO, which ends it
    except (ImportError, AttributeError, OSError):  # a system without it: the thread has to do
        return


def _end_with(stream: IO[bytes]) -> None:
    while stream.read(1):
        pass
    os._exit(0)


def say(line: str) -> None:
    """Write one record to standard output at once: the page that reads it must not wait for a full buffer."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
