"""Which class is built of a folder: the one that its config.json names, and the part of it that reads text.

`architectures` decides. transformers' `AutoModel` knows one class for each `model_type`, and for a T5 that was saved as
an encoder alone, a context encoder of DPR, or an image model with a text tower beside it that is the wrong one.
A model that wants an image or sound is told by what its class declares, before anything is built.
"""

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from attention_core.inside.of_transformers import (
    class_names,
    from_config,
    input_modalities,
    modelling_files,
    tied_weights,
    usual_classes,
)
from attention_core.models.language_head import Loader, body_of
from attention_core.observe.refusal import ModelError

# Models of these lists read text; those that can read images or sound beside it do without.
_TEXT_LISTS = (
    "CAUSAL_LM",
    "MASKED_LM",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "TEXT_ENCODING",
    "SEQUENCE_CLASSIFICATION",
    "TOKEN_CLASSIFICATION",
    "IMAGE_TEXT_TO_TEXT",
    "MULTIMODAL_LM",
)
_TOKENS = ("input_ids", "decoder_input_ids")
_READS = {  # what a class calls its main input → what that is
    "pixel_values": "images",
    "pixel_values_videos": "videos",
    "input_values": "sound",
    "input_features": "sound",
    "audio_mel": "sound",
    "bbox": "the places of words on a page",
}
_LACKING = re.compile(
    r"pixel|image|visual|video|audio|bbox|input_(values|features)|required positional|have to specify"
)
_MODALITIES = {"image": "images", "audio": "sound", "video": "videos", "time": "measurements over time"}


@dataclass(frozen=True, slots=True)
class BodyLoader:
    """Builds a class that `AutoModel` would not choose; called as transformers' auto classes are."""

    cls: type[PreTrainedModel]
    config: PreTrainedConfig | None = None  # its own, where that is a part of the folder's

    # As `Loader` has it.
    def from_pretrained(self, folder: str | Path, /, **options: Any) -> Any:
        """As the class's own, without the options that only auto classes know."""
        options.pop("trust_remote_code", None)
        options["config"] = self.config or options["config"]
        return self.cls.from_pretrained(folder, **options)

    def from_config(self, config: PreTrainedConfig) -> PreTrainedModel:
        """The class built of a config alone, without a checkpoint's weights."""
        return from_config(self.cls, self.config or config)


def loader_of_body(config: PreTrainedConfig, shown: str) -> Loader:
    """What builds the model whose body is captured: `AutoModel`, or the class that config.json names.

    Raises ModelError if that model reads no text, or not without an image or sound, and has no part that does.
    """
    try:
        config.get_text_config()
    except ValueError:  # MusicGen: a text encoder, and a decoder of sound
        raise ModelError(
            f"{shown} is made of several models, and its config.json does not tell which one reads the text. "
            "Choose a model that reads text alone."
        ) from None
    named, usual = named_class(config), usual_classes(type(config))
    cls = named or (usual[0] if usual else None)
    if cls is None:
        return AutoModel
    reads = beside_text(cls, config)
    if reads:
        tower = _loader_of_tower(cls, config)
        if tower is None:
            raise ModelError(
                f"{shown} reads {reads}, and Sightline gives a model text alone. Choose a model that reads text."
            )
        return tower
    if named is None or named in usual[:1]:
        return AutoModel
    with torch.device("meta"):
        body = body_in(from_config(named, config))
    return AutoModel if type(body) in usual[:1] and not _stored_by_the_head(named) else BodyLoader(named)


def _stored_by_the_head(cls: type[PreTrainedModel]) -> bool:
    """Are weights that its body shares with its head saved under the head's name, where the body alone misses them?"""
    prefix = f"{cls.base_model_prefix}."
    pairs = tied_weights(cls).items()
    return any(shared.startswith(prefix) and not stored.startswith(prefix) for shared, stored in pairs)


def body_in(whole: PreTrainedModel) -> PreTrainedModel:
    """The part of a loaded model that reads text: its text tower, its body without a head, or all of it.

    Raises ModelError for a model of images or sound without a text tower.
    """
    if beside_text(type(whole), whole.config):
        tower = _tower_in(whole)
        if tower is None:
            raise ModelError(f"No part of {type(whole).__name__} reads text alone.")
        return tower.eval()
    if type(whole) in usual_classes(type(whole.config)):
        return whole
    try:
        body = body_of(whole)
    except ValueError:  # an encoder alone, a decoder alone: all of it is body
        return whole
    return body if _reads_tokens(body) else whole


