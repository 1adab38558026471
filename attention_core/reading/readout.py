"""What the model says: the next token, the word behind a [MASK], how alike two sentences are, what it predicts.

Read from what the captured run ended with. The language head runs only when somebody asks, and only on the positions
that are asked about.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from attention_core.formats.shown import short_repr
from attention_core.models.facts import LoadedModel
from attention_core.models.sentence_encoder import SentenceEncoder, compared, vectors_of
from attention_core.models.task_head import TaskHead, lines_of
from attention_core.reading.predictions import Prediction, answered, chosen, labelled, tagged
from attention_core.record.ending import Ending
from attention_core.record.record import Record
from attention_core.text.tokenizer import Tokenizer
from attention_core.text.tokens import display, style_of

N_CHOICES = 10


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

    __repr__ = short_repr


@dataclass(frozen=True, slots=True)
class Fill:
    """What a masked model expects at one masked position; likeliest first."""

    position: int  # index of the token
    choices: tuple[Choice, ...]
    entropy: float  # bits: 0 = certain, log2(d_vocab) = no idea

    __repr__ = short_repr


@dataclass(frozen=True, slots=True)
class MaskedTokens:
    """What a masked model expects behind every mask of the text, each as if the other masks stayed."""

    fills: tuple[Fill, ...]
    d_vocab: int

    __repr__ = short_repr


@dataclass(frozen=True, slots=True)
class Similarity:
    """How alike two sentences are to a sentence encoder that reads each alone: the cosine of their vectors."""

    cosine: float  # -1 to 1; unrelated sentences are near 0 in a model that was trained for this
    pooling: str  # how many vectors became one, in words
    trained: bool  # the vectors are the model's own: its files say how to make them, and all of it was applied
    function: str = "cosine"  # how the model compares: by this, "dot", "euclidean" or "manhattan"
    score: float = 0.0  # what comes of it; a distance counts negative
    notes: tuple[str, ...] = ()  # sentences: what was put before the texts, where they were cut, what is not applied
    read: tuple[tuple[str, ...], ...] = ()  # the tokens of each sentence as they were read

    __repr__ = short_repr

    @property
    def words(self) -> str:
        """All that is said beside the number."""
        own = "as its own files say" if self.trained else "not trained for it, or not as it was: a rough measure"
        return " ".join((f"Each sentence is read on its own; {self.pooling} ({own}).", *self.notes))


@dataclass(frozen=True, slots=True)
class Unsaid:
    """The model says nothing about this text; `reason` is a plain sentence that says why, and what would change it."""

    reason: str
    mask: str = ""  # the token that would make a masked model speak


Readout = NextToken | MaskedTokens | Similarity | Prediction | Unsaid


def read_out(trace: Record, n_choices: int = N_CHOICES) -> Readout:
    """What the model says about this text."""
    ending = trace.ending
    if ending is None:
        came = "These matrices were given by you" if trace.given else "This trace came from a file"
        return Unsaid(f"{came}. What the model says needs the model itself.")
    model, head = ending.model, ending.model.head
    if trace.edited and (why := _runs_again(trace, model)):
        return Unsaid(why)
    if model.task is not None:
        return _predicted(trace, ending, model.task)
    if ending.hidden is None:
        return Unsaid(f"{trace.facts.architecture} ends in something else than a vector for each token: not read here.")
    compares = model.sentences is not None and trace.pair is not None
    if head is not None and head.predicts == "next token" and not compares:
        return _next_token(trace, ending, n_choices)
    if head is not None and head.predicts == "masked token":
        mask = model.tokenizer.mask_token_id
        masks = [i for i, token in enumerate(trace.source_tokens) if token.id == mask]
        if masks:
            return _masked_tokens(trace, ending, masks, n_choices)
        if trace.pair is None:
            mask = str(model.tokenizer.mask_token or "")
            if not mask:
                return Unsaid("This model fills in masked words, but its tokenizer has no token that stands for one.")
            return Unsaid(f"This model fills in masked words. Put {mask} in place of a word.", mask)
    if (unread := _unread_head(model)) and model.sentences is None:
        return Unsaid(
            f"{trace.facts.name} was saved as {unread}. What its head says is not shown: "
            "the head's weights are not there, or it is of a kind that is not read here."
        )
    if model.sentences is not None or all(layer.kind == "encoder self" for layer in trace.layers):
        if trace.pair is None:
            return Unsaid("This model turns a sentence into a vector. Add a second sentence to see how alike they are.")
        return similarity(model, trace.text, trace.pair)
    return Unsaid(f"{trace.facts.name} was saved without its language head: it has no words to say.")


def _runs_again(trace: Record, model: LoadedModel) -> str:
    """Why nothing is said of an edited run whose answer would need the model to read more, which is not edited."""
    choices = model.task is not None and model.task.task == "choices"
    compares = model.task is None and trace.pair is not None and (model.sentences is not None or model.head is None)
    if not (choices or compares):
        return ""
    return "This run was edited, and the answer needs other texts to be read as well: ask for its effect instead."


def _unread_head(model: LoadedModel) -> str:
    """The class that a checkpoint names, if it is one with a head that was not built; "" for a body's own class."""
    named = [str(name) for name in getattr(model.model.config, "architectures", None) or () if "For" in str(name)]
    return named[0][:60] if named else ""


