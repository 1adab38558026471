"""Probe texts: what a model reads when its heads are tested for names, each with the control it is compared with.

Heads behave differently in short and in long texts, so every test is made at about 16, 64 and 256 tokens, as far as
the model reads, with controls of the same length. Our own texts have commas, common and rare words, and no rhyme with
each other; others can be given. Random probes are drawn from the model's own vocabulary with a seed, so the same model
always reads the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from attention_core.capturing.capture import capture_ids
from attention_core.capturing.encode import decoder_side, special_ids
from attention_core.capturing.vocabulary import plain_ids
from attention_core.formats.shown import short_repr
from attention_core.heads.windows import Text, window_at
from attention_core.models.facts import LoadedModel
from attention_core.record.record import Record
from attention_core.text.tokenizer import Tokenizer

LENGTHS = (16, 64, 256)  # tokens, special ones included
N_PROBES = (16, 16, 12)  # random or own texts at each of them
ABOUT = 0.75  # share of a length that counts as about so long
FEWEST_SYMBOLS = 64  # that a stretch is drawn from: a random token must seldom come twice by chance
FEWEST_DRAWN = 8  # of a vocabulary for random texts, in which tokens may come again
MOST_UNKNOWN = 0.1  # share of unknown tokens up to which a tokenizer reads a text
SEED = 20_260_721

TEXTS = (
    "When the ferry was late again, the baker put his trays on the wet stones and waited. A gull walked around them, "
    "looked at the loaves, and stole nothing; perhaps it was too old, or too proud, to quarrel over rye.",
    "My aunt keeps a barometer in the hall. She taps the glass every morning, says that rain is coming, and goes out "
    "without an umbrella. In eleven years, she told me, the instrument has been right only twice.",
    "The committee met on Thursday, discussed the bridge for three hours, and decided nothing. Its oldest member, a "
    "retired surveyor, had brought drawings; nobody asked to see them, so he took them home.",
    "To clean a copper kettle, mix salt with vinegar and rub the paste on with a soft cloth. Rinse it, dry it at once, "
    "and never leave it near the stove. If the stains stay, a little lemon will help.",
    "Far below the surface there is no light, yet the water is full of life. Small lanternfish rise at dusk, feed on "
    "plankton, and sink before dawn; larger hunters, patient and nearly blind, wait for them there.",
    "We had planned to walk to the monastery, but the path was closed. A farmer, who spoke slowly, showed us another: "
    "down to the orchard, over the footbridge, and up through the chestnut wood. It took all day.",
    "The new clerk could not find the ledger. He searched the cupboard, the cellar, and both of the long shelves; then "
    "he sat down, tired, and saw that he had been using it as a cushion since Monday.",
    "Iron rusts because it meets water and oxygen. Paint keeps both away, zinc is eaten in its place, and chromium "
    "makes a thin skin that heals itself. Nothing lasts for ever, engineers say, but some things last longer.",
    "Her brother wrote from the harbour that he was well, that the food was bad, and that he had learned to mend nets. "
    "He did not say when he would come back. The letter, dated in April, arrived in August.",
    "At the market you can buy pears, cheese, candles and old maps. The woman with the maps never bargains; she tells "
    "you the price, folds her hands, and watches the pigeons until you either pay or leave.",
    "The orchestra stopped in the middle of the slow movement. A violin string had broken, then a second one, and the "
    "conductor laughed. They began again from the start, more quietly, and played it better than before.",
    "Before a storm the swallows fly low, the cat sleeps under the bench, and grandfather complains about his knee. "
    "None of this is science, of course. Still, we bring in the washing when two of the three agree.",
    "The museum owns a clock with one hand. Visitors ask where the other has gone, and the guard explains that there "
    "never was one: in those days, he says, an hour was exact enough for anybody who had work to do.",
    "If the engine will not start, check the fuel first. Then look at the plug, which may be wet, and at the cable, "
    "which may be loose. Do not pull the cord twenty times; your arm, unlike the engine, gets tired.",
    "Nobody lived on the island except a keeper, his goat and several thousand puffins. The ship came every second "
    "month with flour, oil, and newspapers. He read them in order, one a day, so that nothing happened too quickly.",
    "The children built a dam of mud and branches across the brook. By noon there was a pond, by evening a lake, and "
    "during the night it burst. In the morning they came back, looked at the ruin, and started a bigger one.",
)

Kind = Literal["text", "random", "repeat"]


@dataclass(frozen=True, slots=True)
class Probe:
    """Tokens for a model to read, and the same number of tokens to compare with; target for a decoder of its own.

    "text": a text, and its tokens in another order (special ones stay). "random": random tokens, which need no control:
    what is tested on them competes with other places of the same text. "repeat": a random stretch twice, and as many
    random tokens without a repeat.
    """

    kind: Kind
    length: int  # of `lengths_of`, to which it belongs
    ids: tuple[int, ...]
    control_ids: tuple[int, ...] = ()
    target_ids: tuple[int, ...] | None = None
    control_target_ids: tuple[int, ...] | None = None
    period: int = 0  # tokens of the stretch

    __repr__ = short_repr

    @property
    def n_passes(self) -> int:
        """Forward passes that it takes."""
        return 2 if self.control_ids else 1

    def trace(self, model: LoadedModel) -> Record:
        """What the model does with the probe."""
        return capture_ids(model, self.ids, self.target_ids)

    def control(self, model: LoadedModel) -> Record | None:
        """What it does with the control; None if there is none."""
        return capture_ids(model, self.control_ids, self.control_target_ids) if self.control_ids else None


Unread = Literal["unknown", "short"]  # why a text makes no probe: the tokenizer does not know it; too few tokens


def lengths_of(model: LoadedModel, limit: int | None = None) -> tuple[int, ...]:
    """About 16, 64 and 256 tokens, as far as the model and `limit` reach; () if not even the shortest."""
    bounds = (model.facts.context_length, model.facts.target_length, limit)
    most = min((bound for bound in bounds if bound), default=LENGTHS[-1])
    return tuple(min(length, most) for length in LENGTHS if most >= ABOUT * length)


def own_texts(model: LoadedModel) -> tuple[str, ...]:
    """Our own texts, each followed by others until it is long enough; what a model reads if it is given no texts."""
    lengths = lengths_of(model)
    found = []
    for number in range(len(TEXTS)) if lengths else ():
        longest = max(length for length, n in zip(lengths, N_PROBES, strict=False) if number < n)
        joined = " ".join(TEXTS[number:] + TEXTS[:number])
        found.append(window_at(model, Text(str(number), data=joined.encode()), 0, longest).text)
    return tuple(found)


def text_probes(model: LoadedModel, text: str, number: int, lengths: Sequence[int]) -> tuple[Probe, ...] | Unread:
    """A text's beginning at each length that it reaches; `number` draws the order of the controls."""
    own = _Side.of(model, text, model.tokenizer, list(model.encode(text)["input_ids"]))
    target = None
    if model.facts.encoder_decoder:
        ids = decoder_side(model, text).ids
        target = _Side.of(model, text, model.target_tokenizer, ids[1:], start=ids[:1])
    sides = [side for side in (own, target) if side is not None]
    if not all(side.known for side in sides):
        return "unknown"
    generator = torch.Generator().manual_seed(SEED + number)
    found = []
    for length in lengths:
        if any(len(side) < ABOUT * length for side in sides):
            continue
        source, control = own.cut(length, generator)
        decoder, decoder_control = target.cut(length, generator) if target else (None, None)
        found.append(Probe("text", length, source, control, decoder, decoder_control))
    return tuple(found) or "short"


