"""A sentence encoder's own way from the vectors of its tokens to one vector: what `SentenceTransformer.encode` does.

What a folder says of it is read by `models/sentence_folder`. What cannot be applied is a `problem`, in words: then no
number is the model's own.

Source: sentence_transformers 6.2 (Reimers & Gurevych 2019, Sentence-BERT), the classes that are named below.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_core.formats.shown import short_repr
from attention_core.inside.of_torch import AnyModule

Mode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
Function = Literal["cosine", "dot", "euclidean", "manhattan"]

MODE_WORDS: dict[Mode, str] = {
    "cls": "vector of the first token",
    "max": "largest value of each number over the tokens",
    "mean": "mean of the token vectors",
    "mean_sqrt_len_tokens": "sum of the token vectors ÷ √tokens",
    "weightedmean": "mean of the token vectors, later ones weighing more",
    "lasttoken": "vector of the last token",
}
TOKENS, SENTENCE = "token_embeddings", "sentence_embedding"
# Encoder-decoders of which the library loads the encoder alone. Of others (BART) it takes the decoder's vectors.
_ENCODER_ALONE = frozenset(
    "t5 mt5 umt5 udop longt5 prophetnet switch_transformers blenderbot blenderbot-small m2m_100 pegasus pegasus_x "
    "marian t5gemma t5gemma2".split()
)

Features = dict[str, Tensor]
Step = Callable[[Features, int], None]  # changes the features; the second is the number of the prompt's tokens


@dataclass(frozen=True, slots=True, eq=False)
class SentenceEncoder:
    """What a folder says about making one vector of a text."""

    steps: tuple[Step, ...] = ()
    pooling: str = MODE_WORDS["mean"]  # in words
    then: tuple[str, ...] = ()  # what follows, in words
    problem: str = ""  # a sentence: what could not be applied; "" if the vector is the model's own
    prompts: Mapping[str, str] | None = None  # by name
    default_prompt: str = ""  # the name of the one that is put before every text
    max_tokens: int | None = None  # a longer text is cut
    lower_case: bool = False
    keep: int | None = None  # only so many of the vector's first numbers are compared
    function: Function = "cosine"

    __repr__ = short_repr

    @property
    def prompt(self) -> str:
        """What is put before every text."""
        return (self.prompts or {}).get(self.default_prompt, "") if self.default_prompt else ""

    @property
    def how(self) -> str:
        """From many vectors to one, in words."""
        return ", then ".join((self.pooling, *self.then))

    def vector(self, hidden: Float[Tensor, "token d_model"], n_prompt: int = 0) -> Float[Tensor, " d"]:
        """One vector of many. The first `n_prompt` tokens are a prompt, which some models leave out of the pooling."""
        features = {TOKENS: hidden.float()}
        for step in self.steps or (Pooling(("mean",), True),):
            step(features, n_prompt)
        return features[SENTENCE][: self.keep]


@dataclass(frozen=True, slots=True, eq=False)
class Pooling:
    """Makes one vector of a text's token vectors.

    Source: sentence_transformer/modules/pooling.py, `_forward_padded`, for one text without padding."""

    modes: tuple[Mode, ...]
    include_prompt: bool

    def __call__(self, features: Features, n_prompt: int) -> None:
        """Put the text's vector under SENTENCE; its first `n_prompt` tokens are the prompt."""
        hidden = features[TOKENS]
        first = 0 if self.include_prompt else min(n_prompt, len(hidden))
        features[SENTENCE] = torch.cat([_pooled(mode, hidden, first) for mode in self.modes])


def _pooled(mode: Mode, hidden: Float[Tensor, "token d"], first: int) -> Float[Tensor, " d"]:
    own = hidden[first:]
    if not len(own):  # nothing but the prompt
        own, first = hidden[:1] * 0, 0
    if mode == "cls":
        return own[0]
    if mode == "lasttoken":
        return own[-1]
    if mode == "max":
        return own.max(dim=0).values
    if mode == "weightedmean":  # a token keeps its place where a prompt before it is left out
        weights = torch.arange(first + 1, first + len(own) + 1, dtype=own.dtype)[:, None]
        return (own * weights).sum(dim=0) / weights.sum()
    return own.sum(dim=0) / (len(own) if mode == "mean" else len(own) ** 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """A dense layer on one of the vectors. Source: base/modules/dense.py."""

    weight: Float[Tensor, "out in"]
    bias: Float[Tensor, " out"] | None
    activation: nn.Module
    residual: Float[Tensor, "out in"] | None
    adds: bool
    reads: str
    writes: str

    __repr__ = short_repr

    def __call__(self, features: Features, n_prompt: int) -> None:
        """Replace `writes` by activation(W·x + b), plus what was read where the layer adds it."""
        x = features[self.reads]
        made = self.activation(nn.functional.linear(x, self.weight, self.bias))
        if self.adds:
            made = made + (x if self.residual is None else nn.functional.linear(x, self.residual))
        features[self.writes] = made


@dataclass(frozen=True, slots=True, eq=False)
class Normalize:
    """Divides a vector by its length. Source: base/modules/normalize.py."""

    reads: str
    writes: str

    def __call__(self, features: Features, n_prompt: int) -> None:
        """Replace `writes` by `reads` at length 1."""
        features[self.writes] = nn.functional.normalize(features[self.reads], dim=-1)


@dataclass(frozen=True, slots=True, eq=False)
class LayerNorm:
    """Layer norm of the text's vector. Source: sentence_transformer/modules/layer_norm.py."""

    weight: Float[Tensor, " d"]
    bias: Float[Tensor, " d"]

    __repr__ = short_repr

    def __call__(self, features: Features, n_prompt: int) -> None:
        """Replace the text's vector by its layer norm."""
        x = features[SENTENCE]
        features[SENTENCE] = nn.functional.layer_norm(x, x.shape, self.weight, self.bias)


def vectors_of(body: AnyModule, inputs: Mapping[str, Tensor]) -> Float[Tensor, "token d_model"]:
    """The token vectors that are pooled, in float32; of encoder-decoders whose encoder is used alone, the encoder's."""
    if getattr(body.config, "is_encoder_decoder", False) and body.config.model_type in _ENCODER_ALONE:
        body = body.get_encoder()
    with torch.inference_mode():
        return body(**inputs).last_hidden_state[0].float().cpu()


def compared(function: Function, a: Float[Tensor, " d"], b: Float[Tensor, " d"]) -> float:
    """How the library compares two vectors; distances count negative, so that more is more alike.

    Source: sentence_transformers/util/similarity.py.
    """
    a, b = a.double(), b.double()
    if function == "dot":
        return float(a @ b)
    if function == "euclidean":
        return -float((a - b).norm())
    if function == "manhattan":
        return -float((a - b).abs().sum())
    return float(nn.functional.cosine_similarity(a, b, dim=0).clamp(-1.0, 1.0))
