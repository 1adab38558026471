"""Tiny random encoder-decoders with the tokenizers of real ones: a second vocabulary, languages; nothing is downloaded.

Each tokenizer is transformers' own class over a vocabulary of the few sentences below.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sentencepiece
import torch
import transformers

ENGLISH = "the small frog sat on a green mat while the old dog ran far away and then slept".split()
GERMAN = "der kleine Frosch sitzt auf einer grünen Matte und ein alter Hund schläft dort ganz fest".split()
SOURCE = "the small frog sat on a green mat"
TARGET = "der kleine Frosch schläft auf einer Matte"

_SIZES: dict[str, Any] = {
    "d_model": 12,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "max_position_embeddings": 64,
}


def sentence_pieces(words: list[str], file: Path) -> list[str]:
    """Train a vocabulary of these words, write it to `file`, and give its pieces."""
    model = io.BytesIO()
    lines = [" ".join(words[i:] + words[:i]) for i in range(len(words))] * 4
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=80,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
    )
    file.write_bytes(model.getvalue())
    known = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [known.id_to_piece(i) for i in range(known.get_piece_size())]


def _vocabulary(first: list[str], pieces: list[str]) -> dict[str, int]:
    return {piece: i for i, piece in enumerate(dict.fromkeys([*first, *pieces]))}


def marian(folder: Path, *, separate: bool = True) -> tuple[Any, Any]:
    """Two sentencepiece models; two vocabularies, or one that holds the pieces of both."""
    source = sentence_pieces(ENGLISH, folder / "source.spm")
    target = sentence_pieces(GERMAN, folder / "target.spm")
    first = ["</s>", "<unk>", "<pad>"]
    vocabularies = [_vocabulary(first, [*source, *([] if separate else target)])]
    vocabularies.append(_vocabulary(first, target) if separate else vocabularies[0])
    for name, vocabulary in zip(("vocab.json", "target_vocab.json"), vocabularies, strict=True):
        (folder / name).write_text(json.dumps(vocabulary), encoding="utf-8")
    tokenizer = transformers.MarianTokenizer(
        str(folder / "source.spm"),
        str(folder / "target.spm"),
        str(folder / "vocab.json"),
        target_vocab_file=str(folder / "target_vocab.json") if separate else None,
        separate_vocabs=separate,
    )
    pad = vocabularies[1]["<pad>"]
    config = transformers.MarianConfig(
        vocab_size=len(vocabularies[0]),
        decoder_vocab_size=len(vocabularies[1]),
        share_encoder_decoder_embeddings=not separate,
        tie_word_embeddings=not separate,
        pad_token_id=pad,
        eos_token_id=0,
        decoder_start_token_id=pad,
        **_SIZES,
    )
    return transformers.MarianMTModel(config), tokenizer


def fsmt(folder: Path) -> tuple[Any, Any]:
    """Two vocabularies of letters that stand in another order; each language is cut by rules of its own."""
    first = ["<s>", "<pad>", "</s>", "<unk>"]
    letters = [
        sorted({letter for word in words for letter in (*word, f"{word[-1]}</w>")}) for words in (ENGLISH, GERMAN)
    ]
    for name, vocabulary in zip(("vocab-src.json", "vocab-tgt.json"), letters, strict=True):
        (folder / name).write_text(json.dumps(_vocabulary(first, vocabulary)), encoding="utf-8")
    (folder / "merges.txt").write_text("q z\n", encoding="utf-8")
    tokenizer = transformers.FSMTTokenizer(
        ["en", "de"], *(str(folder / name) for name in ("vocab-src.json", "vocab-tgt.json", "merges.txt"))
    )
    config = transformers.FSMTConfig(
        langs=["en", "de"], src_vocab_size=4 + len(letters[0]), tgt_vocab_size=4 + len(letters[1]), **_SIZES
    )
    return transformers.FSMTForConditionalGeneration(config), tokenizer


def m2m100(folder: Path) -> tuple[Any, Any]:
    pieces = sentence_pieces(ENGLISH + GERMAN, folder / "sentencepiece.bpe.model")
    vocabulary = _vocabulary(["<s>", "<pad>", "</s>", "<unk>"], pieces)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    tokenizer = transformers.M2M100Tokenizer(
        str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"), src_lang="en", num_madeup_words=8
    )
    config = transformers.M2M100Config(vocab_size=len(vocabulary) + 120, decoder_start_token_id=2, **_SIZES)
    return transformers.M2M100ForConditionalGeneration(config), tokenizer


def plbart(folder: Path) -> tuple[Any, Any]:
    sentence_pieces(ENGLISH + GERMAN, folder / "sentencepiece.bpe.model")
    tokenizer = transformers.PLBartTokenizer(
        str(folder / "sentencepiece.bpe.model"), language_codes="base", src_lang="python", tgt_lang="en_XX"
    )
    config = transformers.PLBartConfig(vocab_size=tokenizer.vocab_size + 4, **_SIZES)
    return transformers.PLBartForConditionalGeneration(config), tokenizer


def _scored(folder: Path) -> list[tuple[str, float]]:
    pieces = sentence_pieces(ENGLISH + GERMAN, folder / "sentencepiece.bpe.model")[3:]
    first = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    return [*first, *((piece, -float(i + 1)) for i, piece in enumerate(pieces))]


def mbart(folder: Path) -> tuple[Any, Any]:
    tokenizer = transformers.MBartTokenizer(vocab=_scored(folder), src_lang="en_XX", tgt_lang="de_DE")
    config = transformers.MBartConfig(vocab_size=len(tokenizer), **_SIZES)
    return transformers.MBartForConditionalGeneration(config), tokenizer


def mbart50(folder: Path) -> tuple[Any, Any]:
    tokenizer = transformers.MBart50Tokenizer(vocab=_scored(folder), src_lang="en_XX", tgt_lang="de_DE")
    config = transformers.MBartConfig(vocab_size=len(tokenizer), decoder_start_token_id=2, **_SIZES)
    return transformers.MBartForConditionalGeneration(config), tokenizer


def nllb(folder: Path) -> tuple[Any, Any]:
    letters = sorted({letter for word in ENGLISH + GERMAN for letter in (*word, f"▁{word[0]}")} | {"▁"})
    vocabulary = _vocabulary(["<s>", "<pad>", "</s>", "<unk>"], letters)
    tokenizer = transformers.NllbTokenizer(
        vocab=vocabulary, merges=[("▁", letter[1:]) for letter in letters if len(letter) == 2], src_lang="eng_Latn"
    )
    config = transformers.M2M100Config(vocab_size=len(tokenizer), decoder_start_token_id=2, **_SIZES)
    return transformers.M2M100ForConditionalGeneration(config), tokenizer


def seamless(folder: Path) -> tuple[Any, Any]:
    letters = sorted({letter for word in ENGLISH + GERMAN for letter in (*word, f"▁{word[0]}")} | {"▁"})
    vocabulary = _vocabulary(["<pad>", "<unk>", "<s>", "</s>"], letters)
    tokenizer = transformers.SeamlessM4TTokenizer(
        vocab=vocabulary,
        merges=[("▁", letter[1:]) for letter in letters if len(letter) == 2],
        additional_special_tokens=[f"__{code}__" for code in ("eng", "deu", "fra", "cmn_Hant")],
    )
    config = transformers.SeamlessM4TConfig(
        vocab_size=len(tokenizer),
        hidden_size=12,
        speech_encoder_layers=1,
        speech_encoder_attention_heads=2,
        speech_encoder_intermediate_size=16,
        num_adapter_layers=1,
        t2u_encoder_layers=1,
        t2u_decoder_layers=1,
        t2u_encoder_attention_heads=2,
        t2u_decoder_attention_heads=2,
        decoder_start_token_id=3,
        max_position_embeddings=64,
        **{name: value for name, value in _SIZES.items() if name not in ("d_model", "max_position_embeddings")},
    )
    return transformers.SeamlessM4TModel(config), tokenizer  # text to text is what it does with text


TRANSLATORS: dict[str, Callable[[Path], tuple[Any, Any]]] = {
    "marian": marian,
    "marian, one vocabulary": lambda folder: marian(folder, separate=False),
    "fsmt": fsmt,
    "m2m100": m2m100,
    "plbart": plbart,
    "mbart": mbart,
    "mbart50": mbart50,
    "nllb": nllb,
    "seamless": seamless,
}


def build(name: str, folder: Path) -> tuple[Any, Any]:
    """A random model of this family and its tokenizer; `folder` takes the tokenizer's files."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    model, tokenizer = TRANSLATORS[name](folder)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3)
    return model.eval(), tokenizer
