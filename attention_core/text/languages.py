"""The languages of a translation model: which there are, which is told to its tokenizer, and for how long.

A tokenizer that is told languages (NLLB, M2M100, mBART, PLBart, SeamlessM4T …) writes the source's code beside the text
and the target's beside the decoder's. It keeps what it was told, and it is shared: it is told for one call, in the
model's turn (see `LoadedModel.encode`), and then what it was told before.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

from attention_core.text.tokenizer import Tokenizer

N_NEAR = 3  # languages that a sentence names beside one that there is not
# NLLB's eng_Latn, SeamlessM4T's __cmn_Hant__: of these two, a language is a special token and no list names them.
_CODE = re.compile(r"(__)?[a-z]{2,3}(_[A-Za-z]{2,4})?(?(1)__)")


class LanguageError(ValueError):
    """A language that a model does not know; the text of the error is a plain sentence."""


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages of one text and of its translation, by the tokenizer's names; None where it is told none."""

    source: str | None = None
    target: str | None = None

    @contextmanager
    def told(self, tokenizer: Tokenizer) -> Iterator[None]:
        """Tell a tokenizer for the time of one call. Nobody else may use it meanwhile."""
        if self == Languages():
            yield
            return
        source, target = tokenizer.src_lang, tokenizer.tgt_lang
        try:
            _tell(tokenizer, self.source or source, self.target or target)
            yield
        finally:
            _tell(tokenizer, source, target)


@dataclass(frozen=True, slots=True)
class Spoken:
    """The languages that a model knows, and which of them it is told where nobody chooses."""

    codes: Mapping[str, int]  # the tokenizer's name → token of the vocabulary, in the tokenizer's order
    usual: Languages
    stated: bool  # the files say which target is usual; else it is the source's, as in the tokenizer itself

    def chosen(self, source: str | None, target: str | None) -> Languages:
        """The two languages by the tokenizer's names; those that are usual for None or "".

        Raises LanguageError for a language that there is not, naming near ones.
        """
        found = self._named(source) if source else self.usual.source
        # A tokenizer that knows no target of its own writes the source's code for both.
        other = self._named(target) if target else self.usual.target if self.stated else found
        return Languages(found, other)

    def _named(self, asked: str) -> str:
        by_plain_name = {plain_name(code): code for code in self.codes}
        found = asked if asked in self.codes else by_plain_name.get(plain_name(asked))
        if found is not None:
            return found
        # Those that begin alike first: "de" is de_DE's and "deu" deu_Latn's language.
        begin = [code for name, code in by_plain_name.items() if name.startswith(plain_name(asked)[:3])]
        close = [by_plain_name[name] for name in get_close_matches(plain_name(asked), by_plain_name, N_NEAR, 0.5)]
        near = list(dict.fromkeys([*begin, *close]))[:N_NEAR]
        shown = asked if len(asked) <= 40 else f"{asked[:40]}…"
        hint = f"Near it are {', '.join(near)}." if near else f"The first of them is {next(iter(self.codes))}."
        raise LanguageError(f"“{shown}” is none of the {len(self.codes)} languages that the model knows. {hint}")


def spoken_by(tokenizer: Tokenizer, *configs: object) -> Spoken | None:
    """The languages that a tokenizer can be told; None for one that cannot.

    `configs` are the model's: a checkpoint that translates into one language forces its code there.
    """
    if not hasattr(tokenizer, "set_tgt_lang_special_tokens") or not hasattr(tokenizer, "src_lang"):
        return None
    listed = getattr(tokenizer, "lang_code_to_id", None)
    if not listed:
        named = [str(token) for token in tokenizer.all_special_tokens if _CODE.fullmatch(str(token))]
        listed = {code: tokenizer.convert_tokens_to_ids(code) for code in named}
    codes = {str(code): int(id_) for code, id_ in listed.items() if id_ != tokenizer.unk_token_id}
    if not codes:
        return None
    by_id = {id_: code for code, id_ in codes.items()}
    source = tokenizer.src_lang if tokenizer.src_lang in codes else None
    forced = [getattr(config, name, None) for name in _FORCED for config in configs]
    stated = [tokenizer.tgt_lang, *(by_id.get(id_) for id_ in forced if isinstance(id_, int))]
    target = next((code for code in stated if code in codes), None)
    return Spoken(codes, Languages(source, target or source), target is not None)


_FORCED = ("forced_bos_token_id", "decoder_start_token_id")


def _tell(tokenizer: Tokenizer, source: str | None, target: str | None) -> None:
    """The source last: a tokenizer at rest reads sources."""
    if target != tokenizer.tgt_lang:
        tokenizer.tgt_lang = target
    tokenizer.src_lang = source


def plain_name(code: str) -> str:
    """A language's name without its frame: "__cmn_Hant__" and "cmn-hant" are one."""
    return code.strip().strip("_").lower().replace("-", "_")
