"""The command `python -m attention_core.training`: trains and measures the models that come with Sightline."""

import argparse
from collections.abc import Sequence

MODELS = ("storyteller", "gapfiller", "dates")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one of Sightline's own models and print its figures; --model NAME --help has its options."""
    parser = argparse.ArgumentParser(prog="python -m attention_core.training", description=main.__doc__, add_help=False)
    parser.add_argument("--model", choices=MODELS, default="storyteller")
    chosen, others = parser.parse_known_args(arguments)
    if chosen.model == "dates":
        from attention_core.training.dates.command import command
    elif chosen.model == "gapfiller":
        from attention_core.training.gapfiller.command import command
    else:
        from attention_core.training.storyteller_command import command
    command(others)


if __name__ == "__main__":
    main()
