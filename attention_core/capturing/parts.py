"""An observed linear map as a part of a projection: its name in the layer, its input, its weight and its columns."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_core.capturing.adapted import acting_map, is_adapted
from attention_core.capturing.recognise import weight_of
from attention_core.observe.seen import FedMap, probe_rows
from attention_core.record.projections import Part


class Parts:
    """Makes parts of the maps within one attention module, whose names they carry."""

    def __init__(self, within: nn.Module) -> None:
        self._names = {part: name for name, part in within.named_modules()}

    def name_of(self, module: nn.Module) -> str:
        """What the attention module calls it; its class for a module from elsewhere."""
        return self._names.get(module) or type(module).__name__

    def part_of(self, fed: FedMap, columns: Int[Tensor, "head channel"]) -> Part:
        """These columns of a map that was fed, with its weight; an adapter on it counts."""
        if is_adapted(fed.module):
            return self.adapted(fed.module, fed.x, columns)
        weight, bias, transposed = weight_of(fed.module, fed.x[probe_rows(fed.x.shape[0])], fed.probe)
        name = self.name_of(fed.module)
        return Part(name, fed.x, weight, bias, transposed, columns, fed.module)

    def adapted(self, module: nn.Module, x: Float[Tensor, "token d_in"], columns: Int[Tensor, "head channel"]) -> Part:
        """A map with an adapter on it: what both give together, and the base layer alone."""
        found = acting_map(module, x[:1])
        name = self.name_of(module)
        base = None
        if found.base is not None:
            weight, bias, transposed = weight_of(found.base, x[:1], found.base.forward(x[:1]))
            base = Part(f"{name}.{_name_in(module, found.base)}", x, weight, bias, transposed, columns, found.base)
        return Part(name, x, found.weight, found.bias, True, columns, base=base)


def _name_in(module: nn.Module, part: nn.Module) -> str:
    return next((name for name, known in module.named_modules() if known is part), type(part).__name__)
