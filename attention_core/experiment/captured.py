"""The trace of an edited run: captured like any other, with what was edited said wherever it goes."""

from dataclasses import replace

from torch import Tensor

from attention_core.capturing.capture import Prepared, captured
from attention_core.experiment.batch import Batch
from attention_core.experiment.compiling import Op, replaced
from attention_core.experiment.edits import Edit, ExperimentError, ReplaceToken
from attention_core.experiment.running import Runs
from attention_core.experiment.sites import Site, forget
from attention_core.observe import editing
from attention_core.record.edited.layers import edited_layer
from attention_core.record.layers import LayerTrace
from attention_core.record.record import Record


def capture_edited(prepared: Prepared, edits: tuple[Edit, ...], *, plain: bool = False) -> Record:
    """Capture a text while these edits are made.

    Layers whose attention or heads were edited claim no proof; all others keep theirs. Without edits it is the capture.

    Raises ExperimentError for an edit that cannot be made, and what a capture raises.
    """
    if not edits:
        return captured(prepared, plain=plain)
    text, runs = replaced(prepared, edits), Runs(prepared)
    if not prepared.model.exact:
        if any(not isinstance(edit, ReplaceToken) for edit in edits):
            _ = runs.sites  # says why not
        return _said(captured(text, plain=plain), edits, ())
    ops = runs.compiler.ops(edits)
    of_heads = frozenset(op.layer for op in ops if op.stage == "z")
    batch = Batch(runs.sites, [ops], base=runs.base_read() if of_heads else {}, keep=of_heads)
    editing.install(runs.sites.watched())
    token = editing.editor.set(batch)
    try:
        record = captured(text, plain=plain)
        batch.finish()
    except ExperimentError:
        forget(prepared.model)
        raise
    finally:
        editing.editor.reset(token)
    return _said(_with_edited_layers(record, ops, batch, runs), edits, tuple(runs.compiler.said))


def _with_edited_layers(record: Record, ops: tuple[Op, ...], batch: Batch, runs: Runs) -> Record:
    """A stream that was changed before a block leaves the layer the model's own: it is no edited one."""
    changed = {op.layer for op in ops if op.stage != "residual"}
    layers = list(record.layers)
    for place in changed:
        layer = layers[place]
        assert isinstance(layer, LayerTrace)
        weights = batch.weights.get(place)
        if place in batch.read:
            layer = replace(layer, output=_heads_in(batch.read[place][0], runs.sites.layers[place], layer.output))
        layers[place] = edited_layer(layer, None if weights is None else weights[0])
    return replace(record, layers=tuple(layers))


def _heads_in(z: Tensor, site: Site, output: Tensor) -> Tensor:
    """What each head gives after the edit; behind a norm or a gate that is no longer what the function gave."""
    if site.where not in ("W_O's input", "the function's output"):
        return output
    return z[:, site.slots].transpose(0, 1).to(output.dtype)


def _said(record: Record, edits: tuple[Edit, ...], notes: tuple[str, ...]) -> Record:
    sentences = tuple(f"Edited: {edit.words}." for edit in edits)
    return replace(record, edited=(*sentences, *notes), edits=tuple(edit.to_plain() for edit in edits))