def random_probes(model: LoadedModel, lengths: Sequence[int]) -> tuple[Probe, ...]:
    """Random tokens at each length, for a model that cannot read the texts; none if it has too few to draw from."""
    sides = _drawing(model)
    if min(len(side.symbols) for side in sides) < FEWEST_DRAWN:
        return ()
    found = []
    for length, n_probes in zip(lengths, N_PROBES, strict=False):
        for number in range(n_probes):
            generator = torch.Generator().manual_seed(SEED + 10_000 + 100 * length + number)
            drawn = [side.framed(side.any_of(length - side.n_framing, generator)) for side in sides]
            found.append(Probe("random", length, drawn[0], target_ids=drawn[1] if len(drawn) > 1 else None))
    return tuple(found)


def repeat_probes(model: LoadedModel, lengths: Sequence[int]) -> tuple[Probe, ...]:
    """Random stretches read twice in a row, at each length for which the vocabulary has enough pieces."""
    sides = _drawing(model)
    found = []
    for length, n_probes in zip(lengths, N_PROBES, strict=False):
        longest = _longest_stretch(sides, length)
        if min(len(side.symbols) for side in sides) < max(FEWEST_SYMBOLS, 2 * longest):
            continue
        shortest = max(2, round(ABOUT * longest))
        for number in range(n_probes):
            period = shortest + round(number * (longest - shortest) / (n_probes - 1))
            generator = torch.Generator().manual_seed(SEED + 1000 + 100 * length + number)
            alone = [side.some_of(2 * period, generator) for side in sides]
            twice = [side.framed(two[:period] * 2) for side, two in zip(sides, alone, strict=True)]
            controls = [side.framed(two) for side, two in zip(sides, alone, strict=True)]
            targets = (twice[1], controls[1]) if len(sides) > 1 else (None, None)
            found.append(Probe("repeat", length, twice[0], controls[0], *targets, period=period))
    return tuple(found)


