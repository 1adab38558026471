"""How the models that come with Sightline grew, as runs: saved steps with every map of one fixed row.

    growth("dates", folder)    # folder: the model's, with growth/maps.safetensors and growth/curves.json

No training used that row. Every head's scores are computed here from its maps, so from that row alone; the losses are
those of the training's log. The weights of these steps are not kept, but the last step is the model itself.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NotRequired, TypedDict, Unpack

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from torch import Tensor

from attention_core.formats.json_data import JsonMapping
from attention_core.formats.wire import encode_u1
from attention_core.grow.batches import even_weight, induction_targets, previous_targets, weight_on
from attention_core.grow.record import Run, RunHead, SavedStep
from attention_core.grow.run import codes
from attention_core.grow.tasks import FIELD, INDUCTION, NEXT, PREVIOUS
from attention_core.text.tokens import Style, display
from attention_core.training.dates.written import FIELDS, ISO_FIELDS, write
from attention_core.training.loop import Batch, generator_of, repeated_once
from attention_core.training.probes import GAP, WRITTEN_DAY, WRITTEN_FORM
from attention_core.training.storyteller import Recipe

PERIOD = 16  # tokens before the Storyteller's row repeats
MACHINE = "Linux x86_64, 2 cores, 1 used"
NOTE = "weights of these steps are not kept; the last one is the model itself"


def growth(model: str, folder: Path) -> Run:
    """The run in the folder of a model. Raises OSError if it is not there, KeyError for an unknown model."""
    return {"storyteller": _storyteller, "gapfiller": _gapfiller, "dates": _dates}[model](folder)


def probe_row(recipe: Recipe) -> Batch:
    """The row that the Storyteller's maps are of; its copy's first token, which nobody can know, is not scored."""
    row = repeated_once(1, PERIOD, recipe.d_vocab, generator_of(recipe.seed + 2, 0))
    scored = row.scored.clone()
    scored[:, PERIOD] = False
    return Batch(row.tokens, scored)


def field_targets() -> Bool[Tensor, "1 query key"]:
    """Where on the date that Dates' maps are of each digit's field stands."""
    written = write(WRITTEN_DAY, WRITTEN_FORM)
    cells = torch.zeros(1, len(ISO_FIELDS), len(written.text), dtype=torch.bool)
    for query, field in enumerate(ISO_FIELDS):
        if field in FIELDS:
            cells[0, query] = torch.tensor([own == field for own in written.fields])
    return cells


def _storyteller(folder: Path) -> Run:
    recipe, row = Recipe(), probe_row(Recipe())
    targets = {PREVIOUS: previous_targets(row), INDUCTION: induction_targets(row)}
    return _run(
        folder,
        "weights",
        lambda line: float(line["copied"]),
        targets,
        title="The Storyteller",
        tokens=_spelled(folder, row.tokens[0].tolist()),
        scored=tuple(row.scored[0].tolist()),
        n_steps=recipe.n_steps,
        chance=math.log(recipe.d_vocab),
        even=tuple(even_weight(wanted) for wanted in targets.values()),
        facts={
            "command": "python -m attention_core.training --text tales.txt --out FOLDER",
            "seconds": "2,700 by the clock",
            "machine": MACHINE,
            "note": NOTE,
        },
        measured="Mean surprise in nats at copies of random tokens.",
    )


def _gapfiller(folder: Path) -> Run:
    from tokenizers import Tokenizer

    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(GAP).ids
    n = len(ids)
    after = torch.ones(n - 1, dtype=torch.bool).diag(1)[None]
    targets = {PREVIOUS: after.mT, NEXT: after}
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return _run(
        folder,
        "weights",
        lambda line: float(line["held_out"]),
        targets,
        title="Gapfiller",
        tokens=_spelled(folder, ids),
        scored=tuple(id_ == config["mask_token_id"] for id_ in ids),
        chance=math.log(config["vocab_size"]),
        even=(1 / n, 1 / n),
        facts={
            "command": "python -m attention_core.training --model gapfiller --text tales.txt --out FOLDER",
            "machine": MACHINE,
            "note": NOTE,
        },
        causal=False,
        measured="Mean surprise in nats at 128 held-out gaps, each hidden alone.",
    )


def _dates(folder: Path) -> Run:
    written, targets = write(WRITTEN_DAY, WRITTEN_FORM), field_targets()
    wanted = targets.any(dim=-1)[0]
    return _run(
        folder,
        "cross",
        lambda line: _number(line["loss"]),
        {FIELD: targets},
        title="Dates",
        tokens=tuple(f"→{character}" for character in written.iso),
        scored=tuple(wanted.tolist()),
        chance=math.log(len("0123456789-") + 1),  # who knows that there are digits, hyphens and an end
        even=(targets.float().mean(dim=-1)[0][wanted].mean().item(),),
        facts={
            "command": "python -m attention_core.training --model dates --out FOLDER",
            "machine": MACHINE,
            "note": NOTE,
        },
        keys=tuple(display(character, style="plain") for character in written.text),
        causal=False,
        measured="Mean surprise in nats at the characters of dates drawn for training since the step before.",
    )


class _Words(TypedDict):
    """What the caller says of a run's head."""

    title: str
    tokens: tuple[str, ...]
    scored: tuple[bool, ...]
    chance: float
    even: tuple[float, ...]
    facts: Mapping[str, str]
    keys: NotRequired[tuple[str, ...]]
    measured: str


def _run(
    folder: Path,
    maps_of: str,
    loss: Callable[[JsonMapping], float],
    targets: Mapping[str, Bool[Tensor, "1 query key"]],
    *,
    n_steps: int | None = None,
    causal: bool = True,
    **head: Unpack[_Words],
) -> Run:
    """The saved steps of a folder, each with its maps and the scores that follow from them."""
    from safetensors.torch import load_file

    stored = load_file(folder / "growth" / "maps.safetensors")
    n_queries = next(iter(targets.values())).shape[1]
    weights = stored[maps_of].float()[..., :n_queries, :] / 255  # as they were stored
    lines = json.loads((folder / "growth" / "curves.json").read_text(encoding="utf-8"))
    log: dict[int, JsonMapping] = {line["step"]: line for line in lines}
    figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    saved = tuple(
        SavedStep(
            step,
            math.nan,
            loss(log[step]),
            float(log[step].get("right", math.nan)),
            torch.stack(
                [torch.stack([weight_on(layer[None], wanted) for layer in maps]) for wanted in targets.values()]
            ).numpy(),
            codes(maps) if causal else _all_codes(maps),
        )
        for step, maps in zip(stored["steps"].tolist(), weights, strict=True)
    )
    cells = tuple(tuple((q, k) for q, k in wanted[0].nonzero().tolist()) for wanted in targets.values())
    return Run(
        RunHead(
            settings=None,
            n_layers=weights.shape[1],
            n_heads=weights.shape[2],
            n_steps=saved[-1].step if n_steps is None else n_steps,
            scores=tuple(targets),
            targets=cells,
            n_parameters=figures["parameters"],
            model=folder.name,
            causal=causal,
            **head,
        ),
        saved,
    )


def _all_codes(weights: Float[Tensor, "*batch query key"]) -> UInt8[ndarray, "*batch query key"]:
    """Weights of queries that may look everywhere, as codes."""
    return np.ascontiguousarray(encode_u1(weights.numpy()))


def _spelled(folder: Path, ids: list[int], style: Style = "byte-level") -> tuple[str, ...]:
    from tokenizers import Tokenizer

    spell = Tokenizer.from_file(str(folder / "tokenizer.json")).id_to_token
    return tuple(display(spell(id_) or "", style=style) for id_ in ids)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
