"""Every head's weights in one file, or as tensors a block of rows at a time."""

import zipfile
from collections.abc import Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from attention_core.formats.json_data import JsonObject
from attention_core.models.folder import free_memory_bytes
from attention_core.record.choosing import LayerChoice, layers_at
from attention_core.record.groups import CELLS_PER_BLOCK, spans
from attention_core.record.record import Record
from attention_core.text.tokens import Token

_SHARE_OF_MEMORY = 0.8  # of what is free: something has to be done with the weights too
_NAMES = {"encoder self": "encoder_attention", "decoder self": "decoder_attention", "cross": "cross_attention"}


def attention_of(
    trace: Record, layer: LayerChoice = None, *, kind: str | None = None, rows: slice = slice(None)
) -> Float[Tensor, "*layer head query key"]:
    """The weights of all heads of one layer, or of all layers of a kind with an axis of their own in front.

    Raises ValueError if they need more memory than is free, or for layers of several kinds or numbers of heads.
    """
    n_bytes, free = 4 * _cells(trace, layer, kind, rows), free_memory_bytes()
    if free is not None and n_bytes > free * _SHARE_OF_MEMORY:
        raise ValueError(
            f"all these weights take {n_bytes / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free: "
            "for rows, block in trace.attention_blocks(…) gives some rows at a time"
        )
    return trace.weights(layer, None, rows, kind=kind)


def attention_blocks(
    trace: Record, layer: LayerChoice = None, *, kind: str | None = None, n_rows: int | None = None
) -> Iterator[tuple[slice, Float[Tensor, "*layer head row key"]]]:
    """The same, some queries at a time: which rows, and their weights. `n_rows` None: about 8 MB a block.

    Raises ValueError as `attention_of`, and for fewer than one row.
    """
    places = layers_at(trace.layers, layer, kind).indices
    n_query = trace.layers[places[0]].n_query
    step = max(1, CELLS_PER_BLOCK * n_query // _cells(trace, layer, kind, slice(None))) if n_rows is None else n_rows
    if step < 1:
        raise ValueError(f"a block has at least one row; got n_rows={n_rows}")
    for start, stop in spans(n_query, step):
        rows = slice(start, stop)
        yield rows, attention_of(trace, layer, kind=kind, rows=rows)


def save_npz(trace: Record, file: str | Path | BufferedIOBase) -> None:
    """Every head of every layer in one NumPy archive that opens with `np.load(file)`, without pickle.

    `attention` is float32 [layer head query key], `tokens` the pieces as shown and `ids` their numbers in the
    vocabulary; of an encoder-decoder `encoder_attention`, `decoder_attention` and `cross_attention` with `encoder_` and
    `decoder_tokens` and `_ids`. `allowed` (`encoder_allowed` …) [layer query key] is there where something is masked:
    masked is not zero. `model`, `text`, `kind` and `notes` say where they come from, and `edited`, if anything was,
    what was changed while the model ran. Of layers that differ in their number of heads each has an array of its own:
    `attention_0`, `attention_1` …

    Written a layer at a time: memory for one layer's heads · tokens² numbers.
    """
    kinds = list(dict.fromkeys(layer.kind for layer in trace.layers))
    two_sided = bool(trace.target_tokens)
    sides = {"encoder_": trace.source_tokens, "decoder_": trace.target_tokens} if two_sided else {"": trace.tokens}
    about: JsonObject = {"model": trace.facts.name, "text": trace.text, "notes": list(trace.notes) or [""]}
    about["kind"] = kinds if two_sided else kinds[0]
    if trace.edited:
        about["edited"] = list(trace.edited)
    for prefix, tokens in sides.items():
        about |= {f"{prefix}tokens": _texts(tokens), f"{prefix}ids": [token.id for token in tokens]}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, value in about.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, np.asarray(value), allow_pickle=False)
        for kind in kinds:
            _write_kind(archive, trace, kind, _NAMES[kind] if two_sided else "attention")


def _write_kind(archive: zipfile.ZipFile, trace: Record, kind: str, name: str) -> None:
    places = [place for place, layer in enumerate(trace.layers) if layer.kind == kind]
    shapes = {(trace.layers[place].n_heads, trace.layers[place].n_query, trace.layers[place].n_key) for place in places}
    together = {name: places} if len(shapes) == 1 else {f"{name}_{n}": [place] for n, place in enumerate(places)}
    for array, own in together.items():
        first = trace.layers[own[0]]
        shape = (first.n_heads, first.n_query, first.n_key)
        weights = (trace.layers[place].all_weights().float().numpy(force=True) for place in own)
        _write(archive, array, np.dtype(np.float32), shape if len(shapes) > 1 else (len(own), *shape), weights)
        if any(trace.layers[place].allowed() is not None for place in own):
            masks = (_allowed(trace, place) for place in own)
            where = array.replace("attention", "allowed")
            _write(archive, where, np.dtype(bool), shape[1:] if len(shapes) > 1 else (len(own), *shape[1:]), masks)


def _write(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype, shape: tuple[int, ...], parts: Iterator[NDArray[np.generic]]
) -> None:
    """An array whose parts come one after the other, each along the first axis."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
        np.lib.format.write_array_header_1_0(entry, header)
        for part in parts:
            entry.write(np.ascontiguousarray(part, dtype=dtype).data)


def _allowed(trace: Record, place: int) -> NDArray[np.bool_]:
    layer = trace.layers[place]
    allowed = layer.allowed()
    return torch.ones(layer.n_query, layer.n_key).bool().numpy() if allowed is None else allowed.numpy(force=True)


def _texts(tokens: Sequence[Token]) -> NDArray[np.generic]:
    return np.array([token.text for token in tokens], dtype=np.str_)


def _cells(trace: Record, layer: LayerChoice, kind: str | None, rows: slice) -> int:
    places = layers_at(trace.layers, layer, kind).indices
    chosen = (trace.layers[place] for place in places)
    return sum(one.n_heads * len(range(one.n_query)[rows]) * one.n_key for one in chosen)