def why_no_repeats(model: LoadedModel, length: int) -> str:
    """Why a model is given no repeats of this length, as the end of a sentence."""
    sides = _drawing(model)
    needed = max(FEWEST_SYMBOLS, 2 * _longest_stretch(sides, length))
    n = min(len(side.symbols) for side in sides)
    return f"the vocabulary has {n:,} pieces beside the special ones, and {needed:,} different ones are needed"


def frame(model: LoadedModel) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer puts before and after a text."""
    special = special_ids(model.tokenizer)
    ids: list[int] = []
    for text in ("a", *_readable_pieces(model)):  # some vocabularies know no a, and drop it
        ids = list(model.encode(text)["input_ids"])
        own = [place for place, id_ in enumerate(ids) if id_ not in special]
        if own:
            return ids[: own[0]], ids[own[-1] + 1 :]
    return ids, []


@dataclass(frozen=True, slots=True)
class _Side:
    """A text as one side of a model reads it: its tokens, and the special ones before and after them."""

    tokenizer: Tokenizer
    before: list[int]
    own: list[int]
    after: list[int]

    @classmethod
    def of(
        cls, model: LoadedModel, text: str, tokenizer: Tokenizer, ids: Sequence[int], start: Sequence[int] = ()
    ) -> "_Side":
        special = special_ids(tokenizer)
        places = [place for place, id_ in enumerate(ids) if id_ not in special]
        if not places:
            return cls(tokenizer, [*start, *ids], [], [])
        first, last = places[0], places[-1] + 1
        return cls(tokenizer, [*start, *ids[:first]], list(ids[first:last]), list(ids[last:]))

    def __len__(self) -> int:
        return len(self.before) + len(self.own) + len(self.after)

    @property
    def known(self) -> bool:
        """Does the tokenizer know most of it?"""
        return self.own.count(self.tokenizer.unk_token_id) <= MOST_UNKNOWN * len(self.own)

    def cut(self, length: int, generator: torch.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The first `length` tokens with the special ones after them, and the same in another order."""
        own = self.own[: max(0, length - len(self.before) - len(self.after))]
        ids = (*self.before, *own, *self.after)
        return ids, tuple(_shuffled(ids, special_ids(self.tokenizer), generator))


@dataclass(frozen=True, slots=True)
class _Drawing:
    """What one side's random texts are drawn from, and what stands around them."""

    before: list[int]
    symbols: list[int]
    after: list[int]

    @property
    def n_framing(self) -> int:
        return len(self.before) + len(self.after)

    def framed(self, ids: Sequence[int]) -> tuple[int, ...]:
        return (*self.before, *ids, *self.after)

    def some_of(self, n: int, generator: torch.Generator) -> list[int]:
        """n different tokens."""
        return [self.symbols[place] for place in torch.randperm(len(self.symbols), generator=generator)[:n].tolist()]

    def any_of(self, n: int, generator: torch.Generator) -> list[int]:
        """n tokens, each drawn from all of them."""
        places = torch.randint(len(self.symbols), (max(0, n),), generator=generator)
        return [self.symbols[place] for place in places.tolist()]


def _drawing(model: LoadedModel) -> tuple[_Drawing, ...]:
    before, after = frame(model)
    source = _Drawing(before, plain_ids(model, model.tokenizer), after)
    if not model.facts.encoder_decoder:
        return (source,)
    return source, _Drawing(decoder_side(model, "").ids, plain_ids(model, model.target_tokenizer), [])


def _longest_stretch(sides: Sequence[_Drawing], length: int) -> int:
    return (length - max(side.n_framing for side in sides)) // 2


def _readable_pieces(model: LoadedModel) -> Iterator[str]:
    """Some pieces of the vocabulary, as text."""
    ids = plain_ids(model, model.tokenizer)
    for id_ in ids[:: max(1, len(ids) // 8)]:
        yield model.decode([id_])


def _shuffled(ids: Sequence[int], special: set[int], generator: torch.Generator) -> list[int]:
    """The tokens in another order; special ones stay where they are."""
    places = [place for place, id_ in enumerate(ids) if id_ not in special]
    order = torch.randperm(len(places), generator=generator).tolist()
    shuffled = list(ids)
    for place, other in zip(places, order, strict=True):
        shuffled[place] = ids[places[other]]
    return shuffled
