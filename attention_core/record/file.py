"""A trace as a file that opens without the model: safetensors, with all that is not a tensor as JSON in its header.

A file is untrusted input: it holds no code, its sizes are checked against its header before anything is allocated
(safetensors does that), and every field is checked before it is used. A small file must not stand for a large amount of
work either: what its layers make the pages compute is bounded by its own size.
"""

import json
import unicodedata
from dataclasses import asdict, fields
from pathlib import Path
from typing import get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from attention_core.formats.json_data import Json, JsonObject
from attention_core.formats.memory import OUT_OF_MEMORY, is_out_of_memory
from attention_core.formats.plain_values import Values, plain_values
from attention_core.formats.strict_json import strict_json
from attention_core.formats.wire import OVERSHOOT
from attention_core.formula.masks import Band
from attention_core.models.facts import ModelFacts
from attention_core.record.edited.layers import edited_layer
from attention_core.record.file_projections import number, pack_projections, unpack_projections
from attention_core.record.given_layers import given_layer
from attention_core.record.layers import AttentionLayer, Kind, LayerTrace, Mask, Origin, WeightsOnly, checks_of
from attention_core.record.projections import Found
from attention_core.record.record import Record
from attention_core.text.tokens import Token

FORMAT = "sightline-trace"
VERSION = 1
EDITED_VERSION = 2  # of a run that was edited: a Sightline that knows no edits must not prove what is in it
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)

MOST_MAPS = 1 << 30  # bytes of the weights around attention in a file that a visitor saves: a model of 2 billion

_MAX_HEADER = 16_000_000  # bytes; a text of 32,000 tokens needs half
_MAX_LAYERS, _MAX_HEADS = 1_024, 1_024  # heads: of one layer
_MAX_COUNT = 2**53  # of anything that is counted: what JavaScript still tells apart
_MAX_PLACE = 2**31  # of tokens, characters, masks
# Cells of all attention matrices: a layer may name the tensors of another one, and heads of width 1 make large matrices
# of little data. Real traces have fewer than 32 for each byte (4,096 tokens, d_head 32, 16 bits: 16), tiny ones a few.
_CELLS_PER_BYTE, _FREE_CELLS = 32, 500_000_000


class TraceFileError(ValueError):
    """A trace file cannot be opened; the text is a plain sentence."""


