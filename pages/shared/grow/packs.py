"""A training run as a pack for the browser: facts in words as JSON, and arrays with one entry for each saved step."""

import numpy as np

from attention_core.formats import wire
from attention_core.formats.json_data import Json, JsonObject
from attention_core.grow.record import Run, lower
from attention_core.grow.tasks import SCORES, RunSettings
from pages.shared.address.growth import usual

_SHORT = {
    "previous": "prev",
    "induction": "ind",
    "source": "src",
    "opener": "open",
    "next": "next",
    "field": "field",
}  # under a small map
_POSITIONS = {"none": "no", "learned": "learned", "rotary": "rotary"}
_HOW = (
    "A head has formed at the saved step from which its score stays above 0.5 to the end. "
    "The loss falls where it lost most within three saved steps, if it lost half of itself at all."
)


def settings_of(run: Run) -> JsonObject:
    """Task, seed, heads and positions, as links name them."""
    return link_settings(run.head.settings) if run.head.settings else model_settings(run.head.model)


def model_settings(model: str) -> JsonObject:
    """As `settings_of`, of a model that comes with Sightline, without its run."""
    found = usual(model)
    return {"task": found.task, "seed": found.seed, "heads": found.heads, "positions": found.positions}


def link_settings(settings: RunSettings) -> JsonObject:
    """What a link says of a run's settings."""
    return {
        "task": settings.task,
        "seed": settings.seed,
        "heads": settings.n_heads,
        "positions": settings.positions,
    }


def title_of(settings: JsonObject, *, norm: bool = True) -> str:
    """A run's settings in words, without its task and its usual positions: "4 heads, seed 1"."""
    heads, seed, positions = settings["heads"], settings["seed"], settings["positions"]
    told = "" if positions == usual(settings["task"]).positions else f", {_POSITIONS[positions]} positions"
    return f"{heads} head{'s' if heads > 1 else ''}{told}{'' if norm else ', no layer norm'}, seed {seed}"


def name_of(run: Run) -> str:
    """How the run is called in links and files."""
    return run.head.settings.name if run.head.settings else run.head.model


def facts_of(run: Run) -> JsonObject:
    """`Facts` of assets/js/grow/run.js: what is known of the run, and what has formed in it so far."""
    head = run.head
    settings = settings_of(run)
    norm = head.settings is None or head.settings.norm
    return {
        "name": name_of(run),
        "title": title_of(settings, norm=norm),
        "settings": settings,
        "tokens": list(head.tokens),
        "keys": list(head.keys or head.tokens),
        "causal": head.causal,
        "measured": head.measured,
        "scored": [int(scored) for scored in head.scored],
        "n_layers": head.n_layers,
        "n_heads": head.n_heads,
        "n_steps": head.n_steps,
        "n_parameters": head.n_parameters,
        "chance": head.chance,
        "scores": [
            {
                "name": name,
                "title": SCORES[name].title,
                "short": _SHORT[name],
                "says": SCORES[name].says,
                "even": even,
                "targets": [cell for cells in targets for cell in cells],
            }
            for name, even, targets in zip(head.scores, head.even, head.targets, strict=True)
        ],
        "moments": _moments(run),
        "moments_say": _HOW,
        "made": "; ".join(f"{name}: {says}" for name, says in head.facts.items()),
    }


def run_pack(run: Run, *, first: int = 0, **more: Json) -> bytes:
    """One pack (see `attention_core.formats.wire`) with the saved steps from number `first` on.

    Arrays: steps i4 [saved]; loss, right and seconds f4 [saved], NaN where there is none; scores f4
    [saved, score, layer, head]; maps u1 [saved, layer, head, cell], row by row, of causal runs lower triangles.
    `more` joins the header.
    """
    part = run.saved[first:]
    count = (len(run.head.scores), run.head.n_layers, run.head.n_heads)
    maps = [lower(saved.maps) if run.head.causal else saved.maps.reshape(*count[1:], -1) for saved in part]
    scores = [saved.scores for saved in part]
    return wire.pack(
        {"facts": facts_of(run), "first": first, **more},
        steps=np.array([saved.step for saved in part], dtype=np.int32),
        loss=np.array([saved.loss for saved in part], dtype=np.float32),
        right=np.array([saved.right for saved in part], dtype=np.float32),
        seconds=np.array([saved.seconds for saved in part], dtype=np.float32),
        scores=np.stack(scores).astype(np.float32) if part else np.zeros((0, *count), np.float32),
        maps=np.stack(maps) if part else np.zeros((0, *count[1:], run.head.n_cells), np.uint8),
    )


def _moments(run: Run) -> list[JsonObject]:
    found = [
        {
            "name": formed.score,
            "title": f"{SCORES[formed.score].title} head forms",
            "step": formed.step,
            "layer": formed.layer,
            "head": formed.head,
        }
        for formed in run.formed()
    ]
    if run.cliff:
        at = (run.cliff.first + run.cliff.last + 1) // 2
        found.append({"name": "loss", "title": "loss falls", "step": int(run.steps[at])})
    return sorted(found, key=lambda moment: moment["step"])
