"""The names of a model's heads, tested on probe texts in small steps.

    labelling = Labelling(model)     # our own texts; Labelling(model, texts) reads others
    for progress in labelling: ...   # one forward pass or one layer at a time: stop when you like, go on when you like
    cards = labelling.cards()        # {(layer, head): LabelCard}
    labelling.rests_on               # "16 texts of our own at 16, 64 and 256 tokens", for whoever compares
    labelling.n_passes               # what it costs: 172 forward passes of at most 256 tokens

The survey makes the same tests with the same `HeadTests`: given the same texts, both come to the same cards.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from attention_core.capturing.capture import capture_ids
from attention_core.capturing.encode import decoder_side
from attention_core.capturing.vocabulary import plain_ids
from attention_core.heads.cards import LabelCard, LayerFacts, Limits, Tally
from attention_core.heads.evidence import LABEL_IDS, LabelId, Scored, gathered, repeat_tables, text_tables
from attention_core.heads.labels import FEWEST_PROBES
from attention_core.heads.probes import (
    ABOUT,
    LENGTHS,
    Probe,
    Unread,
    frame,
    lengths_of,
    own_texts,
    random_probes,
    repeat_probes,
    text_probes,
    why_no_repeats,
)
from attention_core.heads.windows import Text, window_at
from attention_core.models.facts import LoadedModel

_REPEATED: tuple[LabelId, ...] = ("induction", "duplicate")
_OF_WORDS: tuple[LabelId, ...] = ("punctuation", "rare")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long computation is; `doing` is a short sentence."""

    done: int
    total: int
    doing: str


@dataclass(slots=True)
class Read:
    """What has become of the texts: plain numbers, which a survey keeps beside its tally."""

    texts: int = 0  # that made probes
    unknown: int = 0  # that the tokenizer knows too little of
    short: int = 0
    random: bool = False  # random tokens have taken the place of texts
    at: dict[int, int] = field(default_factory=dict)  # texts of each length


class HeadTests:
    """The tests of a model's heads: which probes there are, what they have shown, what could not be tested."""

    def __init__(self, model: LoadedModel, limit: int | None = None) -> None:
        self.model = model
        self.lengths = lengths_of(model, limit)
        self.repeats = repeat_probes(model, self.lengths)
        self.read = Read()
        self.tally: Tally | None = None

    def of_text(self, text: str, number: int) -> tuple[Probe, ...] | Unread:
        """The probes of a text, or why there are none; `number` counts the texts that made probes."""
        return text_probes(self.model, text, number, self.lengths)

    def count(self, made: tuple[Probe, ...] | Unread) -> None:
        """Keep in mind what became of a text."""
        if made == "unknown":
            self.read.unknown += 1
        elif made == "short":
            self.read.short += 1
        else:
            self.read.texts += 1
            for probe in made:
                self.read.at[probe.length] = self.read.at.get(probe.length, 0) + 1

    def instead(self) -> tuple[Probe, ...]:
        """Random tokens in place of texts, if most texts were written in words that the tokenizer does not know."""
        if self.read.texts >= FEWEST_PROBES or self.read.unknown <= self.read.texts:
            return ()
        made = random_probes(self.model, self.lengths)
        self.read.random = bool(made)
        return made

    def steps(self, probes: Sequence[Probe]) -> Iterator[bool]:
        """Read probes, a forward pass (True) or the scores of a layer (False) at a time.

        What they show counts once all of them have been read. Raises what `capture_ids` raises.
        """
        scored: list[tuple[Scored, int]] = []
        layers: tuple[LayerFacts, ...] = ()
        for probe in probes:
            trace = probe.trace(self.model)
            yield True
            control = probe.control(self.model)
            if control is not None:
                yield True
            if probe.kind == "repeat":
                assert control is not None
                tables = repeat_tables(trace, control, probe.period)
            else:
                tables = text_tables(trace, control)
            kept = []
            for table in tables:
                kept.append(table)
                yield False
            scored.append((gathered(kept), probe.length))
            layers = layers or LayerFacts.all_of(trace)
        if scored:
            self.prepare(layers)
        for one, length in scored:
            assert self.tally is not None
            self.tally.add(one, length)

    def prepare(self, layers: Sequence[LayerFacts]) -> None:
        """Make room for what is found, once it is known which layers there are."""
        if self.tally is None:
            self.tally = Tally(layers, self.lengths)

    def cards(self) -> dict[tuple[int, int], LabelCard]:
        """A card for every head, from what has been read so far; of one that could be given nothing to read, too."""
        if self.tally is None:  # one token shows which heads there are
            before, after = frame(self.model)
            ids = [*before, *after, *plain_ids(self.model, self.model.tokenizer)][:1]
            target = decoder_side(self.model, "").ids if self.model.facts.encoder_decoder else None
            self.prepare(LayerFacts.all_of(capture_ids(self.model, ids, target)))
        assert self.tally is not None
        return self.tally.cards(self.limits())

    def limits(self) -> Limits:
        """Why labels have no probes of a length."""
        found: dict[tuple[LabelId, int | None], str] = {}

        def say(labels: Iterable[LabelId], length: int | None, because: str) -> None:
            for label in labels:
                found[label, length] = because

        shortest = round(ABOUT * LENGTHS[0])
        say(LABEL_IDS, None, f"the shortest test needs {shortest} tokens, and fewer are read at once")
        for length in self.lengths:
            if not any(probe.length == length for probe in self.repeats):
                say(_REPEATED, length, why_no_repeats(self.model, length))
            if why := self._why_no_texts(length):
                say((label for label in LABEL_IDS if label not in _REPEATED), length, why)
            if self.read.random:
                say(_OF_WORDS, length, "the tokenizer knows too few words of the texts, and random tokens are no words")
        return found

    @property
    def rests_on(self) -> str:
        """What was read, as a part of a sentence: "16 texts at 16, 64 and 256 tokens"."""
        if not self.lengths:
            return "nothing"
        at = f"at {said_lengths(self.lengths)}"
        if self.read.random:
            return f"random tokens of its vocabulary {at}"
        return f"{self.read.texts:,} text{'' if self.read.texts == 1 else 's'} {at}"

    def _why_no_texts(self, length: int) -> str:
        """Why the texts of a length are too few; "" if they were read, or random tokens stand in for them."""
        read = self.read
        if read.random:
            return ""
        if read.unknown > read.texts:
            return "the tokenizer knows too few words of the texts"
        if (n := read.at.get(length, 0)) >= FEWEST_PROBES:
            return ""
        return (
            f"{n:,} text{'' if n == 1 else 's'} of about {length} tokens or more came, and {FEWEST_PROBES} are needed"
        )