def trace_bytes(trace: Record, *, projections: bool = True) -> bytes:
    """The trace as the bytes of a safetensors file; with `projections` also x, W_Q, W_K, W_V and W_O of every layer.

    The header says which checks the proof still makes when the file is opened.
    """
    tensors: dict[str, Tensor] = {}
    names: dict[tuple[object, ...], str] = {}  # T5's relative bias is one tensor for all layers: stored once

    alive: list[Tensor] = []  # what is known by its address must keep it until all is stored

    def keep(name: str, tensor: Tensor) -> str:
        alive.append(tensor)
        same = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if same not in names:
            names[same] = name
            tensors[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        return names[same]

    layers = []
    for i, layer in enumerate(trace.layers):
        fields_: JsonObject = {"kind": layer.kind, "index": layer.index}
        fields_["tensors"] = {name: keep(f"{i}.{name}", tensor) for name, tensor in layer.tensors().items()}
        if layer.edited:
            fields_["edited"] = True
        if layer.origin == "given":
            fields_["origin"] = layer.origin
        if isinstance(layer, WeightsOnly) and not layer.sums_to_one:
            fields_["sums_to_one"] = False
        if isinstance(layer, LayerTrace):
            fields_["scale"], fields_["softcap"] = layer.scale, layer.softcap
            fields_["band"] = [layer.mask.back, layer.mask.ahead] if isinstance(layer.mask, Band) else None
            if projections and layer.projections is not None:
                fields_["projections"] = pack_projections(
                    layer.projections, lambda name, tensor, i=i: keep(f"{i}.{name}", tensor)
                )
        layers.append(fields_)
    header = {
        "version": EDITED_VERSION if trace.edited else VERSION,
        "facts": asdict(trace.facts),
        "text": trace.text,
        "pair": trace.pair,
        "target": trace.target,
        "notes": list(trace.notes),
        "reservations": list(trace.reservations),
        **({"edited": list(trace.edited), "edits": list(trace.edits)} if trace.edited else {}),
        "other_layers": list(trace.other_layers),
        "source_language": trace.source_language,
        "target_language": trace.target_language,
        "chat": trace.chat,
        "checks": list(checks_of(trace.layers, projections=projections, witness=False)),
        "source_tokens": [asdict(token) for token in trace.source_tokens],
        "target_tokens": [asdict(token) for token in trace.target_tokens],
        "layers": layers,
    }
    return _in_order(dump_tensors(tensors, {"format": FORMAT, FORMAT: json.dumps(header, allow_nan=False)}))


def _in_order(data: bytes) -> bytes:
    """The same file with its header's entries in one order: safetensors writes them in another one at every call."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(data)[8 + size :]])


def save_trace(trace: Record, file: str | Path, *, projections: bool = True) -> None:
    """Write the trace to a file, by convention `*.safetensors`; smaller without `projections`.

    They are x and the weights around attention; without them the proof of the opened trace covers the output alone.
    """
    Path(file).write_bytes(trace_bytes(trace, projections=projections))


def maps_bytes(trace: Record) -> int:
    """About what the weights around attention would take in the file."""
    return sum(
        weight.numel() * weight.element_size()
        for layer in trace.layers
        if isinstance(layer, LayerTrace) and (found := layer.projections) is not None
        for weight in {
            id(one.weight): one.weight
            for one in (*(part for p in (found.q, found.k, found.v) if p for part in p.parts), found.o)
            if one is not None
        }.values()
    )


def load_trace(file: str | Path | bytes) -> Record:
    """Open a saved trace, without its model: the weights' witness stayed with it; `trace.checks` are those that came.

    Raises TraceFileError with a plain sentence if the file is damaged, of another kind or inconsistent.
    """
    data = file if isinstance(file, bytes) else Path(file).read_bytes()
    try:
        header, tensors = _header(data), load_tensors(data)
        trace = _trace(header, tensors)
        _require(_cells(trace) <= max(_FREE_CELLS, _CELLS_PER_BYTE * len(data)))
        return trace
    except SafetensorError:
        raise TraceFileError(
            "The file is damaged: it ends early or is not safetensors. Save the trace again."
        ) from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RuntimeError) as error:
        if isinstance(error, TraceFileError):
            raise
        if is_out_of_memory(error):
            raise TraceFileError(OUT_OF_MEMORY) from None
        raise TraceFileError(
            "The file is not a trace that Sightline saved, or it was changed. Save the trace again."
        ) from None


def header_of_file(data: bytes) -> JsonObject:
    """The header of a safetensors file as it stands there. Raises TraceFileError or ValueError if there is none."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        raise TraceFileError("The file is damaged: it ends early or is not safetensors. Save the trace again.")
    if size > _MAX_HEADER:
        raise TraceFileError(
            f"The file has a header of {size / 1e6:,.0f} MB; at most {_MAX_HEADER / 1e6:,.0f} MB are read. "
            "Save the trace of a shorter text."
        )
    return strict_json(data[8 : 8 + size])


def _header(data: bytes) -> JsonObject:
    metadata = header_of_file(data).get("__metadata__") or {}
    if metadata.get("format") != FORMAT:
        raise TraceFileError("The file holds no Sightline trace. Choose a file that was saved with Save → Trace.")
    header = strict_json(metadata[FORMAT])
    if header["version"] not in (VERSION, EDITED_VERSION):
        raise TraceFileError(
            f"The trace has version {header['version']!r}; this Sightline reads version {VERSION}, and "
            f"{EDITED_VERSION} of edited runs. Save it again."
        )
    return header


def _trace(header: JsonObject, tensors: dict[str, Tensor]) -> Record:
    source = tuple(_token(token) for token in header["source_tokens"])
    target = tuple(_token(token) for token in header["target_tokens"])
    _require(0 < len(header["layers"]) <= _MAX_LAYERS)
    layers = tuple(_layer(layer, tensors) for layer in header["layers"])
    trace = Record(
        facts=_checked(plain_values(header["facts"], ModelFacts)),
        text=_text(header["text"]),
        pair=_text_or_none(header["pair"]),
        target=_text_or_none(header["target"]),
        source_tokens=source,
        target_tokens=target,
        layers=layers,
        notes=tuple(_text(note) for note in header["notes"]),
        reservations=tuple(_text(said) for said in header.get("reservations", [])),  # absent in files of before
        other_layers=tuple(_text(name) for name in header.get("other_layers", [])),  # absent in files of before
        edited=tuple(_text(said) for said in header.get("edited", [])),  # absent where nothing was edited
        edits=_plain_edits(header.get("edits", [])),
        opened=True,
        source_language=_text_or_none(header.get("source_language")),
        target_language=_text_or_none(header.get("target_language")),
        chat=_text_or_none(header.get("chat")),
    )
    _require((header["version"] == EDITED_VERSION) == bool(trace.edited) == bool(trace.edits))
    _require(bool(trace.edited) or not any(layer.edited for layer in layers))
    if not source:
        raise ValueError("a trace needs at least one token")
    _require(header.get("checks", list(trace.checks)) == list(trace.checks))  # absent in files of before
    for i, layer in enumerate(layers):
        if (layer.n_query, layer.n_key) != (len(trace.query_tokens(i)), len(trace.key_tokens(i))):
            raise ValueError(f"layer {i}: the tensors do not fit the tokens")
    return trace


def _layer(fields_: JsonObject, tensors: dict[str, Tensor]) -> AttentionLayer:
    own = {name: tensors[stored] for name, stored in fields_["tensors"].items()}
    kind, index = fields_["kind"], fields_["index"]
    _require(kind in get_args(Kind) and _is_count(index, _MAX_LAYERS))
    origin, sums_to_one = fields_.get("origin", "captured"), fields_.get("sums_to_one", True)  # absent if captured
    _require(origin in get_args(Origin) and isinstance(sums_to_one, bool))
    given = own.get("given")
    if given is not None:
        _require(given.dim() == 3 and given.dtype in _DTYPES and 0 not in given.shape)
        _require(given.shape[0] <= _MAX_HEADS)
        _require(not bool(((given < 0) | (given > 1 + OVERSHOOT)).any()))  # NaN is neither: it is shown as what it is
    if given is not None and "q" not in own:
        return WeightsOnly(kind=kind, index=index, given=given, origin=origin, sums_to_one=sums_to_one)
    _require((given is None) == (origin == "captured"))
    q, k, v, output = own["q"], own["k"], own["v"], own["output"]
    _require(all(t.dim() == 3 and t.dtype in _DTYPES and 0 not in t.shape for t in (q, k, v, output)))
    _require(q.shape[2] == k.shape[2] and k.shape[:2] == v.shape[:2] and q.shape[0] % k.shape[0] == 0)
    _require(q.shape[0] <= _MAX_HEADS)
    _require(output.shape == (q.shape[0], q.shape[1], v.shape[2]))
    cells = (q.shape[1], k.shape[1])
    bias, sink_logit = own.get("bias"), own.get("sink_logit")
    _require(bias is None or (bias.dtype in _DTYPES and bias.shape[0] in (1, q.shape[0]) and bias.shape[1:] == cells))
    _require(sink_logit is None or (sink_logit.dtype in _DTYPES and sink_logit.shape in (q.shape[:1], q.shape[:2])))
    mask: Mask
    if fields_["band"] is not None:
        back, ahead = fields_["band"]
        _require(all(side is None or (type(side) is int and abs(side) < _MAX_PLACE) for side in (back, ahead)))
        mask = Band(back, ahead)
        # The first and the last query read some key, and so those between them do.
        _require(all(_first_key(mask, i) <= _last_key(mask, i, cells[1]) for i in (0, cells[0] - 1)))
    else:
        mask = own["mask"]
        _require(mask.dtype == torch.bool and mask.shape[-2:] == cells and mask.dim() in (2, 3))
        _require(mask.dim() == 2 or mask.shape[0] == q.shape[0])
        _require(bool(mask.any(dim=-1).all()))
    scale, softcap = number(fields_["scale"]), fields_["softcap"]
    found = None
    if "projections" in fields_ and given is None:
        found = Found(unpack_projections(fields_["projections"], tensors, q, k, v))
    layer = LayerTrace(
        kind=kind,
        index=index,
        q=q,
        k=k,
        v=v,
        output=output,
        scale=scale,
        mask=mask,
        bias=bias,
        softcap=None if softcap is None else number(softcap),
        sink_logit=sink_logit,
        found=found,
    )
    if fields_.get("edited", False):
        _require(given is None)
        return edited_layer(layer, _edited_weights(own.get("edited_weights"), (q.shape[0], *cells)))
    if given is None:
        return layer
    _require(given.shape == (q.shape[0], *cells))
    return given_layer(layer, given)


def _edited_weights(weights: Tensor | None, shape: tuple[int, ...]) -> Tensor | None:
    if weights is not None:
        _require(weights.shape == shape and weights.dtype in _DTYPES)
        _require(not bool(((weights < 0) | (weights > 1 + OVERSHOOT)).any()))
    return weights


def _plain_edits(given: Json) -> tuple[JsonObject, ...]:
    _require(isinstance(given, list) and all(isinstance(one, dict) for one in given))
    return tuple(given)


def _first_key(band: Band, query: int) -> int:
    return 0 if band.back is None else max(0, query - band.back)


def _last_key(band: Band, query: int, n_key: int) -> int:
    return n_key - 1 if band.ahead is None else min(n_key - 1, query + band.ahead)


def _cells(trace: Record) -> int:
    """Of the attention matrices of all heads."""
    return sum(layer.n_heads * layer.n_query * layer.n_key for layer in trace.layers)


def _token(given: Json) -> Token:
    token = _checked(plain_values(given, Token))
    start, end = token.span
    _require(0 <= start <= end < _MAX_PLACE)
    _require(abs(token.id) < _MAX_PLACE and abs(token.word or 0) < _MAX_PLACE)
    _require(all(unicodedata.category(character) != "Cc" for character in token.text))  # they have signs
    return token


def _checked(values: Values) -> Values:
    """A dataclass whose texts can be sent and whose numbers JavaScript can tell apart."""
    for field in fields(values):
        value = getattr(values, field.name)
        _require(not isinstance(value, int) or abs(value) < _MAX_COUNT)
        if isinstance(value, str):
            _text(value)
    return values


def _is_count(value: object, below: int) -> bool:
    return type(value) is int and 0 <= value < below


def _text(value: object) -> str:
    """A text that can be sent to a browser: with a lone surrogate in it, it cannot."""
    _require(isinstance(value, str))
    str(value).encode("utf-8")  # raises UnicodeEncodeError, a ValueError
    return str(value)


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("inconsistent trace file")
