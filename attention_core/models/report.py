"""Compare the model that was built with the one that was saved: tensors left out or made up, settings that are ignored.

The proof compares the picture with the model that runs. Here the model that runs is compared with the one that was
saved: every stored tensor must have found its place, every parameter must have been stored, and every setting of
attention and positions must be one that the code reads. transformers reports some of this and hides some, so the stored
names themselves are what is gone through.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Shaped
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedModel

from attention_core.formats.shown import short_repr
from attention_core.inside.of_transformers import ignored_on_load, names_in_model
from attention_core.models.folder import Contents, weight_files
from attention_core.models.unread_settings import unread_settings
from attention_core.models.which_class import beside_text
from attention_core.observe.refusal import ModelError

_NAMED, _GROUPS_NAMED = 2, 5  # tensors, and parts of a model, that a sentence names; the others are counted
# A tensor at the top of the model, beside no module that was built: is it of embeddings, attention or norms?
_OF_ATTENTION = re.compile(r"emb|pos|norm|ln_|^ln|attn|attention|rotary|rope|relative|alibi|wpe|wte|slopes|^shared")
_MASKS = re.compile(r"(^|\.)(bias|masked_bias|causal_mask|attn_mask|mask|tril)$")
_HEADS = re.compile(r"pool|head|classif|score|cls|output|predict|logit|proj|generator|discriminator")
_NO_PART = re.compile(r"(^|\.)(pooler|lm_head|classifier)(\.|$)")  # inside some bodies, and no part of attention
# Stored by checkpoints that everybody uses, and read by no version of their class: T5's cross-attention never had
# relative positions; an ESM with rotary positions has no others.
_NEVER_READ = re.compile(r"\.EncDecAttention\.relative_attention_bias\.weight$")
_ABSOLUTE = re.compile(r"(^|\.)embeddings\.position_embeddings\.weight$")
_LOWEST = -1e4  # what older models add where nothing may be read: nothing is left of a weight after it


@dataclass(frozen=True, slots=True)
class LoadingReport:
    """What loading dropped or made up, in sentences; empty where the model that runs is the one that was saved."""

    reservations: tuple[str, ...] = ()  # the attention may differ from the saved model's: said beside every picture
    listed: tuple[str, ...] = ()  # plays no part in the pictures (heads that are not used, …): said once, in the facts

    __repr__ = short_repr


def report_of(
    shown: str,
    folder: Path,
    contents: Contents,
    whole: PreTrainedModel,
    body: PreTrainedModel,
    report: Mapping[str, Iterable[str]],
) -> LoadingReport:
    """Compare a model that was just loaded with what its folder holds.

    `report` is transformers' own loading report of the `whole`; `body` is the part that is captured.

    Raises ModelError if weights of the body were made up.
    """
    cls = type(body).__name__
    dropped = _dropped(contents, whole, report)
    missing = missing_in(body, whole, report)
    if missing:
        advice = "Download them again, or correct the architecture that config.json names."
        if dropped:
            advice = (
                f"{len(dropped)} others are stored that {cls} has no place for, the first is {next(iter(dropped))}: "
                "its config.json names another architecture or other sizes than the weights have."
            )
        raise ModelError(
            f"The weights of {shown} are incomplete: {len(missing)} are missing, the first is {missing[0]}. {advice}"
        )
    inside, heads, beside = _sorted(_without_equal_buffers(folder, dropped, whole), whole, body)
    reservations, listed = [], []
    if inside:
        reservations.append(
            f"{_count(inside)} stored that {cls} does not use: {_names(inside)}. The saved model may compute "
            "other attention than this one."
        )
    if heads:
        reservations.append(
            f"{_count(heads)} of the head stored that {type(whole).__name__} does not use: {_names(heads)}. "
            "What the saved model says may differ."
        )
    reservations += unread_settings(contents.config, body)
    if reads := beside_text(type(whole), whole.config):
        listed.append(f"Only the text part of {type(whole).__name__} is opened ({cls}), not what reads {reads}.")
    if beside:
        listed.append(f"Stored, and used by no picture: {_names(beside, groups=True)}.")
    made_up = sorted(set(report["missing_keys"]) - set(missing))
    if made_up:
        listed.append(f"Not stored, so made up at random, and used by no picture: {_names(made_up, groups=True)}.")
    return LoadingReport(tuple(reservations), tuple(listed))


def missing_in(body: PreTrainedModel, whole: PreTrainedModel, report: Mapping[str, Iterable[str]]) -> list[str]:
    """Parameters and buffers of the body that were not stored, by their names in the whole; sorted.

    A pooler plays no part in attention and does not count.
    """
    own = {id(tensor) for tensor in (*body.parameters(), *body.buffers())}
    named = dict(_tensors_of(whole))
    return sorted(key for key in report["missing_keys"] if "pooler" not in key and id(named.get(key)) in own)


def _tensors_of(model: PreTrainedModel) -> Iterable[tuple[str, Tensor]]:
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def _dropped(contents: Contents, whole: PreTrainedModel, report: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Stored tensors that the model has no place for: their name in the model's own words → as it is stored."""
    reported = {key: key for key in sorted(report["unexpected_keys"])}
    if contents.quantised:  # packed integers and their scales come under names of their own
        return reported
    places = whole.state_dict()
    found: dict[str, str] = {}
    for stored, name in names_in_model(contents.shapes, whole, places).items():
        if name not in places and stored in places:
            name = stored
        if name not in places:
            found[name] = stored
    return {**{key: key for key in reported if key not in found}, **found}


