"""The command `python -m attention_core.survey`: a survey of text files, printed and saved."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from attention_core.models.loading import load_model
from attention_core.survey.survey import EVERY, N_TOKENS, Survey
from attention_core.survey.texts import lines_note, texts_at


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every head of a model over a text file or a folder of them, and write one table."""
    parser = argparse.ArgumentParser(prog="python -m attention_core.survey", description=main.__doc__)
    parser.add_argument("model", help="a card's name (minilm, storyteller), a hub id or a folder")
    parser.add_argument("texts", type=Path, help="a text file, or a folder of text files")
    parser.add_argument("--out", type=Path, required=True, help="the table: .csv or .parquet")
    parser.add_argument("--window", type=int, help=f"tokens a window (default: {N_TOKENS}, or what the model can read)")
    parser.add_argument(
        "--lines",
        action=argparse.BooleanOptionalAction,
        help="each line is a text of its own (default: guessed from each file, and said)",
    )
    parser.add_argument("--every", type=int, default=EVERY, help="windows between two checkpoints")
    parser.add_argument("--threads", type=int, help="threads for the arithmetic (default: torch's own choice)")
    asked = parser.parse_args(arguments)
    if asked.out.suffix not in (".csv", ".parquet"):
        parser.error("--out must end in .csv or .parquet")
    if asked.threads:
        torch.set_num_threads(asked.threads)
    try:
        texts = texts_at(asked.texts, asked.lines)
        if note := lines_note(texts, guessed=asked.lines is None):
            sys.stderr.write(f"{note}\n")
        survey = Survey(
            load_model(asked.model),
            texts,
            asked.out.with_name(asked.out.name + ".partial"),
            n_tokens=asked.window,
            every=asked.every,
        )
    except (ValueError, OSError) as error:  # a ModelError too; a broken file
        sys.stderr.write(f"{error}\n")
        return 2
    return _run(survey, asked.out)


def _run(survey: Survey, out: Path) -> int:
    if survey.n_windows:
        sys.stderr.write(f"Going on after {survey.n_windows:,} windows.\n")
    started, last = time.monotonic(), 0.0
    try:
        for progress in survey:
            now = time.monotonic()
            if now - last > 1 or progress.done == progress.total:
                share = progress.done / max(1, progress.total)
                sys.stderr.write(f"\r{share:6.1%}  {survey.n_windows:,} windows  {now - started:.0f} s ")
                last = now
        sys.stderr.write("\n")
        table = survey.table()
    except ValueError as error:  # a CaptureError too; what was kept beside the table stays
        sys.stderr.write(f"\n{error}\n")
        return 1
    content = table.to_csv() if out.suffix == ".csv" else table.to_parquet()
    fresh = out.with_name(out.name + ".new")
    fresh.write_bytes(content)
    os.replace(fresh, out)
    if survey.checkpoint is not None:
        survey.checkpoint.unlink(missing_ok=True)
    skipped = f", {survey.n_skipped:,} with too few tokens left out" if survey.n_skipped else ""
    sys.stderr.write(f"{out}: {len(table):,} rows from {survey.n_windows:,} windows{skipped}\n")
    sys.stderr.write(f"Labels rest on {survey.rests_on}; those of the Heads page rest on its own texts.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
