"""Where the heads of an architecture are edited, and whether a head set to 0 there is what a hook by hand makes of it.

The hook is torch's own, on W_O; where W_O was not observed, an attention function put into transformers' interface.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface

from attention_core.capturing.capture import Prepared, accepted_by, prepare
from attention_core.experiment.edits import ExperimentError, SwitchOff
from attention_core.experiment.running import Runs
from attention_core.experiment.sites import Site
from attention_core.inside.of_transformers import eager_function, eager_mask, sdpa_attention_forward, sdpa_mask
from attention_core.models.loading import wrap_model
from attention_core.observe.interface import SDPA, choose_attention
from attention_core.record.proof import compare
from tests.commands.matrix.outputs import tensors_of
from tests.support import tiny

PLACES = {
    "W_O's input": "at W_O's input",
    "W_O's input, after a norm": "after a norm",
    "W_O's input, after a gate": "after a gate",
    "the function's output": "at the function's output",
    "": "refused",
}
_BY_HAND = "matrix_by_hand"


def edited_where(model_type: str, model: Any, target: str) -> str:
    """ "at W_O's input ✓ 2 layers, refused – 1 layer: why"; ✗ and by how much, where a hook by hand gives another."""
    loaded = wrap_model(model, tiny.tokenizer(), name=model_type)
    prepared = prepare(loaded, tiny.SENTENCE, target=target if loaded.facts.encoder_decoder else None)
    runs = Runs(prepared)
    try:
        sites = runs.sites
    except ExperimentError:
        return "refused – hides q and k: words alone can be changed"
    cells = []
    for where, name in PLACES.items():
        layers = [site for site in sites.layers if site.where == where]
        if not layers:
            continue
        count = f"{len(layers)} layer{'s' * (len(layers) != 1)}"
        if not where:
            cells.append(f"{name} – {count}: {_why_not(runs, layers[0])}")
            continue
        faults = [fault for site in layers for fault in _compared(runs, site)]
        cells.append(f"{name} ✗ {faults[0]}" if faults else f"{name} ✓ {count}")
    return ", ".join(cells)


def _why_not(runs: Runs, site: Site) -> str:
    try:
        runs.sites.require_head(site.layer, 0)
    except ExperimentError as error:
        return str(error).rstrip(".").partition(": ")[2].replace(",", " and").replace(" and and", " and")
    return "✗ it is not refused"


def _compared(runs: Runs, site: Site) -> Iterator[str]:
    """What differs, of every head of a layer: ours as rows of one batch, by hand one run each."""
    heads = range(site.n_heads)
    ours = _outputs(runs.model.model, lambda: runs.run([(), *((SwitchOff(site.layer, h, "zero"),) for h in heads)]))
    plain = _by_hand(runs.prepared)
    for head in heads:
        with _zeroed(runs, site, head):
            wanted = _by_hand(runs.prepared)
        found = [tensor[head + 1] for tensor in ours if tensor.shape[:1] == (site.n_heads + 1,)]
        if len(found) != len(wanted) or not found:
            yield f"layer {site.layer}: {len(found)} of {len(wanted)} outputs have a row for each head"
            return
        for one, other in zip(found, wanted, strict=True):
            check = compare("zero", one.float(), other[0].float())
            if not check.holds:
                yield f"layer {site.layer} head {head}: off by {check.difference:.2g}"
                return
        if all(map(torch.equal, plain, wanted)):
            yield f"layer {site.layer} head {head}: by hand nothing changes"
            return


def _outputs(model: nn.Module, run: Callable[[], object]) -> list[Tensor]:
    """Every tensor that a model returns while something runs it."""
    kept: list[list[Tensor]] = []
    handle = model.register_forward_hook(lambda _, __, output: kept.append(tensors_of(output)))
    try:
        run()
    finally:
        handle.remove()
    return kept[-1]


def _by_hand(prepared: Prepared) -> list[Tensor]:
    model = prepared.model.model
    options = {"use_cache": False} if accepted_by(model) & {"use_cache", "kwargs"} else {}
    with torch.inference_mode():
        return [tensor for tensor in tensors_of(model(**prepared.inputs(), **options)) if tensor.shape[:1] == (1,)]


@contextmanager
def _zeroed(runs: Runs, site: Site, head: int) -> Iterator[None]:
    if site.output is None:
        with _attention_by_hand(runs, site.layer, head):
            yield
        return
    # Modules that are called again and again (ALBERT's) read for one layer after another.
    own = [one.layer for one in runs.sites.layers if one.output is site.output]
    calls = iter(own)
    slot = site.slots[head]

    def before(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if next(calls) != site.layer:
            return None
        x = args[0].clone()
        x[..., slot] = 0
        return (x, *args[1:])

    handle = site.output.register_forward_pre_hook(before)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _attention_by_hand(runs: Runs, layer: int, head: int) -> Iterator[None]:
    """The model's own attention function, with one head's output 0 in one of its calls."""
    model = runs.model.model
    own = choose_attention(model)
    calls = iter(range(len(runs.sites.layers)))

    def attention(module: nn.Module, *args: Any, **keywords: Any) -> tuple[Tensor, Any]:
        function = sdpa_attention_forward if own == SDPA else eager_function(module)
        assert function is not None
        output, weights = function(module, *args, **keywords)
        if next(calls) == layer:
            output = output.clone()
            output[:, :, head] = 0
        return output, weights

    AttentionInterface.register(_BY_HAND, attention)
    AttentionMaskInterface.register(_BY_HAND, sdpa_mask if own == SDPA else eager_mask)
    model.set_attn_implementation(_BY_HAND)
    try:
        yield
    finally:
        model.set_attn_implementation(own)
