"""What an engine answers: a model, a trace and what a model says as plain data, light to import and to send."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from attention_core.text.languages import LanguageError, Languages, Spoken
from attention_core.text.tokens import Token


class Refused(ValueError):
    """What was asked cannot be done; the text of the error is a plain sentence for the visitor."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the picker says about a model; the fields are those of `attention_core.models.facts.ModelFacts`."""

    id: str
    name: str
    architecture: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    n_parameters: int
    context_length: int | None
    licence: str
    encoder_decoder: bool
    target_length: int | None = None


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A loaded model as the pages know it."""

    facts: Facts
    computes: str  # "float32 on cpu"
    task: bool  # it was fine-tuned for something and has that head
    sentences: bool  # its files say how it makes one vector of a text
    predicts: Literal["next token", "masked token", ""]
    chat: bool  # its tokenizer has a chat template
    spoken: Spoken | None  # the languages that its tokenizer can be told
    report: tuple[str, ...]  # sentences: what of the saved model is not in the one that runs

    def knows(self, language: str) -> bool:
        """Can its tokenizer be told this language?"""
        try:
            return bool(language) and self.spoken is not None and self.spoken.chosen(language, None) is not None
        except LanguageError:
            return False

    def languages(self, source: str, target: str) -> Languages:
        """The languages that are told where these are asked for; one that it does not know counts as not asked for."""
        if self.spoken is None:
            return Languages()
        return self.spoken.chosen(*(code if self.knows(code) else "" for code in (source, target)))


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One attention layer of a trace, without its tensors."""

    label: str  # "layer 2", or "encoder, layer 2" beside other kinds of layers
    kind: str  # "encoder self", "decoder self" or "cross"
    n_heads: int
    n_query: int
    n_key: int
    exact: bool  # q, k and v were captured
    dtype: str  # of what was captured or given: "float32"


@dataclass(frozen=True)
class TraceSummary:
    """A trace as the pages know it: its tokens, its layers, and what can be shown of it. No tensor is here."""

    facts: Facts
    text: str
    pair: str | None
    target: str | None
    source_tokens: tuple[Token, ...]
    target_tokens: tuple[Token, ...]
    layers: tuple[LayerSummary, ...]
    groups: tuple[tuple[str, tuple[int, ...]], ...]  # the name of each mean over layers, and the layers that it is of
    notes: tuple[str, ...]
    checks: tuple[str, ...]
    given: bool  # the matrices were made elsewhere and given to us
    only_weights: str  # why a layer may have weights and nothing else
    readable: bool  # its tokenizer knows at least half of the text
    source_language: str | None
    target_language: str | None
    chat: bool
    hides_all: tuple[str, str, str]  # why special tokens, the first one, or both cannot be hidden; "" where they can
    edited: tuple[str, ...]  # sentences: what was changed while the model ran; () where nothing was
    no_norms: str  # why there are no lengths of values, as the end of a sentence; "" where there are

    @property
    def n_tokens(self) -> int:
        """Of the text, and of the decoder's if it has one."""
        return len(self.source_tokens) + len(self.target_tokens)

    @cached_property
    def nbytes(self) -> int:
        """About what it takes in memory."""
        texts = len(self.text) + len(self.pair or "") + len(self.target or "")
        return 2_000 + 4 * texts + 400 * self.n_tokens + 200 * len(self.layers)

    def query_tokens(self, layer: int) -> tuple[Token, ...]:
        """The tokens that look, in this layer."""
        decoder_side = self.layers[layer].kind != "encoder self" and self.target_tokens
        return self.target_tokens if decoder_side else self.source_tokens

    def key_tokens(self, layer: int) -> tuple[Token, ...]:
        """The tokens that are looked at, in this layer."""
        decoder_side = self.layers[layer].kind == "decoder self" and self.target_tokens
        return self.target_tokens if decoder_side else self.source_tokens

    def cannot_hide(self, *, special: bool, first: bool) -> str:
        """Why these tokens cannot be hidden; "" if they can, or if none are to be."""
        places = {(True, False): 0, (False, True): 1, (True, True): 2}
        return self.hides_all[places[special, first]] if special or first else ""


@dataclass(frozen=True, slots=True)
class SaidChoice:
    """One token that could stand somewhere."""

    id: int
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class SaidPlace:
    """What a model expects at one place: behind a mask, or after the last token."""

    position: int  # of the mask among the tokens; -1: after the last one
    entropy: float  # bits
    choices: tuple[SaidChoice, ...]  # likeliest first


@dataclass(frozen=True, slots=True)
class SaidLabel:
    """A label, a choice or a stretch of text that a fine-tuned model gives something."""

    text: str
    probability: float | None
    logit: float | None


@dataclass(frozen=True, slots=True)
class SaidTag:
    """What a token is, likeliest first."""

    text: str
    best: tuple[SaidLabel, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says about a text; the fields of other kinds are empty. See `attention_core.reading.readout`."""

    kind: Literal["next", "masked", "similarity", "labels", "tags", "answer", "choices", "unsaid"]
    words: str = ""  # in a sentence: how the numbers came about, or why there are none
    places: tuple[SaidPlace, ...] = ()
    d_vocab: int = 0
    of_decoder: bool = False
    mask: str = ""  # the token that would make a masked model speak
    cosine: float = 0.0
    function: str = ""
    score: float = 0.0
    read: tuple[tuple[str, ...], ...] = ()  # the tokens of each sentence as they were read
    labels: tuple[SaidLabel, ...] = ()
    tags: tuple[SaidTag, ...] = ()
    tagged: tuple[tuple[str, SaidLabel], ...] = ()  # each word with its tag
    none: float = 0.0  # probability of no answer


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote after a text, or the text with one token put into it."""

    text: str  # the whole text
    added: tuple[str, ...]  # the tokens as they are shown
    ended: str  # why it is no longer, in words; "" if as many tokens as were asked for were written
    same_tokens: bool  # the tokenizer cuts the whole text into the tokens that were there and those that were added
    into: Literal["text", "pair", "target"] = "text"  # which of the view's texts it is


@dataclass(frozen=True, slots=True)
class Closest:
    """Which of several sentences is closest to a text, and how alike the two are; "" if there was none to compare."""

    text: str
    cosine: float


@dataclass(frozen=True, slots=True)
class First:
    """A first text that a model can read, and where it comes from, as a sentence; "" for the usual one."""

    text: str
    says: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

    ahead: int = 0  # texts of others that come first
    doing: str = ""  # a sentence; "" when there is nothing to say
    done: int = 0  # tokens written, bytes read
    total: int = 0


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What became of a survey so far."""

    said: str
    csv: bytes = b""
    parquet: bytes = b""
    note: str = ""
    failed: str = ""
    finished: bool = False  # all texts were read; else it was stopped, and can go on