def _predicted(trace: Record, ending: Ending, task: TaskHead) -> Readout:
    """What a fine-tuned model makes of the text, from the numbers that this run ended with."""
    said, name = ending.said, trace.facts.name
    if task.task == "next sentence" and trace.pair is None:
        return Unsaid("This model tells whether a second sentence follows the first. Add a second sentence.")
    if task.task == "answer":
        if trace.pair is None:
            return Unsaid("This model finds the answer to a question in a text. Add the text as a second sentence.")
        start, end = said.get("start_logits"), said.get("end_logits")
        if start is None or end is None or len(start) != len(trace.source_tokens) or len(end) != len(start):
            return Unsaid(f"{name} does not give a begin and an end for each token.")
        found = answered(trace, start, end)
        return found or Unsaid("Nothing of the second sentence was read, so no answer can lie in it.")
    logits = said.get("logits")
    if logits is None:
        return Unsaid(f"{name} returned no numbers of its head for this text.")
    if task.task == "choices":
        lines = lines_of(trace.pair)
        if len(lines) < 2:
            return Unsaid(
                "This model chooses between continuations: put at least two, one a line, in the second sentence."
            )
        others = [_logit_of_choice(ending.model, task, trace.text, line) for line in lines[1:]]
        return chosen(lines, torch.cat([logits.reshape(1), *others]))
    if task.task == "tags":
        if len(logits) != len(trace.source_tokens):
            return Unsaid(f"{name} does not give a tag for each token.")
        return tagged(task, logits, trace.source_tokens)
    return labelled(task, logits)


def _logit_of_choice(model: LoadedModel, task: TaskHead, text: str, line: str) -> Float[Tensor, " 1"]:
    limit = model.facts.context_length
    encoded = model.encode(text, line, truncation=limit is not None, max_length=limit)
    accepted = inspect.signature(type(task.whole).forward).parameters
    inputs = {
        name: torch.tensor([list(encoded[name])], device=model.device)
        for name in ("input_ids", "token_type_ids")
        if name in encoded and name in accepted
    }
    with torch.inference_mode():
        return task.said(task.whole(**task.inputs(inputs)))["logits"].reshape(1)


def similarity(model: LoadedModel, first: str, second: str) -> Similarity:
    """Cosine of two sentences' vectors. Each is read alone, as sentence encoders are used.

    The vectors are those of `SentenceTransformer.encode` where the model's files state how they are made (MiniLM: the
    mean over all tokens, special ones included, then length 1); otherwise the mean, and `trained` is False.
    Source: Reimers & Gurevych 2019, Sentence-BERT, section 3.
    """
    encoder = model.sentences or SentenceEncoder()
    own = model.sentences is not None and not encoder.problem
    read = [_sentence_vector(model, encoder, text) for text in (first, second)]
    vectors = [vector for vector, _, _ in read]
    notes = [encoder.problem] if encoder.problem else []
    notes += _about_prompts(encoder)
    if any(cut for _, _, cut in read):
        notes.append(f"A sentence is cut after {_most_tokens(model, encoder):,} tokens.")
    if own and encoder.function != "cosine":
        notes.append(f"This model compares by {_FUNCTIONS[encoder.function]}.")
    how = encoder.how if not encoder.problem else SentenceEncoder().how
    function = encoder.function if own else "cosine"
    return Similarity(
        cosine(*vectors),
        how,
        own,
        function,
        compared(function, *vectors),
        tuple(notes),
        tuple(tokens for _, tokens, _ in read),
    )