def _reads_tokens(body: PreTrainedModel) -> bool:
    """Can it be given token ids and nothing else?"""
    asked = inspect.signature(type(body).forward).parameters
    needed = [name for name, one in asked.items() if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    # BART's decoder passes on whatever it is given.
    takes_any = any(one.kind is one.VAR_POSITIONAL for one in asked.values())
    return set(needed) <= {"self", "input_ids"} and ("input_ids" in asked or takes_any)


def reads_two_texts(body: PreTrainedModel) -> bool:
    """Does this body read one text with its encoder and another with its decoder?

    The encoder of a T5 alone keeps the setting of the whole, and takes one.
    """
    stated = bool(getattr(body.config, "is_encoder_decoder", False))
    return stated and "decoder_input_ids" in inspect.signature(type(body).forward).parameters


def named_class(config: PreTrainedConfig) -> type[PreTrainedModel] | None:
    """The class of transformers' own code that config.json names, if it is one for this kind of configuration."""
    for name in config.architectures or ():
        for module in modelling_files(config):
            cls = vars(module).get(name) if isinstance(name, str) else None
            if (
                isinstance(cls, type)
                and issubclass(cls, PreTrainedModel)
                and isinstance(config, cls.config_class or ())
            ):
                return cls
    return None


def beside_text(cls: type[PreTrainedModel], config: PreTrainedConfig) -> str:
    """What this class must be given that is no text, in words; "" if text is enough.

    Told by what it declares: its main input, what it reads, whether it turns text alone into features; and where that
    leaves it open, by a run without memory (on torch's meta device).
    """
    main = getattr(cls, "main_input_name", "input_ids")
    modalities = input_modalities(cls)
    others = " and ".join(dict.fromkeys(_MODALITIES.get(kind, kind) for kind in modalities if kind != "text"))
    if main not in _TOKENS:
        return _READS.get(main, "something else than the ids of tokens")
    if "text" not in modalities:
        return others
    accepted = inspect.signature(cls.forward).parameters
    wanted = next((_READS[name] for name, one in accepted.items() if name in _READS and one.default is one.empty), "")
    if not wanted and "bbox" in accepted and _asks_for_more(cls, config):
        wanted = _READS["bbox"]
    if not wanted and hasattr(cls, "get_text_features"):
        wanted = others
    if not wanted and others and not _in_text_lists(config.model_type) and _asks_for_more(cls, config):
        wanted = others
    return f"{wanted} together with text" if wanted else ""


def _asks_for_more(cls: type[PreTrainedModel], config: PreTrainedConfig) -> bool:
    """Does it say, when it is run on token ids alone, that something is lacking?

    Run without memory and without numbers. What fails for want of numbers says nothing.
    """
    try:
        with torch.device("meta"), torch.inference_mode():
            from_config(cls, config, attn_implementation="eager")(input_ids=torch.zeros(1, 4, dtype=torch.long))
    except Exception as error:
        return bool(_LACKING.search(str(error)))
    return False


def _in_text_lists(model_type: str) -> bool:
    return any(model_type in class_names(use) for use in _TEXT_LISTS)


def _text_config(config: PreTrainedConfig) -> PreTrainedConfig | None:
    found = getattr(config, "text_config", None)
    return found if isinstance(found, PreTrainedConfig) else None


def _loader_of_tower(cls: type[PreTrainedModel], config: PreTrainedConfig) -> BodyLoader | None:
    """What loads the text tower of this class: the whole, or the tower's own class where the whole has it in pieces."""
    text = _text_config(config)
    if text is None:
        return None
    with torch.device("meta"):
        whole = from_config(cls, config)
        if _tower_in(whole) is not None:
            return BodyLoader(cls)
        stored = whole.state_dict().keys()
        for module in modelling_files(config):
            for own in vars(module).values():
                if isinstance(own, type) and issubclass(own, PreTrainedModel) and own.config_class is type(text):
                    # An image classifier made of a CLIP has the settings of its text tower and no tower.
                    if not beside_text(own, text) and from_config(own, text).state_dict().keys() <= stored:
                        return BodyLoader(own, text)
    return None


def _tower_in(whole: PreTrainedModel) -> PreTrainedModel | None:
    """The inner model that was built of `text_config` and reads token ids alone; without its head, if it has one."""
    text = _text_config(whole.config)
    if text is None:
        return None
    for _, module in whole.named_modules():
        if module is whole or not isinstance(module, PreTrainedModel) or type(module.config) is not type(text):
            continue
        if module.main_input_name in _TOKENS and not beside_text(type(module), module.config):
            try:
                return module if type(module) in usual_classes(type(module.config)) else body_of(module)
            except ValueError:
                return module
    return None
