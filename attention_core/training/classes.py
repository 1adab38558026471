"""The classes of our own models, as a type checker knows them.

While the program runs they are any object: transformers is imported where a model is built, and not for a signature.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import BartForConditionalGeneration, EuroBertForMaskedLM, LlamaForCausalLM
else:
    BartForConditionalGeneration = EuroBertForMaskedLM = LlamaForCausalLM = Any  # as above

__all__ = ["BartForConditionalGeneration", "EuroBertForMaskedLM", "LlamaForCausalLM"]
