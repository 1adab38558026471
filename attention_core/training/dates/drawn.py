"""Which dates are trained on and which are held out, drawn from a seed and a step, and their tokens.

The years 1700 to 2299 without those that end in 3 are trained on, nine of ten days of each; the tenth day is held out.
Half of the dates, and all whose year has two digits, lie in 1950 to 2049, where two digits stand for one year.
"""

import random
import unicodedata
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from attention_core.text.tokenizer import Tokenizer
from attention_core.training.dates.written import (
    FORMS,
    MONTHS,
    OTHER_FORMS,
    SHORT_MONTHS,
    WEEKDAYS,
    Form,
    Written,
    write,
)
from attention_core.training.loop import generator_of

FIRST_YEAR, LAST_YEAR = 1700, 2299
NEAR_YEARS = (1950, 2049)  # first and last of the hundred that two digits stand for
LEFT_OUT = 3  # years that end in this digit are never trained on
FAR_YEARS = (*range(1500, FIRST_YEAR), *range(LAST_YEAR + 1, 2500))  # in four digits only
ONE_IN, SKIPPED = 10, 3  # every tenth day, counted through, is held out
PAD, START, END, UNKNOWN = "<pad>", "<s>", "</s>", "<unk>"
Which = Literal["trained", "held out", "other years", "far years", "other forms"]


@dataclass(frozen=True, slots=True)
class Example:
    """A date to read, in one of the forms, as it came out after capitals and accents."""

    written: Written
    form: Form
    when: date

    @property
    def ambiguous(self) -> bool:
        """True if the text leaves open what is the day and what the month."""
        return self.form.ambiguous(self.when)


def is_held_out(when: date) -> bool:
    """True of the days of trained years that are never trained on."""
    return when.toordinal() % ONE_IN == SKIPPED


def draw(which: Which, coins: random.Random) -> Example:
    """One date of a kind: form, day, capitals and accents are all drawn."""
    while True:
        if which == "other forms":
            form = coins.choice(OTHER_FORMS)
        else:
            form = coins.choice(FORMS[coins.choice(tuple(FORMS))])
        when = _day(which, coins, near="{yy}" in form.template)
        if when:
            return Example(_as_typed(write(when, form), coins), form, when)


def examples(which: Which, n: int, seed: int) -> tuple[Example, ...]:
    """`n` dates of a kind, the same for the same seed."""
    coins = random.Random(f"{which} {seed}")
    return tuple(draw(which, coins) for _ in range(n))


def _day(which: Which, coins: random.Random, *, near: bool) -> date | None:
    """A year, then a day of it, each evenly, until they are of that kind; None if a far year is to have two digits."""
    if which == "far years":
        return None if near else _day_of(coins.choice(FAR_YEARS), coins)
    first, last = NEAR_YEARS if near or coins.random() < 0.5 else (FIRST_YEAR, LAST_YEAR)
    while True:
        when = _day_of(coins.randint(first, last), coins)
        left_out = when.year % 10 == LEFT_OUT
        if left_out if which == "other years" else not left_out and is_held_out(when) == (which != "trained"):
            return when


def _day_of(year: int, coins: random.Random) -> date:
    first, last = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
    return date.fromordinal(coins.randint(first, last))


def _as_typed(written: Written, coins: random.Random) -> Written:
    """With other capitals or without accents, as people type; every character stays one character."""
    text, kind = written.text, coins.random()
    if kind < 0.25:
        text = text.lower()
    elif kind < 0.30:
        text = text.upper()
    if coins.random() < 0.1:
        text = without_accents(text)
    return replace(written, text=text)


def without_accents(text: str) -> str:
    """é → e, ü → u, as long as one letter stays one letter."""
    return "".join(unicodedata.normalize("NFD", letter)[0] for letter in text)


def alphabet() -> tuple[str, ...]:
    """Every character that a date may be written with: what is printable in ASCII, and the names' accented letters."""
    names = "".join(name for table in (MONTHS, SHORT_MONTHS, WEEKDAYS) for names in table.values() for name in names)
    accented = {letter for letter in (names + names.upper() + "º").replace("SS", "") if ord(letter) > 126}
    return (*(chr(code) for code in range(32, 127)), *sorted(accented))


def new_tokenizer() -> Tokenizer:
    """One token for each character; letters and digits that stand together are one word. Nothing is put around a text:
    with an end to look at, heads looked there and not at the year before it."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = (PAD, START, END, UNKNOWN, *alphabet())
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    characters = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=UNKNOWN))
    characters.pre_tokenizer = pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}+|[^\p{L}\p{N}]"), "isolated")
    characters.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=characters, pad_token=PAD, bos_token=START, eos_token=END, unk_token=UNKNOWN
    )


@dataclass(frozen=True, slots=True, eq=False)
class DateBatch:
    """Dates as rows of tokens, filled up to the longest."""

    source: Int[Tensor, "row key"]
    read: Int[Tensor, "row key"]  # 1: a character of the date; 0: filled up
    target: Int[Tensor, "row query"]  # what the decoder is given: the start, then the date in ISO form
    labels: Int[Tensor, "row query"]  # what it is to say: the date, then the end


def batch_of(chosen: tuple[Example, ...], tokenizer: Tokenizer) -> DateBatch:
    """The tokens of some dates."""
    encode = tokenizer.backend_tokenizer.encode
    rows = [encode(one.written.text).ids for one in chosen]
    longest = max(map(len, rows))
    source = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in rows])
    labels = torch.tensor([[*encode(one.written.iso).ids, tokenizer.eos_token_id] for one in chosen])
    start = torch.full((len(chosen), 1), tokenizer.bos_token_id)
    return DateBatch(
        source,
        (source != tokenizer.pad_token_id).long(),
        torch.cat((start, labels[:, :-1]), dim=1),
        labels,
    )


def batch_at(seed: int, step: int, n_rows: int, tokenizer: Tokenizer) -> DateBatch:
    """The dates of one step of a run: a function of seed and step alone."""
    coins = random.Random(int(torch.randint(2**62, (), generator=generator_of(seed, step))))
    return batch_of(tuple(draw("trained", coins) for _ in range(n_rows)), tokenizer)
