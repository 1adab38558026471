"""A model that was fine-tuned for a task, with its head: what labels a text, tags its tokens, finds an answer in it.

A checkpoint names its class in config.json; transformers' own lists say what each class is for. Such a model is loaded
whole and *run* whole: its modelling file decides what the body is given (BART's and T5's classifiers have their decoder
read the whole text) and from where the head reads, so the attention that is shown is the one that the prediction used,
and the numbers of the prediction are those that this very run made.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from transformers import (
    AutoModelForMultipleChoice,
    AutoModelForNextSentencePrediction,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedConfig,
    PreTrainedModel,
)

from attention_core.formats.shown import short_repr
from attention_core.inside.of_transformers import class_names, shifts_by_start_token, uses_name
from attention_core.models.language_head import Loader

Task = Literal["labels", "tags", "answer", "choices", "next sentence"]
How = Literal["one of them", "each by itself", "value"]  # softmax, sigmoid, a number as it is

_TASKS: tuple[tuple[Loader, Mapping[str, str | tuple[str, ...]], Task], ...] = (
    (AutoModelForSequenceClassification, class_names("SEQUENCE_CLASSIFICATION"), "labels"),
    (AutoModelForTokenClassification, class_names("TOKEN_CLASSIFICATION"), "tags"),
    (AutoModelForQuestionAnswering, class_names("QUESTION_ANSWERING"), "answer"),
    (AutoModelForMultipleChoice, class_names("MULTIPLE_CHOICE"), "choices"),
    (AutoModelForNextSentencePrediction, class_names("NEXT_SENTENCE_PREDICTION"), "next sentence"),
)
# The class of the pair in BERT's pre-training: 0 is a continuation. Source: Devlin et al. 2018, section 3.1, task 2.
_NEXT_SENTENCE = ("the second sentence follows the first", "it does not")
_SAID = ("logits", "start_logits", "end_logits")
_LONGEST_LABEL = 200  # characters: labels are a stranger's


@dataclass(frozen=True, slots=True, eq=False)
class TaskHead:
    """A whole model whose body is the one that is captured; they share every weight."""

    whole: PreTrainedModel
    task: Task

    __repr__ = short_repr

    @property
    def labels(self) -> tuple[str, ...]:
        """What each number of the head stands for, in its order."""
        if self.task == "next sentence":
            return _NEXT_SENTENCE
        names = getattr(self.whole.config, "id2label", None) or {}
        n = int(getattr(self.whole.config, "num_labels", len(names)))
        return tuple(_shown(names.get(i, f"LABEL_{i}")) for i in range(n))

    @property
    def how(self) -> How:
        """What the numbers of labels mean; as transformers' own loss reads them."""
        stated, n = getattr(self.whole.config, "problem_type", None), len(self.labels)
        if self.task == "labels":
            if stated == "multi_label_classification":
                return "each by itself"
            if stated == "regression" or n == 1:
                return "value"
        return "one of them"

    @property
    def needs_end(self) -> bool:
        """Does the head read the vector of the text's end token, and fail without one?"""
        return self.task == "labels" and uses_name(type(self.whole).forward, "eos_token_id")

    @property
    def lacks_start(self) -> bool:
        """Does the class need a start token for its decoder (T5) that its configuration does not name?"""
        return shifts_by_start_token(self.whole) and getattr(self.whole.config, "decoder_start_token_id", None) is None

    def inputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the whole is called with: a model for multiple choice has an axis of choices, here of one."""
        if self.task != "choices":
            return dict(inputs)
        return {name: tensor[:, None] for name, tensor in inputs.items()}

    def said(self, found: object) -> dict[str, Tensor]:
        """The numbers of the head in what the whole returned, by transformers' name, in float32."""
        tensors = {name: getattr(found, name, None) for name in _SAID}
        return {name: tensor[0].float().cpu() for name, tensor in tensors.items() if isinstance(tensor, Tensor)}


def _shown(label: object) -> str:
    """A stranger's label as it can be sent to a browser: of one line, without halves of characters."""
    text = str(label)[:_LONGEST_LABEL].encode("utf-8", "replace").decode("utf-8")
    return "".join("\ufffd" if unicodedata.category(sign) == "Cc" else sign for sign in text)


def task_loader_of(config: PreTrainedConfig) -> tuple[Loader, Task] | None:
    """The auto class that loads this checkpoint with its head for a task, and the task; None without one.

    Told by `architectures` in its config and transformers' own lists of classes.
    """
    names = set(config.architectures or ())
    return next(
        ((loader, task) for loader, classes, task in _TASKS if classes.get(config.model_type) in names and names), None
    )


def task_of(model: PreTrainedModel) -> Task | None:
    """The task of a model in memory; None for one without such a head."""
    name = type(model).__name__
    return next((task for _, classes, task in _TASKS if classes.get(model.config.model_type) == name), None)


def lines_of(pair: str | None) -> list[str]:
    """The choices in a second sentence: its lines."""
    return [line.strip() for line in (pair or "").split("\n") if line.strip()]
