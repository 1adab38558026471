"""What the model says: the next token, the word behind a [MASK], how alike two sentences are.

Read from what the captured run ended with. The language head runs only when somebody asks, and only on the positions
that are asked about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.models import LoadedModel
from attention_core.observing import FedNorm
from attention_core.tokens import display, style_of

if TYPE_CHECKING:
    from attention_core.trace import Trace

N_CHOICES = 10


@dataclass(frozen=True, slots=True, eq=False)
class Ending:
    """What a captured run ended with: the model, and the last vector of each token of the side that speaks."""

    model: LoadedModel
    hidden: Float[Tensor, "token d_model"]  # after the last layer and its norm; of the decoder, if there is one
    last_norm: FedNorm | None = None  # the norm that gave them, with all tokens before and after it, if there was one


@dataclass(frozen=True, slots=True)
class Choice:
    """One token that could stand somewhere."""

    id: int  # in the vocabulary
    text: str  # as shown: blanks and joins visible
    piece: str  # the vocabulary's own string
    probability: float  # 0 to 1, over the whole vocabulary


@dataclass(frozen=True, slots=True)
class NextToken:
    """What a causal model, or the decoder of an encoder-decoder, expects after the text so far; likeliest first."""

    choices: tuple[Choice, ...]
    entropy: float  # bits: 0 = certain, log2(d_vocab) = no idea
    d_vocab: int
    of_decoder: bool  # of an encoder-decoder: continues its decoder's text


@dataclass(frozen=True, slots=True)
class Fill:
    """What a masked model expects at one masked position; likeliest first."""

    position: int  # index of the token
    choices: tuple[Choice, ...]
    entropy: float  # bits: 0 = certain, log2(d_vocab) = no idea


@dataclass(frozen=True, slots=True)
class MaskedTokens:
    """What a masked model expects behind every mask of the text, each as if the other masks stayed."""

    fills: tuple[Fill, ...]
    d_vocab: int


@dataclass(frozen=True, slots=True)
class Similarity:
    """How alike two sentences are to a sentence encoder that reads each alone: the cosine of their vectors."""

    cosine: float  # -1 to 1; unrelated sentences are near 0 in a model that was trained for this
    pooling: str  # how many vectors became one, in words
    trained: bool  # the model's own pooling: it was trained to compare sentences


@dataclass(frozen=True, slots=True)
class Unsaid:
    """The model says nothing about this text; `reason` is a plain sentence that says why, and what would change it."""

    reason: str
    mask: str = ""  # the token that would make a masked model speak


Readout = NextToken | MaskedTokens | Similarity | Unsaid


def read_out(trace: "Trace", n_choices: int = N_CHOICES) -> Readout:
    """What the model says about this text."""
    ending = trace.ending
    if ending is None:
        return Unsaid("This trace came from a file. What the model says needs the model itself.")
    model, head = ending.model, ending.model.head
    if head is not None and head.predicts == "next token":
        return _next_token(trace, ending, n_choices)
    if head is not None:
        masks = [i for i, token in enumerate(trace.source_tokens) if token.id == model.tokenizer.mask_token_id]
        if masks:
            return _masked_tokens(trace, ending, masks, n_choices)
        if trace.pair is None:
            mask = str(model.tokenizer.mask_token or "")
            if not mask:
                return Unsaid("This model fills in masked words, but its tokenizer has no token that stands for one.")
            return Unsaid(f"This model fills in masked words. Put {mask} in place of a word.", mask)
    if all(layer.kind == "encoder self" for layer in trace.layers):
        if trace.pair is None:
            return Unsaid("This model turns a sentence into a vector. Add a second sentence to see how alike they are.")
        return similarity(model, trace.text, trace.pair)
    return Unsaid(f"{trace.facts.name} was saved without its language head: it has no words to say.")


def similarity(model: LoadedModel, first: str, second: str) -> Similarity:
    """Cosine of two sentences' vectors. Each is read alone, as sentence encoders are used.

    The pooling is the model's own where its files state it (MiniLM: the mean over all tokens, special ones included);
    otherwise the mean, and `trained` is False.
    Source: Reimers & Gurevych 2019, Sentence-BERT, section 3.
    """
    vectors = [_sentence_vector(model, text) for text in (first, second)]
    words = "mean of the token vectors" if model.pooling != "first token" else "vector of the first token"
    return Similarity(cosine(*vectors), words, model.pooling is not None)


def cosine(a: Float[Tensor, " d"], b: Float[Tensor, " d"]) -> float:
    """Cosine of the angle between two vectors, from -1 to 1."""
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0).clamp(-1.0, 1.0))


def likeliest(logits: Float[Tensor, " d_vocab"], n: int) -> tuple[list[tuple[int, float]], float]:
    """The `n` largest probabilities as (id, probability), and the entropy of them all in bits."""
    logs = torch.log_softmax(logits.double(), dim=0)
    probabilities = logs.exp()
    entropy = float(-(probabilities * logs.nan_to_num(neginf=0.0)).sum() / torch.log(torch.tensor(2.0)).double())
    top = probabilities.topk(min(n, len(logits)))
    return list(zip(top.indices.tolist(), top.values.tolist(), strict=True)), max(entropy, 0.0)


def choices_of(tokenizer: Any, found: Sequence[tuple[int, float]]) -> tuple[Choice, ...]:
    """Ids and probabilities as choices."""
    pieces = [piece_of(tokenizer, id_) for id_, _ in found]
    style = style_of(tokenizer)
    special = set(tokenizer.all_special_ids)
    return tuple(
        Choice(id_, display(piece, style="plain" if id_ in special else style), piece, probability)
        for (id_, probability), piece in zip(found, pieces, strict=True)
    )


def piece_of(tokenizer: Any, id_: int) -> str:
    """The vocabulary's string; many models have a few more numbers than their tokenizer has pieces."""
    piece = tokenizer.convert_ids_to_tokens(id_) if id_ < len(tokenizer) else None
    return str(piece) if piece else f"⟨{id_}⟩"


