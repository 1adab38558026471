"""What decides what Gapfiller becomes: its sizes, its gaps, its steps and rates, its loss."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from attention_core.inside.of_torch import AnyModule
from attention_core.text.tokenizer import Tokenizer
from attention_core.training.classes import EuroBertForMaskedLM, LlamaForCausalLM
from attention_core.training.loop import Schedule, generator_of, text_blocks

MASK = "[MASK]"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what Gapfiller becomes, besides its text and the Storyteller that it begins as."""

    n_layers: int = 3  # of the Storyteller's, the first ones
    n_tokens: int = 128  # length of a row, and of what the model can read
    n_rows: int = 24  # of a batch
    least_gaps: float = 0.1  # share of a row's tokens that are gaps, drawn evenly for each row from here …
    most_gaps: float = 0.4  # … to here
    matrix_rate: float = 0.01
    other_rate: float = 1.5e-3
    weight_decay: float = 0.1
    n_steps: int = 700
    seed: int = 1

    def schedule(self) -> Schedule:
        """Up in 50 steps, level, down to nothing over the last half."""
        return Schedule.trapezoid(self.n_steps, warmup=50, cooldown=0.5)

    def batch_at(self, text: Int[Tensor, " position"], mask: int, step: int) -> "GapBatch":
        """The rows of one step of a run over this text: a function of seed and step alone."""
        generator = generator_of(self.seed, step)
        tokens = text_blocks(text, self.n_rows, self.n_tokens, generator).tokens
        shares = torch.rand(self.n_rows, 1, generator=generator) * (self.most_gaps - self.least_gaps) + self.least_gaps
        gaps = torch.rand(tokens.shape, generator=generator) < shares
        gaps[:, 0] |= ~gaps.any(dim=1)  # every row has one
        return GapBatch(tokens.masked_fill(gaps, mask), gaps, tokens)


@dataclass(frozen=True, slots=True, eq=False)
class GapBatch:
    """Stretches of a text in which some tokens are hidden."""

    shown: Int[Tensor, "row token"]  # the mask's id in a gap
    gaps: Bool[Tensor, "row token"]
    tokens: Int[Tensor, "row token"]  # what really stands there


def with_mask(folder: Path) -> Tokenizer:
    """The Storyteller's tokenizer, from its folder, with one token more, for a gap and the blank before it.

    Raises OSError if it is not there.
    """
    from tokenizers import AddedToken
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"mask_token": AddedToken(MASK, lstrip=True, special=True)})
    return tokenizer


def new_model(recipe: Recipe, storyteller: LlamaForCausalLM, tokenizer: Tokenizer) -> EuroBertForMaskedLM:
    """A EuroBERT-type model (a LLaMA that looks both ways) that begins as the Storyteller's first layers.

    Every weight is the Storyteller's, and the gap's vector the mean of all tokens'. What is new is that each token may
    read those after it: no head was ever trained to.
    """
    from transformers import EuroBertConfig, EuroBertForMaskedLM

    torch.manual_seed(recipe.seed)
    before = storyteller.config
    config = EuroBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=before.hidden_size,
        intermediate_size=before.intermediate_size,
        num_hidden_layers=recipe.n_layers,
        num_attention_heads=before.num_attention_heads,
        max_position_embeddings=recipe.n_tokens,
        rms_norm_eps=before.rms_norm_eps,
        rope_parameters=dict(before.rope_parameters or {}),
        attention_bias=before.attention_bias,
        mlp_bias=before.mlp_bias,
        tie_word_embeddings=True,
        use_cache=False,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        mask_token_id=tokenizer.mask_token_id,
    )
    model = EuroBertForMaskedLM(config)
    weights = {name: tensor for name, tensor in storyteller.state_dict().items() if name in model.state_dict()}
    known = weights["model.embed_tokens.weight"]
    weights["model.embed_tokens.weight"] = torch.cat((known, known.mean(dim=0, keepdim=True)))
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict(weights)
    return model


def gap_logits(model: AnyModule, batch: GapBatch) -> Float[Tensor, "gap vocab"]:
    """What the model says about every gap, in reading order. Other tokens' logits, which cost most, are not made."""
    hidden = model.model(batch.shown).last_hidden_state[batch.gaps]
    return model.lm_head(hidden)


def loss_of(model: nn.Module, batch: GapBatch) -> Float[Tensor, ""]:
    """Mean surprise in nats over the gaps."""
    return functional.cross_entropy(gap_logits(model, batch).float(), batch.tokens[batch.gaps])
