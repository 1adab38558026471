"""What we lean on inside transformers: which attention runs, what the modelling code says, which classes there are,
and what loading renames.

transformers documents how a model is loaded, called and given another attention function. It does not say which of its
classes ask for such a function, which settings their code reads, or what it leaves out of a folder without a word; the
promise that every number is the saved model's own rests on these.
"""

import ast
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel, masking_utils, modeling_rope_utils
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask, sdpa_mask
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from attention_core.inside.of_torch import AnyModule

__all__ = [
    "asks_the_interface",
    "attention_of",
    "class_names",
    "eager_function",
    "eager_mask",
    "from_config",
    "ignored_on_load",
    "input_modalities",
    "keep_attention_type",
    "knows_type",
    "modelling_files",
    "names_in_model",
    "narrowed_to_chosen_keys",
    "names_attention",
    "own_attention",
    "read_by",
    "sdpa_attention_forward",
    "sdpa_mask",
    "set_attention",
    "set_own_attention",
    "shift_tokens_right",
    "shifts_by_start_token",
    "supports_sdpa",
    "tied_weights",
    "usual_classes",
    "uses_name",
    "words_of",
]

# `sdpa_attention_forward` computes for "sdpa", `sdpa_mask` and `eager_mask` make its masks and those of "eager": ours
# are the same functions, so that an observed model gives what an unobserved one does, bit for bit. Written anew they
# would be a second opinion of what transformers computes.

Keywords = dict[str, Any]  # scaling, softcap, is_causal …, by transformers' names: each of a type of its own
AttentionFunction = Callable[..., tuple[Tensor, Tensor | None]]


# --- which attention runs


def supports_sdpa(model: PreTrainedModel) -> bool:
    """Do the model's authors say that torch's fused attention computes what theirs does?

    Without it every model would be run with its own, slower function. Trying is no way: SDPA leaves some terms out
    without an error.
    """
    return model._supports_sdpa


def attention_of(config: PreTrainedConfig) -> str | None:
    """The name of the attention function that models of this configuration call, as transformers reads it.

    `set_attn_implementation` is the documented way to choose one; it says of no part whether it followed.
    """
    return config._attn_implementation


def set_attention(config: PreTrainedConfig, name: str) -> None:
    """Choose a function before a model is built, whatever the folder's config.json says.

    The documented argument of `from_pretrained` does not reach the configurations within one of several models.
    """
    config._attn_implementation = name


def names_attention(config: PreTrainedConfig) -> bool:
    """Does this configuration say which attention function is called?"""
    return hasattr(config, "_attn_implementation_internal")


def own_attention(config: PreTrainedConfig) -> str | None:
    """The name that stands in this very configuration, which may be None. `attention_of` would fill that in."""
    return config._attn_implementation_internal


def set_own_attention(config: PreTrainedConfig, name: str | None) -> None:
    """Put back what `own_attention` gave, None too. Without it a model that was lent comes back set otherwise."""
    config._attn_implementation_internal = name


def narrowed_to_chosen_keys(
    mask: Tensor | None, module: nn.Module, query: Tensor, key: Tensor, keywords: Keywords
) -> Tensor | None:
    """Fold a sparse model's choice of keys into the mask, and take its keyword away.

    These models pick the keys that a query may read by a small network of their own. For "eager" and "sdpa" they put
    the choice into the mask; for any other name, ours too, they pass it on to a kernel that knows it. Without this the
    keyword is refused by name, and such a model cannot be shown.

    Raises ValueError for a choice without a mask that it narrows.
    """
    indices = keywords.pop("indices", None)  # [batch, query, chosen]: DeepSeek's sparse attention and its relatives
    if indices is not None:
        chosen = torch.zeros(*indices.shape[:2], key.shape[2], dtype=torch.bool, device=key.device)
        mask = _narrow(mask, chosen.scatter(-1, indices.long(), True).unsqueeze(1), query)
    blocks = keywords.pop("block_indices", None)  # MiniMax: blocks of keys; its indexer knows what they stand for
    if blocks is not None:
        positions = keywords.get("position_ids")
        if positions is None:
            positions = torch.arange(key.shape[2] - query.shape[2], key.shape[2], device=key.device)
        positions = torch.atleast_2d(positions).expand(query.shape[0], -1)
        indexer: AnyModule = module.get_submodule("indexer")
        mask = indexer.build_block_mask(blocks, mask, key.shape[2], query.dtype, query.device, positions)
    return mask


