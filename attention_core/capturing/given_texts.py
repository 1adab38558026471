"""What was given to a capture: one text, or the numbers of tokens; anything else is refused, with what to do."""

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any

from torch import Tensor

from attention_core.capturing.encode import CaptureError
from attention_core.inside.of_torch import AnyModule
from attention_core.models.facts import LoadedModel


def require_model(model: object) -> None:
    """Raises CaptureError for anything but a LoadedModel."""
    if not isinstance(model, LoadedModel):
        raise CaptureError(
            f"A text is captured in what load_model or wrap_model gives; got {_a(model)}. "
            "For a model in memory: wrap_model(model, tokenizer)."
        )


def require_text(text: object, name: str = "text", *, or_none: bool = False) -> None:
    """Raises CaptureError for anything but one string."""
    if isinstance(text, str) or (or_none and text is None):
        return
    if _is_encoded(text):
        raise CaptureError(
            f"{name} is a string; got {_a(text)}, which a tokenizer made. Give the text itself, or the numbers of its "
            'tokens as they are: capture_ids(model, encoded["input_ids"]).'
        )
    if isinstance(text, bytes | bytearray):
        raise CaptureError(f"{name} is a string; got {_a(text)}: decode it first.")
    if isinstance(text, Tensor) or _numbers(text):
        raise CaptureError(f"{name} is a string; got numbers. Of tokens of the vocabulary: capture_ids(model, ids).")
    if isinstance(text, Sequence):
        raise CaptureError(
            f"{name} is one string; got {_a(text)} of {len(text)}. For several: capture_batch(model, texts)."
        )
    raise CaptureError(f"{name} is a string; got {_a(text)}.")


def ids_of(
    model: LoadedModel,
    given: Any,  # whatever somebody passes for numbers: looked at below
    name: str = "ids",
) -> list[int]:
    """The numbers of some tokens as a plain list: from a list, an array, a tensor, or a batch of one.

    Raises CaptureError for several rows, for what is no number, and naming a number that the model has no vector for.
    """
    if _is_encoded(given):
        given = given["input_ids"]
    plain = given.tolist() if hasattr(given, "tolist") else list(given) if isinstance(given, Sequence) else given
    if isinstance(plain, list) and plain and isinstance(plain[0], list):
        if len(plain) > 1:
            raise CaptureError(
                f"{name} are one row of numbers; got {len(plain)} rows. For several: capture_batch(model, ids)."
            )
        plain = plain[0]
    try:
        ids = [index(one) for one in plain]
    except TypeError:
        raise CaptureError(f"{name} are whole numbers of the vocabulary; got {given!r:.80}.") from None
    n_vectors = _n_vectors(model, decoder=name == "target_ids")
    for place, one in enumerate(ids):
        if one < 0 or (n_vectors is not None and one >= n_vectors):
            least = f"0 … {n_vectors - 1:,}" if n_vectors is not None else "0 or more"
            raise CaptureError(f"{name} of {model.facts.name} must be {least}; got {one:,} at place {place}.")
    return ids


def _n_vectors(model: LoadedModel, *, decoder: bool) -> int | None:
    """How many tokens the model has a vector for; None where it does not say."""
    whole: AnyModule = model.model
    try:
        part = (whole.get_decoder() if decoder else whole.get_encoder()) if model.facts.encoder_decoder else whole
        table = part.get_input_embeddings().weight
    except (AttributeError, NotImplementedError):
        return None
    return table.shape[0] if isinstance(table, Tensor) and table.dim() == 2 else None


def _is_encoded(given: object) -> bool:
    return isinstance(given, Mapping) or (hasattr(given, "input_ids") and hasattr(given, "keys"))


def _numbers(given: object) -> bool:
    return (
        isinstance(given, int)
        or (isinstance(given, Sequence) and bool(given) and isinstance(given[0], int))
        or (hasattr(given, "dtype") and hasattr(given, "shape"))
    )


def _a(thing: object) -> str:
    name = type(thing).__name__
    return "None" if thing is None else f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"
