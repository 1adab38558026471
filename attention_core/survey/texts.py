"""The texts of a survey: which files, and whether a file holds one text or one in each line."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from attention_core.heads.windows import Text

TEXT_ENDINGS = (".txt", ".md", ".text", ".smi")
GUESSED_FROM = 1 << 16  # bytes at the beginning of a file
FEWEST_LINES = 8  # to guess from
MOST_BLANK = 0.05  # share of blank lines up to which there are no paragraphs


def texts_at(path: Path, lines: bool | None = None) -> tuple[Text, ...]:
    """A text file, or all text files in a folder and its folders, in the order of their names.

    `lines` says whether each line is a text of its own; None guesses it from each file, see `holds_a_text_a_line`.

    Raises ValueError if there is none.
    """
    if path.is_file():
        return (told(Text(path.name, path), lines),)
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in TEXT_ENDINGS and file.is_file())
    if not files:
        raise ValueError(f"a survey needs a text file or a folder with {', '.join(TEXT_ENDINGS)}; {path} is neither")
    return tuple(told(Text(file.relative_to(path).as_posix(), file), lines) for file in files)


def told(text: Text, lines: bool | None = None) -> Text:
    """The text with `lines` set, to what is asked for or, if that is None, to what it looks like."""
    return replace(text, lines=holds_a_text_a_line(text) if lines is None else lines)


def holds_a_text_a_line(text: Text) -> bool:
    """A guess: does each line hold a text of its own?

    Yes, unless there are blank lines between paragraphs, fewer than FEWEST_LINES lines, or most lines were broken
    because the next word had no room in the width of the longest line, as prose is wrapped.
    """
    raw = text.read(0, GUESSED_FROM).decode("utf-8", "replace")
    found = [line.strip() for line in raw.splitlines()]
    while found and not found[-1]:
        found.pop()
    own = [line for line in found if line]
    if len(own) < FEWEST_LINES or len(found) - len(own) > MOST_BLANK * len(found):
        return False
    if not any(len(line.split()) > 1 for line in own):  # no blanks within lines: nothing that could be wrapped
        return True
    width = max(map(len, own))
    wrapped = sum(len(line) + 1 + len(after.split()[0]) > width for line, after in zip(own[:-1], own[1:], strict=True))
    return 2 * wrapped < len(own) - 1


def lines_note(texts: Sequence[Text], *, guessed: bool) -> str:
    """A sentence about the texts that are read line by line; "" if none is."""
    names = [text.name for text in texts if text.lines]
    if not names:
        return ""
    which = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"
    return (
        f"{which}: one text per line{', a guess from where its lines end' if guessed else ''}; lines are never joined."
    )


def sample(texts: Sequence[Text]) -> list[list[str | bool]]:
    """Names, contents and ways of reading of the texts, as a fingerprint."""
    return [[text.name, text.digest(), text.lines] for text in texts]
