"""What the browser's view of Grow a head is given: tasks, recorded runs, and the visitor's own run."""

from dataclasses import asdict

import streamlit as st

from attention_core.formats.json_data import JsonObject
from attention_core.grow.tasks import TASKS
from pages.shared.address.growth import MAX_SEED, POSITIONS, GrowView
from pages.shared.grow import library, trainings

_MODELS = (
    {
        "name": "storyteller",
        "title": "The Storyteller",
        "says": "Sightline’s own language model, which has feed-forward layers too, learned to tell tales and to "
        "continue repeated tokens. The loss is that of copies of random tokens.",
        "watch": "A head of layer 1 learns to look at the token before. A little later heads of layer 2 find what "
        "followed the earlier copy, and the loss falls.",
        "grows": False,
    },
    {
        "name": "gapfiller",
        "title": "Gapfiller",
        "says": "Sightline’s own masked model learned to fill gaps in tales. It began as the Storyteller’s first three "
        "layers, and from step 0 on every token may look both ways. The loss is that of held-out gaps.",
        "watch": "A head that looks at the token before is there from the start. One that looks at the token after has "
        "to be learned: no head of the Storyteller could ever look there.",
        "grows": False,
    },
    {
        "name": "dates",
        "title": "Dates",
        "says": "Sightline’s own encoder-decoder learned to write dates as YYYY-MM-DD. The maps are its "
        "cross-attention: rows write the date, columns are the date as a person wrote it.",
        "watch": "At first every row looks everywhere. Then the rows of the year find the year, those of the month the "
        "month, those of the day the day, and the dates come out right.",
        "grows": False,
    },
)


def data(view: GrowView, *, link: str, seed: int) -> JsonObject:
    """As assets/js/grow/grow.js takes it."""
    return {
        "seed": seed,
        "tasks": [
            *(
                {"name": task.name, "title": task.title, "says": task.says, "watch": task.watch, "grows": True}
                for task in TASKS.values()
            ),
            *_MODELS,
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
