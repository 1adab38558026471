"""`make reference MODELS="folder …"`: the proof's figures for any model folders, printed, and what each model says.

Each folder is opened as a visitor would open it; every head of every layer is proven, and the weights are compared with
those of a second copy of the model that runs transformers' own eager attention. A folder with published intermediate
values (reference_partials.json) is compared with them.
"""

import base64
import json
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch
from transformers import AutoModel
from transformers.utils import logging

from attention_core import LoadedModel, Trace, capture, load_model
from attention_core.heads.cards import Answer
from attention_core.heads.labelling import label_heads
from attention_core.heads.labels import LABELS
from attention_core.reading.generation import continue_text
from attention_core.reading.readout import NextToken
from attention_core.record.proof import compare

# Tried in this order until the model's tokenizer makes tokens of one.
TEXTS = (
    "Once upon a time, there was a little girl named Lily. She liked to play outside.",
    "transformer",
    "CBABBC",
)

# Tried in this order until one can be read: a beginning to continue, a spelling to sound out, letters to sort.
PROMPTS = ("Once upon a time", "transformer", "CBABBC")
PUBLISHED_TOLERANCE = 1e-5  # float32, computed by another program in another order


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
        for line in judged(model, trace):
            print(f"{'':24} {line}")
        print(f"{'':24} {len(trace.source_tokens)} tokens, {len(trace.target_tokens)} decoder tokens, {seconds:.2f} s")
        for line in said(model):
            print(f"{'':24} {line}")
        for line in named(model):
            print(f"{'':24} {line}")
        partials = Path(folder) / "reference_partials.json"
        if partials.is_file():
            for name, difference in published_differences(model, partials):
                faults += not difference <= PUBLISHED_TOLERANCE
                holds = "yes" if difference <= PUBLISHED_TOLERANCE else "NO"
                print(
                    f"{'':24} published {name:28} differs by {difference:.1e}, at most {PUBLISHED_TOLERANCE:g}: {holds}"
                )
    return min(faults, 1)


def first_trace(model: LoadedModel) -> Trace:
    for text in filter(lambda text: _readable(model, text), TEXTS):
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


def judged(model: LoadedModel, trace: Trace) -> Iterator[str]:
    """What the proof comes to, what the loading report said, and what was done about it."""
    yield from str(trace.verdict()).splitlines()
    report = model.report
    for sentence in report.reservations:
        yield f"loading: {sentence} Done about it: said beside every picture, and no proof is plainly “checked”."
    for sentence in report.listed:
        yield f"loading: {sentence} Done about it: listed with the model's facts; the attention does not depend on it."
    if not report.reservations and not report.listed:
        yield "loading: nothing was dropped or made up"


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


def said(model: LoadedModel) -> Iterator[str]:
    """What the model says after the first of the prompts that it can read; where its decoder looked while it wrote."""
    prompt = next((text for text in PROMPTS if _readable(model, text)), None)
    if prompt is None or model.head is None:
        yield "has no language head" if model.head is None else "reads none of the prompts"
        return
    readout = capture(model, prompt).readout()
    if not isinstance(readout, NextToken):
        yield f"{prompt!r}: {readout}"
        return
    likeliest = ", ".join(f"{choice.text!r} {choice.probability:.3f}" for choice in readout.choices[:5])
    yield f"after {prompt!r}: {likeliest}"
    made = continue_text(model, prompt, 60 if readout.of_decoder else 12)
    yield f"writes {made.text!r}"
    if model.facts.context_length == len(prompt) + len(made.added):  # one letter more than fits: sorted letters
        last = capture(model, made.text).readout()
        if isinstance(last, NextToken):
            yield f"and then {last.choices[0].text!r}, {last.choices[0].probability:.3f}"
    if readout.of_decoder:
        trace = capture(model, prompt, target=made.text)
        cross = next(i for i, layer in enumerate(trace.layers) if layer.kind == "cross")
        weights, keys = trace.weights(cross, 0), trace.key_tokens(cross)
        looks = [int(row.argmax()) for row in weights]
        # A decoder's position writes the token after it.
        pairs = zip([*trace.target_tokens[1:], None], looks, strict=True)
        yield "cross-attention while writing: " + " ".join(
            f"{token.text if token else 'end'}←{keys[look].text}" for token, look in pairs
        )
        backwards = sum(after < before for before, after in pairwise(looks[1:]))
        yield f"along the diagonal: {backwards} of {len(looks) - 2} steps go backwards"


