"""How long a text a model reads: what its files state, tried on what was built.

Where the numbers of places begin after the padding token's (RoBERTa and its kind: 514 rows, 512 places), a config names
the rows. So the model is asked: it reads a few tokens up to its first layer, which shows the tables that are read by
place and where they begin; then as many tokens as come out, up to the same point. Nothing behind the embeddings is
computed: a trial costs what looking the tokens up costs, and what is made of their number alone.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedConfig, PreTrainedModel

from attention_core.formats.memory import is_out_of_memory
from attention_core.inside.of_accelerate import unwrapped
from attention_core.inside.of_torch import AnyModule, shallow_copy
from attention_core.inside.of_transformers import keep_attention_type
from attention_core.text.tokenizer import Tokenizer

UNBOUNDED = 10**9  # tokenizers without a limit of their own report about 1e30
FEW = 4  # tokens show where a table begins
# Some models make a mask of all pairs before anything else: 1 GB for LED's 16,384 tokens. So more than this is tried in
# part: so many tokens read a row each, one after the other, and the rows that are left are counted.
MOST_TRIED = 4_096
TRIED_BLINDLY = 1_024  # where no table was seen: nothing but masks and rotations is longer for more

# What a configuration calls it.
_OF_TEXT = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len")
_OF_ENCODER = ("max_source_positions", "max_encoder_position_embeddings", *_OF_TEXT)
_OF_DECODER = ("max_target_positions", "max_decoder_position_embeddings", *_OF_TEXT)


@dataclass(frozen=True, slots=True)
class Limits:
    """Most tokens that a model reads, special ones included; None if nothing limits them."""

    source: int | None
    target: int | None = None  # of the decoder's text; None without a decoder too


def limits_of(model: nn.Module, tokenizer: Tokenizer, *, two_texts: bool | None = None) -> Limits:
    """The longest texts that a model reads: the smaller of what its configuration and its tokenizer state, tried.

    `two_texts`: whether it has an encoder and a decoder. None asks its configuration, which an encoder alone may keep
    of the whole.

    What cannot be tried (a model that wants more than text) is believed. The model is left as it was.
    """
    whole: AnyModule = model
    token = _plain_id(whole, tokenizer)
    device = next((parameter.device for parameter in model.parameters() if not parameter.is_meta), torch.device("cpu"))
    config = whole.config.get_text_config()
    if two_texts is None:
        two_texts = bool(getattr(whole.config, "is_encoder_decoder", False))
    if not two_texts:
        return Limits(_tried(_Part(whole, {}, token, device), _stated(config, tokenizer, _OF_TEXT)))
    encoder, decoder = whole.get_encoder(), whole.get_decoder()
    d_model = getattr(config, "d_model", None) or getattr(config, "hidden_size", 1)
    seen = {"encoder_hidden_states": torch.zeros(1, 1, d_model, device=device)}
    stated = _stated(_config_of(encoder, config), tokenizer, _OF_ENCODER)
    stated_target = _stated(_config_of(decoder, config), tokenizer, _OF_DECODER)
    return Limits(
        _tried(_Part(encoder, {}, token, device), stated), _tried(_Part(decoder, seen, token, device), stated_target)
    )


def _config_of(side: AnyModule, shared: PreTrainedConfig) -> PreTrainedConfig:
    """Some encoders and decoders have a configuration of their own."""
    return side.config.get_text_config() if hasattr(side, "config") else shared


def _stated(config: PreTrainedConfig, tokenizer: Tokenizer, names: tuple[str, ...]) -> int | None:
    """The smaller of what a configuration and a tokenizer allow."""
    of_tokenizer = getattr(tokenizer, "model_max_length", 0)
    limits = [
        next((value for name in names if isinstance(value := getattr(config, name, None), int)), 0),
        int(of_tokenizer) if isinstance(of_tokenizer, int | float) and math.isfinite(of_tokenizer) else 0,
    ]
    real = [limit for limit in limits if 0 < limit < UNBOUNDED]
    return min(real) if real else None


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A model that reads tokens, or one side of it."""

    module: nn.Module
    others: Mapping[str, Tensor]  # what it is given beside the tokens
    token: int  # an ordinary one: padding has no place of its own
    device: torch.device


