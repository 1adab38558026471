"""What decides what Dates becomes: its sizes, its steps and rates, its loss."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from attention_core.text.tokenizer import Tokenizer
from attention_core.training.classes import BartForConditionalGeneration
from attention_core.training.dates.drawn import DateBatch
from attention_core.training.loop import Schedule


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what Dates becomes."""

    d_model: int = 96
    n_layers: int = 2  # of the encoder, and of the decoder
    n_heads: int = 4
    d_inner: int = 256  # width of the feed-forward layers
    n_tokens: int = 64  # characters that it reads at most
    initial_std: float = 0.02  # of the random weights
    n_rows: int = 64  # dates of a batch
    matrix_rate: float = 0.01
    other_rate: float = 2e-3
    weight_decay: float = 0.1
    n_steps: int = 1400
    seed: int = 1

    def schedule(self) -> Schedule:
        """Up in 100 steps, level, down to nothing over the last two fifths."""
        return Schedule.trapezoid(self.n_steps, cooldown=0.4)


def new_model(recipe: Recipe, tokenizer: Tokenizer) -> BartForConditionalGeneration:
    """A BART-type model with random weights: learned positions, norms after each part, tied embeddings."""
    from transformers import BartConfig, BartForConditionalGeneration

    torch.manual_seed(recipe.seed)
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=recipe.d_model,
        encoder_layers=recipe.n_layers,
        decoder_layers=recipe.n_layers,
        encoder_attention_heads=recipe.n_heads,
        decoder_attention_heads=recipe.n_heads,
        encoder_ffn_dim=recipe.d_inner,
        decoder_ffn_dim=recipe.d_inner,
        max_position_embeddings=recipe.n_tokens,
        dropout=0.0,
        init_std=recipe.initial_std,
        use_cache=False,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.bos_token_id,
        forced_eos_token_id=None,
    )
    return BartForConditionalGeneration(config)


def logits_of(model: nn.Module, batch: DateBatch) -> Float[Tensor, "row query vocab"]:
    """What the model says at each place of the date in ISO form, given what stands there before that place."""
    return model(input_ids=batch.source, attention_mask=batch.read, decoder_input_ids=batch.target).logits


def loss_of(model: nn.Module, batch: DateBatch) -> Float[Tensor, ""]:
    """Mean surprise in nats over the characters that are to be written, the end too."""
    return functional.cross_entropy(logits_of(model, batch).flatten(0, 1).float(), batch.labels.flatten())
