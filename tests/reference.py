"""`make reference MODELS="folder …"`: the proof's figures for any model folders, printed.

Each folder is opened as a visitor would open it; every head of every layer is proven, and the weights are compared with
those of a second copy of the model that runs transformers' own eager attention.
"""

import sys
import time
from pathlib import Path

import torch
from transformers import AutoModel
from transformers.utils import logging

from attention_core import LoadedModel, Trace, capture, load_model
from attention_core.proof import compare

# Tried in this order until the model's tokenizer makes tokens of one.
TEXTS = (
    "Once upon a time, there was a little girl named Lily. She liked to play outside.",
    "transformer",
    "CBABBC",
)


def main(folders: list[str]) -> int:
    if not folders:
        print('Name at least one folder: make reference MODELS="path/to/model …"')
        return 2
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    faults = 0
    print(f"{'model':24} {'text':>12} {'layers':>6} {'heads':>5}  {'step':10} {'largest':>9} {'tolerance':>9}  holds")
    for folder in folders:
        model = load_model(folder)
        trace = first_trace(model)
        started = time.perf_counter()
        rows = figures(model, trace)
        seconds = time.perf_counter() - started
        n_heads = sum(layer.n_heads for layer in trace.layers)
        for name, (difference, tolerance, holds) in rows.items():
            faults += not holds
            print(
                f"{Path(folder).name:24} {trace.text[:12]!r:>12} {len(trace.layers):6} {n_heads:5}  "
                f"{name:10} {difference:9.1e} {tolerance:9.1e}  {'yes' if holds else 'NO'}"
            )
        print(f"{'':24} {len(trace.source_tokens)} tokens, {len(trace.target_tokens)} decoder tokens, {seconds:.2f} s")
    return min(faults, 1)


def first_trace(model: LoadedModel) -> Trace:
    for text in TEXTS:
        try:
            trace = capture(model, text, target=text if model.facts.encoder_decoder else None)
        except ValueError:
            continue
        whole = not trace.notes  # nothing was cut
        if whole and not any(token.id == model.tokenizer.unk_token_id for token in trace.source_tokens):
            return trace
    raise ValueError(f"{model.facts.name} makes no tokens of any of the reference texts")


def figures(model: LoadedModel, trace: Trace) -> dict[str, tuple[float, float, bool]]:
    """Step → largest difference over all heads, its tolerance, whether it holds everywhere."""
    worst: dict[str, tuple[float, float, bool]] = {}

    def note(name: str, difference: float, tolerance: float, holds: bool) -> None:
        before = worst.get(name, (-1.0, tolerance, True))
        if difference > before[0]:
            worst[name] = (difference, tolerance, holds and before[2])
        else:
            worst[name] = (before[0], before[1], holds and before[2])

    for layer in range(len(trace.layers)):
        for head in range(trace.layers[layer].n_heads):
            for check in trace.proof(layer, head):
                note(check.name, check.difference, check.tolerance, check.holds)
    for layer, theirs in enumerate(eager_weights(model, trace)):
        check = compare("eager", trace.layers[layer].all_weights(), theirs)
        note("eager", check.difference, check.tolerance, check.holds)
    return worst


def eager_weights(model: LoadedModel, trace: Trace) -> list[torch.Tensor]:
    """The weights of every layer of a second copy of the model with transformers' own eager attention."""
    eager = AutoModel.from_pretrained(model.model.config.name_or_path, attn_implementation="eager").eval()
    inputs = {"input_ids": torch.tensor([[token.id for token in trace.source_tokens]])}
    if trace.target_tokens:
        inputs["decoder_input_ids"] = torch.tensor([[token.id for token in trace.target_tokens]])
    with torch.no_grad():
        found = eager(**inputs, output_attentions=True)
    if not trace.target_tokens:
        return [weights[0] for weights in found.attentions]
    by_kind = {
        "encoder self": found.encoder_attentions,
        "decoder self": found.decoder_attentions,
        "cross": found.cross_attentions,
    }
    return [by_kind[layer.kind][layer.index][0] for layer in trace.layers]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