def _tried(part: _Part, stated: int | None) -> int | None:
    """The most tokens, up to what is stated, that the part's embeddings take."""
    few = FEW if stated is None else min(FEW, stated)
    places = _read(part, few)
    if places is None:  # not even a few tokens alone: believed
        return stated
    room = min(places, default=None)
    limit = min((n for n in (stated, room) if n is not None), default=None)
    if limit is None or limit <= few or (room is None and limit > TRIED_BLINDLY):
        return limit
    if limit > MOST_TRIED and _read(part, MOST_TRIED) == places:
        return limit
    limit = min(limit, MOST_TRIED)
    if _read(part, limit) is not None:
        return limit
    fits, over = few, limit
    while over - fits > 1:
        middle = (fits + over) // 2
        fits, over = (middle, over) if _read(part, middle) is not None else (fits, middle)
    return fits


def _read(part: _Part, n: int) -> list[int] | None:
    """Let a part read n tokens up to its first layer.

    The places of each table that was read by place; None if it cannot read so many.
    """
    ids = torch.full((1, n), part.token, device=part.device)
    shallow = _shallow(part.module)
    with _until_the_first_layer(part.module), _Tables(n) as tables, torch.inference_mode():
        try:
            shallow(input_ids=ids, **part.others, **_no_cache(part.module))
        except _Enough:
            pass
        except Exception as error:  # each architecture fails in its own way where a table ends
            if not is_out_of_memory(error):  # which says nothing about the model
                return None
    return tables.places


class _Tables(TorchFunctionMode):
    """Watches this thread's look-ups in tables: those by place, and those behind a table's end before they are made.

    On a GPU such a look-up would end the process's use of it, not in an error that can be caught.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n
        self.places: list[int] = []

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[Any, ...] = (),  # of whatever function is called
        kwargs: dict[str, Any] | None = None,  # of the same
    ) -> object:
        if func is nn.functional.embedding and len(args) > 1:
            ids, n_rows = args[0], args[1].shape[0]
            if ids.numel() and int(ids.max()) >= n_rows:
                raise IndexError("a table ends before this place")
            if ids.numel() == self.n > 1 and bool((ids.flatten().diff() == 1).all()):
                self.places.append(n_rows - int(ids.flatten()[0]))
        return func(*args, **(kwargs or {}))


class _Enough(Exception):
    """The first layer was reached."""


@contextmanager
def _until_the_first_layer(part: nn.Module) -> Iterator[None]:
    """End every run of this part where its first layer would begin: of a list of modules, one that multiplies."""

    def end(*_: object) -> None:
        raise _Enough

    hooks = [
        module.register_forward_pre_hook(end)
        for several in part.modules()
        if isinstance(several, nn.ModuleList)
        for module in several
        if _multiplies(module)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _multiplies(module: nn.Module) -> bool:
    tables = {id(inner.weight) for inner in module.modules() if isinstance(inner, nn.Embedding)}
    return any(parameter.dim() > 1 and id(parameter) not in tables for parameter in module.parameters())


def _shallow(part: nn.Module) -> nn.Module:
    """A copy that shares every module. What a run sets on its model (BigBird: another attention) is not kept."""
    return keep_attention_type(unwrapped(shallow_copy(part)))


def _no_cache(part: nn.Module) -> dict[str, bool]:
    return {"use_cache": False} if {"use_cache", "kwargs"} & set(inspect.signature(part.forward).parameters) else {}


def _plain_id(model: PreTrainedModel, tokenizer: Tokenizer) -> int:
    """A token that frames nothing and pads nothing."""
    special = {*tokenizer.all_special_ids, getattr(model.config.get_text_config(), "pad_token_id", None)}
    return next((id_ for id_ in range(len(tokenizer)) if id_ not in special), 0)
