"""Where a token's vector comes from: its row of the embedding table, and what was added to it before this layer."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from attention_core.formats.shown import short_repr
from attention_core.ledger.records import Here
from attention_core.record.layers import LayerTrace
from attention_core.record.projections import Projections, Residual, present

_SAME = 1e-6  # of the largest component: two float32 vectors that are the same but for their rounding


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """What of a token's way to this layer is known: tensors [d_model] that add up, and the way in words.

    `embedding` + `position` = `start`, what enters the first layer; `start` + `gathered` = `stream`, what enters this
    one (both left out in the first layer). Where something else than a row of a table of positions is put in, a norm of
    the sum for instance, all of it is `put_in`; where nothing is, there is neither.
    """

    tensors: dict[str, Tensor]
    says: tuple[str, ...]

    __repr__ = short_repr


def beginning(here: Here, maps: Projections) -> Beginning:
    """How the query's vector came to this layer; nothing where the stream was not observed."""
    first = _first_of_the_stack(here)
    start, stream = _stream(here, first), _stream(here, here.layer)
    tensors: dict[str, Tensor] = {}
    says: list[str] = []
    row = _embedding(here)
    if row is not None:
        table, embedding = row
        says.append(
            f"It begins with the word alone: token number {here.trace.query_tokens(here.layer)[here.query].id} of "
            f"{table.shape[0]:,} is one row of a learned table, its embedding: {table.shape[1]:,} numbers."
        )
        tensors["embedding"] = embedding
    if start is None or stream is None:
        return Beginning(tensors, tuple(says))
    if row is not None:
        put_in = start - row[1]
        if float(put_in.abs().max()) <= _SAME * float(start.abs().max()):
            says.append("That row enters layer 0 as it is: where the token stands comes in later.")
        else:
            tables = _tables_of_positions(here, row[0])
            alone = any(_has_row(table, put_in) for table in tables)
            tensors["position" if alone else "put_in"] = put_in
            says.append(_before_the_first(position=bool(tables), alone=alone))
    tensors["start"] = start
    if first != here.layer:
        tensors["gathered"] = stream - start
        says.append(_gathered(here, maps.residual))
        tensors["stream"] = stream
    return Beginning(tensors, tuple(says))


def _first_of_the_stack(here: Here) -> int:
    """The first layer that the token went through: of the encoder, or of the decoder."""
    kind = "encoder self" if here.one.kind == "encoder self" else "decoder self"
    kinds = [layer.kind for layer in here.trace.layers]
    return kinds.index(kind) if kind in kinds else here.layer


def _stream(here: Here, layer: int) -> Float[Tensor, " d_model"] | None:
    """The query's residual stream at the entrance of a layer; None where it was not observed."""
    one = here.trace.layers[layer]
    maps = one.projections if isinstance(one, LayerTrace) else None
    residual = None if maps is None else maps.residual
    return None if residual is None else residual.pre[here.query].float()


def _table(here: Here) -> nn.Module | None:
    """The table of embeddings of the query's side; None where the model is not here."""
    ending = here.trace.ending
    if ending is None:
        return None
    model = ending.model.model
    if here.trace.target_tokens and here.one.kind != "encoder self":
        model = model.get_decoder()
    return model.get_input_embeddings()


def _embedding(here: Here) -> tuple[Tensor, Float[Tensor, " d_model"]] | None:
    """The table and the token's row of it, in float32; None where it is not here or not as wide as the stream."""
    table = _table(here)
    weight = getattr(table, "weight", None)
    if table is None or not isinstance(weight, Tensor) or weight.dim() != 2:
        return None
    token = here.trace.query_tokens(here.layer)[here.query].id
    if weight.shape[1] != here.trace.facts.d_model or not 0 <= token < weight.shape[0]:
        return None
    with present(table, weight) as found:
        return weight, found[token].detach().to(here.q.device, copy=True).float()


def _tables_of_positions(here: Here, embeddings: Tensor) -> list[Tensor]:
    """Tables as wide as the embeddings' whose name says that they are of positions."""
    assert here.trace.ending is not None
    named = here.trace.ending.model.model.named_modules()
    tables = [(name, module.weight) for name, module in named if isinstance(module, nn.Embedding)]
    return [
        table.detach()
        for name, table in tables
        if ("pos" in name or name.endswith("wpe")) and table.shape[-1] == embeddings.shape[-1]
    ]


def _has_row(table: Tensor, vector: Float[Tensor, " d_model"]) -> bool:
    """Is this vector a row of the table, but for the rounding of a sum?"""
    if table.device.type == "meta":
        return False
    apart = (table.to(vector.device).float() - vector).abs().amax(dim=-1)
    return float(apart.min()) <= 1e-5 * max(1.0, float(vector.abs().max()))


def _before_the_first(*, position: bool, alone: bool) -> str:
    """What is put in between the table and layer 0."""
    if alone:
        return "A second table has a row for where it stands, its position: the two are added and enter layer 0."
    if position:
        return "Its position is put in, and the sum normed or scaled: that is what enters layer 0."
    return "What the model makes of it before its first layer enters layer 0."


def _gathered(here: Here, residual: Residual | None) -> str:
    """What the layers before have done."""
    index = here.one.index
    who = "Layer 0 has" if index == 1 else f"Layers 0 to {index - 1} have"
    if here.one.kind == "cross":
        who = "What came before has"
    if residual is not None and residual.order == "attention, then norm":
        return f"{who} added to it, and normed the sum each time."
    return f"{who} added to it."
