"""A text of any size, window by window: from any byte on, with no more in memory than one window.

A window ends between two words, and of a text that holds one text a line with the line. Where it ends depends on the
bytes from its beginning alone, so whoever goes on from a byte finds the same windows as one who was never stopped.
"""

import codecs
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from attention_core.models.facts import LoadedModel

BYTES_PER_TOKEN = 8  # read for each token that a window may have; a window of longer tokens is a little shorter
_HASH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Text:
    """A file, or bytes that a visitor gave: one text, or with `lines` one text in each line."""

    name: str
    path: Path | None = None
    data: bytes = b""
    lines: bool = False  # no window reaches over the end of a line

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data) if self.path is None else self.path.stat().st_size

    def read(self, start: int, n: int) -> bytes:
        """At most `n` bytes from byte `start` on; fewer at the end."""
        if self.path is None:
            return self.data[start : start + n]
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(n)

    def digest(self) -> str:
        """sha256 of the content, read in pieces."""
        digest = hashlib.sha256()
        for start in range(0, self.size, _HASH_BYTES):
            digest.update(self.read(start, _HASH_BYTES))
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a text that a model reads at once, and the byte at which the next one begins."""

    text: str
    end: int


def window_at(model: LoadedModel, text: Text, start: int, n_tokens: int) -> Window:
    """The window that begins at byte `start`: at most `n_tokens` tokens, special ones included, and at least one
    character. Bytes that are no UTF-8 become U+FFFD."""
    size = BYTES_PER_TOKEN * n_tokens
    data = text.read(start, size + 4)
    whole = len(data) <= size
    if text.lines and 0 <= (end := data.find(b"\n")) < size:
        data, whole = data[: end + 1], True
    raw = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(data, final=whole)
    kept = len(raw) if whole else _before_word(raw, len(raw))
    while (fitting := _fitting(model, _readable(raw[:kept]), n_tokens)) < kept:
        kept = _before_word(raw, max(1, fitting))
    shown = _readable(raw[:kept])
    return Window(
        shown.rstrip("\r\n") if text.lines else shown, start + len(raw[:kept].encode("utf-8", "surrogateescape"))
    )


def _readable(raw: str) -> str:
    return re.sub("[\udc80-\udcff]", "\ufffd", raw)


def _fitting(model: LoadedModel, text: str, n_tokens: int) -> int:
    """How many characters from the beginning fit into the window; for a tokenizer that gives no places, a guess that
    gets smaller each time."""
    if not text.strip():
        return len(text)
    fast = model.tokenizer.is_fast
    ids = model.encode(text, return_offsets_mapping=fast)
    n_all = len(ids["input_ids"])
    if n_all <= n_tokens:
        return len(text)
    if not fast:
        return len(text) * n_tokens // (n_all + 1)
    # What the tokenizer adds at the end needs room too; leave out at least one token, so that this comes to an end.
    n_added = sum(start == end for start, end in ids["offset_mapping"])
    own = [end for start, end in ids["offset_mapping"] if end > start]
    return min(own[max(0, n_tokens - n_added - 1)], len(text) - 1) if own else len(text) - 1


def _before_word(raw: str, end: int) -> int:
    """The end of the last blank before `end`, so that no word is cut; `end` itself if there is none."""
    blanks = [found.end() for found in re.finditer(r"\s+", raw[:end])]
    return blanks[-1] if blanks and blanks[-1] > 0 else end
