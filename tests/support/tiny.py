"""Tiny random models and tokenizers, built from configuration classes; nothing is downloaded."""

import torch
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the cat sat on a mat while dog ran far away and then it slept".split()
SENTENCE = "the cat sat on a mat while the dog ran"  # 10 words


def tokenizer(*, specials: bool = True, limit: int = 64) -> PreTrainedTokenizerFast:
    """One token per word; with `specials` a [CLS] before and a [SEP] after."""
    words = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    if specials:
        words.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=limit,
    )


def random_model(architecture: str, *, n_words: int = len(WORDS), **sizes) -> PreTrainedModel:
    """A model of this class name ("BertModel") with random weights of a size that makes attention uneven."""
    import transformers

    cls = getattr(transformers, architecture)
    torch.manual_seed(7)
    model = cls(cls.config_class(vocab_size=n_words, **sizes)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 or "sinks" in name:
                parameter.normal_(std=0.3)
    return model


# Sizes are different primes where the architecture allows it, so that a swapped axis cannot pass.
_BERT = {
    "hidden_size": 15,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "intermediate_size": 17,
    "max_position_embeddings": 64,
}
_LLAMA = {
    "hidden_size": 36,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 6,
    "num_hidden_layers": 2,
    "intermediate_size": 17,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
_BART = {
    "d_model": 15,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 17,
    "decoder_ffn_dim": 17,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "decoder_start_token_id": 2,
}

FAMILIES: dict[str, tuple[str, dict[str, object]]] = {
    "bert": ("BertModel", _BERT),
    "gpt2": ("GPT2Model", {"n_embd": 15, "n_head": 3, "n_layer": 2, "n_positions": 64}),
    "llama": ("LlamaModel", _LLAMA),
    "mistral": ("MistralModel", {**_LLAMA, "sliding_window": 4}),
    "gemma2": (
        "Gemma2Model",
        {**_LLAMA, "sliding_window": 4, "attn_logit_softcapping": 5.0, "query_pre_attn_scalar": 11},
    ),
    "gpt-oss": (
        "GptOssModel",
        # torch's grouped product wants strides of 16 bytes: sizes divide by 4
        {**_LLAMA, "intermediate_size": 20, "sliding_window": 4, "num_local_experts": 2, "num_experts_per_tok": 1},
    ),
    "t5": (
        "T5Model",
        {
            "d_model": 15,
            "d_kv": 5,
            "num_heads": 3,
            "num_layers": 2,
            "d_ff": 17,
            "pad_token_id": 0,
            "decoder_start_token_id": 2,
        },
    ),
    "bart": ("BartModel", _BART),
    "modernbert": (
        "ModernBertModel",
        {**_BERT, "hidden_size": 18, "local_attention": 6, "global_attn_every_n_layers": 2, "pad_token_id": 0},
    ),
    "bloom": ("BloomModel", {"hidden_size": 15, "n_head": 3, "n_layer": 2}),
    "albert": ("AlbertModel", {**_BERT, "embedding_size": 7}),
    "gpt-neox": (
        "GPTNeoXModel",
        {**_BERT, "hidden_size": 36, "rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
    ),
    "qwen3": ("Qwen3Model", _LLAMA),
    "olmo2": ("Olmo2Model", _LLAMA),
    "phi3": ("Phi3Model", {**_LLAMA, "bos_token_id": 2, "eos_token_id": 3}),
    "deepseek-v3": (
        "DeepseekV3Model",
        {
            **_LLAMA,
            "num_key_value_heads": 6,
            "head_dim": 4,  # of the rotary part
            "q_lora_rank": 13,
            "kv_lora_rank": 11,
            "qk_nope_head_dim": 6,
            "qk_rope_head_dim": 4,
            "v_head_dim": 7,
            "first_k_dense_replace": 2,
        },
    ),
    "opt": (
        "OPTModel",
        {**_BERT, "word_embed_proj_dim": 15, "ffn_dim": 17, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3},
    ),
    "mbart": ("MBartModel", _BART),
    "qwen3.5": (
        "Qwen3_5TextModel",
        {**_LLAMA, "num_hidden_layers": 1, "layer_types": ["full_attention"], "head_dim": 8},
    ),
}


def bare(name: str, **changes) -> PreTrainedModel:
    """A tiny random model of a family, as transformers makes it."""
    architecture, sizes = FAMILIES[name]
    return random_model(architecture, **{**sizes, **changes})


def family(name: str, **changes):
    """A tiny random model of a family, ready for `capture`."""
    from attention_core.models.loading import wrap_model

    return wrap_model(bare(name, **changes), tokenizer(), name=name)
