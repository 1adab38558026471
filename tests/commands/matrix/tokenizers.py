"""A tiny tokenizer of any class of transformers, trained here on a few sentences in two languages.

What a class takes is read from its constructor: pieces and merges, pieces with scores, or files. Nothing is typed in by
the class's name but what "tokenizer" in `special_cases.json` says.
"""

import inspect
import io
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sentencepiece
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

from tests.commands.matrix.shrinking import SPECIAL_CASES
from tests.support import tiny

SOURCE = "the cat sat on the mat and slept"
TARGET = "die katze lag auf der matte und schlief"
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<bos>", "<eos>"]
SPECIALS += [
    "<|endoftext|>",
    "<sep>",
    "<cls>",
    "__start__",
    "__end__",
    "__null__",
    "__unk__",
    "</_>",
    "</n>",
    "<d>",
    "</d>",
]


class CannotBeBuilt(Exception):
    """No tiny tokenizer of this class can be made here; the text says why."""


def tokenizer_of(model_type: str) -> Any:
    """A tiny tokenizer of the class that transformers' own list names for this architecture.

    Raises CannotBeBuilt.
    """
    name = TOKENIZER_MAPPING_NAMES.get(model_type)
    if name is None:
        raise CannotBeBuilt("no class of its own")
    if name in ("TokenizersBackend", "PreTrainedTokenizerFast"):  # whatever its file says
        return tiny.tokenizer(limit=10**30)
    cls = getattr(transformers, name, None)
    if cls is None:
        raise CannotBeBuilt(f"{name} is not there")
    errors, special = [], SPECIAL_CASES.get(model_type, {}).get("tokenizer", {})
    for make in (_of_pieces, _of_files):
        try:
            made = make(cls, special)
            if len(made(SOURCE)["input_ids"]) > 2:
                return made
            errors.append("it makes no tokens")
        except Exception as error:  # each class in its own way
            errors.append(f"{type(error).__name__}: {error}".split("\n")[0][:60])
    raise CannotBeBuilt(f"{name}: {errors[-1]}")


def _of_pieces(cls: Any, extra: dict[str, Any]) -> Any:
    """Pieces in memory, in the form that the constructor's annotation names."""
    takes = inspect.signature(cls.__init__).parameters
    if "vocab" not in takes:
        if set(takes) & {"vocab_file", "source_spm", "spm_file"}:
            raise TypeError("takes files")
        return cls(**extra)  # reads characters or bytes
    if "merges" in takes:
        byte_level = "Gemma" not in cls.__name__ and "_spm" not in str(takes)
        pieces, merges = _bpe(byte_level=byte_level)
        return cls(vocab=dict(pieces), merges=list(merges), **extra)
    forms = [_unigram(), _wordpiece()] if "tuple" in str(takes["vocab"].annotation) else [_wordpiece(), _unigram()]
    if (
        "do_lower_case" not in takes
        or "keep_accents" in takes
        or "split_by_punct" in takes
        or "add_prefix_space" in takes
    ):
        forms = [_unigram()]
    for form in forms[:-1]:
        try:
            return cls(vocab=form, **extra)
        except Exception:  # the other form then
            continue
    return cls(vocab=forms[-1], **extra)


def _of_files(cls: Any, special: dict[str, Any]) -> Any:
    """Files, named as the constructor names them."""
    takes = inspect.signature(cls.__init__).parameters
    with TemporaryDirectory() as folder:
        given: dict[str, Any] = {
            name: str(_written(Path(folder), name, file, beside_a_model=bool(set(takes) & {"spm_file", "source_spm"})))
            for name, file in cls.vocab_files_names.items()
            if name in takes and name != "target_vocab_file"
        }
        if {"source_lang", "target_lang"} <= set(takes):
            given |= {"source_lang": "en", "target_lang": "de"}
        if "langs" in takes:
            given["langs"] = ["en", "de"]
        return cls(**given, **special)


def _written(folder: Path, name: str, file: str, *, beside_a_model: bool) -> Path:
    """One file of a tokenizer, by what its name says that it holds."""
    path = folder / f"{name}-{file}"
    if file.endswith((".spm", ".model")):
        path.write_bytes(_sentencepieces("target" in name))
    elif "merges" in name:
        path.write_text("#version: 0.2\n", encoding="utf-8")
    elif file.endswith(".json"):
        pieces = _sentencepiece_names() if beside_a_model else _characters()
        path.write_text(json.dumps({piece: number for number, piece in enumerate(pieces)}), encoding="utf-8")
    else:
        path.write_text("".join(f"{piece}\n" for piece in _wordpiece()), encoding="utf-8")
    return path


def _texts() -> Iterator[str]:
    yield from (SOURCE, TARGET, tiny.SENTENCE)


@cache
def _bpe(*, byte_level: bool) -> tuple[dict[str, int], tuple[tuple[str, str], ...]]:
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    alphabet = pre_tokenizers.ByteLevel.alphabet() if byte_level else []
    made.pre_tokenizer = pre_tokenizers.ByteLevel() if byte_level else pre_tokenizers.Metaspace()
    made.train_from_iterator(
        _texts(), trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIALS, initial_alphabet=alphabet)
    )
    model = json.loads(made.to_str())["model"]
    return model["vocab"], tuple((a, b) for a, b in model["merges"])


@cache
def _unigram() -> list[tuple[str, float]]:
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=SPECIALS, unk_token="<unk>")
    made.train_from_iterator(_texts(), trainer)
    return [(piece, score) for piece, score in json.loads(made.to_str())["model"]["vocab"]]


@cache
def _wordpiece() -> dict[str, int]:
    letters = sorted({letter for text in _texts() for letter in text if letter != " "})
    words = dict.fromkeys(" ".join(_texts()).split()[::2])  # others are cut into pieces
    pieces = [*SPECIALS, *words, *letters, *(f"##{letter}" for letter in letters)]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


@cache
def _characters() -> list[str]:
    """Letters alone and at the end of a word, as tokenizers in the style of GPT write them, and those of CTRL."""
    letters = sorted({letter for text in _texts() for letter in text if letter != " "})
    return list(dict.fromkeys([*SPECIALS, *letters, *(f"{x}</w>" for x in letters), *(f"{x}@@" for x in letters)]))


@cache
def _sentencepieces(target: bool) -> bytes:
    """A sentencepiece model of the source's language or the target's."""
    written = io.BytesIO()
    sentences = iter([TARGET] * 20 if target else [SOURCE, tiny.SENTENCE] * 10)
    sentencepiece.SentencePieceTrainer.Train(
        sentence_iterator=sentences,
        model_writer=written,
        vocab_size=50,
        hard_vocab_limit=False,
        minloglevel=2,
        pad_id=3,
        unk_id=0,
        bos_id=1,
        eos_id=2,
    )
    return written.getvalue()


@cache
def _sentencepiece_names() -> list[str]:
    """The pieces of both languages in one list, as Marian shares them."""
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    for target in (False, True):
        processor: Any = sentencepiece.SentencePieceProcessor()
        processor.LoadFromSerializedProto(_sentencepieces(target))
        names += [processor.IdToPiece(number) for number in range(processor.GetPieceSize())]
    return list(dict.fromkeys(names))
