"""Group a trace's layers by stack and kind of attention, and size the blocks of rows that are computed at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

from attention_core.record.layers import AttentionLayer
from attention_core.record.record import Record

LayerName = int | str  # an index into trace.layers, or "all:<stack>:<kind>" for the mean or maximum over all of a kind


HeadName = int | str  # an index, or "mean" or "max" over heads


CELLS_PER_BLOCK = 2_000_000  # head · row · key cells computed at a time: 8 MB a tensor


@dataclass(frozen=True, slots=True)
class Group:
    """Layers whose pictures have the same rows and columns: one stack's attention of one kind."""

    stack: str  # "encoder" or "decoder"
    kind: str  # "self" or "cross"
    layers: tuple[int, ...]

    @property
    def name(self) -> str:
        """As a view and a link name it: "all:decoder:self"."""
        return f"all:{self.stack}:{self.kind}"


def groups(trace: Record) -> tuple[Group, ...]:
    """The trace's layers by stack and kind, in order of appearance."""
    found: dict[tuple[str, str], list[int]] = {}
    for index, layer in enumerate(trace.layers):
        stack = "encoder" if layer.kind == "encoder self" else "decoder"
        found.setdefault((stack, "cross" if layer.kind == "cross" else "self"), []).append(index)
    return tuple(Group(stack, kind, tuple(layers)) for (stack, kind), layers in found.items())


def rows_per_block(layer: AttentionLayer, n_heads: int, multiple: int) -> int:
    """Query rows computed at a time, so that `n_heads` heads fill at most `CELLS_PER_BLOCK` cells; a multiple of
    `multiple`.
    """
    rows = max(1, CELLS_PER_BLOCK // (n_heads * layer.n_key))
    return max(1, rows // multiple) * multiple


def spans(n: int, step: int) -> Iterator[tuple[int, int]]:
    """0 … n in pieces of `step` as (start, stop); the last may be shorter."""
    for start in range(0, n, step):
        yield start, min(n, start + step)


def layer_name(trace: Record, layer: int) -> str:
    """The one name of a layer wherever people read it: "layer 3"; with several groups "encoder, layer 3".

    `layer` is its place in trace.layers, the name's number its place in its own stack.
    """
    one = trace.layers[layer]
    name = f"layer {one.index}"
    if len({other.kind for other in trace.layers}) == 1:
        return name
    return f"{'cross-attention' if one.kind == 'cross' else one.kind.split()[0]}, {name}"
