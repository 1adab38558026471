"""The command `python -m attention_core.training`: trains and measures the models that come with Sightline."""

import argparse
from collections.abc import Callable, Sequence

from attention_core.training.dates.command import command as dates
from attention_core.training.gapfiller.command import command as gapfiller
from attention_core.training.storyteller_command import command as storyteller

MODELS: dict[str, Callable[[Sequence[str] | None], None]] = {
    "storyteller": storyteller,
    "gapfiller": gapfiller,
    "dates": dates,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one of Sightline's own models and print its figures; --model NAME --help has its options."""
    parser = argparse.ArgumentParser(prog="python -m attention_core.training", description=main.__doc__, add_help=False)
    parser.add_argument("--model", choices=tuple(MODELS), default="storyteller")
    chosen, others = parser.parse_known_args(arguments)
    MODELS[chosen.model](others)


if __name__ == "__main__":
    main()
