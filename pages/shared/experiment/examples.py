"""Experiments that show something in the models that come along; tests find their figures again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """A text in a model, and what to look for."""

    id: str
    title: str
    model: str
    text: str
    layer: int  # the head that it opens with
    head: int
    says: str  # what to look for, in a sentence or two


FIRST = Example(
    "copied-words",
    "Words that are said again",
    "storyteller",
    "stone river king bread mother horse golden tree, stone river king bread mother horse golden",
    2,
    0,
    "That “tree” comes next can only be told by copying: the words are said a second time. Three heads do it together, "
    "and each of them is needed.",
)
