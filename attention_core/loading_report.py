"""What of a saved model did not come into the one that was built, and what is said about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoadingReport:
    """What loading dropped or made up, in sentences; empty where the model that runs is the one that was saved."""

    reservations: tuple[str, ...] = ()  # the attention may differ from the saved model's: said beside every picture
    listed: tuple[str, ...] = ()  # plays no part in the pictures (heads that are not used, …): said once, in the facts