def named(model: LoadedModel) -> Iterator[str]:
    """The heads that most look at the token before, and all names that heads have earned."""
    cards = label_heads(model)
    scores = {
        place: (one.score, one.null)
        for place, card in cards.items()
        for one in card.evidence
        if one.label == "previous" and one.length == max(card.tested("previous"))
    }
    if not scores:
        yield f"heads: could not be tested, because {next(iter(cards.values())).because}"
        return
    top = sorted(scores, key=lambda place: -scores[place][0])[:4]
    yield "previous token, score (null): " + ", ".join(
        f"{layer}.{head} {scores[layer, head][0]:.2f} ({scores[layer, head][1]:.2f})" for layer, head in top
    )
    for label in LABELS:
        heads = [f"{layer}.{head}" for (layer, head), card in cards.items() if label.id in card.labels]
        yield f"labelled {label.name}: {', '.join(heads) or 'no head'}"
    unlabelled = sum(card.answer is Answer.UNLABELLED for card in cards.values())
    yield f"unlabelled: {unlabelled} of {len(cards)} heads"


def _readable(model: LoadedModel, text: str) -> bool:
    """Does the tokenizer keep all of the text?"""
    ids = model.encode(text)["input_ids"]
    kept = model.tokenizer.decode(ids).replace(" ", "").lower()
    return model.tokenizer.unk_token_id not in ids and text.replace(" ", "").lower() in kept


def published_differences(model: LoadedModel, file: Path) -> Iterator[tuple[str, float]]:
    """Each captured quantity that was published, with the largest difference over all layers, heads and examples."""
    published = {
        name: torch.frombuffer(bytearray(base64.b64decode(entry["data"])), dtype=torch.float32).reshape(entry["shape"])
        for name, entry in json.loads(file.read_text()).items()
        if isinstance(entry, dict) and "data" in entry
    }
    worst: dict[str, float] = {}
    for example, ids in enumerate(published["idx"].long()):
        trace = capture(model, model.tokenizer.decode(ids))
        if [token.id for token in trace.tokens] != ids.tolist():
            raise ValueError(f"example {example} cannot be typed")
        for name, (where, ours) in captured_as_published(trace).items():
            if name in published:
                theirs = published[name][example]
                both = torch.isfinite(ours) & torch.isfinite(theirs)
                difference = float((ours - theirs)[both].abs().max())
                worst[f"{name} ({where})"] = max(worst.get(f"{name} ({where})", 0.0), difference)
    yield from worst.items()


def captured_as_published(trace: Trace) -> dict[str, tuple[str, torch.Tensor]]:
    """What of a captured run minGPT's published partials name: of its first block, and of the end."""
    layer, ending = trace.exact(0), trace.ending
    if ending is None or ending.model.head is None:
        return {}
    allowed = layer.allowed()
    scaled = torch.stack([layer.steps(head).scaled_scores for head in range(layer.n_heads)])
    logits = ending.model.head.logits(ending.hidden)
    return {
        "q": ("block 0", layer.q),
        "k": ("block 0", layer.k),
        "v": ("block 0", layer.v),
        "att": ("block 0, where allowed", scaled if allowed is None else scaled.masked_fill(~allowed, -torch.inf)),
        "attSm": ("block 0", layer.all_weights()),
        "y": ("block 0, heads joined", layer.output.transpose(0, 1).flatten(1)),
        "ln_f": ("the end", ending.hidden),
        "lm_head": ("logits", logits),
        "probs": ("probabilities", logits.softmax(dim=-1)),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
