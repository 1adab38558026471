"""What people have, tensors and arrays in several forms, as one tensor a layer; every fault is said in a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_core.formats.wire import OVERSHOOT
from attention_core.record.layers import Kind
from attention_core.record.proof import compare

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
MOST_LAYERS, MOST_HEADS = 1_024, 1_024  # heads: of one layer
KINDS: tuple[Kind, ...] = get_args(Kind)

_FORMS = (
    "give a tuple with one array (batch, head, query, key) or (head, query, key) for each layer, or one array "
    "(layer, head, query, key)"
)


Given = Any  # matrices as somebody has them, not looked at yet: `layers_of` and `mask_of` say which forms they take


class GivenError(ValueError):
    """Matrices that cannot be shown; the text is a plain sentence that says which, where, and what would help."""


def fields_of(output: Given) -> dict[str, Given] | None:
    """The attentions of a model's output by the names of its fields, as keywords; None if it is no such output.

    Never by place: the last field of an output is not always the attentions. Of a decoder with cross-attention (GPT-2
    as a decoder) `attentions` are the decoder's own.

    Raises GivenError if it has such fields and nothing is in them.
    """
    if isinstance(output, str | Sequence | np.ndarray | Tensor) or output is None:
        return None
    names = ("attentions", "encoder_attentions", "decoder_attentions", "cross_attentions")
    if isinstance(output, Mapping):
        found = {name: output.get(name) for name in names if name in output}
    else:
        found = {name: getattr(output, name) for name in names if hasattr(output, name)}
    if not found:
        return None
    found = {name: value for name, value in found.items() if value is not None and len(value)}
    if not found or all(entry is None for value in found.values() for entry in value):
        raise GivenError(
            "The output holds no attentions. Load the model with attn_implementation='eager' and call it with "
            "output_attentions=True."
        )
    if "attentions" in found and "cross_attentions" not in found:
        return {"attention": found["attentions"]}
    keywords = {
        "encoder_attention": found.get("encoder_attentions"),
        "decoder_attention": found.get("decoder_attentions", found.get("attentions")),
        "cross_attention": found.get("cross_attentions"),
    }
    return {name: value for name, value in keywords.items() if value is not None}


def layers_of(given: Given, what: str, batch: int | None = None) -> list[Tensor]:
    """One tensor (head, …, …) for each layer, copied to the processor, in the precision in which it came.

    `batch` picks one text where there are several. Raises GivenError, calling the whole `what`.
    """
    array = _array(given)
    if array is not None:
        if array.ndim not in (4, 5):
            raise GivenError(f"{what} is one array of shape {_shape(array)}: {_FORMS}.")
        one_by_one = list(array)
    elif isinstance(given, Sequence) and not isinstance(given, str | bytes):
        one_by_one = list(given)
    else:
        raise GivenError(f"{what} is a {type(given).__name__}: {_FORMS}.")
    if not one_by_one:
        raise GivenError(f"{what} has no layer: {_FORMS}.")
    if len(one_by_one) > MOST_LAYERS:
        raise GivenError(f"{what} has {len(one_by_one):,} layers; at most {MOST_LAYERS:,} are shown.")
    return [_layer(one, f"{what}, layer {index}", batch) for index, one in enumerate(one_by_one)]


def check_weights(layers: Sequence[Tensor], kind: Kind, n_query: int, n_key: int, *, sums_to_one: bool) -> None:
    """Whether these, [head query key] each with its own number of heads, are weights between these tokens.

    Raises GivenError with a sentence for the first that is not.
    Every number is 0 or more and each row sums to 1, within what its precision lets it. With `sums_to_one` False a row
    may sum to anything, and each number is at most 1.
    """
    for index, weights in enumerate(layers):
        where = f"{kind} layer {index}"
        n_heads, *cells = weights.shape
        if cells != [n_query, n_key]:
            tokens = f"{n_query} tokens look at {n_key}" if kind == "cross" else f"there are {n_query} tokens"
            hint = " With a cache only the last token looks: run the whole text at once." if cells[0] == 1 else ""
            raise GivenError(f"{where} has {cells[0]} rows and {cells[1]} columns; {tokens}.{hint}")
        if n_heads > MOST_HEADS:
            raise GivenError(f"{where} has {n_heads:,} heads; at most {MOST_HEADS:,} are shown.")
        if not bool(torch.isfinite(weights).all()):
            head, query, key = _first(~torch.isfinite(weights))
            raise GivenError(
                f"{where}, head {head}, query {query}, key {key} is no number ({float(weights[head, query, key])}): "
                "a weight is a number from 0 to 1. A row that may read nothing has no softmax: leave out such tokens."
            )
        if bool((weights < 0).any()):
            head, query, key = _first(weights < 0)
            raise GivenError(
                f"{where}, head {head}, query {query}, key {key} is {float(weights[head, query, key]):.6g}: "
                "a weight is 0 or more. Of scores take the softmax first."
            )
        if sums_to_one:
            _check_sums(weights, where)
        elif bool((weights > 1 + OVERSHOOT).any()):
            head, query, key = _first(weights > 1 + OVERSHOOT)
            raise GivenError(
                f"{where}, head {head}, query {query}, key {key} is {float(weights[head, query, key]):.6g}: "
                "pictures show numbers from 0 to 1. Divide by the largest first."
            )


def mask_of(allowed: Given) -> Bool[Tensor, "query key"] | None:
    """Who may read whom, as booleans. Raises GivenError for anything else."""
    if allowed is None:
        return None
    array = _array(allowed)
    if array is None or array.ndim != 2 or array.dtype not in (torch.bool, np.dtype(bool)):
        raise GivenError("allowed is one array [query, key] of booleans: True where the query may read the key.")
    return torch.tensor(np.array(array)) if isinstance(array, np.ndarray) else array.detach().cpu().clone()


def _check_sums(weights: Float[Tensor, "head query key"], where: str) -> None:
    for head, of_head in enumerate(weights):  # head by head: a copy of all in float32 may not fit
        sums = of_head.float().sum(dim=-1)
        check = compare("row sums", sums, torch.ones_like(sums), weights.dtype)
        if not check.holds:
            query = int((sums - 1).abs().argmax())
            dtype = str(weights.dtype).removeprefix("torch.")
            raise GivenError(
                f"{where}, head {head}, query {query} sums to {float(sums[query]):.6g}; a row of weights sums to 1, "
                f"within {check.tolerance:g} in {dtype}. If they were rounded in half precision give them in it; if "
                "rows need not sum to 1 say so: sums_to_one=False."
            )


def _layer(given: Given, where: str, batch: int | None) -> Tensor:
    array = _array(given)
    if array is None:
        if given is None:
            raise GivenError(
                f"{where} is empty (None): a fused attention returns no weights. Load the model with "
                "attn_implementation='eager'."
            )
        if isinstance(given, Sequence) and given and _array(given[0]) is not None:
            raise GivenError(f"{where} is a sequence itself, as when a model generates: give one step's attentions.")
        raise GivenError(f"{where} is a {type(given).__name__}: {_FORMS}.")
    if array.ndim == 4:
        n = array.shape[0]
        if batch is None and n != 1:
            raise GivenError(f"{where} has a batch of {n} texts: say which one, batch=0 … batch={n - 1}.")
        if batch is not None and not 0 <= batch < n:
            raise GivenError(f"{where} has a batch of {n} texts; batch={batch} is none of them.")
        array = array[batch or 0]
    elif array.ndim != 3:
        raise GivenError(f"{where} has the shape {_shape(array)}: {_FORMS}.")
    if 0 in array.shape:
        raise GivenError(f"{where} has the shape {_shape(array)}: there is nothing in it.")
    return _tensor(array, where)


def _array(given: Given) -> Tensor | np.ndarray | None:
    """A tensor or NumPy array; None for anything else. Other libraries' arrays become NumPy's."""
    if isinstance(given, Tensor | np.ndarray):
        return given
    return np.asarray(given) if hasattr(given, "__array__") else None


def _tensor(array: Tensor | np.ndarray, where: str) -> Tensor:
    """A copy of one's own on the processor: whoever gave it may go on changing it."""
    if isinstance(array, Tensor):
        _require_floats(array.dtype, where)
        return array.detach().to("cpu").clone(memory_format=torch.contiguous_format)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (2, 4, 8):
        _require_floats(array.dtype, where)
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C", copy=True))


def _require_floats(dtype: torch.dtype | np.dtype, where: str) -> None:
    if dtype not in DTYPES:
        name = str(dtype).removeprefix("torch.")
        raise GivenError(f"{where} holds {name}; weights are float16, bfloat16, float32 or float64.")


def _first(wrong: Tensor) -> list[int]:
    return wrong.nonzero()[0].tolist()


def _shape(array: Tensor | np.ndarray) -> str:
    return " × ".join(map(str, array.shape)) or "()"
