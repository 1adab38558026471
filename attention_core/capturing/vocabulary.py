"""What a tokenizer knows: its ordinary pieces, how much of a text it cannot read, and a first text that it can."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from attention_core.capturing.encode import special_ids, unknown_note
from attention_core.inside.of_torch import AnyModule
from attention_core.models.facts import LoadedModel
from attention_core.text.tokenizer import Tokenizer

N_PIECES = 10  # of a first text that is made of the vocabulary
MOST_README = 20_000  # bytes in which a folder's example is looked for
SEED = 20_260_721


def plain_ids(model: LoadedModel, tokenizer: Tokenizer) -> list[int]:
    """The vocabulary without what the tokenizer itself calls special, and without tokens that the model lacks.

    How a piece looks says nothing: chemical models write an atom as `[Na+]`, others a byte as `<0x0A>`.
    """
    left_out = special_ids(tokenizer) | set(tokenizer.all_special_ids)  # the unknown token and the mask too
    embeddings: AnyModule = model.model.get_input_embeddings()
    rows = len(embeddings.weight)  # some tokenizers know more tokens than their model
    return sorted(id_ for id_ in tokenizer.get_vocab().values() if id_ not in left_out and id_ < rows)


def reads(model: LoadedModel, text: str) -> bool:
    """Does the tokenizer know at least half of a text?"""
    tokenizer, special = model.tokenizer, special_ids(model.tokenizer)
    own = [id_ for id_ in model.encode(text)["input_ids"] if id_ not in special]
    return bool(own) and not unknown_note(tokenizer, own)


@dataclass(frozen=True, slots=True)
class FirstText:
    """A text that a model can read, and where it comes from, as a sentence; "" for the usual one."""

    text: str
    says: str


def first_text(model: LoadedModel, usual: str) -> FirstText:
    """The usual text if the tokenizer knows it; else the example in the model's folder, or pieces of its vocabulary."""
    if reads(model, usual):
        return FirstText(usual, "")
    example = _example(Path(model.facts.id))
    if example and reads(model, example):
        return FirstText(
            example, "The tokenizer does not know the usual first sentence: this is the model's own example."
        )
    made = _pieces(model)
    if made and reads(model, made):
        return FirstText(
            made, "The tokenizer does not know the usual first sentence: these are pieces of its vocabulary, by chance."
        )
    return FirstText(usual, "")


def _pieces(model: LoadedModel) -> str:
    """Some pieces of the vocabulary, the same for the same model."""
    ids = plain_ids(model, model.tokenizer)
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(SEED)).tolist()
    return model.decode(_worded(model, [ids[place] for place in order])).strip()


def _worded(model: LoadedModel, ids: Sequence[int]) -> list[int]:
    """The first ids whose pieces can be seen and typed."""
    kept = []
    for id_ in ids:
        piece = model.decode([id_]).strip()
        if piece.isprintable() and any(map(str.isalnum, piece)) and "\ufffd" not in piece:
            kept.append(id_)
        if len(kept) == N_PIECES:
            break
    return kept


def _example(folder: Path) -> str:
    """The first text of the examples (`widget`) that a folder's README.md has for the hub's page; "" if none."""
    try:
        with (folder / "README.md").open("rb") as file:
            parts = file.read(MOST_README).decode("utf-8", "replace").split("---")
        found = yaml.safe_load(parts[1])["widget"][0]["text"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError):
        return ""
    return found.strip() if isinstance(found, str) else ""
