"""Settings of attention and positions that a config.json holds and the code that was built never reads.

transformers keeps any setting that it finds, read or not: a BERT with relative positions, which version 5 no longer
has, is built with absolute ones and no word is said. Whether a setting is read is told by the source: its name must
occur in the code of the model's classes, or in code (not as a mere field) of its configuration class.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields

from transformers import PreTrainedConfig, PreTrainedModel

from attention_core.formats.json_data import Json, JsonMapping
from attention_core.inside.of_transformers import read_by, words_of

# What changes which tokens are read, or how a place in the text is told.
_MATTERS = re.compile(
    r"position|rope|rotary|alibi|relative|window|attention|attn|qk_|softcap|sink|causal|bidirection|sparse|prefix_lm|clip_qkv|softmax_scale"
)
# Named alike, but no matter of what attention computes, or of sizes that the shapes of the weights tell.
_HARMLESS = re.compile(
    r"drop|impl|fp32|float32|upcast|precision|dtype|kernel|flash|fused|fusion|xformers|cache|init|(?<!soft)max_|n_positions|"
    r"token|eps|_ids?$|output_|return_|unpad|repad|sdpa|memory|offset_alibi|_heads?$|_dim$|_size$|prediction|quant|loss"
)
_SIZES_THAT_MATTER = re.compile(r"window")
_NEUTRAL = ("absolute", "default", "none", "full", "full_attention", "")
# Left over from the code that a model was trained with, and saying what its class does without being asked: setting →
# value, and a name in the class's file that shows it.
_AS_EVER: Mapping[str, tuple[tuple[Json, str], ...]] = {
    "scale_attn_weights": ((True, ""),),  # by 1/√d_head: GPT-J, CodeGen, StarCoder 2
    "rel_attn_type": (("factorized", "factorized"),),  # Funnel's two ways to compute the same
    "scalable_attention": ((True, "UMT5Attention"),),
    "use_qk_norm": ((True, "q_norm"), (True, "query_layernorm")),
    # Rotary positions alone; "gptj": with neighbouring numbers as pairs.
    "position_embedding_type": (
        ("rope", "apply_rotary_pos_emb"),
        ("rotary", "apply_rotary_pos_emb"),
        ("sans_pos", "apply_rotary_pos_emb"),
        ("rope_gptj", "repeat_interleave"),
    ),
}
_BASE = re.compile(r"^(rotary|rope)(_emb)?_(base|theta)$")


def unread_settings(config: JsonMapping, body: PreTrainedModel) -> list[str]:
    """A sentence for each setting of attention or positions that the body's code does not read; [] if all are read.

    `config` is config.json as it is. Settings at their default, or that switch something off, need no reader.
    """
    own = body.config
    parts = [(config, own)]
    parts += [
        (value, inner)
        for key, value in config.items()
        if isinstance(value, dict) and isinstance(inner := getattr(own, key, None), PreTrainedConfig)
    ]
    # The settings of a text tower stand under `text_config`.
    inner = config.get("text_config")
    if isinstance(inner, dict) and isinstance(own, PreTrainedConfig) and inner.get("model_type") == own.model_type:
        parts = [(inner, own)]
    words = words_of(body)
    found = [
        _sentence(key, value, type(body).__name__)
        for settings, made in parts
        for key, value in settings.items()
        if _is_unread(key, value, settings, made, words)
    ]
    if config.get("pruned_heads"):  # read by no version of transformers since 5
        found.append("config.json says that heads were pruned, but the weights are whole: none was taken out.")
    return found


def _is_unread(key: str, value: Json, settings: JsonMapping, made: PreTrainedConfig, words: frozenset[str]) -> bool:
    name = key.lower()
    if not _MATTERS.search(name) or (_HARMLESS.search(name) and not _SIZES_THAT_MATTER.search(name)):
        return False
    switched_off = value is False and (True, "") in _AS_EVER.get(key, ())  # what every class does: not this one
    if (_is_neutral(value) and not switched_off) or value == settings.get("model_type") or isinstance(value, dict):
        return False
    aliases = type(made).attribute_map
    names = {key, aliases.get(key, key), *(name for name, target in aliases.items() if target == key)}
    read = words | read_by(type(made))
    if value == _default(type(made), key):
        return False
    if any(value == usual and (not shown or shown in words) for usual, shown in _AS_EVER.get(key, ())):
        return False
    if "window" in name and not _has_window(settings):
        return False
    if _BASE.match(name) and value in _bases(made):
        return False
    if isinstance(value, str) and "position" in name and names & read:
        return value not in words and value not in read_by(type(made))  # read, but this value is nowhere known
    if names & read:
        return False
    if value is True and _is_inherent(name, words):
        return False
    # Stated twice under two names, one of them read: sliding_window and sliding_window_size.
    others = [other for other in settings if other != key and other in read and (other in key or key in other)]
    return not any(settings[other] == value for other in others)


def _is_neutral(value: Json) -> bool:
    if isinstance(value, str):
        return value.lower() in _NEUTRAL
    if isinstance(value, bool) or value is None:
        return not value
    return value in (0, 1) if isinstance(value, int | float) else not value


def _has_window(settings: JsonMapping) -> bool:
    """Is a window switched on? Qwen's files state its width, and from which layer on, where it is switched off."""
    if "use_sliding_window" in settings:
        return bool(settings["use_sliding_window"])
    return any("window" in key and not key.startswith("max_") and not _is_neutral(settings[key]) for key in settings)


def _bases(made: PreTrainedConfig) -> list[Json]:
    """The bases of the rotary frequencies that the class computes with, whatever the file calls them."""
    stated = getattr(made, "rope_parameters", None) or {}
    several = [stated, *(one for one in stated.values() if isinstance(one, dict))]
    return [one["rope_theta"] for one in several if "rope_theta" in one]


def _is_inherent(name: str, words: frozenset[str]) -> bool:
    """Does a switch name what the code does without being asked: `rotary` of a GPT-J, `static_position_embeddings`?"""
    core = re.sub(r"^(use|is|with|has)_|_embeddings?$|_emb$|_positions?$|_position$", "", name)
    if core.startswith(("static", "sinusoidal")):
        core = "sinusoidal"
    if core.startswith("bidirection") and "create_causal_mask" in words:  # which speaks of both kinds
        return False
    return any(core in word.lower() for word in words if word != name)


def _default(config_class: type[PreTrainedConfig], key: str) -> Json:
    for field in fields(config_class):
        if field.name == key:
            return field.default if field.default is not MISSING else None
    return None


def _sentence(key: str, value: Json, cls: str) -> str:
    shown = repr(value) if isinstance(value, str | bool | int | float) else "a list"
    return (
        f"config.json sets {key[:60]} to {shown[:60]}, which {cls} does not know. The saved model may compute other "
        "attention than this one."
    )
