"""What a model is told beside a text, and whether the text is a long one: asked before the model reads it."""

from typing import TYPE_CHECKING

from attention_core.formats.json_data import JsonObject
from pages.shared.address.edits import plain_edits
from pages.shared.service.sources import Source

if TYPE_CHECKING:
    from attention_core.experiment.edits import Edit
    from attention_core.models.facts import LoadedModel

LONG_TOKENS = 1_024  # a longer text takes a second or more
MUCH_CHARACTERS = 20_000  # of which the tokenizer makes tokens for a tenth of a second, however few are read
LONG_CHARACTERS = 3 * LONG_TOKENS  # about as many; counting the tokens exactly would have to wait for the tokenizer


def what_is_told(model: "LoadedModel", source: Source) -> JsonObject:
    """What a model is told beside its texts: of what a link asks for, what there is. `state.fitted` says the rest."""
    from attention_core.text.chat import template_of

    return {
        "source_language": source.source_language if model.knows(source.source_language) else None,
        "target_language": source.target_language if model.knows(source.target_language) else None,
        "chat": source.chat and template_of(model.tokenizer) is not None,
    }


def texts_of(model: "LoadedModel", source: Source) -> tuple[str | None, str | None]:
    """The second sentence and the decoder's text that a model reads: of what a link has, what is for such a model."""
    decodes = model.facts.encoder_decoder
    pair = source.pair if not decodes or model.task is not None else ""
    return pair or None, (source.target if decodes else "") or None


def edits_of(source: Source) -> "tuple[Edit, ...]":
    """What is changed in a source's run. Raises ExperimentError for what is no edit."""
    if not source.edits:
        return ()
    from attention_core.experiment.edits import edit_from_plain

    return tuple(map(edit_from_plain, plain_edits(source.edits)))


def is_long(source: Source, model: "LoadedModel") -> bool:
    """Would reading it take so long that it does not stand before others' sentences?"""
    limit = model.facts.context_length
    n_characters = len(source.text) + len(source.pair) + len(source.target)
    if n_characters > MUCH_CHARACTERS:  # most of it is cut, which takes longer than reading the rest
        return True
    return n_characters > LONG_CHARACTERS and (limit is None or limit > LONG_TOKENS)
