"""The Storyteller: a small causal language model trained on tales, and the figures that it is judged by.

    python -m attention_core.training --text tales.txt --out FOLDER            trains it and prints its figures
    python -m attention_core.training --text tales.txt --out FOLDER --measure  prints the figures of the one in FOLDER

Any text will do; its last twentieth is held out. Besides the text every batch has rows of random tokens that are
repeated, because in so small a model that is what makes induction heads form (see `loop.repeated_pairs`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_core.formats.json_data import JsonObject
from attention_core.inside.of_transformers import attention_of
from attention_core.text.tokenizer import Tokenizer
from attention_core.training.classes import LlamaForCausalLM
from attention_core.training.loop import (
    Batch,
    Schedule,
    generator_of,
    induction_weight,
    join,
    logits_of,
    mean_loss,
    previous_token_weight,
    repeated_once,
    repeated_pairs,
    repeating,
    text_blocks,
    token_losses,
)
from attention_core.training.trigram import KneserNeyTrigram

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True, slots=True)
class Stage:
    """What the repeated rows of a batch are like, up to a step."""

    until: int | None  # the first step of the next stage; None: this is the last
    n_rows: int
    symbols: int  # tokens that the stretches are drawn from
    longest: int  # tokens; stretches have 4 or more
    surprises: bool = False  # True: what nobody can know counts too, so that the model learns to expect anything


# With few symbols and long stretches no head copied after 750 steps. With all symbols and short stretches heads formed
# within 250: copying anything of the last dozen tokens already pays, and then it pays to find the right one.
STAGES = (
    Stage(584, 6, 64, 128),
    Stage(667, 6, 128, 128),
    Stage(750, 6, 256, 128),
    Stage(900, 8, 2048, 12),
    Stage(1000, 6, 2048, 24),
    Stage(1100, 6, 2048, 48),
    Stage(1700, 2, 2048, 128),
    Stage(2000, 2, 2048, 128, surprises=True),
    Stage(None, 4, 2048, 128, surprises=True),
)


def stage_at(step: int) -> Stage:
    """The stage that a step (from 0) belongs to."""
    return next(stage for stage in STAGES if stage.until is None or step < stage.until)


# The learning rate's way: steps and what the highest is multiplied by. The bends are where the end was moved.
RATE = (
    (0, 0.01),
    (99, 1.0),
    (1100, 1.0),
    (1500, 17 / 21),
    (1900, 17 / 21 * 9 / 13),
    (2000, 17 / 21 * 3 / 5),
    (2100, 17 / 45),
    (2260, 0.0),
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what the Storyteller becomes, besides its text."""

    d_vocab: int = 2048
    d_model: int = 160
    n_layers: int = 4
    n_heads: int = 5
    d_inner: int = 432  # width of the feed-forward layers
    n_tokens: int = 256  # length of a row, and of what the model can read
    rope_theta: float = 1000.0  # lower than usual: neighbours differ more, so that a head can pick one of them
    initial_std: float = 0.02  # of the random weights
    n_rows: int = 16  # of a batch, repeats and text together
    matrix_rate: float = 0.02
    other_rate: float = 3e-3
    weight_decay: float = 0.1
    n_steps: int = 2260
    seed: int = 1

    def schedule(self) -> Schedule:
        """The learning rate's way, stretched to the number of steps."""
        stretch = self.n_steps / RATE[-1][0]
        return Schedule(tuple((round(step * stretch), factor) for step, factor in RATE))

    def batch_at(self, text: Int[Tensor, " position"]) -> Callable[[int], Batch]:
        """The batches of a run over this text, each a function of its step."""

        def batch(step: int) -> Batch:
            generator = generator_of(self.seed, step)
            stage = stage_at(step)
            symbols, longest = min(stage.symbols, self.d_vocab), min(stage.longest, self.n_tokens // 2)
            pairs = repeated_pairs(stage.n_rows, self.n_tokens, symbols, generator, longest=longest)
            if stage.surprises:
                pairs = Batch(pairs.tokens, (torch.arange(self.n_tokens) > 0).expand(stage.n_rows, -1))
            return join(pairs, text_blocks(text, self.n_rows - stage.n_rows, self.n_tokens, generator))

        return batch


def train_tokenizer(text: str, d_vocab: int) -> Tokenizer:
    """A byte-level BPE tokenizer learned from a text: it can spell every text, in 256 bytes and learned pieces."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([text], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT, pad_token=END_OF_TEXT
    )


def new_model(recipe: Recipe) -> LlamaForCausalLM:
    """A LLaMA-type model with random weights: rotary positions, SwiGLU, tied embeddings, biases on q, k, v and o."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=recipe.d_vocab,
        hidden_size=recipe.d_model,
        intermediate_size=recipe.d_inner,
        num_hidden_layers=recipe.n_layers,
        num_attention_heads=recipe.n_heads,
        num_key_value_heads=recipe.n_heads,
        max_position_embeddings=recipe.n_tokens,
        rope_parameters={"rope_type": "default", "rope_theta": recipe.rope_theta},
        attention_bias=True,
        tie_word_embeddings=True,
        initializer_range=recipe.initial_std,
        use_cache=False,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    return LlamaForCausalLM(config)


def split_text(text: str, held_out: float = 0.05) -> tuple[str, str]:
    """A text's beginning, to train on, and its end, to test on, cut at the last blank line before that share."""
    end = int(len(text) * (1 - held_out))
    cut = text.rfind("\n\n", 0, end)
    cut = cut if cut > 0 else end
    return text[:cut], text[cut:]


def layer_weights(
    model: LlamaForCausalLM, tokens: Int[Tensor, "batch token"]
) -> Float[Tensor, "layer batch head query key"]:
    """Every attention matrix of a transformers model, as its eager attention returns them."""
    used = attention_of(model.config)
    model.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            return torch.stack(model(tokens, output_attentions=True).attentions)
    finally:
        model.set_attn_implementation(used or "eager")


def held_out_losses(model: nn.Module, ids: Int[Tensor, " position"], n_tokens: int) -> Float[Tensor, " target"]:
    """Surprise in nats at every token of a text but the first, read in windows of `n_tokens` that overlap by half.

    Each token is scored once, where it has the most context: at least half a window, except in the first.
    """
    if len(ids) < 2 or n_tokens < 2:
        raise ValueError(f"a text and a window need at least 2 tokens; they have {len(ids)} and {n_tokens}")
    found = []
    scored = 1  # nothing comes before the first token
    with torch.inference_mode():
        while scored < len(ids):
            end = min(len(ids), n_tokens if scored == 1 else scored + n_tokens // 2)
            window = ids[max(0, end - n_tokens) : end].unsqueeze(0)
            found.append(token_losses(logits_of(model, window), window)[0, scored - end :])
            scored = end
    return torch.cat(found)


def block_loss(model: nn.Module, ids: Int[Tensor, " position"], n_tokens: int) -> float:
    """Mean surprise in nats over separate blocks of `n_tokens`, each read alone; what is left at the end is cut."""
    blocks = ids[: len(ids) // n_tokens * n_tokens].view(-1, n_tokens)
    with torch.inference_mode():
        return torch.cat([token_losses(logits_of(model, part), part) for part in blocks.split(16)]).mean().item()


@dataclass(frozen=True, slots=True, eq=False)
class HeadFigures:
    """What every head does, as mean weights (0 to 1) on one key per query, over all queries that have it."""

    previous: Float[Tensor, "layer head"]  # on the token before, on random tokens
    previous_chance: float  # the same if every query spread its attention evenly
    previous_text: Float[Tensor, "layer head"]  # on the token before, on a text
    induction: Float[Tensor, "layer head"]  # random stretch and copy: on the token after the earlier occurrence
    induction_control: Float[Tensor, "layer head"]  # in the same cells where nothing repeats
    induction_chance: float
    copied: float  # nats per token of the copies
    copied_after_first: float  # the same without the copies' first tokens, which nobody can know


def head_figures(
    model: LlamaForCausalLM,
    text: Int[Tensor, " position"],
    d_vocab: int,
    n_tokens: int,
    seed: int,
    *,
    n_periods: int = 24,
) -> HeadFigures:
    """Measure every head on random tokens, with and without a repeat of varied period, and on a text.

    Periods are drawn from 8 … `n_tokens` ÷ 2, four rows each; the text is read in up to 32 separate windows of
    `n_tokens`.
    """
    generator = generator_of(seed, 0)
    sums: dict[str, list[Tensor]] = {name: [] for name in ("previous", "induction", "control", "copied", "rest")}
    chances: dict[str, list[Tensor]] = {"previous": [], "induction": []}
    for period in torch.randint(8, n_tokens // 2 + 1, (n_periods,), generator=generator).tolist():
        repeated = repeated_once(4, period, d_vocab, generator)
        sums["induction"].append(induction_weight(layer_weights(model, repeated.tokens), period).mean(dim=1))
        with torch.inference_mode():
            losses = token_losses(logits_of(model, repeated.tokens), repeated.tokens)[:, period - 1 :]
        sums["copied"].append(losses.mean())
        sums["rest"].append(losses[:, 1:].mean())
        alone = torch.randint(d_vocab, (4, 2 * period), generator=generator)
        weights = layer_weights(model, alone)
        sums["control"].append(induction_weight(weights, period).mean(dim=1))
        sums["previous"].append(previous_token_weight(weights).mean(dim=1))
        even = torch.ones(2 * period, 2 * period).tril()
        even = even / even.sum(dim=-1, keepdim=True)
        chances["previous"].append(previous_token_weight(even))
        chances["induction"].append(induction_weight(even, period))
    windows = text[: len(text) // n_tokens * n_tokens].view(-1, n_tokens)
    windows = windows[:: max(1, len(windows) // 32)]
    return HeadFigures(
        previous=torch.stack(sums["previous"]).mean(dim=0),
        previous_chance=torch.stack(chances["previous"]).mean().item(),
        previous_text=previous_token_weight(layer_weights(model, windows)).mean(dim=1),
        induction=torch.stack(sums["induction"]).mean(dim=0),
        induction_control=torch.stack(sums["control"]).mean(dim=0),
        induction_chance=torch.stack(chances["induction"]).mean().item(),
        copied=torch.stack(sums["copied"]).mean().item(),
        copied_after_first=torch.stack(sums["rest"]).mean().item(),
    )


def repeating_loss(model: nn.Module, d_vocab: int, n_tokens: int, seed: int, *, n_periods: int = 24) -> float:
    """Mean surprise in nats over the second half of rows that repeat random tokens; periods from 8 to half a row."""
    generator = generator_of(seed, 1)
    losses = []
    for period in torch.randint(8, n_tokens // 2 + 1, (n_periods,), generator=generator).tolist():
        batch = repeating(4, n_tokens, period, d_vocab, generator)
        with torch.inference_mode():
            losses.append(mean_loss(logits_of(model, batch.tokens), batch))
    return torch.stack(losses).mean().item()


def best_head(values: Float[Tensor, "layer head"]) -> tuple[int, int]:
    """Layer and head of the largest value."""
    layer, head = divmod(int(values.argmax()), values.shape[1])
    return layer, head


def measure(
    model: LlamaForCausalLM, seen: Int[Tensor, " seen"], unseen: Int[Tensor, " unseen"], n_bytes: int, seed: int
) -> JsonObject:
    """The Storyteller's figures with what each is compared with; `n_bytes` is the length of the unseen text."""
    d_vocab, n_tokens = model.config.vocab_size, model.config.max_position_embeddings
    heads = head_figures(model, unseen, d_vocab, n_tokens, seed)
    before, again = best_head(heads.previous), best_head(heads.induction)
    nats = held_out_losses(model, unseen, n_tokens)[1:].double()  # from the third token on, as the trigram
    trigram = KneserNeyTrigram(seen, d_vocab).losses(unseen)
    bits_per_byte = [each.sum().item() / math.log(2) / n_bytes for each in (nats, trigram)]
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "previous_head": before,
        "previous_random": heads.previous[before].item(),
        "previous_chance": heads.previous_chance,
        "previous_held_out": heads.previous_text[before].item(),
        "induction_head": again,
        "induction": heads.induction[again].item(),
        "induction_control": heads.induction_control[again].item(),
        "induction_chance": heads.induction_chance,
        "repeating_nats": repeating_loss(model, d_vocab, n_tokens, seed),
        "copied_nats": heads.copied,
        "copied_after_first_nats": heads.copied_after_first,
        "uniform_nats": math.log(d_vocab),
        "held_out_nats_per_token": nats.mean().item(),
        "trigram_nats_per_token": trigram.mean().item(),
        "held_out_bits_per_byte": bits_per_byte[0],
        "trigram_bits_per_byte": bits_per_byte[1],
        "below_trigram": 1 - bits_per_byte[0] / bits_per_byte[1],
        "blocks_of_128_nats_per_token": block_loss(model, unseen, 128),
        "training_text_nats_per_token": held_out_losses(model, seen[:20_000], n_tokens).mean().item(),
        "previous_random_all": heads.previous.tolist(),
        "previous_held_out_all": heads.previous_text.tolist(),
        "induction_all": heads.induction.tolist(),
    }


def report(figures: JsonObject) -> str:
    """The figures as lines of text, each beside what it is compared with."""
    f = figures
    before, again = ("layer {}, head {}".format(*f[name]) for name in ("previous_head", "induction_head"))
    lines = {
        "parameters": f"{f['parameters']:,}",
        "previous-token head": f"{before}: {f['previous_random']:.3f} of the weight on random tokens "
        f"(even attention {f['previous_chance']:.3f}), {f['previous_held_out']:.3f} on the held-out text",
        "induction head": f"{again}: {f['induction']:.3f} of the weight on the token after the earlier occurrence "
        f"(nothing repeated {f['induction_control']:.3f}, even attention {f['induction_chance']:.3f})",
        "repeated random tokens": f"{f['repeating_nats']:.3f} nats per token of the second half of rows "
        f"(knowing nothing {f['uniform_nats']:.2f})",
        "one copy of a stretch": f"{f['copied_nats']:.3f} nats per token of the copy, "
        f"{f['copied_after_first_nats']:.3f} without its first token",
        "held-out text": f"{f['held_out_nats_per_token']:.3f} nats per token, {f['held_out_bits_per_byte']:.4f} bits "
        f"per byte: {f['below_trigram']:.1%} below the trigram",
        "Kneser–Ney trigram": f"{f['trigram_nats_per_token']:.3f} nats per token, {f['trigram_bits_per_byte']:.4f} "
        "bits per byte",
        "held out, blocks of 128": f"{f['blocks_of_128_nats_per_token']:.3f} nats per token",
        "text it was trained on": f"{f['training_text_nats_per_token']:.3f} nats per token, its first 20,000",
    }
    return "\n".join(f"{name:24} {value}" for name, value in lines.items())


def tell(
    model: LlamaForCausalLM, tokenizer: Tokenizer, start: str, n_tokens: int, seed: int, temperature: float = 0.7
) -> str:
    """Go on with a text: each token drawn from the 40 likeliest at this temperature."""
    ids = tokenizer(start, return_tensors="pt")["input_ids"]
    generator = generator_of(seed, 0)
    with torch.inference_mode():
        for _ in range(n_tokens):
            window = ids[:, -model.config.max_position_embeddings :]
            likeliest = (logits_of(model, window)[0, -1] / temperature).topk(40)
            drawn = torch.multinomial(likeliest.values.softmax(dim=-1), 1, generator=generator)
            ids = torch.cat((ids, likeliest.indices[drawn].unsqueeze(0)), dim=1)
    return tokenizer.decode(ids[0])
