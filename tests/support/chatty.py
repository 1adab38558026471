"""A tiny random causal model with a chat template; nothing is downloaded."""

from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from attention_core.models.facts import LoadedModel
from attention_core.models.loading import wrap_model
from tests.support import tiny

MARKS = ("<s>", "</s>", "<|user|>", "<|bot|>", "<|end|>")
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] | trim }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|bot|>{% endif %}"
)


def tokenizer(template: str | None = TEMPLATE, *, limit: int = 64) -> PreTrainedTokenizerFast:
    """One token per word; a <s> before every text."""
    words = [*tiny.WORDS, *MARKS]
    made = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", words.index("<s>"))])
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="[UNK]",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=list(MARKS[2:]),
        chat_template=template,
        model_max_length=limit,
    )


def bare():
    """A model that writes."""
    sizes = {**tiny.FAMILIES["llama"][1], "pad_token_id": 0, "eos_token_id": len(tiny.WORDS) + 1}
    return tiny.random_model("LlamaForCausalLM", **sizes, n_words=len(tiny.WORDS) + len(MARKS))


def chatty(template: str | None = TEMPLATE, **changes) -> LoadedModel:
    return wrap_model(bare(), tokenizer(template, **changes), name="chatty")
