"""A bounded cache of loaded models, and loading one into it: its files are found or fetched, then it is built."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pages.shared.process.settings import Settings
from pages.shared.service.bounded import BoundedCache

if TYPE_CHECKING:
    from attention_core.models.facts import LoadedModel
    from attention_core.models.locating import Located
    from attention_core.models.placement import Placement, Precision


class Models:
    """Loaded models by the name that was asked for, in a cache bounded in bytes.

    One that is larger than the whole bound has a place beside it until the next such one comes: else it would be loaded
    again for every picture. Whether it fits the machine, `placement` says before it is built.

    `settings` is asked at every load. `in_turn` runs a job in the worker and waits for it; `when_gone` is told the name
    of a model that made room.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        in_turn: "Callable[[Callable[[], LoadedModel]], LoadedModel]",
        when_gone: Callable[[Hashable], None],
    ) -> None:
        self._settings = settings
        self._in_turn = in_turn
        self._bound = settings().model_bytes
        self._cache: BoundedCache[LoadedModel] = BoundedCache(
            self._bound, _model_bytes, when_gone=lambda name, _: when_gone(name)
        )
        self._large: BoundedCache[LoadedModel] = BoundedCache(
            0, _model_bytes, when_gone=lambda name, _: when_gone(name), keep_newest=True
        )
        self._progress: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._cache) + len(self._large)

    @property
    def nbytes(self) -> int:
        """Bytes of the weights in memory."""
        return self._cache.nbytes + self._large.nbytes

    def get(self, name: str, wanted: Callable[[], bool] = lambda: True, beside: str = "") -> "LoadedModel":
        """A loaded model; waits for the worker, or as long as it is `wanted` for somebody else who loads it.

        `beside` names a model that must stay: one that would push it out is not loaded.

        Raises attention_core.ModelError with a plain sentence, or NoLongerWanted.
        """
        return self._large.peek(name) or self._cache.get(name, lambda: self._fetch_and_build(name, beside), wanted)

    def peek(self, name: str) -> "LoadedModel | None":
        """The model if it is in memory."""
        return self._large.peek(name) or self._cache.peek(name)

    def progress(self, name: str) -> str:
        """What loading this model is doing, as a sentence; empty when it is not being loaded."""
        return self._progress.get(name, "")

    def locate(self, name: str, *, hub: bool = True) -> "Located":
        """Where the model's files are, fetched if the settings allow it.

        Raises attention_core.ModelError with a plain sentence.
        """
        from attention_core.models.cards import find_card
        from attention_core.models.locating import locate

        card = find_card(name.strip())
        mine = name == self._settings().model  # the operator's own choice of a first model is always allowed
        return locate(
            name,
            self._placement(),
            allow_folders=mine or self._settings().folders,
            allow_hub=hub and (mine or self._settings().fetches(card.reference if card else name.strip())),
            progress=lambda sentence: self._say(name, sentence),
            # What only the operator may open is not opened for visitors, unless he gives a token for it.
            token=self._settings().hub_token or (None if mine else False),
            most_bytes=None if mine else self._settings().hub_bytes,
        )

    def load_first(self) -> "LoadedModel | None":
        """Build the operator's first model, in the thread that asks; None if it cannot be had without the hub.

        For the worker itself: a visitor who asked `get` for it first would wait for the worker to take his job.
        """
        from attention_core import ModelError

        name = self._settings().model
        try:
            model = self._build(name, self.locate(name, hub=False))
        except ModelError:
            return None  # a model of the hub, which whoever asks for it waits for; or one that cannot be loaded
        finally:
            self._progress.pop(name, None)
        self._cache.put(name, self._kept_if_large(name, model))
        return model

    def _kept_if_large(self, name: str, model: "LoadedModel") -> "LoadedModel":
        if _model_bytes(model) > self._bound:
            self._large.put(name, model)
        return model

    def _fetch_and_build(self, name: str, beside: str) -> "LoadedModel":
        """Fetches in the thread of the visitor who asks first: a download must not hold up the texts of others."""
        try:
            located = self.locate(name)
            self._check_room(located, beside)
            return self._kept_if_large(name, self._in_turn(lambda: self._build(name, located)))
        finally:
            self._progress.pop(name, None)

    def _check_room(self, located: "Located", beside: str) -> None:
        """Raises ModelError with the numbers if the model would push out the one that must stay, which counts as used.

        One that is larger than the whole bound has a place of its own, and so has room beside any but such another.
        """
        from attention_core import ModelError
        from attention_core.models.loading import needed_bytes

        if not beside or (other := self.peek(beside)) is None:
            return
        needed, there = needed_bytes(located, self._placement()), _model_bytes(other)
        n_large = (needed > self._bound) + (there > self._bound)
        if n_large == 2 or (n_large == 0 and needed + there > self._bound):
            raise ModelError(
                f"{located.shown} takes {_megabytes(needed)} and {other.facts.name} {_megabytes(there)}: this server "
                f"keeps {_megabytes(self._bound)} of models at a time, so one would push out the other. "
                "Choose two that fit beside each other."
            )

    def _build(self, name: str, located: "Located") -> "LoadedModel":
        from attention_core.models.loading import build

        return build(located, self._placement(), progress=lambda sentence: self._say(name, sentence))

    def _placement(self) -> "Placement":
        from attention_core.models.placement import Placement

        settings = self._settings()
        offload = Path(settings.offload) if settings.offload else None
        return Placement(cast("Precision", settings.dtype), settings.device or None, offload)

    def _say(self, name: str, sentence: str) -> None:
        self._progress[name] = sentence


def _model_bytes(model: "LoadedModel") -> int:
    return model.nbytes


def _megabytes(n: int) -> str:
    return f"{n / 1e6:,.0f} MB"
