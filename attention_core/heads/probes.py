"""Probe texts: what a model reads when its heads are tested for names, each with the control it is compared with.

Texts are our own, made to have commas, common and rare words, and no rhyme with each other. Random probes are drawn
from the model's own vocabulary with a seed, so the same model always reads the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from attention_core.capturing.capture import capture_ids
from attention_core.capturing.encode import decoder_side, special_ids
from attention_core.formats.shown import short_repr
from attention_core.models.facts import LoadedModel
from attention_core.record.record import Record

N_REPEATS = 16
SHORTEST, LONGEST = 8, 38  # tokens of a stretch that is repeated; every probe has another length
FEWEST_SYMBOLS = 64  # a random token must seldom come twice by chance
FEWEST_TOKENS = 16  # of a text, special ones aside
MOST_TOKENS = 160  # of a text, special ones included: weights of one layer are held whole
MOST_UNKNOWN = 0.1  # share of unknown tokens up to which a tokenizer reads the texts
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

Kind = Literal["text", "repeat"]


@dataclass(frozen=True, slots=True)
class Probe:
    """Tokens for a model to read, and the same number of tokens to compare with; target for a decoder of its own.

    "text": a text, and its tokens in another order (special ones stay). "repeat": a random stretch twice, and as many
    random tokens without a repeat.
    """

    kind: Kind
    ids: tuple[int, ...]
    control_ids: tuple[int, ...]
    target_ids: tuple[int, ...] | None = None
    control_target_ids: tuple[int, ...] | None = None
    period: int = 0  # tokens of the stretch

    __repr__ = short_repr

    def traces(self, model: LoadedModel) -> tuple[Record, Record]:
        """What the model does with the probe, and with its control."""
        return (
            capture_ids(model, self.ids, self.target_ids),
            capture_ids(model, self.control_ids, self.control_target_ids),
        )


def probes(model: LoadedModel) -> tuple[Probe, ...]:
    """All probes that the model can read: texts if its tokenizer knows their words, repeats if it has enough tokens."""
    return (*text_probes(model, TEXTS), *repeat_probes(model))


def text_probes(model: LoadedModel, texts: Sequence[str]) -> Iterator[Probe]:
    """One probe for each text that has enough tokens which the tokenizer knows."""
    most = min(MOST_TOKENS, model.facts.context_length or MOST_TOKENS)
    for number, text in enumerate(texts):
        generator = torch.Generator().manual_seed(SEED + number)
        ids = list(model.encode(text, truncation=True, max_length=most)["input_ids"])
        if not _known(ids, model.tokenizer):
            continue
        target = control_target = None
        if model.facts.encoder_decoder:
            target = decoder_side(model, text).ids[:most]
            if not _known(target[1:], model.target_tokenizer):
                continue
            control_target = (target[0], *_shuffled(target[1:], special_ids(model.target_tokenizer), generator))
        yield Probe(
            kind="text",
            ids=tuple(ids),
            control_ids=tuple(_shuffled(ids, special_ids(model.tokenizer), generator)),
            target_ids=None if target is None else tuple(target),
            control_target_ids=control_target,
        )


def control_of(model: LoadedModel, trace: Record, number: int) -> Record:
    """What the model does with the tokens of a captured text in another order; `number` draws the order."""
    generator = torch.Generator().manual_seed(SEED + number)
    ids = _shuffled([token.id for token in trace.source_tokens], special_ids(model.tokenizer), generator)
    target = None
    if trace.target_tokens:
        start, *others = [token.id for token in trace.target_tokens]
        target = [start, *_shuffled(others, special_ids(model.target_tokenizer), generator)]
    return capture_ids(model, ids, target)


def repeat_probes(model: LoadedModel) -> Iterator[Probe]:
    """Random stretches of different lengths, each read twice in a row; none if vocabulary or context are too small."""
    before, after = frame(model)
    symbols = plain_ids(model, model.tokenizer)
    decoder_before: list[int] = []
    decoder_symbols = symbols
    if model.facts.encoder_decoder:
        decoder_before = decoder_side(model, "").ids
        decoder_symbols = plain_ids(model, model.target_tokenizer)
    room = min(model.facts.context_length or 10**6, model.facts.target_length or 10**6)
    longest = min(LONGEST, (room - max(len(before) + len(after), len(decoder_before))) // 2)
    if min(len(symbols), len(decoder_symbols)) < FEWEST_SYMBOLS or longest < SHORTEST:
        return
    for number in range(N_REPEATS):
        period = SHORTEST + round(number * (longest - SHORTEST) / (N_REPEATS - 1))
        generator = torch.Generator().manual_seed(SEED + 1000 + number)

        def drawn(of: list[int], n: int, generator: torch.Generator = generator) -> list[int]:
            """n different tokens, as far as there are so many."""
            order = torch.randperm(len(of), generator=generator).tolist()
            return [of[order[i % len(order)]] for i in range(n)]

        alone = drawn(symbols, 2 * period)
        decoder_alone = drawn(decoder_symbols, 2 * period) if model.facts.encoder_decoder else []
        yield Probe(
            kind="repeat",
            ids=(*before, *alone[:period], *alone[:period], *after),
            control_ids=(*before, *alone, *after),
            target_ids=(*decoder_before, *decoder_alone[:period], *decoder_alone[:period]) if decoder_alone else None,
            control_target_ids=(*decoder_before, *decoder_alone) if decoder_alone else None,
            period=period,
        )


def frame(model: LoadedModel) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer puts before and after a text."""
    ids, special = list(model.encode("a")["input_ids"]), special_ids(model.tokenizer)
    own = [place for place, id_ in enumerate(ids) if id_ not in special]
    return (ids[: own[0]], ids[own[-1] + 1 :]) if own else (ids, [])


def plain_ids(model: LoadedModel, tokenizer: Any) -> list[int]:
    """The vocabulary without special, unknown, mask and reserved tokens."""
    pieces = tokenizer.get_vocab()
    left_out = set(tokenizer.all_special_ids)
    embeddings: Any = model.model.get_input_embeddings()
    rows = len(embeddings.weight)  # some tokenizers know more tokens than their model
    return sorted(
        id_
        for piece, id_ in pieces.items()
        if id_ not in left_out and id_ < rows and not (piece[:1] in "[<" and piece[-1:] in "]>" and len(piece) > 2)
    )


def _known(ids: Sequence[int], tokenizer: Any) -> bool:
    special = special_ids(tokenizer)
    own = [id_ for id_ in ids if id_ not in special]
    return len(own) >= FEWEST_TOKENS and sum(id_ == tokenizer.unk_token_id for id_ in own) <= MOST_UNKNOWN * len(own)


def _shuffled(ids: Sequence[int], special: set[int], generator: torch.Generator) -> list[int]:
    """The tokens in another order; special ones stay where they are."""
    places = [place for place, id_ in enumerate(ids) if id_ not in special]
    order = torch.randperm(len(places), generator=generator).tolist()
    shuffled = list(ids)
    for place, other in zip(places, order, strict=True):
        shuffled[place] = ids[places[other]]
    return shuffled
