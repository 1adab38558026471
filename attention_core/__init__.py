"""Attention, computed from scratch or captured from a pretrained model, with every intermediate number.

    model = load_model("minilm")            # a card, a hub id or a folder; in memory: wrap_model(model, tokenizer)
    trace = capture(model, "The animal was tired")
    trace.weights(2, 3)                     # [query, key], rows sum to 1; also (2, "mean"), (-1, 0), (2, slice(0, 3))
    trace.attention()                       # every head: [layer, head, query, key]; of an encoder-decoder kind="cross"
    trace.picture(2, 3)                     # for a notebook
    trace.proof(2, 3), trace.verdict()      # our formula against the model's own numbers, and what that comes to
    trace.ledger(2, 3, query=4)             # one head and one token, step by step
    trace.readout()                         # what the model says: next token, masked words, similarity, labels
    trace.save("a.safetensors")             # load_trace opens it without the model; pickle and copy work too

Models        load_model, wrap_model → LoadedModel; ModelError says what went wrong
Own matrices  trace_from_attention → Trace, of attention that was made elsewhere
Texts         capture, capture_batch, capture_ids → Trace; capture_generation → Generation; continue_text
Traces        Trace, LayerTrace, Token; save_trace, load_trace; Check and Verdict of its proof
Heads         head_scores → HeadScores, find_heads, label_heads, Survey (over a corpus)
Beyond        contributions (‖a·v·W_O‖), head_writes (in words), rollout (across layers)
From scratch  attend → AttentionSteps

Each has its own help: help(attention_core.capture). docs/api.md has an example of every one, docs/names.md the names
that TransformerLens, BertViz and transformers have for them. The packages are the inside; docs/architecture.md is
their map.

Names are imported when they are first used, so that `import attention_core` does not wait for torch.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attention_core.captures import Generation, capture_batch, capture_generation, capture_ids
    from attention_core.formula.attention import AttentionSteps, attend
    from attention_core.given import trace_from_attention
    from attention_core.heads.labelling import label_heads
    from attention_core.heads.scores import HeadScores, head_scores
    from attention_core.heads.search import find_heads
    from attention_core.models.facts import LoadedModel
    from attention_core.models.loading import ModelError, load_model, wrap_model
    from attention_core.reading.contribution import contributions, head_writes
    from attention_core.reading.flow import rollout
    from attention_core.reading.generation import continue_text
    from attention_core.record.file import save_trace
    from attention_core.record.layers import LayerTrace
    from attention_core.record.proof import Check
    from attention_core.record.verdict import Verdict
    from attention_core.survey.survey import Survey
    from attention_core.text.tokens import Token
    from attention_core.trace import Trace, capture, load_trace

__version__ = "0.2.0"  # of all of Sightline, and here alone

__all__ = [
    "AttentionSteps",
    "Check",
    "Generation",
    "HeadScores",
    "LayerTrace",
    "LoadedModel",
    "ModelError",
    "Survey",
    "Token",
    "Trace",
    "Verdict",
    "attend",
    "capture",
    "capture_batch",
    "capture_generation",
    "capture_ids",
    "continue_text",
    "contributions",
    "find_heads",
    "head_scores",
    "head_writes",
    "label_heads",
    "load_model",
    "load_trace",
    "rollout",
    "save_trace",
    "trace_from_attention",
    "wrap_model",
]

_HOME = {
    "AttentionSteps": "formula.attention",
    "Check": "record.proof",
    "Generation": "captures",
    "HeadScores": "heads.scores",
    "LayerTrace": "record.layers",
    "LoadedModel": "models.facts",
    "ModelError": "models.loading",
    "Survey": "survey.survey",
    "Token": "text.tokens",
    "Trace": "trace",
    "Verdict": "record.verdict",
    "attend": "formula.attention",
    "capture": "trace",
    "capture_batch": "captures",
    "capture_generation": "captures",
    "capture_ids": "captures",
    "continue_text": "reading.generation",
    "contributions": "reading.contribution",
    "find_heads": "heads.search",
    "head_scores": "heads.scores",
    "head_writes": "reading.contribution",
    "label_heads": "heads.labelling",
    "load_model": "models.loading",
    "load_trace": "trace",
    "rollout": "reading.flow",
    "save_trace": "record.file",
    "trace_from_attention": "given",
    "wrap_model": "models.loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, and not what their modules happened to import."""
    return list(__all__)