def _narrow(mask: Tensor | None, chosen: Tensor, query: Tensor) -> Tensor:
    if mask is None:
        raise ValueError("a sparse choice of keys came without the mask that it narrows; nothing is shown")
    if mask.dtype == torch.bool:
        return mask & chosen
    return mask.masked_fill(~chosen, torch.finfo(query.dtype).min)


def input_modalities(cls: type[PreTrainedModel] | PreTrainedModel) -> tuple[str, ...]:
    """What a class declares to read: "text", "image", "audio" … Without it a tower of images would count as text."""
    stated = cls.input_modalities
    return (stated,) if isinstance(stated, str) else tuple(stated)


def keep_attention_type(copied: PreTrainedModel) -> PreTrainedModel:
    """A copied model that keeps its kind of attention.

    BigBird changes its own for a short text, in parts that the copy shares: without this, in the original too.
    """
    copied.__dict__["set_attention_type"] = lambda *_: None
    return copied


# --- what the modelling code says: names in its compiled functions and its source


@lru_cache(maxsize=4096)
def asks_the_interface(cls: type[nn.Module]) -> bool:
    """Does this class's code ask for an attention function by `ALL_ATTENTION_FUNCTIONS`?

    Read from its compiled methods: its file may hold one attention that asks and another that does not. Where the name
    is another one, every model would be shown by the weights that it returns itself, and the page says so.
    """
    return any("ALL_ATTENTION_FUNCTIONS" in names for names in _names_used(cls))


def eager_function(module: nn.Module) -> AttentionFunction | None:
    """The function that this module's code names as its eager attention, or None if it has none.

    `eager_attention_forward` of its file in nearly all; a few files have several under names of their own.
    """
    own = [name for names in _names_used(type(module)) for name in names if name.endswith("eager_attention_forward")]
    return getattr(_file_of(module), own[0] if own else "eager_attention_forward", None)


def shift_tokens_right(model: nn.Module) -> Callable[..., Tensor] | None:
    """The function of the model's file that moves a decoder's labels right; None if the file has none.

    Without it a decoder would be begun with the configuration's start token: for mBART in another language.
    """
    return getattr(_file_of(model), "shift_tokens_right", None)


def shifts_by_start_token(model: PreTrainedModel) -> bool:
    """Does the class move labels right by the configuration's start token (T5), and fail without one?"""
    shift = getattr(type(model), "_shift_right", None)
    return shift is not None and uses_name(shift, "decoder_start_token_id")


def uses_name(function: Callable[..., object], name: str) -> bool:
    """Is this a name in the function's own code? Told before it is run: it might fail for want of what it names."""
    return name in inspect.unwrap(function).__code__.co_names


def words_of(body: nn.Module) -> frozenset[str]:
    """Names and strings in the files that the body's classes come from, and in what they share.

    Without the shared files' names (rotary positions, masks) settings that they read would be reported as unread.
    """
    modules = {type(module).__module__ for module in body.modules()}
    modules = {name for name in modules if _is_theirs(name)}
    words = frozenset[str]().union(*(_words_in(module) for module in modules))
    if any("rotary" in name.lower() or "rope" in name.lower() for name in words):
        words |= _words_in(modeling_rope_utils.__name__)
    # Of the functions that make masks, those that are called: every file could ask for a window, few do.
    makers = {
        name: made for name, made in vars(masking_utils).items() if name in words and isinstance(made, FunctionType)
    }
    return words.union(*(_in_code(made.__code__) for made in makers.values()))


@lru_cache(maxsize=256)
def read_by(config_class: type[PreTrainedConfig]) -> frozenset[str]:
    """Names and strings in the methods of a configuration class and of those that it is made of."""
    found: set[str] = set()
    for cls in config_class.__mro__:
        if _is_theirs(cls.__module__):
            for member in vars(cls).values():
                member = getattr(member, "fget", member)
                # What dataclasses write, such as __init__, names every field and reads none.
                if isinstance(member, FunctionType) and "<string>" not in member.__code__.co_filename:
                    found.update(_in_code(inspect.unwrap(member).__code__))
    return frozenset(found)


def _file_of(module: nn.Module) -> ModuleType:
    return sys.modules[type(module).__module__]