class Labelling:
    """The names of a model's heads, a forward pass or the scores of a layer at a time: an iterator of Progress.

    `texts` are read in windows as a survey reads them, each at the lengths of `probes.lengths_of`; None reads our own.
    """

    def __init__(self, model: LoadedModel, texts: Sequence[str] | None = None) -> None:
        self.tests = HeadTests(model)
        self.own = texts is None
        probes: list[Probe] = list(self.tests.repeats)
        for text in own_texts(model) if texts is None else texts:
            for window in _windows(model, text):
                made = self.tests.of_text(window, self.tests.read.texts)
                self.tests.count(made)
                probes += made if isinstance(made, tuple) else ()
        probes += self.tests.instead()
        self.n_passes = sum(probe.n_passes for probe in probes)
        self._done = 0
        self._steps = (passed for probe in probes for passed in self.tests.steps([probe]))
        self._ended = False

    def __iter__(self) -> Iterator[Progress]:
        return self

    def __next__(self) -> Progress:
        """Go one step further; done and total count forward passes. Raises StopIteration when all have been made."""
        passed = next(self._steps, None)
        if passed is None:
            self._ended = True
            raise StopIteration
        self._done += passed
        return Progress(self._done, self.n_passes, "Testing the heads")

    @property
    def rests_on(self) -> str:
        """What the labels rest on, as a part of a sentence."""
        said = self.tests.rests_on
        return said.replace("texts", "texts of our own", 1) if self.own else said

    def cards(self) -> dict[tuple[int, int], LabelCard]:
        """A card for every head; of a model that can read none of the probes, each says why it could not be tested.

        Raises ValueError before all probes were read: fewer would be weaker evidence under the same name.
        """
        if not self._ended:
            left = self.n_passes - self._done
            raise ValueError(f"{left} of {self.n_passes} passes have not been made yet")
        return self.tests.cards()


def label_heads(model: LoadedModel, texts: Sequence[str] | None = None) -> dict[tuple[int, int], LabelCard]:
    """All cards of a model at once, tested on `texts` or on our own."""
    labelling = Labelling(model, texts)
    for _ in labelling:
        pass
    return labelling.cards()


def said_lengths(lengths: Sequence[int]) -> str:
    """ "16, 64 and 256 tokens" """
    *before, last = map(str, lengths)
    return f"{', '.join(before)} and {last} tokens" if before else f"{last} tokens"


def _windows(model: LoadedModel, text: str) -> Iterator[str]:
    limit = model.facts.context_length
    n_tokens = min(LENGTHS[-1], limit or LENGTHS[-1])
    whole, start = Text("", data=text.encode()), 0
    while start < whole.size:
        window = window_at(model, whole, start, n_tokens)
        yield window.text
        start = window.end
