"""Packs: the binary format in which numbers reach the browser, a JSON header and raw buffers; weights as whole numbers.

A pack is: u32 little-endian header length | JSON header | buffers. The header is padded with spaces and every buffer
with zero bytes to a multiple of 4, so that a browser can lay a typed array over each buffer without copying.
`header["bufs"]` lists name, dtype, shape and `off`, the offset in bytes from the end of the header.

Weights travel as whole numbers. The two largest codes are kept for what is not a weight, because masked is not zero and
neither is NaN:

    u2: round(weight × 65533), 65534 = NaN or ±∞, 65535 = masked; off by at most 7.7e-6
    u1: round(weight × 253),   254 = NaN or ±∞,   255 = masked;   off by at most 2.0e-3

So do differences of weights, −1 to 1, with 0 exactly in the middle:

    s1: 127 + round(difference × 126),   254 = NaN or ±∞,   255 = one side has no such cell;   off by at most 4.0e-3

One rule for all packs, of pictures, the ledger, heads and growth:

- Who: the package that computed the numbers makes the pack, in a function `…_pack(…) -> bytes` (`overview` that of
  all heads) whose docstring lists arrays and header. A route chooses, compresses and sends. Growth is packed by the
  pages, because its header is a page's words.
- Names: an array is called what the core calls what is in it (`weights`, `scores`, `loss`); `meta` has facts, words and
  single numbers.
- Types: weights that are painted are u2 or u1, by `encode_u2` and `encode_u1`; numbers that are read are f4, NaN where
  there is none; places and counts are i4; flags are u1. A single number in `meta` goes through `number`.
- Version: none, as nobody would read it. The files of a page lie under an address that changes with them, and ask the
  server that sent them. A pack that is kept as a file (a recorded run) says `format` and `version` in its `meta`, and
  its reader refuses others.
"""

import json
import math

import numpy as np
from numpy.typing import NDArray

from attention_core.formats.json_data import JsonMapping, JsonObject

U2_ONE, U2_NAN, U2_MASKED = 65533, 65534, 65535
U1_ONE, U1_NAN, U1_MASKED = 253, 254, 255
S1_ZERO, S1_ONE = 127, 126  # of differences, in one byte: the code of 0, and how far from it that of 1 is

OVERSHOOT = 1e-3  # sums of rounded float16 weights may pass 1 by this much; such a weight is shown as 1

_DTYPES = ("|u1", "<u2", "<f4", "<i4")  # what the browser has typed arrays for


def pack(meta: JsonMapping, /, **arrays: NDArray[np.generic]) -> bytes:
    """Join a JSON-able `meta` and named arrays (u1, u2, f4, i4) into one block of bytes.

    Raises ValueError for another dtype, for NaN or ±∞ in `meta` (JSON has no word for them) and for a `meta` that has
    its own "bufs".
    """
    if "bufs" in meta:
        raise ValueError('meta must leave the name "bufs" to the list of buffers')
    bufs: list[JsonObject] = []
    chunks: list[bytes] = []
    offset = 0
    for name, array in arrays.items():
        array = np.asarray(array)
        dtype = array.dtype.newbyteorder("<").str
        if dtype not in _DTYPES:
            raise ValueError(f"array {name!r} must be one of u1, u2, f4, i4; got {array.dtype}")
        chunk = array.astype(dtype, copy=False).tobytes()
        bufs.append({"name": name, "dtype": dtype, "shape": list(array.shape), "off": offset})
        chunks += [chunk, bytes(-len(chunk) % 4)]
        offset += len(chunk) + -len(chunk) % 4
    header = json.dumps({**meta, "bufs": bufs}, allow_nan=False, separators=(",", ":"))  # ASCII: carries any text
    encoded = header.encode("ascii") + b" " * (-len(header) % 4)
    return b"".join((len(encoded).to_bytes(4, "little"), encoded, *chunks))


def number(value: float, digits: int | None = None) -> float | None:
    """A number for a pack's `meta`; None, which is null in JSON, where there is none (NaN, ±∞)."""
    if not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits)


