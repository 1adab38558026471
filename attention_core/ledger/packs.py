"""A ledger as the browser gets it: one `wire` pack with what matters, and further packs for what is asked for.

Tensors keep the names that they have in the ledger. Of a large tensor with a row for every key only the rows of the
keys that matter most are sent at first: exact ones, never rounded pictures. `rows_pack` has the others.
"""

import numpy as np
import torch
from jaxtyping import Int, Shaped
from numpy.typing import NDArray
from torch import Tensor

from attention_core.formats import wire
from attention_core.formats.json_data import JsonObject
from attention_core.ledger.matrices import matrices_of
from attention_core.ledger.products import products_of, taken_apart
from attention_core.ledger.records import Ledger, Step
from attention_core.ledger.steps import ledger
from attention_core.pictures.heatmap_svg import TRACE_FILE
from attention_core.record.groups import layer_name
from attention_core.record.layers import LayerTrace
from attention_core.record.record import Record

WHOLE_BYTES = 128_000  # a tensor with a row for every key is sent whole up to here, else the rows that matter most
MORE_BYTES = 512_000  # of rows that are asked for later, at a time


def ledger_pack(trace: Record, layer: int, head: int, query: int) -> bytes:
    """All steps of one head for one query.

    Buffers: every tensor by its name, float32 (int32 and bytes for indices and flags); `order`, the keys by falling
    weight; `rest`, the weight of all keys after the first n of `order`. Header: tokens, steps with formula, code and
    checks, `rows` (which rows of a tensor are here, where not all are; `blocks`: how many `rows_pack` gives), `opens`
    (tensors that `products_pack` takes apart), `made_by` (tensor → step).
    """
    found = ledger(trace, layer, head, query)
    one = trace.layers[layer]
    weights = found.step("softmax").tensors["weights"].cpu()
    order = weights.nan_to_num(0.0).argsort(descending=True, stable=True)
    ranked = weights.double()[order]
    rest = torch.cat([ranked.flip(0).cumsum(0).flip(0), torch.zeros(1, dtype=torch.float64)])
    tensors = {name: tensor for step in found for name, tensor in step.tensors.items()}
    rows: dict[str, list[int]] = {}
    blocks: dict[str, int] = {}
    buffers: dict[str, NDArray[np.generic]] = {}
    for name, tensor in tensors.items():
        if tensor.dim() == 2 and tensor.shape[0] == one.n_key and tensor.numel() * 4 > WHOLE_BYTES:
            rows[name] = first_rows(order, tensor)
            blocks[name] = rows_at_once(tensor)
            tensor = tensor[rows[name]]
        buffers[name] = _array(tensor)
    header = {
        "layer": layer,
        "head": head,
        "query": query,
        "model": trace.facts.name,
        "place": layer_name(trace, layer),
        "kind": one.kind,
        "n_heads": one.n_heads,
        "n_kv_heads": one.n_kv_heads,
        "exact": one.exact,
        "scale": one.scale if isinstance(one, LayerTrace) else None,
        "softcap": one.softcap if isinstance(one, LayerTrace) else None,
        "queries": [{"t": token.text, "s": int(token.special)} for token in trace.query_tokens(layer)],
        "keys": [{"t": token.text, "s": int(token.special)} for token in trace.key_tokens(layer)],
        "same_tokens": one.kind != "cross",
        "prelude": _prelude(trace),
        "steps": [_step(step) for step in found],
        "made_by": {name: step.name for step in found for name in step.makes},
        "rows": rows,
        "blocks": blocks,
        "opens": list(taken_apart(one)),
        "holds": found.holds,
        "worst": wire.number(found.worst),
        "verdict": found.verdict,
        "judged": found.judged.as_json(),
        "faults": [
            {
                "check": fault.check,
                "where": fault.where,
                "ours": wire.number(fault.ours),
                "models": wire.number(fault.models),
            }
            for fault in found.faults
        ],
    }
    return wire.pack(header, **buffers, order=order.int().numpy(), rest=rest.float().numpy())


def rows_pack(trace: Record, layer: int, head: int, query: int, name: str, start: int) -> bytes:
    """More rows of a tensor from `start` on, MORE_BYTES at most, as a pack with the tensor's name.

    Raises ValueError if the ledger has no such tensor or the tensor no such row.
    """
    tensor = _tensor(ledger(trace, layer, head, query, checked=False), name)
    if tensor.dim() != 2 or not 0 <= start < tensor.shape[0]:
        raise ValueError(f"{name} has no row {start}")
    return wire.pack({"name": name, "start": start}, **{name: _array(tensor[start : start + rows_at_once(tensor)])})


