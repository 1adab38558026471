"""Attention, computed from scratch or captured from a pretrained model, with every intermediate number.

    model = load_model("minilm")
    trace = capture(model, "The animal was tired")
    trace.weights(layer=2, head=3)  # [query, key], rows sum to 1
    trace.proof(layer=2, head=3)    # our formula against the model's own numbers
    trace.verdict(layer=2, head=3)  # what the proof comes to: checked, checked except …, cannot be checked because …
    trace.readout()                 # what the model says: next token, masked words, similarity, labels

Names are imported when they are first used, so that `import attention_core` does not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attention_core.formula.attention import AttentionSteps, attend
    from attention_core.given import trace_from_attention
    from attention_core.models.facts import LoadedModel
    from attention_core.models.loading import ModelError, load_model, wrap_model
    from attention_core.reading.generation import continue_text
    from attention_core.record.file import save_trace
    from attention_core.record.layers import LayerTrace
    from attention_core.record.proof import Check
    from attention_core.record.verdict import Verdict
    from attention_core.text.tokens import Token
    from attention_core.trace import Trace, capture, load_trace

__version__ = "0.2.0"  # of all of Sightline, and here alone

__all__ = [
    "AttentionSteps",
    "Check",
    "LayerTrace",
    "LoadedModel",
    "ModelError",
    "Token",
    "Trace",
    "Verdict",
    "attend",
    "capture",
    "continue_text",
    "load_model",
    "load_trace",
    "save_trace",
    "trace_from_attention",
    "wrap_model",
]

_HOME = {
    "AttentionSteps": "formula.attention",
    "Check": "record.proof",
    "LayerTrace": "record.layers",
    "LoadedModel": "models.facts",
    "ModelError": "models.loading",
    "Token": "text.tokens",
    "Trace": "trace",
    "Verdict": "record.verdict",
    "attend": "formula.attention",
    "capture": "trace",
    "continue_text": "reading.generation",
    "load_model": "models.loading",
    "load_trace": "trace",
    "save_trace": "record.file",
    "trace_from_attention": "given",
    "wrap_model": "models.loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