def _is_theirs(module: str) -> bool:
    return module.startswith("transformers.")


@lru_cache(maxsize=4096)
def _names_used(cls: type[nn.Module]) -> tuple[tuple[str, ...], ...]:
    """The global names in the code of each method that a class of a modelling file defines."""
    functions = [inspect.unwrap(member) for member in vars(cls).values() if inspect.isfunction(member)]
    return tuple(function.__code__.co_names for function in functions)


@lru_cache(maxsize=64)
def _words_in(module: str) -> frozenset[str]:
    """Names and strings in the code of a module; comments and docstrings say nothing."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError, SyntaxError):
        return frozenset()
    spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.keyword | ast.arg) and node.arg:
            found.add(node.arg)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
            found.add(node.value)
    return frozenset(found)


def _in_code(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple):
            yield from (one for one in constant if isinstance(one, str))
        elif isinstance(constant, CodeType):
            yield from _in_code(constant)


# --- which classes there are


def knows_type(model_type: str) -> bool:
    """Has transformers a configuration for this `model_type`? Asked before anything of a stranger's folder is built."""
    return model_type in CONFIG_MAPPING


def usual_classes(config_class: type[PreTrainedConfig]) -> tuple[type[PreTrainedModel], ...]:
    """What `AutoModel` builds of a configuration of this class; () if nothing, or if that needs a missing package."""
    try:
        found: object = MODEL_MAPPING[config_class]
    except (KeyError, ImportError, AttributeError, ValueError):
        return ()
    found = found if isinstance(found, tuple | list) else (found,)
    return tuple(cls for cls in found if isinstance(cls, type) and issubclass(cls, PreTrainedModel))


def class_names(use: str) -> Mapping[str, str | tuple[str, ...]]:
    """`model_type` → name of the class (or names) for one use: "CAUSAL_LM", "SEQUENCE_CLASSIFICATION" …

    Names and no classes: looking a class up imports its file. Without these lists no checkpoint's head would be known.
    """
    return dict(getattr(modeling_auto, f"MODEL_FOR_{use}_MAPPING_NAMES"))


def modelling_files(config: PreTrainedConfig) -> list[ModuleType]:
    """The file beside the configuration's own, and that of the class that is usually built of it.

    Without them a class that no auto class knows (a T5 that was saved as an encoder alone) could not be found.
    """
    names = [type(config).__module__.replace(".configuration_", ".modeling_")]
    names += [cls.__module__ for cls in usual_classes(type(config))]
    found = []
    for name in dict.fromkeys(names):
        if name.startswith("transformers.models."):
            try:
                found.append(importlib.import_module(name))
            except ImportError:  # needs a package that is not installed; transformers says which when it is built
                continue
    return found


def from_config(cls: type[PreTrainedModel], config: PreTrainedConfig, **options: object) -> PreTrainedModel:
    """Build a class of a configuration, without weights. What is documented does that for auto classes alone."""
    return cls._from_config(config, **options)


# --- what loading renames and leaves out


def names_in_model(stored: Iterable[str], whole: PreTrainedModel, places: dict[str, Tensor]) -> dict[str, str]:
    """Stored tensor → what it is called in the model; `places` are the names that the model has a place for.

    Without it, what transformers reports itself is all that is known of a loading, and what it hides stays hidden.
    """
    conversions = getattr(whole, "_weight_conversions", None) or []
    renamings = [one for one in conversions if isinstance(one, WeightRenaming)]
    converters = [one for one in conversions if isinstance(one, WeightConverter)]
    return {name: rename_source_key(name, renamings, converters, whole.base_model_prefix, places)[0] for name in stored}


def ignored_on_load(whole: PreTrainedModel) -> tuple[str, ...]:
    """Patterns of stored names that loading leaves out without a word: layers that the class does without on purpose.

    Without them a reservation stands beside a picture that deserves none.
    """
    return tuple(whole._keys_to_ignore_on_load_unexpected or ())


def tied_weights(cls: type[PreTrainedModel]) -> Mapping[str, str]:
    """Parameters of a class that are one: its own name → the name under which it is stored.

    Without it, weights that are stored under the head's name would be missing from the body.
    """
    tied = cls._tied_weights_keys
    return tied if isinstance(tied, Mapping) else {}
