"""What a model's tokenizer is in an annotation, and what it makes of a text.

A tokenizer is any object that reads as transformers' tokenizers do: people wrap models with some of their own making,
and transformers types its settings (`unk_token_id`, `src_lang` …) as "a number, a text or a list of them".
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import BatchEncoding as Encoding
else:
    Encoding = Any  # modules of the first screen do not wait for transformers

Tokenizer = Any  # see above

__all__ = ["Encoding", "Tokenizer"]