_FUNCTIONS = {"dot": "the dot product", "euclidean": "the distance", "manhattan": "the distance along the axes"}


def _about_prompts(encoder: SentenceEncoder) -> list[str]:
    """Which prompts the model has, and whether one was put before the sentences."""
    if encoder.prompt:
        return [f"Its prompt “{encoder.prompt}” was put before each sentence, as the model does by itself."]
    names = [f"“{name}”" for name, prompt in (encoder.prompts or {}).items() if prompt]
    if not names:
        return []
    return [f"It has prompts for {', '.join(names[:4])}, which it adds only when asked: none was added."]


def sentence_vector(model: LoadedModel, text: str) -> Float[Tensor, " d"]:
    """The vector of one sentence, as `similarity` makes it of each."""
    return _sentence_vector(model, model.sentences or SentenceEncoder(), text)[0]


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


def choices_of(tokenizer: Tokenizer, found: Sequence[tuple[int, float]]) -> tuple[Choice, ...]:
    """Ids and probabilities as choices."""
    pieces = [piece_of(tokenizer, id_) for id_, _ in found]
    style = style_of(tokenizer)
    special = set(tokenizer.all_special_ids)
    return tuple(
        Choice(id_, display(piece, style="plain" if id_ in special else style), piece, probability)
        for (id_, probability), piece in zip(found, pieces, strict=True)
    )


def piece_of(tokenizer: Tokenizer, id_: int) -> str:
    """The vocabulary's string; many models have a few more numbers than their tokenizer has pieces."""
    piece = tokenizer.convert_ids_to_tokens(id_) if id_ < len(tokenizer) else None
    return str(piece) if piece else f"⟨{id_}⟩"


def _next_token(trace: Record, ending: Ending, n_choices: int) -> Readout:
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


def _masked_tokens(trace: Record, ending: Ending, masks: list[int], n_choices: int) -> Readout:
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
    if head is None or ending.hidden is None:
        raise ValueError("the model has no language head")
    return head.logits(ending.hidden[positions]).cpu()


def _sentence_vector(
    model: LoadedModel, encoder: SentenceEncoder, text: str
) -> tuple[Float[Tensor, " d"], tuple[str, ...], bool]:
    """One vector of a text, the tokens that were read, and whether the text was cut."""
    limit = _most_tokens(model, encoder)
    whole = encoder.prompt + text
    encoded = model.encode(whole, truncation=limit is not None, max_length=limit)
    ids = list(encoded["input_ids"])
    cut = limit is not None and len(model.encode(whole)["input_ids"]) > limit
    inputs = {"input_ids": torch.tensor([ids], device=model.device)}
    accepted = inspect.signature(type(model.model).forward).parameters
    for name in ("attention_mask", "token_type_ids"):
        if name in encoded and (name in accepted or name == "attention_mask"):
            inputs[name] = torch.tensor([list(encoded[name])], device=model.device)
    vector = encoder.vector(vectors_of(model.model, inputs), _n_prompt(model, encoder))
    tokenizer, style = model.tokenizer, style_of(model.tokenizer)
    special = set(tokenizer.all_special_ids)
    pieces = [(id_, piece_of(tokenizer, id_)) for id_ in ids]
    shown = tuple(display(piece, style="plain" if id_ in special else style) for id_, piece in pieces)
    return vector, shown, cut


def _n_prompt(model: LoadedModel, encoder: SentenceEncoder) -> int:
    """Tokens of the prompt, without a special one after it, as the library counts them."""
    if not encoder.prompt:
        return 0
    ids = model.encode(encoder.prompt)["input_ids"]
    return len(ids) - (bool(ids) and ids[-1] in model.tokenizer.all_special_ids)


def _most_tokens(model: LoadedModel, encoder: SentenceEncoder) -> int | None:
    limits = [limit for limit in (model.facts.context_length, encoder.max_tokens) if limit is not None]
    return min(limits, default=None)
