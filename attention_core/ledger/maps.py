"""The linear maps of a ledger (q, k, v, W_O) in detail: the products that sum to one number, the matrices of all
tokens, and both versions of a number that fails its check."""

from torch import Tensor

from attention_core.ledger.inputs import NAMES, Made, found
from attention_core.ledger.matrix import Matrix, picture
from attention_core.ledger.records import Here, Products
from attention_core.record.layers import LayerTrace
from attention_core.record.projections import OutputProjection, Part, Projection


def projected_names(one: LayerTrace) -> tuple[str, ...]:
    """The tensors that a linear map gave: q, k, v (before what follows them) and what the layer writes."""
    maps = found(one)
    known = [(name, getattr(maps, name)) for name in NAMES if getattr(maps, name) is not None]
    made = [f"{name}_projected" if projection.steps else name for name, projection in known]
    return (*made, *(("written", "head_write") if maps.o is not None else ()))


def products_of_projection(here: Here, name: str, row: int, component: int) -> Products:
    """x·W + b, or joined·W_O + b, for one component.

    Raises ValueError if this number is not such a sum.
    """
    maps = found(here.one)
    if name in ("written", "head_write"):
        return _products_of_output(here, maps.o, name, component)
    made = Made(here)
    which = name.split("_")[0]
    if which not in made.known or name != made.stage_name(which, 0):
        raise ValueError(f"{name} is not a sum of products that was observed")
    projection = made.known[which]
    row = here.query if which == "q" else row
    part, column = _part_of(projection, made.head(which), component)
    if not 0 <= row < part.x.shape[0]:
        raise ValueError(f"{name} has no row {row}")
    weight = part.matrix(column[None])[:, 0]
    bias = part.offsets(column[None])
    rows = slice(row, row + 1)
    total = projection.stages(made.head(which), rows)[0][1][0, component]
    letter = which.upper()
    return Products(
        part.x[row].float(),
        weight,
        f"x_{row}",
        f"W_{letter},{component}",
        "channel",
        float(total),
        None if bias is None else float(bias[0]),
        projection.factor,
    )


def matrices_of_projection(one: LayerTrace, head: int, step: str, which: str) -> tuple[Matrix, ...]:
    """The matrices of the input, the projections, what follows them, or W_O.

    Raises ValueError if the step has no picture for all tokens.
    """
    maps = found(one)
    if step == "joined" and maps.o is not None:
        return (
            picture("O", "output", "query", "channel", maps.o.joined(one.output)),
            picture("W_O", "map", "channel", "channel", maps.o.matrix(), "×"),
            picture("written", "output", "query", "channel", maps.o.written.float(), "="),
        )
    if step == "residual" and maps.o is not None and maps.residual is not None:
        added = maps.residual.added(maps.o.written)
        return (
            picture("R", "map", "query", "channel", maps.residual.pre.float()),
            picture("U", "output", "query", "channel", added, "+"),
            picture("R'", "map", "query", "channel", maps.residual.mid(maps.o.written), "="),
        )
    which = which or "q"
    projection = getattr(maps, which, None) if which in NAMES else None
    if projection is None:
        raise ValueError(f"there is no picture of {step} for all tokens")
    role, side = {"q": ("query", "query"), "k": ("key", "key"), "v": ("value", "key")}[which]
    own = head if which == "q" else one.kv_head(head)
    letter = which.upper()
    if step == "x":
        return (picture("X", "map", side, "channel", projection.x.float()),)
    stages = projection.stages(own)
    if step == "qkv":
        return (
            picture("X", "map", side, "channel", projection.x.float()),
            picture(f"W_{letter}", "map", "channel", "component", projection.weight(own), "×"),
            picture(
                letter,
                role,
                side,
                "component",
                stages[0][1],
                "= (+ b)" if projection.parts[0].bias is not None else "=",
            ),
        )
    kind = {"rotary": "rotary", "norm": "q/k norm"}.get(step)
    for index, one_step in enumerate(projection.steps):
        if one_step.name == kind:
            return (
                picture(letter, role, side, "component", stages[index][1]),
                picture(f"{letter}'", role, side, "component", stages[index + 1][1], "→"),
            )
    raise ValueError(f"there is no picture of {step} for all tokens")


def fault_of(here: Here, name: str) -> tuple[Tensor, Tensor, int, str] | None:
    """Ours and the model's numbers of a failed check on q, k, v or W_O, the first row, and what a row is."""
    maps = found(here.one)
    if name == "W_O" and maps.o is not None:
        return maps.o.of(here.one.output), maps.o.written.float(), 0, "query"
    projection = getattr(maps, name, None) if name in NAMES else None
    if projection is None:
        return None
    made = Made(here)
    captured = getattr(here.one, name)[made.head(name)].float()
    return projection.of(made.head(name)), captured, 0, "query" if name == "q" else "key"


def _products_of_output(here: Here, o: OutputProjection | None, name: str, component: int) -> Products:
    if o is None:
        raise ValueError(f"{name} was not observed")
    matrix, offsets = o.matrix(), o.offsets()
    if not 0 <= component < matrix.shape[1]:
        raise ValueError(f"{name} has no component {component}")
    joined = o.joined(here.one.output, here.rows)[0]
    if name == "head_write":
        slot = o.slots[here.head]
        left, right = joined[slot], matrix[slot, component]
        return Products(left, right, "o", f"W_O,{component}", "component", float(left @ right))
    bias = None if offsets is None else float(offsets[component])
    total = float(o.written[here.query, component])
    return Products(joined, matrix[:, component], "O", f"W_O,{component}", "channel", total, bias)


def _part_of(projection: Projection, head: int, component: int) -> tuple[Part, Tensor]:
    """Which map makes a component of a head, and which of its outputs it is."""
    left = component
    for part in projection.parts:
        width = part.columns.shape[1]
        if 0 <= left < width:
            return part, part.columns[head, left]
        left -= width
    raise ValueError(f"{projection.name} has no component {component}")
