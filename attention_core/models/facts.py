"""A loaded model and the facts about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from attention_core.models.language_head import LanguageHead
from attention_core.models.patience import Patience
from attention_core.models.report import LoadingReport
from attention_core.models.sentence_encoder import SentenceEncoder
from attention_core.models.task_head import TaskHead
from attention_core.observe.borrowed import Borrowed
from attention_core.observe.interface import dispatches
from attention_core.text.languages import LanguageError, Languages, Spoken
from attention_core.text.tokenizer import Encoding, Tokenizer


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the picker and a saved trace say about a model."""

    id: str  # as it was asked for: a card's name, a hub id or a folder
    name: str
    architecture: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    n_parameters: int
    context_length: int | None  # tokens; None if nothing limits it
    licence: str
    encoder_decoder: bool
    target_length: int | None = None  # the same of the decoder's text; None without a decoder too


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model ready to be captured. It is shared between threads: nothing may be set on it."""

    facts: ModelFacts
    model: PreTrainedModel
    tokenizer: Tokenizer
    target_tokenizer: Tokenizer  # of the decoder's side; the same object for all but a few encoder-decoders
    head: LanguageHead | None = None  # what turns the last vectors into words, where the checkpoint has it
    task: TaskHead | None = None  # what it was fine-tuned for, where the checkpoint has that head
    sentences: SentenceEncoder | None = None  # how it makes one vector of a text, where its files say so
    report: LoadingReport = LoadingReport()  # what loading dropped or made up
    spoken: Spoken | None = None  # the languages that its tokenizer can be told
    tokenizing: Patience = field(default_factory=Patience, repr=False)  # see `encode`
    borrowed: Borrowed | None = field(default=None, repr=False)  # of a model that was in memory already

    def __repr__(self) -> str:
        facts = self.facts
        what = "q, k and v can be captured" if self.exact else "hides q and k: weights only"
        speaks = self.head.predicts if self.head is not None else self.task.task if self.task is not None else ""
        return (
            f"LoadedModel {facts.name[:80]!r}: {facts.architecture}, {facts.n_layers} layers × {facts.n_heads} heads, "
            f"{facts.n_parameters:,} parameters, {str(self.dtype).removeprefix('torch.')} on {self.device}; {what}"
            f"{f'; predicts: {speaks}' if speaks else ''}\n"
            "Go on: capture(model, text) · .facts · .report · .model, .tokenizer: transformers' own"
        )

    def __enter__(self) -> "LoadedModel":
        return self

    def __exit__(self, *_: object) -> None:
        self.unwrap()

    def unwrap(self) -> None:
        """Give a model that `wrap_model` took back as it was, hooks and attention function; of any other, nothing."""
        if self.borrowed is not None:
            self.borrowed.give_back()

    def hold(self) -> None:
        """Before each capture: a model in memory may have been changed by its owner since the last one.

        Raises ModelError if it was given back.
        """
        if self.borrowed is not None:
            self.borrowed.hold()

    @property
    def whole(self) -> PreTrainedModel:
        """The model with its head, where it has one."""
        part = self.head or self.task
        return part.whole if part else self.model

    def encode(
        self,
        text: str,
        pair: str | None = None,
        *,
        target: bool = False,
        languages: Languages | None = None,
        **options: object,
    ) -> Encoding:
        """Call the tokenizer, one thread at a time: asking for truncation changes a fast tokenizer for everybody.

        `target` reads the text as what the decoder writes. `languages` None tells those that are usual.

        Raises ModelError if that takes more than some seconds.
        """
        tokenizer = self.target_tokenizer if target else self.tokenizer
        told = languages or self.languages()

        def call() -> Encoding:
            with told.told(tokenizer):
                return tokenizer(text_target=text, **options) if target else tokenizer(text, pair, **options)

        return self.tokenizing.run(call)

    def decode(self, ids: Sequence[int], *, target: bool = False) -> str:
        """The text of some tokens, special ones included; in turn with `encode`, which changes the tokenizer."""
        tokenizer = self.target_tokenizer if target else self.tokenizer
        return self.tokenizing.run(
            lambda: tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )

    def languages(self, source: str | None = None, target: str | None = None) -> Languages:
        """The languages of a text and of the decoder's text by the tokenizer's names; None or "": what is usual.

        Raises languages.LanguageError for one that the model does not know, or any where it knows none.
        """
        if self.spoken is not None:
            return self.spoken.chosen(source, target)
        if asked := source or target:
            raise LanguageError(f"{self.facts.name} is told no language: “{asked[:40]}” cannot be chosen.")
        return Languages()

    def knows(self, language: str) -> bool:
        """Can its tokenizer be told this language?"""
        try:
            return bool(language) and self.languages(language) is not None
        except LanguageError:
            return False

    @property
    def exact(self) -> bool:
        """Can q, k and v be captured? Otherwise only the weights that the model returns itself."""
        return dispatches(self.model)

    @property
    def device(self) -> torch.device:
        """Where its inputs go. Weights that were left on the disk come to this device when they are needed."""
        for parameter in self.model.parameters():
            if not parameter.is_meta:
                return parameter.device
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """The precision in which it computes."""
        return self.model.dtype

    @property
    def nbytes(self) -> int:
        """Size of the parameters and buffers in memory, in bytes."""
        model = self.whole
        tensors = [*model.parameters(), *model.buffers()]
        return sum(tensor.nbytes for tensor in tensors if not tensor.is_meta)
