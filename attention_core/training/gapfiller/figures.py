"""What Gapfiller is judged by: its surprise at held-out gaps, and that of models that read the left alone.

All read the same gaps: one token each, at places drawn from the held-out text.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attention_core.formats.json_data import JsonObject
from attention_core.inside.of_transformers import attention_of
from attention_core.training.classes import EuroBertForMaskedLM, LlamaForCausalLM
from attention_core.training.gapfiller.recipe import GapBatch, gap_logits
from attention_core.training.loop import generator_of, previous_token_weight
from attention_core.training.trigram import KneserNeyTrigram

N_GAPS = 1000
LEFT_READ = 255  # tokens before a gap that a model of the left alone is given: as many as the Storyteller reads
AT_ONCE = 64  # rows of one pass


def places(n_text: int, n_gaps: int, n_tokens: int, seed: int) -> Int[Tensor, " gap"]:
    """Places of a text with room on both sides for every reader, drawn without repeats and in order.

    Raises ValueError if the text is too short for as many.
    """
    first, last = max(LEFT_READ, n_tokens // 2), n_text - n_tokens // 2
    if last - first < n_gaps:
        raise ValueError(f"{n_gaps} gaps need a text of {first + n_gaps + n_tokens // 2} tokens; it has {n_text}")
    drawn = torch.randperm(last - first, generator=generator_of(seed, 0))[:n_gaps]
    return first + drawn.sort().values


def windows(
    ids: Int[Tensor, " position"], at: Int[Tensor, " gap"], before: int, after: int
) -> Int[Tensor, "gap token"]:
    """For each place the tokens from `before` before it to `after` after it."""
    return ids[at[:, None] + torch.arange(-before, after + 1)]


def gap_losses(
    model: EuroBertForMaskedLM,
    ids: Int[Tensor, " position"],
    at: Int[Tensor, " gap"],
    mask: int,
    *,
    before: int,
    after: int,
) -> Float[Tensor, " gap"]:
    """Surprise in nats at the tokens of these places, each hidden alone, given so many tokens before and after it."""
    found = []
    for part in at.split(AT_ONCE):
        tokens = windows(ids, part, before, after)
        gaps = torch.zeros_like(tokens, dtype=torch.bool)
        gaps[:, before] = True
        with torch.inference_mode():
            said = gap_logits(model, GapBatch(tokens.masked_fill(gaps, mask), gaps, tokens)).log_softmax(dim=-1)
        found.append(-said.gather(1, tokens[:, before, None])[:, 0])
    return torch.cat(found).double()


def left_losses(
    model: LlamaForCausalLM, ids: Int[Tensor, " position"], at: Int[Tensor, " gap"], before: int = LEFT_READ
) -> Float[Tensor, " gap"]:
    """Surprise in nats of a causal model at the tokens of these places, given so many tokens before each."""
    found = []
    for part in at.split(AT_ONCE):
        tokens = windows(ids, part, before, 0)
        with torch.inference_mode():
            said = model(tokens[:, :-1]).logits[:, -1].log_softmax(dim=-1)
        found.append(-said.gather(1, tokens[:, -1:])[:, 0])
    return torch.cat(found).double()


def neighbour_weights(
    model: EuroBertForMaskedLM, rows: Int[Tensor, "row token"]
) -> dict[str, Float[Tensor, "layer head"]]:
    """Every head's mean weight on the token before and on the token after, over all queries that have one."""
    weights = attention_weights(model, rows)
    return {
        "previous": previous_token_weight(weights).mean(dim=1),
        "next": previous_token_weight(weights.flip(-1, -2)).mean(dim=1),
    }


def attention_weights(
    model: EuroBertForMaskedLM, rows: Int[Tensor, "row token"]
) -> Float[Tensor, "layer row head query key"]:
    """Every attention matrix, as eager attention returns it."""
    used = attention_of(model.config)
    model.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            return torch.stack(model(rows, output_attentions=True).attentions)
    finally:
        model.set_attn_implementation(used or "eager")


def measure(
    model: EuroBertForMaskedLM,
    storyteller: LlamaForCausalLM,
    seen: Int[Tensor, " seen"],
    unseen: Int[Tensor, " unseen"],
    mask: int,
    seed: int,
    n_gaps: int = N_GAPS,
) -> JsonObject:
    """Gapfiller's figures with what each is compared with; `mask` is the id of a gap."""
    half = model.config.max_position_embeddings // 2
    at = places(len(unseen), n_gaps, 2 * half, seed)
    losses = {
        "both": gap_losses(model, unseen, at, mask, before=half, after=half - 1),
        "left": gap_losses(model, unseen, at, mask, before=half, after=0),
        "right": gap_losses(model, unseen, at, mask, before=0, after=half - 1),
        "storyteller": left_losses(storyteller, unseen, at),
        "trigram": KneserNeyTrigram(seen, storyteller.config.vocab_size).losses(unseen)[at - 2],
    }
    figures: JsonObject = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "gaps": n_gaps,
        "uniform_nats": math.log(model.config.vocab_size),
    }
    for name, each in losses.items():
        figures[f"{name}_nats"] = each.mean().item()
        if name != "both":
            better = each - losses["both"]
            figures[f"over_{name}_nats"] = better.mean().item()
            figures[f"over_{name}_error"] = (better.std() / math.sqrt(n_gaps)).item()
            figures[f"over_{name}_share"] = (better > 0).double().mean().item()
    figures["trained_text_nats"] = (
        gap_losses(model, seen, places(len(seen), n_gaps, 2 * half, seed), mask, before=half, after=half - 1)
        .mean()
        .item()
    )
    rows = windows(unseen, at[:: max(1, n_gaps // 32)], half, half - 1)
    for name, heads in neighbour_weights(model, rows).items():
        figures[f"{name}_head"] = list(divmod(int(heads.argmax()), heads.shape[1]))
        figures[name], figures[f"{name}_all"] = heads.max().item(), heads.tolist()
    figures["neighbour_even"] = 1 / (2 * half)
    return figures


def report(figures: JsonObject) -> str:
    """The figures as lines of text, each beside what it is compared with."""
    f = figures

    def compared(name: str) -> str:
        return (
            f"{f[f'{name}_nats']:.3f} nats, {f[f'over_{name}_nats']:.3f} ± {2 * f[f'over_{name}_error']:.3f} more, "
            f"Gapfiller better at {f[f'over_{name}_share']:.1%}"
        )

    lines = {
        "parameters": f"{f['parameters']:,}",
        "held-out gaps": f"{f['both_nats']:.3f} nats for each of {f['gaps']:,} gaps, both sides read "
        f"(knowing nothing {f['uniform_nats']:.2f}; gaps in the text it was trained on {f['trained_text_nats']:.3f})",
        "Storyteller, left": compared("storyteller"),
        "trigram, left": compared("trigram"),
        "Gapfiller, left alone": compared("left"),
        "Gapfiller, right alone": compared("right"),
    }
    for name, title in (("previous", "token before"), ("next", "token after")):
        head = "layer {}, head {}".format(*f[f"{name}_head"])
        lines[title] = f"{head}: {f[name]:.3f} of the weight on the {title} (even attention {f['neighbour_even']:.3f})"
    return "\n".join(f"{name:24} {value}" for name, value in lines.items())