def _next_token(trace: "Trace", ending: Ending, n_choices: int) -> Readout:
    model, of_decoder = ending.model, bool(trace.target_tokens)
    tokens = trace.target_tokens or trace.source_tokens
    try:
        logits = _logits(ending, [len(tokens) - 1])[0]
    except ValueError as error:
        return Unsaid(f"What comes next cannot be read: {error}.")
    found, entropy = likeliest(logits, n_choices)
    tokenizer = model.target_tokenizer if of_decoder else model.tokenizer
    choices = choices_of(tokenizer, found)
    return NextToken(choices, entropy, len(logits), of_decoder)


def _masked_tokens(trace: "Trace", ending: Ending, masks: list[int], n_choices: int) -> Readout:
    try:
        logits = _logits(ending, masks)
    except ValueError as error:
        return Unsaid(f"The masked word cannot be read: {error}.")
    fills = []
    for position, row in zip(masks, logits, strict=True):
        found, entropy = likeliest(row, n_choices)
        fills.append(Fill(position, choices_of(ending.model.tokenizer, found), entropy))
    return MaskedTokens(tuple(fills), logits.shape[1])


def _logits(ending: Ending, positions: list[int]) -> Float[Tensor, "position d_vocab"]:
    head = ending.model.head
    if head is None:
        raise ValueError("the model has no language head")
    return head.logits(ending.hidden[positions]).cpu()


def _sentence_vector(model: LoadedModel, text: str) -> Float[Tensor, " d_model"]:
    limit = model.facts.context_length
    encoded = model.encode(text, truncation=limit is not None, max_length=limit)
    ids = torch.tensor([encoded["input_ids"]], device=model.device)
    with torch.inference_mode():
        hidden = model.model(input_ids=ids).last_hidden_state[0].float().cpu()
    return hidden[0] if model.pooling == "first token" else hidden.mean(dim=0)