def unpack(data: bytes | bytearray | memoryview) -> tuple[JsonObject, dict[str, NDArray[np.number]]]:
    """Undo `pack`: the header without "bufs", and the arrays by name (read-only views of `data`).

    Raises ValueError if `data` is cut short or is no pack.
    """
    view = memoryview(data).cast("B").toreadonly()
    start = 4 + int.from_bytes(view[:4], "little")
    if len(view) < 4 or start > len(view):
        raise ValueError(f"a pack must hold its header; got {len(view)} bytes, the header ends at {start}")
    try:
        meta = json.loads(bytes(view[4:start]))
        bufs = meta.pop("bufs")
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"a pack must begin with a JSON header that lists its buffers: {error!r}") from None
    arrays: dict[str, NDArray[np.number]] = {}
    for buf in bufs:
        if buf["dtype"] not in _DTYPES:
            raise ValueError(f"array {buf['name']!r} must be one of u1, u2, f4, i4; got {buf['dtype']!r}")
        count = int(np.prod(buf["shape"], dtype=np.int64))
        first = start + buf["off"]
        last = first + count * np.dtype(buf["dtype"]).itemsize
        if not start <= first <= last <= len(view):
            raise ValueError(f"array {buf['name']!r} must end within the pack of {len(view)} bytes; it ends at {last}")
        arrays[buf["name"]] = np.frombuffer(view[first:last], buf["dtype"]).reshape(buf["shape"])
    return meta, arrays


def encode_u2(weights: NDArray[np.generic], masked: NDArray[np.bool_] | None = None) -> NDArray[np.uint16]:
    """Weights in [0, 1] as 16-bit codes. `masked` broadcasts to `weights`; a masked cell may hold anything.

    Raises ValueError for a weight under 0 or over 1 + `OVERSHOOT`.
    """
    return _encode(weights, masked, U2_ONE, U2_NAN, U2_MASKED).astype("<u2")


def encode_u1(weights: NDArray[np.generic], masked: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Weights in [0, 1] as 8-bit codes; otherwise as `encode_u2`."""
    return _encode(weights, masked, U1_ONE, U1_NAN, U1_MASKED).astype("|u1")


def encode_s1(differences: NDArray[np.generic], alone: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Differences of weights, −1 to 1, as 8-bit codes; `alone` is True where one side has no such cell.

    What lies beyond ±1 by rounding counts as ±1. Raises ValueError for what lies further out.
    """
    differences = np.asarray(differences, dtype=np.float32)
    counted = np.isfinite(differences) if alone is None else np.isfinite(differences) & ~alone
    most = float(np.abs(differences).max(initial=0.0, where=counted))
    if most > 1 + 2 * OVERSHOOT:
        raise ValueError(f"a difference of two weights lies from -1 to 1; got one of size {most:.4g}")
    codes = np.full(differences.shape, U1_NAN, dtype="|u1")
    codes[counted] = (S1_ZERO + np.round(np.clip(differences[counted], -1, 1) * S1_ONE)).astype("|u1")
    if alone is not None:
        codes[alone] = U1_MASKED
    return codes


def decode_u2(codes: NDArray[np.number]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Codes of `encode_u2` as (weights, masked): NaN where the cell was NaN, ±∞ or masked."""
    codes = np.asarray(codes)
    weights = codes.astype(np.float32) / np.float32(U2_ONE)
    weights[codes > U2_ONE] = np.nan
    return weights, codes == U2_MASKED


def _encode(
    weights: NDArray[np.generic], masked: NDArray[np.bool_] | None, one: int, nan: int, masked_code: int
) -> NDArray[np.float32]:
    weights = np.asarray(weights, dtype=np.float32)
    finite = np.isfinite(weights)
    all_finite = bool(finite.all())
    counted = finite if masked is None else finite & ~masked  # what is a weight at all
    plain = all_finite and masked is None
    smallest = weights.min(initial=0.0) if plain else weights.min(initial=0.0, where=counted)
    largest = weights.max(initial=0.0) if plain else weights.max(initial=0.0, where=counted)
    if smallest < 0 or largest > 1 + OVERSHOOT:
        raise ValueError(f"weights must lie in [0, 1]; got {smallest:.6g} to {largest:.6g}")
    codes = np.rint(np.clip(weights, 0, 1) * np.float32(one))
    if not all_finite:
        codes[~finite] = nan
    if masked is not None:
        codes[np.broadcast_to(masked, codes.shape)] = masked_code
    return codes
