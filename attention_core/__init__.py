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
Experiments   effect → Effect, sweep → Sweep, lenses → Lenses, compare → Comparison, continue_edited; ExperimentError
 edits        SwitchOff, Strengthen, CutLink, Break, ZeroValue, ReplaceToken, Patch, AddDirection
 questions    LogProb, LogDifference, Divergence, OwnText, LabelScore, SentenceSimilarity, TokenVector
 sweeps over  EveryHead, EveryLayer, EveryToken, EveryLink
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
    from attention_core.comparing.differences import Comparison, compare
    from attention_core.experiment.edits import (
        AddDirection,
        Break,
        CutLink,
        ExperimentError,
        Patch,
        ReplaceToken,
        Strengthen,
        SwitchOff,
        ZeroValue,
    )
    from attention_core.experiment.effect import Effect, effect
    from attention_core.experiment.lenses import Lenses, lenses
    from attention_core.experiment.question import (
        Divergence,
        LabelScore,
        LogDifference,
        LogProb,
        OwnText,
        SentenceSimilarity,
        TokenVector,
    )
    from attention_core.experiment.sweep import Sweep, sweep
    from attention_core.experiment.what import EveryHead, EveryLayer, EveryLink, EveryToken
    from attention_core.experiment.writing import continue_edited
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
    "AddDirection",
    "AttentionSteps",
    "Break",
    "Check",
    "Comparison",
    "CutLink",
    "Divergence",
    "Effect",
    "EveryHead",
    "EveryLayer",
    "EveryLink",
    "EveryToken",
    "ExperimentError",
    "Generation",
    "HeadScores",
    "LabelScore",
    "LayerTrace",
    "Lenses",
    "LoadedModel",
    "LogDifference",
    "LogProb",
    "ModelError",
    "OwnText",
    "Patch",
    "ReplaceToken",
    "SentenceSimilarity",
    "Strengthen",
    "Survey",
    "Sweep",
    "SwitchOff",
    "Token",
    "TokenVector",
    "Trace",
    "Verdict",
    "ZeroValue",
    "attend",
    "capture",
    "capture_batch",
    "capture_generation",
    "capture_ids",
    "compare",
    "continue_edited",
    "continue_text",
    "contributions",
    "effect",
    "find_heads",
    "head_scores",
    "head_writes",
    "label_heads",
    "lenses",
    "load_model",
    "load_trace",
    "rollout",
    "save_trace",
    "sweep",
    "trace_from_attention",
    "wrap_model",
]

_HOME = {
    "AddDirection": "experiment.edits",
    "AttentionSteps": "formula.attention",
    "Break": "experiment.edits",
    "Check": "record.proof",
    "Comparison": "comparing.differences",
    "CutLink": "experiment.edits",
    "Divergence": "experiment.question",
    "Effect": "experiment.effect",
    "EveryHead": "experiment.what",
    "EveryLayer": "experiment.what",
    "EveryLink": "experiment.what",
    "EveryToken": "experiment.what",
    "ExperimentError": "experiment.edits",
    "Generation": "captures",
    "HeadScores": "heads.scores",
    "LabelScore": "experiment.question",
    "LayerTrace": "record.layers",
    "Lenses": "experiment.lenses",
    "LoadedModel": "models.facts",
    "LogDifference": "experiment.question",
    "LogProb": "experiment.question",
    "ModelError": "models.loading",
    "OwnText": "experiment.question",
    "Patch": "experiment.edits",
    "ReplaceToken": "experiment.edits",
    "SentenceSimilarity": "experiment.question",
    "Strengthen": "experiment.edits",
    "Survey": "survey.survey",
    "Sweep": "experiment.sweep",
    "SwitchOff": "experiment.edits",
    "Token": "text.tokens",
    "TokenVector": "experiment.question",
    "Trace": "trace",
    "Verdict": "record.verdict",
    "ZeroValue": "experiment.edits",
    "attend": "formula.attention",
    "capture": "trace",
    "capture_batch": "captures",
    "capture_generation": "captures",
    "capture_ids": "captures",
    "compare": "comparing.differences",
    "continue_edited": "experiment.writing",
    "continue_text": "reading.generation",
    "contributions": "reading.contribution",
    "effect": "experiment.effect",
    "find_heads": "heads.search",
    "head_scores": "heads.scores",
    "head_writes": "reading.contribution",
    "label_heads": "heads.labelling",
    "lenses": "experiment.lenses",
    "load_model": "models.loading",
    "load_trace": "trace",
    "rollout": "reading.flow",
    "save_trace": "record.file",
    "sweep": "experiment.sweep",
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