def _sorted(
    dropped: Mapping[str, str], whole: PreTrainedModel, body: PreTrainedModel
) -> tuple[list[str], list[str], list[str]]:
    """Names of dropped tensors: of the body's modules, of the built head's, and of neither."""
    inside, heads, beside = [], [], []
    names = {id(module): name for name, module in whole.named_modules()}
    of_body = {id(module) for module in body.modules()}
    modules = dict(whole.named_modules())
    # Of a body that is assembled of the whole's parts (T5) the whole is the root, too.
    roots = {"", names.get(id(body), "")}
    ignored = _ignored_by(whole)
    for name in dropped:
        parent = name
        while parent and parent not in modules:
            parent = parent.rpartition(".")[0]
        rest = name[len(parent) + 1 :] if parent else name
        if _NEVER_READ.search(name) or (_ABSOLUTE.search(name) and _is_rotary(body)):
            beside.append(name)
        elif parent in roots and rest.startswith("vocab_"):  # DistilBERT's language head, at the top
            beside.append(name)
        elif parent in roots:
            (inside if _OF_ATTENTION.search(rest.split(".")[0].lower()) else beside).append(name)
        elif id(modules[parent]) not in of_body:
            # A parameter of a head that runs; a whole part of it that this class has not is another head.
            (heads if "." not in rest and _same_head(parent, whole, body) else beside).append(name)
        elif ignored(name) and rest.split(".")[0].isdigit():  # a whole layer that the class leaves out on purpose
            beside.append(name)
        elif _NO_PART.search(name):
            beside.append(name)
        else:
            inside.append(name)
    return inside, heads, beside


def _is_rotary(body: PreTrainedModel) -> bool:
    return getattr(body.config, "position_embedding_type", None) == "rotary"


def _same_head(parent: str, whole: PreTrainedModel, body: PreTrainedModel) -> bool:
    """Is this a part of a language head, which is run, and not of another tower, which is not?"""
    inner = whole.get_submodule(parent.split(".")[0])
    return whole is not body and not isinstance(inner, PreTrainedModel) and bool(_HEADS.search(parent.lower()))


def _ignored_by(whole: PreTrainedModel) -> Callable[[str], bool]:
    patterns = ignored_on_load(whole)
    return lambda name: any(re.search(pattern, name) for pattern in patterns)


# --- buffers that older checkpoints store and the class computes


def _without_equal_buffers(folder: Path, dropped: Mapping[str, str], whole: PreTrainedModel) -> dict[str, str]:
    """What is left of the dropped tensors without those that say what the class computes anyway."""
    candidates = {name: stored for name, stored in dropped.items() if _may_be_buffer(name, whole)}
    if not candidates:
        return dict(dropped)
    values = _read(folder, set(candidates.values()))
    computed = dict(whole.named_buffers(remove_duplicate=False))
    left = dict(dropped)
    for name, stored in candidates.items():
        if stored in values and _says_the_same(name, values[stored], computed, whole):
            del left[name]
    return left


