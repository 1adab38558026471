"""Summaries of models, traces and readouts: what the computing side tells the pages; it needs torch."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from pages.shared.engine.plain import (
    Facts,
    LayerSummary,
    ModelSummary,
    Said,
    SaidChoice,
    SaidLabel,
    SaidPlace,
    SaidTag,
    TraceSummary,
)

if TYPE_CHECKING:
    from attention_core.models.facts import LoadedModel, ModelFacts
    from attention_core.reading.predictions import Label, Prediction
    from attention_core.reading.readout import Choice, Readout
    from attention_core.record.layers import AttentionLayer
    from attention_core.trace import Trace


def model_summary(model: "LoadedModel") -> ModelSummary:
    """A loaded model as the pages know it."""
    from attention_core.text.chat import template_of

    return ModelSummary(
        facts=_facts(model.facts),
        computes=f"{str(model.dtype).removeprefix('torch.')} on {model.device.type}",
        task=model.task is not None,
        sentences=model.sentences is not None,
        predicts=model.head.predicts if model.head is not None else "",
        chat=template_of(model.tokenizer) is not None,
        spoken=model.spoken,
        report=tuple(model.report.listed),
    )


def trace_summary(trace: "Trace", model: "LoadedModel | None") -> TraceSummary:
    """A trace as the pages know it. `model` is the one that made it, None for an opened file."""
    from attention_core.capturing.encode import unknown_note
    from attention_core.reading.contribution import why_not
    from attention_core.record.groups import groups, layer_name

    own = [token.id for token in trace.source_tokens if not token.special]
    return TraceSummary(
        facts=_facts(trace.facts),
        text=trace.text,
        pair=trace.pair,
        target=trace.target,
        source_tokens=trace.source_tokens,
        target_tokens=trace.target_tokens,
        layers=tuple(
            LayerSummary(
                label=layer_name(trace, i),
                kind=layer.kind,
                n_heads=layer.n_heads,
                n_query=layer.n_query,
                n_key=layer.n_key,
                exact=layer.exact,
                dtype=_dtype(layer),
            )
            for i, layer in enumerate(trace.layers)
        ),
        groups=tuple((group.name, group.layers) for group in groups(trace)),
        notes=trace.notes,
        checks=trace.checks,
        given=trace.given,
        only_weights=trace.only_weights,
        readable=bool(own) and (model is None or not unknown_note(model.tokenizer, own)),
        source_language=trace.source_language,
        target_language=trace.target_language,
        chat=trace.chat is not None,
        hides_all=(_cannot_hide(trace, True, False), _cannot_hide(trace, False, True), _cannot_hide(trace, True, True)),
        edited=trace.edited,
        no_norms=next(filter(None, map(why_not, trace.layers)), ""),
    )


def _dtype(layer: "AttentionLayer") -> str:
    tensors = layer.tensors()
    one = tensors["given"] if "given" in tensors else next(iter(tensors.values()))
    return str(one.dtype).removeprefix("torch.")


def _cannot_hide(trace: "Trace", special: bool, first: bool) -> str:
    from attention_core.reading.reading import Reading, items

    try:
        for tokens in filter(None, (trace.source_tokens, trace.target_tokens)):
            items(tokens, Reading(special, first))
    except ValueError as error:
        return str(error)
    return ""


def _facts(facts: "ModelFacts") -> Facts:
    return Facts(**asdict(facts))


def said(readout: "Readout") -> Said:
    """What a model says, as plain data."""
    from attention_core.reading.readout import MaskedTokens, NextToken, Similarity, Unsaid

    if isinstance(readout, NextToken):
        place = SaidPlace(-1, readout.entropy, _choices(readout.choices))
        return Said("next", places=(place,), d_vocab=readout.d_vocab, of_decoder=readout.of_decoder)
    if isinstance(readout, MaskedTokens):
        places = tuple(SaidPlace(fill.position, fill.entropy, _choices(fill.choices)) for fill in readout.fills)
        return Said("masked", places=places, d_vocab=readout.d_vocab)
    if isinstance(readout, Similarity):
        return Said(
            "similarity",
            words=readout.words,
            cosine=readout.cosine,
            function=readout.function,
            score=readout.score,
            read=readout.read,
        )
    if isinstance(readout, Unsaid):
        return Said("unsaid", words=readout.reason, mask=readout.mask)
    return _predicted(readout)


def _choices(choices: "tuple[Choice, ...]") -> tuple[SaidChoice, ...]:
    return tuple(SaidChoice(choice.id, choice.text, choice.probability) for choice in choices)


def _predicted(found: "Prediction") -> Said:
    from attention_core.reading.predictions import Answer, Labels, Tags

    if isinstance(found, Tags):
        tagged = tuple((word, _label(tag.best[0])) for word, tag in found.by_word)
        tags = tuple(SaidTag(tag.text, tuple(map(_label, tag.best))) for tag in found.tags)
        return Said("tags", words=found.words, tags=tags, tagged=tagged)
    if isinstance(found, Answer):
        spans = tuple(SaidLabel(span.text, span.probability, None) for span in found.spans)
        return Said("answer", words=found.words, labels=spans, none=found.none)
    kind = "labels" if isinstance(found, Labels) else "choices"
    return Said(kind, words=found.words, labels=tuple(map(_label, found.labels)))


def _label(label: "Label") -> SaidLabel:
    return SaidLabel(label.text, label.probability, label.logit)
