"""From text to tokens: what a capture reads, against the tokenizer's own call, of the source and of the target."""

import copy
import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch
import transformers
from transformers import PreTrainedConfig
from transformers.models.auto import modeling_auto as auto

from attention_core import capture
from attention_core.models.facts import LoadedModel
from attention_core.models.loading import wrap_model
from tests.commands.matrix.tokenizers import SOURCE, TARGET, CannotBeBuilt, tokenizer_of


def text_to_tokens(model_type: str, build: Callable[[Any], Any], config: Any) -> str:
    """ "source ✓, target ✓", with ✗ where they differ; "–" with the reason where no tokenizer can be built.

    The model is built with a vector for every token of the tokenizer's.
    """
    try:
        tokenizer, own = tokenizer_of(model_type), tokenizer_of(model_type)
    except CannotBeBuilt as error:
        return f"– {str(error).replace(',', ';').strip(' :')}"
    config.decoder_start_token_id = _start_of(config)
    n = _size_of(tokenizer)
    _enlarge(config, n)
    model = build(config)
    _make_room(model, n)
    loaded = wrap_model(model, tokenizer, name=model_type)
    two = loaded.facts.encoder_decoder
    trace = capture(loaded, SOURCE, target=TARGET if two else None)
    found = [_said("source", [token.id for token in trace.source_tokens], list(own(SOURCE)["input_ids"]))]
    if two:
        ours = [token.id for token in trace.target_tokens]
        found.append(_said("target", ours, _target(model_type, model, own), own))
        found += _languages(model_type, loaded, own)
    return ", ".join(found)


def _size_of(tokenizer: Any) -> int:
    languages = getattr(tokenizer, "lang_code_to_id", {}).values()  # M2M100 does not count them
    return max(len(tokenizer), *(id_ + 1 for id_ in (*tokenizer.all_special_ids, *languages)))


def _enlarge(config: Any, n: int) -> None:
    """Vectors for n tokens, in a configuration and those inside it."""
    if n > 10_000:  # reads characters without a table
        return
    for name, value in vars(config).items():
        if isinstance(value, PreTrainedConfig):
            _enlarge(value, n)
        elif name.endswith("vocab_size") and type(value) is int and 0 < value < n and "per_layer" not in name:
            setattr(config, name, n)


def _make_room(model: Any, n: int) -> None:
    """The same in a model whose configuration calls its vocabulary otherwise."""
    table = None if n > 10_000 else model.get_input_embeddings()
    if isinstance(table, torch.nn.Embedding) and table.num_embeddings < n:
        model.resize_token_embeddings(n)


def _said(side: str, ours: list[int], theirs: list[int] | None, ends: Any = None) -> str:
    if theirs is None:
        return f"{side} – its class does not say how labels are moved"
    if ends is not None:  # what stands after a text is not read
        special = set(ends.all_special_ids)
        ours, theirs = _without_end(ours, special), _without_end(theirs, special)
    if ours == theirs:
        return f"{side} ✓"
    place = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    return f"{side} ✗ {len(ours)} tokens for {len(theirs)}, other from {place} on"


def _without_end(ids: list[int], special: set[int]) -> list[int]:
    while len(ids) > 1 and ids[-1] in special:
        ids = ids[:-1]
    return ids


def _target(model_type: str, model: Any, own: Any) -> list[int] | None:
    """The tokenizer's own labels, moved right by the class with a head: what its decoder reads in training."""
    name = dict(auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES).get(model_type)
    if name is None:
        return None
    written = list(own(text_target=TARGET)["input_ids"])
    if written[-1] not in own.all_special_ids:  # without an end token the move would lose a word
        written.append(own.eos_token_id)
    labels = torch.tensor([written])
    cls, config = getattr(transformers, name), copy.deepcopy(model.config)
    shift = getattr(sys.modules[cls.__module__], "shift_tokens_right", None)
    if hasattr(cls, "prepare_decoder_input_ids_from_labels"):
        with torch.device("meta"):
            whole = cls(config)
        return whole.prepare_decoder_input_ids_from_labels(labels=labels)[0].tolist()
    if shift is None:
        return None
    known = {"pad_token_id": config.pad_token_id, "decoder_start_token_id": config.decoder_start_token_id}
    takes = inspect.signature(shift).parameters
    return shift(labels, **{key: value for key, value in known.items() if key in takes})[0].tolist()


def _languages(model_type: str, loaded: LoadedModel, own: Any) -> list[str]:
    """The same with two languages of the tokenizer's list chosen, where it has one."""
    codes = list(getattr(getattr(loaded, "spoken", None), "codes", ()))
    if len(codes) < 2:
        return []
    source, target = codes[0], codes[-1]
    options: Any = {"source_language": source, "target_language": target}
    trace = capture(loaded, SOURCE, target=TARGET, **options)
    own.tgt_lang = target
    own.src_lang = source
    ids = [token.id for token in trace.source_tokens]
    sides = [
        _said("", ids, list(own(SOURCE)["input_ids"])),
        _said("", [token.id for token in trace.target_tokens], _target(model_type, loaded.model, own), own),
    ]
    return [f"languages{next((side for side in sides if '✗' in side), sides[0])}"]


def _start_of(config: Any) -> int:
    """Of the configurations' defaults some name no start token."""
    for name in ("decoder_start_token_id", "bos_token_id", "pad_token_id"):
        if isinstance(found := getattr(config, name, None), int):
            return found
    return 0
