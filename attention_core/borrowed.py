"""A model that somebody already has in memory: what of it can be captured, and how it is given back.

It is held while it is wrapped: in evaluation, with an attention function that can be observed, with dormant hooks, and
run as it is written even where it was compiled. Given back, it is as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from attention_core import hybrids, observing, task_head
from attention_core.refusal import ModelError

_CLASS_OF_COMPILED = "OptimizedModule"  # torch._dynamo's; importing it takes a second


def plain_model(model: Any, tokenizer: Any) -> tuple[PreTrainedModel, tuple[str, ...]]:
    """The transformers model to be captured, and sentences about what stood around it.

    Raises ModelError with a plain sentence for what is no such model.
    """
    notes: list[str] = []
    if isinstance(model, nn.Module) and type(model).__name__ == _CLASS_OF_COMPILED:
        model = model._modules["_orig_mod"]
        notes.append("The model was compiled: what is captured is the model that was, run without its compiled code.")
    if isinstance(model, nn.Module) and hasattr(model, "peft_config") and hasattr(model, "get_base_model"):
        model = _without_peft(model, notes)
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"wrap_model takes a model that is in memory; got {_a(model)}. load_model opens a name or a folder."
        )
    if not isinstance(model, PreTrainedModel):
        raise ModelError(_no_model(model))
    inside = [name for name, part in model.named_modules() if type(part).__name__ == _CLASS_OF_COMPILED]
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


def _without_peft(model: Any, notes: list[str]) -> Any:
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


def _a(thing: Any) -> str:
    return (
        "None"
        if thing is None
        else f"{'an' if type(thing).__name__[0] in 'AEIOUaeiou' else 'a'} {type(thing).__name__}"
    )


@dataclass(eq=False)
class Borrowed:
    """What was changed on a model of somebody's own, so that it can be given back as it was."""

    whole: PreTrainedModel
    body: PreTrainedModel
    observe: Callable[[], None]  # chooses an attention function that can be observed
    training: dict[nn.Module, bool] = field(default_factory=dict, repr=False)
    compiled: dict[nn.Module, Any] = field(default_factory=dict, repr=False)
    attention: dict[int, tuple[Any, Any]] = field(default_factory=dict, repr=False)  # config → its own function
    taken: dict[int, Any] = field(default_factory=dict, repr=False)  # config → ours
    returned: bool = False
    _lock: Any = field(default_factory=Lock, repr=False)

    def hold(self) -> None:
        """Make the model ready, before each capture: what its owner chose in the meantime is his again afterwards.

        Raises ModelError if it was given back.
        """
        if self.returned:
            raise ModelError("This model was given back to its owner. Wrap it again to capture a text.")
        with self._lock:
            for module in self._modules():
                if module.training:
                    self.training[module] = True
                    module.training = False
                if module._compiled_call_impl is not None:
                    self.compiled[module] = module._compiled_call_impl
                    module._compiled_call_impl = None
            configs = self._configs()
            now = {id(config): config._attn_implementation_internal for config in configs}
            if now == self.taken:
                return
            for config in configs:
                if now[id(config)] != self.taken.get(id(config), self):
                    self.attention[id(config)] = (config, now[id(config)])
            self.observe()
            self.taken = {id(config): config._attn_implementation_internal for config in configs}

    def give_back(self) -> None:
        """Leave the model as it was; what its owner changed while it was held stays. A second time does nothing."""
        with self._lock:
            if self.returned:
                return
            self.returned = True
            for part in (self.whole, self.body):
                observing.remove(part)
                hybrids.remove(part)
                task_head.remove(part)
            for config, own in self.attention.values():
                if config._attn_implementation_internal == self.taken.get(id(config)):
                    config._attn_implementation_internal = own
            for module, training in self.training.items():
                module.training = training
            for module, compiled in self.compiled.items():
                module._compiled_call_impl = compiled

    def _modules(self) -> list[nn.Module]:
        return list(dict.fromkeys([*self.whole.modules(), *self.body.modules()]))

    def _configs(self) -> list[Any]:
        """Every configuration that says which attention function is called."""
        found = [part.config for part in self._modules() if hasattr(part, "config")]
        found += [getattr(config, name, None) for config in found for name in getattr(config, "sub_configs", ())]
        return list(
            {id(config): config for config in found if hasattr(config, "_attn_implementation_internal")}.values()
        )
