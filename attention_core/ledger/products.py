"""One number of a ledger taken apart into the products that make it."""

import torch

from attention_core.ledger.maps import products_of_projection, projected_names
from attention_core.ledger.records import Here, Products
from attention_core.record.layers import AttentionLayer, LayerTrace
from attention_core.record.record import Record


def products_of(trace: Record, layer: int, head: int, query: int, name: str, row: int, component: int) -> Products:
    """The products behind one number: `row` is a key (or 0), `component` a component (or 0).

    Raises ValueError if this number is not a sum of products, or does not exist.
    """
    with torch.inference_mode():
        here = Here(trace, trace.exact(layer), layer, head, query, {})
        one = here.one
        if name == "scores":
            _within("key", row, one.n_key)
            return Products(here.q, here.k[row], "q", f"k_{row}", "component", float(here.attention.scores[0, row]))
        if name == "output":
            _within("component", component, one.v.shape[-1])
            return Products(
                here.attention.weights[0],
                here.v[:, component],
                "a_j",
                f"v_j,{component}",
                "key",
                float(here.attention.output[0, component]),
            )
        return products_of_projection(here, name, row, component)


def taken_apart(one: AttentionLayer) -> tuple[str, ...]:
    """The tensors whose numbers are sums of products that are known."""
    if not isinstance(one, LayerTrace):
        return ()
    return ("scores", "output", *projected_names(one))


def _within(what: str, index: int, n: int) -> None:
    if not 0 <= index < n:
        raise ValueError(f"{what} must be 0 … {n - 1}; got {index}")
