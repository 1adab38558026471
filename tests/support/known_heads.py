"""A model whose heads are known because they were built, with a vocabulary whose ordinary pieces wear brackets."""

import math
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from attention_core.models.facts import LoadedModel
from attention_core.models.loading import wrap_model

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
N_FREQUENCIES, D_HEAD, SHARPNESS = 16, 32, 4.0


def bracketed_tokenizer(n_pieces: int = 90, limit: int = 128) -> PreTrainedTokenizerFast:
    """Atoms as chemical models write them, `[A0+]`: each is one piece, and none of them is special."""
    pieces = [f"[{chr(65 + i % 26)}{i // 26}+]" for i in range(n_pieces)]
    made = Tokenizer(WordLevel({piece: i for i, piece in enumerate((*SPECIALS, *pieces))}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"\[[^\]]*\]|[^\[\s]+"), "removed", invert=True)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name[1:-1].lower()}_token": name for name in SPECIALS}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=limit, **names)


def molecules(n: int, n_pieces: int = 90, length: int = 100) -> list[str]:
    """Texts that this tokenizer reads, one a line."""
    generator = torch.Generator().manual_seed(5)
    pieces = [f"[{chr(65 + i % 26)}{i // 26}+]" for i in range(n_pieces)]
    return ["".join(pieces[i] for i in torch.randint(n_pieces, (length,), generator=generator)) for _ in range(n)]


def neighbour_model(tokenizer: PreTrainedTokenizerFast) -> LoadedModel:
    """One layer: head 0 looks at the token before, head 1 at the token after, head 2 nowhere in particular.

    A position is the sines and cosines of its place times 16 frequencies; turning each pair by its frequency is the
    position before or after, and that is what W_q of the two heads does.
    """
    n_positions, d_model = tokenizer.model_max_length, 3 * D_HEAD
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=d_model,
        num_attention_heads=3,
        num_hidden_layers=1,
        intermediate_size=17,
        max_position_embeddings=n_positions,
    )
    torch.manual_seed(3)
    model: Any = BertModel(config).eval()
    generator = torch.Generator().manual_seed(3)
    frequencies = math.pi * (0.05 + 0.9 * torch.rand(N_FREQUENCIES, generator=generator))
    angles = torch.arange(n_positions)[:, None] * frequencies
    place = torch.cat((angles.cos(), angles.sin()), dim=-1)
    words = torch.randn(len(tokenizer), N_FREQUENCIES, generator=generator)
    words = words / words.norm(dim=-1, keepdim=True)
    layer = model.encoder.layer[0].attention.self
    with torch.no_grad():
        embeddings = model.embeddings
        embeddings.token_type_embeddings.weight.zero_()
        # Everything once with each sign: the mean is 0 and the length the same, so that the norm only scales.
        embeddings.position_embeddings.weight.copy_(torch.cat((place, -place, torch.zeros(n_positions, 32)), dim=-1))
        embeddings.word_embeddings.weight.copy_(torch.cat((torch.zeros(len(tokenizer), 64), words, -words), dim=-1))
        for linear in (layer.query, layer.key):
            linear.bias.zero_()
            linear.weight.normal_(std=0.02, generator=generator)
            linear.weight[: 2 * D_HEAD] = 0
        for head, step in enumerate((-1, 1)):
            cos, sin = (step * frequencies).cos().diag(), (step * frequencies).sin().diag()
            rows = slice(head * D_HEAD, (head + 1) * D_HEAD)
            turned = torch.cat((torch.cat((cos, -sin), dim=-1), torch.cat((sin, cos), dim=-1)))
            layer.query.weight[rows, :D_HEAD] = SHARPNESS * turned
            layer.key.weight[rows, :D_HEAD] = torch.eye(D_HEAD)
    return wrap_model(model, tokenizer, name="neighbours")
