"""The Storyteller's own growth as a run: the saved steps in which its previous-token and induction heads appear.

The maps are of one row, 16 random tokens and the same again, drawn from a seed that its training did not use. Every
head's scores are computed here from these maps, so from that row alone. The loss is what the training log has for
copies of random tokens. The weights of these steps are not kept, but the last step is the model itself.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch

from attention_core.grow.batches import even_weight, induction_targets, previous_targets, weight_on
from attention_core.grow.record import Run, RunHead, SavedStep
from attention_core.grow.run import codes
from attention_core.grow.tasks import INDUCTION, PREVIOUS
from attention_core.text.tokens import display
from attention_core.training.loop import Batch, generator_of, repeated_once
from attention_core.training.storyteller import Recipe

PERIOD = 16  # tokens before the row repeats
TITLE = "The Storyteller"


def probe_row(recipe: Recipe) -> Batch:
    """The row that the maps are of; its copy's first token, which nobody can know, is not scored."""
    row = repeated_once(1, PERIOD, recipe.d_vocab, generator_of(recipe.seed + 2, 0))
    scored = row.scored.clone()
    scored[:, PERIOD] = False
    return Batch(row.tokens, scored)


def growth(folder: Path) -> Run:
    """The run in the folder of the Storyteller. Raises OSError if it is not there."""
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    recipe = Recipe()
    row = probe_row(recipe)
    stored = load_file(folder / "growth" / "maps.safetensors")
    weights = stored["weights"].float() / 255  # as they were stored
    log: dict[int, Any] = {
        line["step"]: line for line in json.loads((folder / "growth" / "curves.json").read_text(encoding="utf-8"))
    }
    figures = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    spell = Tokenizer.from_file(str(folder / "tokenizer.json")).id_to_token
    targets = {PREVIOUS: previous_targets(row), INDUCTION: induction_targets(row)}
    head = RunHead(
        settings=None,
        title=TITLE,
        tokens=tuple(display(spell(token) or "", style="byte-level") for token in row.tokens[0].tolist()),
        scored=tuple(row.scored[0].tolist()),
        n_layers=weights.shape[1],
        n_heads=weights.shape[2],
        n_steps=recipe.n_steps,
        chance=math.log(recipe.d_vocab),
        scores=tuple(targets),
        even=tuple(even_weight(wanted) for wanted in targets.values()),
        targets=tuple(tuple((q, k) for q, k in wanted[0].nonzero().tolist()) for wanted in targets.values()),
        n_parameters=figures["parameters"],
        facts={
            "command": "python -m attention_core.training --text tales.txt --out FOLDER",
            "seconds": "2,700 by the clock",
            "machine": "Linux x86_64, 2 cores, 1 used",
            "note": "weights of these steps are not kept; the last one is the model itself",
        },
    )
    saved = tuple(
        SavedStep(
            step,
            math.nan,
            float(log[step]["copied"]),
            math.nan,
            torch.stack(
                [torch.stack([weight_on(layer[None], wanted) for layer in maps]) for wanted in targets.values()]
            ).numpy(),
            codes(maps),
        )
        for step, maps in zip(stored["steps"].tolist(), weights, strict=True)
    )
    return Run(head, saved)
