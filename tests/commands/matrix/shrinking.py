"""A tiny configuration of any architecture, made from the defaults of its configuration class.

Whatever says how large something is becomes small, by the words in its name; everything else stays as the authors set
it, so that each architecture keeps its own terms (windows, soft-caps, sinks, norms, shared layers). What these rules
get wrong is in `special_cases.json`, by model type: "config" has settings of its own, "if it fails" says what an error
with certain words means, "not between tokens" names attention that is of another kind and not ours to show, "tokenizer"
has what the constructor of its tokenizer wants beside a vocabulary.
"""

import json
import re
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from tests.support.tiny import WORDS

SPECIAL_CASES: dict[str, Any] = json.loads(Path(__file__).with_name("special_cases.json").read_text(encoding="utf-8"))

N_HEADS, N_KV_HEADS, D_HEAD = 6, 2, 8
D_MODEL = N_HEADS * D_HEAD
N_POSITIONS = 64
WINDOW = 4

# The first rule whose words are in the name decides. Sizes divide by 4: torch's grouped product (experts) wants strides
# of 16 bytes. Widths that may differ from d_model do.
_RULES: tuple[tuple[str, int], ...] = (
    (r"vocab_size|^n_vocab$|^n_words$", len(WORDS)),
    (r"num_key_value_heads|num_kv_heads|n_head_kv|n_kv_heads", N_KV_HEADS),
    (r"(num|n)_?(attention_)?heads?$|attention_heads$|^n_head$", N_HEADS),
    (
        r"max_position|model_max_length|n_positions|max_seq|n_ctx|max_source_positions|max_target_positions|max_(en|de)coder_position|max_2d",
        N_POSITIONS,
    ),
    (r"window|attention_chunk_size|local_attention$", WINDOW),
    (r"qk_rope_head_dim|^rotary_dim$", 4),
    (r"^n_groups?$", 2),
    (r"^topk_group$", 1),
    (r"v_head_dim|value_head_dim", 12),
    (r"qk_head_dim|qk_nope_head_dim|head_dim|^d_kv$|head_size|attention_head_size|key_channels", D_HEAD),
    (r"kv_lora_rank", 16),
    (r"lora_rank|_rank$", 20),
    (r"(expert|moe)\w*intermediate|intermediate\w*(moe|expert)", 28),
    (r"intermediate|ffn|^d_ff$|n_inner|d_inner|feed_forward|mlp_dim|ff_dim|mlp_hidden", 44),
    (r"(num|n)_experts_per_tok|top_?k|num_selected", 2),
    (r"(num|n)_?(local_|routed_|shared_)?experts", 4),
    (r"embedding_size|embedding_dim|embed_dim$|emb_dim|hidden_size|hidden_dim|d_model|n_embd|^dim$|d_embed", D_MODEL),
)
_LAYERS = r"(num|n)_(hidden_)?layers?$|(encoder|decoder)_layers$|^num_(encoder|decoder)_layers$|num_blocks"


def tiny_config(model_type: str) -> PreTrainedConfig:
    """The smallest configuration of this architecture that still has every kind of layer it has by default."""
    case = SPECIAL_CASES.get(model_type, {})
    return _shrink(CONFIG_MAPPING[model_type], case.get("config", {}))


def _shrink(config_class: type[PreTrainedConfig], special: dict[str, Any]) -> PreTrainedConfig:
    default = config_class()
    sizes: dict[str, Any] = {}
    values = default.to_dict()
    values.update({name: value for name, value in vars(default).items() if name in config_class.__dataclass_fields__})
    for name, field in config_class.__dataclass_fields__.items():
        inner = default.__dict__.get(name)
        if isinstance(inner, PreTrainedConfig):
            sizes[name] = _shrink(type(inner), special.get(name) or {}).to_dict()
        elif name == "head_dim" and inner is None:
            sizes[name] = D_HEAD
        elif type(values.get(name)) is int and field.default is not None:  # what is None is worked out from the others
            small = _small(name, values, _n_layers(default))
            if small is not None:
                sizes[name] = small
    sizes.update({name: value for name, value in special.items() if not (name in sizes and isinstance(value, dict))})
    return config_class(**sizes)


def _small(name: str, values: dict[str, Any], n_layers: int) -> int | None:
    """What becomes of this number; None leaves it."""
    value = values[name]
    if name.endswith("_token_id") or name.endswith("_index"):
        return min(value, len(WORDS) - 1) if value >= len(WORDS) else None
    if re.search(_LAYERS, name):
        return min(value, n_layers) if value else None
    for pattern, size in _RULES:
        if re.search(pattern, name):
            if size == N_KV_HEADS and "k" in name and "v" in name:
                n_heads = values.get("num_attention_heads")
                return size if n_heads is None or value != n_heads else min(value, N_HEADS)
            return min(value, size) if value > 0 else None
    return None


def _n_layers(default: PreTrainedConfig) -> int:
    """Layers until every kind that the architecture mixes has come once; at least 2."""
    for name in ("layer_types", "layers_block_type", "mlp_layer_types"):
        kinds = getattr(default, name, None)
        if isinstance(kinds, list | tuple) and kinds:
            return max(2, *(list(kinds).index(kind) + 1 for kind in set(kinds)))
    return 2
