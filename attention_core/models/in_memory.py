"""A model that somebody already has in memory: what of it can be captured."""

from torch import nn
from transformers import PreTrainedModel

from attention_core.inside.of_torch import AnyModule, is_compiled, uncompiled
from attention_core.observe.refusal import ModelError


def plain_model(model: object, tokenizer: object) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """The transformers model to be captured, and sentences about what stood around it.

    Raises ModelError with a plain sentence for what is no such model.
    """
    notes: list[str] = []
    if isinstance(model, nn.Module) and is_compiled(model):
        model = uncompiled(model)
        notes.append("The model was compiled: what is captured is the model that was, run without its compiled code.")
    if isinstance(model, nn.Module) and hasattr(model, "peft_config") and hasattr(model, "get_base_model"):
        model = _without_peft(model, notes)
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"wrap_model takes a model that is in memory; got {_a(model)}. load_model opens a name or a folder."
        )
    if not isinstance(model, PreTrainedModel):
        raise ModelError(_no_model(model))
    inside = [name for name, part in model.named_modules() if is_compiled(part)]
    if inside:
        raise ModelError(
            f"{inside[0]} of this {type(model).__name__} is compiled by itself, and what runs inside cannot be "
            "observed. Wrap the model before its parts are compiled, or compile it as a whole."
        )
    if not (callable(tokenizer) and hasattr(tokenizer, "convert_ids_to_tokens")):
        raise ModelError(
            f"wrap_model needs the tokenizer that this model reads with; got {_a(tokenizer)}. "
            'Load it with AutoTokenizer.from_pretrained("the model\'s name").'
        )
    return model, tuple(notes)


def _without_peft(model: AnyModule, notes: list[str]) -> AnyModule:
    """The model inside: adapters are in its own layers, and so in its maps. Virtual tokens would be left behind."""
    active = model.active_adapters if isinstance(getattr(model, "active_adapters", None), list | tuple) else None
    names = [name for name in (active or [getattr(model, "active_adapter", None)]) if name in model.peft_config]
    for name in names:
        config = model.peft_config[name]
        if config.is_prompt_learning:
            raise ModelError(
                f"The adapter {name!r} ({config.peft_type.value}) puts vectors before every text for which no token "
                "stands, so its attention cannot be shown from token to token. Without it: "
                "wrap_model(model.get_base_model(), tokenizer)."
            )
        notes.append(f"The adapter {name!r} ({config.peft_type.value}) is part of the model that is captured.")
    return model.get_base_model()


def _no_model(model: nn.Module) -> str:
    inner = next((name for name, part in model.named_modules() if isinstance(part, PreTrainedModel)), None)
    what = f"wrap_model takes a model of transformers, with its config; {_a(model)} is none"
    if inner is None:
        return f"{what}, and holds none."
    return f"{what}. It holds one: wrap_model(model.get_submodule({inner!r}), tokenizer)."


def _a(thing: object) -> str:
    return (
        "None"
        if thing is None
        else f"{'an' if type(thing).__name__[0] in 'AEIOUaeiou' else 'a'} {type(thing).__name__}"
    )
