"""What visitors ask for, as hashable keys of caches: a `Source` (text and model) and a `Picture` (how it is read)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pages.shared.address.view import View

if TYPE_CHECKING:
    from attention_core.reading.reading import Reading


@dataclass(frozen=True, slots=True)
class Source:
    """What a trace is made from: a text in a model, or a trace file that a visitor opened."""

    model: str
    text: str
    pair: str = ""
    target: str = ""
    source_language: str = ""
    target_language: str = ""
    chat: bool = False
    edits: str = ""  # what is changed in the run, as `address/edits` writes it
    file: str = ""  # sha256 of an opened trace file; the other fields are then empty

    @property
    def told(self) -> tuple[str, ...]:
        """The model, its texts and what it is told, as words: what a mark is made of."""
        languages = self.source_language, self.target_language
        return (self.model, self.text, self.pair, self.target, *languages, "chat" if self.chat else "", self.edits)


@dataclass(frozen=True, slots=True)
class Picture:
    """A source and how its weights are read."""

    source: Source
    hide_special: bool = False
    hide_first: bool = False
    renormalise: bool = False
    words: bool = False
    by_norm: bool = False

    def reading(self) -> "Reading":
        """The core's description of the same choices; imported late, because it needs torch."""
        from attention_core.reading.reading import Reading

        return Reading(self.hide_special, self.hide_first, self.renormalise, self.words, self.by_norm)


def picture_of(view: View, file: str = "") -> Picture:
    """The picture that a view shows."""
    if file:
        source = Source("", "", file=file)
    else:
        told = view.source_language, view.target_language, view.chat, "" if view.unedited else view.edits
        source = Source(view.model, view.text_read, view.pair, view.target, *told)
    return Picture(source, view.hide_special, view.hide_first, view.renormalise, view.words, view.by_norm)


def picture_bytes(picture: Picture) -> int:
    """About what a picture takes in memory."""
    source = picture.source
    names = source.model, source.text, source.pair, source.target, source.source_language, source.target_language
    names = *names, source.edits
    return 500 + 4 * sum(map(len, names))
