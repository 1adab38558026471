"""What a sweep goes through: every head, layer, token or link, as plain data, and the edits that each stands for."""

from dataclasses import dataclass, fields
from typing import ClassVar

import torch

from attention_core.experiment.edits import Cut, CutLink, Edit, ExperimentError, Fill, ReplaceToken, SwitchOff
from attention_core.experiment.running import Runs
from attention_core.formats.json_data import Json, JsonObject


class What:
    """What a sweep goes through."""

    __slots__ = ()
    name: ClassVar[str]

    def variants(self, runs: Runs) -> list[tuple[Edit, ...]]:
        """The edits of each run."""
        raise NotImplementedError

    def to_plain(self) -> JsonObject:
        """Names, numbers and texts alone; `what_from_plain` makes it again."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]
        return {"sweep": self.name} | {
            name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
        }


@dataclass(frozen=True, slots=True)
class EveryHead(What):
    """Every head switched off, one at a time; `layer` None means of all layers."""

    name = "heads"
    how: Fill | None = None
    texts: tuple[str, ...] = ()
    layer: int | None = None

    def variants(self, runs: Runs) -> list[tuple[Edit, ...]]:
        """One edit each."""
        return [
            (SwitchOff(site.layer, head, self.how, self.texts),)
            for site in runs.sites.layers
            if site.where and self.layer in (None, site.layer)
            for head in range(site.n_heads)
        ]


@dataclass(frozen=True, slots=True)
class EveryLayer(What):
    """All heads of a layer switched off together, one layer at a time."""

    name = "layers"
    how: Fill | None = None
    texts: tuple[str, ...] = ()

    def variants(self, runs: Runs) -> list[tuple[Edit, ...]]:
        """As many edits each as the layer has heads."""
        return [
            tuple(SwitchOff(site.layer, head, self.how, self.texts) for head in range(site.n_heads))
            for site in runs.sites.layers
            if site.where
        ]


@dataclass(frozen=True, slots=True)
class EveryToken(What):
    """Every token of the text replaced, one at a time: by `token`, or by [MASK]. Special tokens stay."""

    name = "tokens"
    token: int | None = None

    def variants(self, runs: Runs) -> list[tuple[Edit, ...]]:
        """One edit each."""
        tokens = runs.prepared.source.tokens
        return [(ReplaceToken(i, self.token),) for i, token in enumerate(tokens) if not token.special]


@dataclass(frozen=True, slots=True)
class EveryLink(What):
    """Every link of a head that can be cut, one at a time: of one query, or of all (`query` None)."""

    name = "links"
    layer: int = 0
    head: int = 0
    query: int | None = None
    how: Cut = "score"

    def variants(self, runs: Runs) -> list[tuple[Edit, ...]]:
        """One edit each; a row's only key is left out."""
        runs.sites.require_head(self.layer, self.head)
        layer = runs.record.layers[self.layer]
        allowed = layer.allowed(self.head)
        if allowed is None:
            allowed = torch.ones(layer.n_query, layer.n_key, dtype=torch.bool)
        rows = range(layer.n_query) if self.query is None else (self.query,)
        if self.query is not None and not 0 <= self.query < layer.n_query:
            raise ExperimentError(f"query must be 0 … {layer.n_query - 1}; got {self.query}")
        return [
            (CutLink(self.layer, self.head, row, (key,), self.how),)
            for row in rows
            if int(allowed[row].sum()) > 1
            for key in allowed[row].nonzero().flatten().tolist()
        ]


SWEEPS: dict[str, type[What]] = {kind.name: kind for kind in (EveryHead, EveryLayer, EveryToken, EveryLink)}


def what_from_plain(plain: Json) -> What:
    """What `to_plain` wrote. Raises ExperimentError naming what is not as it should be."""
    if not isinstance(plain, dict) or plain.get("sweep") not in SWEEPS:
        raise ExperimentError(f"a sweep is over {', '.join(SWEEPS)}; got {plain!r:.80}")
    kind = SWEEPS[plain["sweep"]]
    given = {n: tuple(v) if isinstance(v, list) else v for n, v in plain.items() if n != "sweep"}
    try:
        return kind(**given)
    except TypeError as error:
        raise ExperimentError(f"“{kind.name}”: {str(error)[:120]}") from None
