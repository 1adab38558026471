"""The options of `python -m attention_core.training` that all recipes have, and the fields of each recipe."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import torch

Recipe = TypeVar("Recipe")


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked for besides the recipe."""

    text: Path  # what to learn from; "." for a model that makes its own texts
    out: Path
    work: Path  # where the run is kept
    measure: bool
    report_every: int
    save_every: int


def options_of(
    arguments: Sequence[str] | None, model: str, recipe: Recipe, description: str, *, text: bool
) -> tuple[Options, Recipe]:
    """Options and recipe from the words of a command; sets the number of threads too.

    The recipe is a dataclass whose fields are all options; `text` says whether a text is needed.
    """
    parser = argparse.ArgumentParser(prog=f"python -m attention_core.training --model {model}", description=description)
    if text:
        parser.add_argument("--text", type=Path, required=True, help="a UTF-8 file; its last twentieth is held out")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--measure", action="store_true", help="train nothing, print the figures of the model in --out")
    parser.add_argument(
        "--work", type=Path, help="folder for checkpoints (OUT/checkpoints); a stopped run goes on there"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--report-every", type=int, default=50, metavar="STEPS")
    parser.add_argument("--save-every", type=int, default=250, metavar="STEPS")
    defaults = asdict(recipe)  # pyright: ignore[reportArgumentType] (a recipe is a dataclass)
    for name, value in defaults.items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value, help=f"{value}")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    options = Options(
        chosen.text if text else Path(),
        chosen.out,
        chosen.work or chosen.out / "checkpoints",
        chosen.measure,
        chosen.report_every,
        chosen.save_every,
    )
    return options, type(recipe)(**{name: getattr(chosen, name) for name in defaults})
