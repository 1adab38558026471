"""The last steps of a ledger: from the joined heads through W_O to the residual stream."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attention_core.ledger.inputs import found, why_missing
from attention_core.ledger.records import Here, Step, unobserved
from attention_core.record.norms import Norm
from attention_core.record.projections import OutputProjection, Residual
from attention_core.record.proof import compare


def after(here: Here) -> Iterator[Step]:
    """All heads joined and W_O."""
    maps = found(here.one)
    if maps.o is None:
        yield unobserved("joined", "All heads joined", why_missing(maps, "W_O"))
        return
    yield _joined(here, maps.o)
    if maps.residual is None:
        why = (
            "no later part of the model was seen to read the sum (where attention and the feed-forward part are added "
            "together, there is none)"
        )
        yield unobserved("residual", "Residual stream", why)
    else:
        yield _residual(here, maps.o, maps.residual)


def _joined(here: Here, o: OutputProjection) -> Step:
    one = here.one
    joined = o.joined(one.output, here.rows)[0]
    matrix, offsets = o.matrix(), o.offsets()
    by_head = joined[o.slots][:, None, :]  # [head, 1, d_value]
    writes = torch.bmm(by_head, _slots_of(matrix, o.slots))[:, 0]  # [head, d_model]
    written = o.written[here.query].float()
    size = written.double().dot(written.double()).clamp_min(1e-30)
    tensors = {
        "output": here.attention.output[0],
        "slot": o.slots[here.head].int(),
        "joined": joined,
        "head_write": writes[here.head],
        "others_write": (writes.double().sum(dim=0) - writes[here.head].double()).float(),
        "head_norms": writes.norm(dim=-1),
        "head_shares": (writes.double() @ written.double() / size).float(),
    }
    if offsets is not None:
        tensors["bias_write"] = offsets
        tensors["bias_share"] = (offsets.double().dot(written.double()) / size).float()
    tensors |= (apart := _apart(o, joined))
    tensors["written"] = written
    says = (
        "The outputs of all heads are put side by side; this head fills its own slot. One more matrix, W_O, makes a "
        "vector as long as the input of it. A row times a matrix is a sum over its rows, so what is written is what "
        "this head writes plus what the others write: each head adds in every component."
    )
    if o.norm is not None:
        says += " Here the joined outputs are normed first."
    if o.gate is not None:
        says += " Here a gate, computed from x, multiplies every joined output first."
    if apart:
        says += " An adapter sits on W_O: what it adds stands beside what the base layer gives."
    bias = "" if o.bias is None else " + b_O"
    code = [
        f"layer, query = trace.exact({here.layer}), {here.query}",
        "o = layer.projections.o",
        "joined = o.joined(layer.output)[query]",
        f"written = joined @ o.matrix(){'' if o.bias is None else ' + o.offsets()'}",
    ]
    return Step(
        name="joined",
        title="All heads joined",
        says=says,
        symbols=("O", "W_O", "b", "o", "r"),
        formula=(
            "O = [o of head 0, o of head 1, …]",
            f"w = O · W_O{bias} = Σ_h o_h · W_O[slot h]{bias}",
            "share of head h = (o_h · W_O[slot h]) · w / ‖w‖²",
        ),
        tensors=tensors,
        makes=("slot", "joined", "head_write", "others_write", "head_norms", "head_shares")
        + (("bias_write", "bias_share") if offsets is not None else ())
        + tuple(apart)
        + ("written",),
        checks=here.checks("W_O"),
        code="\n".join(code),
        result="written",
    )


def _apart(o: OutputProjection, joined: Float[Tensor, " d_in"]) -> dict[str, Tensor]:
    """What the base layer writes and what its adapter adds, where one sits on W_O."""
    if o.base is None:
        return {}
    columns = torch.arange(o.written.shape[1], device=joined.device)
    base, offsets, whole = joined @ o.base.matrix(columns), o.base.offsets(columns), joined @ o.matrix()
    base = base if offsets is None else base + offsets
    own = o.offsets()
    return {"base_written": base, "adapter_written": (whole if own is None else whole + own) - base}


def _residual(here: Here, o: OutputProjection, residual: Residual) -> Step:
    written = o.written[here.rows]
    before, added = residual.pre[here.query].float(), residual.added(written)[0]
    after = residual.mid(o.written, here.rows)[0]
    tensors = {
        "written": written[0].float(),
        "resid_pre": before,
        "added": added,
        "resid_mid": after,
        "resid_pre_length": before.norm(),
        "added_length": added.norm(),
        "resid_mid_length": after.norm(),
    }
    says = (
        "The layer does not replace the token's vector: what attention has written is added to it. The sum is what the "
        "rest of the model reads; earlier layers' work stays in it."
    )
    formula = ["r' = r + w"]
    if residual.norm is not None:
        says += " This model norms what it adds first."
        formula = ["u = norm(w)", "r' = r + u"]
    if residual.factor != 1.0:
        says += f" This model adds it times {residual.factor:.6g}."
        formula[-1] = formula[-1] + f" × {residual.factor:.6g}"
    if residual.after is not None:
        tensors["resid_normed"] = _normed(residual.after, after)
        says += " Here the sum is then normed: the normed vector goes on in its place."
        formula.append("n = norm(r')")
    code = [
        f"made, query = trace.exact({here.layer}).projections, {here.query}",
        "added = made.residual.added(made.o.written[query : query + 1])[0]",
        "resid_mid = made.residual.pre[query].float() + added",
    ]
    exact = before.double() + added.double()
    check = compare("residual", after, exact.float(), o.written.dtype)
    return Step(
        name="residual",
        title="Residual stream",
        says=says,
        symbols=("r", "w"),
        formula=tuple(formula),
        tensors=tensors,
        makes=tuple(name for name in tensors if name != "written"),
        checks=here.checks("residual") or (replace(check, reason="added up again in 64 bits"),),
        code="\n".join(code),
        result="resid_mid",
    )


def _normed(norm: Norm, vector: Float[Tensor, " d_model"]) -> Float[Tensor, " d_model"]:
    centred = vector if norm.kind == "rms" else vector - vector.mean()
    made = centred / (centred.pow(2).mean() + norm.eps).sqrt()
    made = made if norm.gain is None else made * norm.gain[0].float()
    return made if norm.bias is None else made + norm.bias[0].float()


def _slots_of(
    matrix: Float[Tensor, "d_in d_model"], slots: Int[Tensor, "head d_value"]
) -> Float[Tensor, "head d_value d_model"]:
    """W_O's rows for each head; a view where the slots lie one after the other."""
    if torch.equal(slots.flatten(), torch.arange(matrix.shape[0], device=slots.device)):
        return matrix.reshape(*slots.shape, matrix.shape[1])
    return matrix[slots]
