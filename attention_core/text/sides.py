"""The two tokenizers of a model: of what it reads and of what its decoder writes.

They are one object for all but a few encoder-decoders. Marian and FSMT keep two vocabularies in one tokenizer, which
reads with the first, names tokens by the second, and switches between them while it is used. Here each side gets a
tokenizer of its own that never switches: its ids, pieces and texts belong together.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from attention_core.text.tokenizer import Tokenizer


def sides_of(tokenizer: Tokenizer) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizers of the source and of the target."""
    if hasattr(tokenizer, "spm_target") and hasattr(tokenizer, "separate_vocabs"):
        apart = _marian
    elif hasattr(tokenizer, "tgt_vocab_file") and hasattr(tokenizer, "bpe_ranks"):
        apart = _fsmt
    else:
        return tokenizer, tokenizer
    with TemporaryDirectory() as folder:
        tokenizer.save_vocabulary(folder)
        return apart(tokenizer, Path(folder))


def _marian(tokenizer: Tokenizer, folder: Path) -> tuple[Tokenizer, Tokenizer]:
    """Two sentencepiece models, with a vocabulary each or one for both."""

    def reading(model: str, vocabulary: str) -> Tokenizer:
        file = str(folder / model)
        return type(tokenizer)(file, file, str(folder / vocabulary), **_common(tokenizer))

    vocabulary = "target_vocab.json" if tokenizer.separate_vocabs else "vocab.json"
    return reading("source.spm", "vocab.json"), reading("target.spm", vocabulary)


def _fsmt(tokenizer: Tokenizer, folder: Path) -> tuple[Tokenizer, Tokenizer]:
    """Two vocabularies with the same merges. A language's own rules cut its text before they apply."""

    def reading(language: str, vocabulary: str) -> Tokenizer:
        files = [str(folder / name) for name in (vocabulary, vocabulary, "merges.txt")]
        return type(tokenizer)([language] * 2, *files, do_lower_case=tokenizer.do_lower_case, **_common(tokenizer))

    return reading(tokenizer.src_lang, "vocab-src.json"), reading(tokenizer.tgt_lang, "vocab-tgt.json")


def _common(tokenizer: Tokenizer) -> dict[str, object]:
    return {**tokenizer.special_tokens_map, "model_max_length": tokenizer.model_max_length}
