"""Random models that can read the probe texts, and a tokenizer of the texts' own words."""

from collections import Counter

import torch
from tokenizers import Regex, Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from attention_core.heads.probes import TEXTS
from attention_core.models.facts import LoadedModel
from attention_core.models.loading import wrap_model

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tokenizer_of_probes(*, specials: bool) -> PreTrainedTokenizerFast:
    """Words and signs of the probe texts, the most frequent first."""
    cut = pre_tokenizers.Split(Regex(r"\w+|[^\w\s]"), "removed", invert=True)
    words = Counter(word for text in TEXTS for word, _ in cut.pre_tokenize_str(text))
    vocabulary = [*SPECIALS, *(word for word, _ in words.most_common())]
    made = Tokenizer(WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    made.pre_tokenizer = cut
    if specials:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    names = {f"{name[1:-1].lower()}_token": name for name in SPECIALS} if specials else {"unk_token": "[UNK]"}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=128, **names)


def random_model(
    architecture: str, seed: int, std: float, *, n_layers: int = 6, n_heads: int = 12, context_length: int = 128
) -> LoadedModel:
    """A "bert", "gpt2" or "llama" with d_head = 4, every matrix drawn with this standard deviation."""
    import transformers

    tokenizer = tokenizer_of_probes(specials=architecture == "bert")
    tokenizer.model_max_length = context_length
    d_model, d_vocab = 4 * n_heads, len(tokenizer)
    torch.manual_seed(seed)
    if architecture == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=d_vocab, n_embd=d_model, n_head=n_heads, n_layer=n_layers, n_positions=context_length
        )
        model = transformers.GPT2Model(config)
    else:
        cls, configuration = {
            "bert": (transformers.BertModel, transformers.BertConfig),
            "llama": (transformers.LlamaModel, transformers.LlamaConfig),
        }[architecture]
        model = cls(
            configuration(
                vocab_size=d_vocab,
                hidden_size=d_model,
                num_attention_heads=n_heads,
                num_hidden_layers=n_layers,
                intermediate_size=17,
                max_position_embeddings=context_length,
            )
        )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=std)
    return wrap_model(model.eval(), tokenizer, name=f"{architecture} {seed}")
