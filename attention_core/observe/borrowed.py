"""A model that somebody already has in memory: what of it can be captured, and how it is given back.

It is held while it is wrapped: in evaluation, with an attention function that can be observed, with dormant hooks, and
run as it is written even where it was compiled. Given back, it is as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from attention_core.inside import of_torch
from attention_core.inside.of_transformers import names_attention, own_attention, set_own_attention
from attention_core.observe import decoder, editing, hooks, hybrids
from attention_core.observe.refusal import ModelError


@dataclass(eq=False)
class Borrowed:
    """What was changed on a model of somebody's own, so that it can be given back as it was."""

    whole: PreTrainedModel
    body: PreTrainedModel
    observe: Callable[[], None]  # chooses an attention function that can be observed
    training: dict[nn.Module, bool] = field(default_factory=dict, repr=False)
    compiled: dict[nn.Module, Callable[..., object]] = field(default_factory=dict, repr=False)
    attention: dict[int, tuple[PreTrainedConfig, str | None]] = field(
        default_factory=dict, repr=False
    )  # config → its own function
    taken: dict[int, str | None] = field(default_factory=dict, repr=False)  # config → ours
    returned: bool = False
    _lock: Lock = field(default_factory=Lock, repr=False)

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
                if (compiled := of_torch.compiled_call(module)) is not None:
                    self.compiled[module] = compiled
                    of_torch.set_compiled_call(module, None)
            configs = self._configs()
            now = {id(config): own_attention(config) for config in configs}
            if now == self.taken:
                return
            for config in configs:
                if now[id(config)] != self.taken.get(id(config), self):
                    self.attention[id(config)] = (config, now[id(config)])
            self.observe()
            self.taken = {id(config): own_attention(config) for config in configs}

    def give_back(self) -> None:
        """Leave the model as it was; what its owner changed while it was held stays. A second time does nothing."""
        with self._lock:
            if self.returned:
                return
            self.returned = True
            for part in (self.whole, self.body):
                hooks.remove(part)
                editing.remove(part)
                hybrids.remove(part)
                decoder.remove(part)
            for config, own in self.attention.values():
                if own_attention(config) == self.taken.get(id(config)):
                    set_own_attention(config, own)
            for module, training in self.training.items():
                module.training = training
            for module, compiled in self.compiled.items():
                of_torch.set_compiled_call(module, compiled)

    def _modules(self) -> list[nn.Module]:
        return list(dict.fromkeys([*self.whole.modules(), *self.body.modules()]))

    def _configs(self) -> list[PreTrainedConfig]:
        """Every configuration that says which attention function is called."""
        found = [config for part in self._modules() if (config := getattr(part, "config", None)) is not None]
        found += [getattr(config, name, None) for config in found for name in getattr(config, "sub_configs", ())]
        return list({id(config): config for config in found if names_attention(config)}.values())
