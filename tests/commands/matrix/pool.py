"""Checks many architectures in processes of their own, so that one that crashes or hangs takes nothing with it."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any

SECONDS = 120.0  # for one architecture
LOADING_SECONDS = 900.0  # for all its classes, saved and loaded
START_SECONDS = 120.0  # for a process to import torch and transformers
MEMORY_BYTES = 12 * 2**30  # of addresses: torch reserves far more than it uses


def run(
    model_types: Iterable[str], n_workers: int, report: Callable[[dict[str, Any]], None], *, loading: bool = False
) -> list[dict[str, Any]]:
    """Every architecture's result as `Result.as_json` gives it, in the order of `model_types`.

    With `loading` what `check_classes` gives.
    """
    ordered = list(model_types)
    waiting: SimpleQueue[str] = SimpleQueue()
    for model_type in ordered:
        waiting.put(model_type)
    results: dict[str, dict[str, Any]] = {}

    def serve(_: int) -> None:
        worker = _Worker(loading)
        try:
            while True:
                try:
                    model_type = waiting.get_nowait()
                except Empty:
                    return
                results[model_type] = worker.check(model_type)
                report(results[model_type])
        finally:
            worker.stop()

    with ThreadPoolExecutor(n_workers) as threads:
        list(threads.map(serve, range(n_workers)))
    return [results[model_type] for model_type in ordered]


class _Worker:
    def __init__(self, loading: bool) -> None:
        self.task, self.seconds = ("loading ", LOADING_SECONDS) if loading else ("", SECONDS)
        self.process: subprocess.Popen[bytes] | None = None

    def check(self, model_type: str) -> dict[str, Any]:
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.commands.matrix.worker", str(MEMORY_BYTES)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"},
            )
            if self._line(START_SECONDS) is None:
                raise RuntimeError(
                    "the checking process does not start: run `python -m tests.commands.matrix.worker 0` to see why"
                )
        assert self.process.stdin is not None
        self.process.stdin.write(f"{self.task}{model_type}\n".encode())
        self.process.stdin.flush()
        line = self._line(self.seconds)
        if line:
            return json.loads(line)
        why = f"no answer within {self.seconds:.0f} s" if line is None else "the process died"
        self.stop()
        return {"model_type": model_type, "outcome": "wrong", "why": why}

    def _line(self, seconds: float) -> bytes | None:
        """The next line; None after `seconds`, empty if the process has ended."""
        assert self.process is not None and self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline() if ready else None

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
