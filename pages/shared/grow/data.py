"""What the browser's view of Grow a head is given: tasks, recorded runs, and the visitor's own run."""

from dataclasses import asdict
from typing import Any

import streamlit as st

from attention_core.grow.tasks import TASKS
from pages.shared.address.growth import MAX_SEED, POSITIONS, STORYTELLER, GrowView
from pages.shared.grow import library, trainings

_STORYTELLER = {
    "name": STORYTELLER,
    "title": "The Storyteller",
    "says": "Sightline’s own language model, which has feed-forward layers too, learned to tell tales and to continue "
    "repeated tokens. The loss is that of copies of random tokens.",
    "watch": "A head of layer 1 learns to look at the token before. A little later heads of layer 2 find what followed "
    "the earlier copy, and the loss falls.",
    "grows": False,
}


def data(view: GrowView, *, link: str, seed: int) -> dict[str, Any]:
    """As assets/js/grow/grow.js takes it."""
    return {
        "seed": seed,
        "tasks": [
            *(
                {"name": task.name, "title": task.title, "says": task.says, "watch": task.watch, "grows": True}
                for task in TASKS.values()
            ),
            _STORYTELLER,
        ],
        "runs": [
            {
                "id": run.id,
                "settings": run.settings,
                "title": run.title,
                "address": f"sightline/grow/run/{run.version}/{run.id}",
            }
            for run in library.recorded()
        ],
        "select": asdict(view),
        "echo": asdict(view),
        "live": trainings.own(),
        "problem": trainings.problem(),
        "asked": trainings.asked(),
        "limits": trainings.limits(),
        "choices": {
            "heads": [1, 2, 4],
            "positions": POSITIONS,
            "max_seed": MAX_SEED,
        },
        "link": link,
        "large": bool(st.session_state.get("frame_large")),
    }
