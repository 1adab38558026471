"""Which architectures read text: decided from transformers' own lists, never typed in."""

from transformers.models.auto import modeling_auto as auto

# What a model that reads text can be asked to do.
TASKS: dict[str, str] = {
    "causal LM": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "masked LM": "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "sequence to sequence": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "text encoding": "MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES",
    "sequence classification": "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
    "token classification": "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES",
}


def text_model_types() -> dict[str, tuple[str, ...]]:
    """Every `model_type` that is in one of those lists, with the tasks that list it; sorted by name."""
    tasks: dict[str, list[str]] = {}
    for task, mapping in TASKS.items():
        for model_type in getattr(auto, mapping):
            tasks.setdefault(model_type, []).append(task)
    return {model_type: tuple(tasks[model_type]) for model_type in sorted(tasks)}