def _may_be_buffer(name: str, whole: PreTrainedModel) -> bool:
    last = name.rpartition(".")[2]
    return bool(
        last
        in ("position_ids", "inv_freq", "token_type_ids", "cos_cached", "sin_cached", "num_batches_tracked", "version")
        or _MASKS.search(name)
        or any(last == buffer.rpartition(".")[2] for buffer, _ in whole.named_buffers())
        or re.search(r"(embed_positions|position_embeddings|pos_emb)\.(weights?|_float_tensor)$", name)
    )


def _read(folder: Path, names: set[str]) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for file in weight_files(folder):
        with safe_open(file, framework="pt") as tensors:
            for name in names & set(tensors.keys()):
                found[name] = tensors.get_tensor(name)
    return found


def _says_the_same(name: str, stored: Tensor, computed: Mapping[str, Tensor], whole: PreTrainedModel) -> bool:
    parent, _, last = name.rpartition(".")
    own = computed.get(name)
    if own is not None and not own.is_meta:
        return _equal(stored, own)
    if last == "position_ids":
        return _equal(stored.flatten(), torch.arange(stored.numel()))
    if last == "token_type_ids":
        return not stored.any()
    if last == "num_batches_tracked":
        return True
    if last == "version":  # of fairseq's file format
        return stored.numel() == 1
    if last == "masked_bias":
        return stored.numel() == 1 and float(stored) <= _LOWEST
    if last == "_float_tensor":  # an empty one, which once told the device
        return stored.numel() <= 1
    frequencies = [
        tensor for key, tensor in computed.items() if key.rpartition(".")[2].endswith("inv_freq") and not tensor.is_meta
    ]
    if last == "inv_freq":
        return any(_equal(stored, tensor) for tensor in frequencies)
    if last in ("cos_cached", "sin_cached"):
        table = stored.squeeze()
        return table.dim() == 2 and any(_equal(table, _table(last, len(table), tensor)) for tensor in frequencies)
    square = stored.squeeze()
    if _MASKS.search(name) and square.dim() == 2 and square.shape[0] == square.shape[1]:
        return _looks_back(parent, whole) and bool((square.bool() == torch.ones_like(square).tril().bool()).all())
    return False


def _looks_back(parent: str, whole: PreTrainedModel) -> bool:
    """Does the module of this name read the past alone? Those that say nothing of it belong to causal models."""
    try:
        return getattr(whole.get_submodule(parent), "is_causal", True) is not False
    except AttributeError:
        return True


def _table(name: str, n: int, inv_freq: Float[Tensor, " frequency"]) -> Float[Tensor, "position channel"]:
    """Cosines or sines of every position, twice side by side, as rotary embeddings once stored them."""
    angles = torch.outer(torch.arange(n).float(), inv_freq.float().cpu())
    return torch.cat([angles, angles], dim=-1).cos() if name.startswith("cos") else torch.cat([angles] * 2, -1).sin()


def _equal(stored: Shaped[Tensor, "*stored"], computed: Shaped[Tensor, "*computed"]) -> bool:
    """Equal up to the precision in which the tensor was stored and the length of a table."""
    stored, computed = stored.detach().cpu().squeeze(), computed.detach().cpu().squeeze()
    if stored.dim() != computed.dim():
        return False
    if not stored.is_floating_point():
        return stored.shape == computed.shape and bool((stored.to(computed.dtype) == computed).all())
    coarse = torch.finfo(stored.dtype).eps if stored.dtype in (torch.float16, torch.bfloat16) else 1e-5
    if computed.dtype in (torch.float16, torch.bfloat16):
        coarse = max(coarse, torch.finfo(computed.dtype).eps)
    return stored.shape == computed.shape and torch.allclose(stored.float(), computed.float(), rtol=coarse, atol=coarse)


# --- words


def _count(names: list[str]) -> str:
    return "1 tensor is" if len(names) == 1 else f"{len(names):,} tensors are"


def _names(names: list[str], *, groups: bool = False) -> str:
    """The first few names and how many more; with `groups` only the parts of the model that they stand in."""
    if groups:
        names = list(dict.fromkeys(re.split(r"\.(?:\d+)\.|\.(?:weight|bias)$", name)[0] for name in names))
    most = _GROUPS_NAMED if groups else _NAMED
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(name[:100] for name in names[:most]) + more