def products_pack(trace: Record, layer: int, head: int, query: int, name: str, row: int, component: int) -> bytes:
    """One number taken apart into the products that make it, as a pack.

    Buffers: `left`, `right`, `products` in order; `sums`, the sum of the products up to each; `order`, largest first;
    `rest`, the sum of all products after the first n of `order` (sums are computed in 64 bits). Header: what left and
    right are, the total, bias and factor.
    """
    found = products_of(trace, layer, head, query, name, row, component)
    left, right = found.left.cpu(), found.right.cpu()
    products = left.double() * right.double()
    order = products.abs().argsort(descending=True, stable=True)
    rest = torch.cat([products[order].flip(0).cumsum(0).flip(0), torch.zeros(1, dtype=torch.float64)])
    header = {
        "name": name,
        "row": row,
        "component": component,
        "total": wire.number(float(found.total)),
        "left": found.left_name,
        "right": found.right_name,
        "over": found.over,
        "bias": None if found.bias is None else wire.number(found.bias),
        "factor": wire.number(found.factor),
    }
    return wire.pack(
        header,
        left=left.float().numpy(),
        right=right.float().numpy(),
        products=products.float().numpy(),
        sums=products.cumsum(0).float().numpy(),
        order=order.int().numpy(),
        rest=rest.float().numpy(),
    )


def matrix_pack(trace: Record, layer: int, head: int, query: int, step: str, which: str = "") -> bytes:
    """A step for all tokens at once, as the matrices that go in and come out.

    Buffers `m0`, `m1`, … in float32, NaN where masked; large ones as blocks that each show their value of largest
    magnitude. Header: for each its name, symbol, real rows and columns, tokens a block.
    """
    matrices = matrices_of(trace, layer, head, step, which)
    return wire.pack(
        {"step": step, "which": which, "matrices": [matrix.header for matrix in matrices]},
        **{f"m{i}": matrix.values.cpu().numpy() for i, matrix in enumerate(matrices)},
    )


def rows_at_once(tensor: Shaped[Tensor, "key width"]) -> int:
    """How many rows `rows_pack` gives."""
    return max(1, MORE_BYTES // (4 * tensor.shape[1]))


def first_rows(order: Int[Tensor, " key"], tensor: Shaped[Tensor, "key width"]) -> list[int]:
    """The rows of the keys with the largest weights that fit WHOLE_BYTES, in the order of the text."""
    n = max(8, WHOLE_BYTES // (4 * tensor.shape[1]))
    return sorted(order[:n].tolist())


def _prelude(trace: Record) -> str:
    """The lines that make `trace`; a long text stands there as `…`."""
    if trace.opened:
        return f"from attention_core import load_trace\ntrace = load_trace({TRACE_FILE!r})  # the saved trace"
    if trace.given:
        return (
            "from attention_core import trace_from_attention\n"
            "trace = trace_from_attention(attention, tokens)  # your matrices, see docs/own-matrices.md"
        )
    texts = [trace.text if trace.chat is None else trace.chat, *([trace.pair] if trace.pair else [])]
    shown = ", ".join(repr(text) if len(text) <= 400 else "…" for text in texts)
    if trace.target:
        shown += f", target={trace.target!r}" if len(trace.target) <= 400 else ", target=…"
    told = {"source_language": trace.source_language, "target_language": trace.target_language}
    shown += "".join(f", {name}={value!r}" for name, value in told.items() if value)
    if trace.chat is not None:
        shown += ", chat=True"
    return f"from attention_core import capture, load_model\ntrace = capture(load_model({trace.facts.id!r}), {shown})"


def _step(step: Step) -> JsonObject:
    return {
        "name": step.name,
        "title": step.title,
        "says": step.says,
        "symbols": list(step.symbols),
        "formula": list(step.formula),
        "tensors": {name: list(shape) for name, shape in step.shapes.items()},
        "makes": list(step.makes),
        "code": step.code,
        "result": step.result,
        "why_not": step.why_not,
        "holds": step.holds,
        "checks": [
            {
                "name": check.name,
                "difference": wire.number(check.difference),
                "tolerance": check.tolerance,
                "holds": check.holds,
                "reason": check.reason,
            }
            for check in step.checks
        ],
    }


def _tensor(found: Ledger, name: str) -> Tensor:
    for step in found:
        if name in step.tensors:
            return step.tensors[name]
    raise ValueError(f"there is no tensor {name!r}")


def _array(tensor: Tensor) -> NDArray[np.generic]:
    tensor = tensor.cpu()
    if tensor.dtype == torch.bool:
        return tensor.to(torch.uint8).numpy()
    if not tensor.dtype.is_floating_point:
        return tensor.int().reshape(tensor.shape or (1,)).numpy()
    return tensor.float().reshape(tensor.shape or (1,)).contiguous().numpy()
