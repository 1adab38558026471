"""A Lab state as text for an address: zlib over a JSON header and the cells, in base64url.

A matrix is stored as whole numbers where all its cells are decimals with few digits, else as float32 or float64,
whichever gives every cell back exactly. zlib's checksum finds accidents, `LabState` checks what is read, and nothing is
unpacked or allocated beyond what the largest state takes.
"""

import base64
import json
import zlib
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attention_core.lab import DIRECT, MAPPED, VERSION, Cells, LabState, RealHead, Switches

LINK_LIMIT = 4096  # characters of an address; longer ones are cut by some mail programs, proxies and chats
TEXT_LIMIT = 120_000  # characters of any state's text: the largest real head takes about 70,000
_DATA_LIMIT = 120_000  # bytes unpacked
_INTEGERS = {"b": "<i1", "h": "<i2", "i": "<i4"}
_FLOATS = {"f": "<f4", "d": "<f8"}
_DECIMALS = 6


def to_link(state: LabState) -> str:
    """The state as text, letters, digits, - and _. Longer than LINK_LIMIT it should be a file, not an address."""
    header: dict[str, Any] = {"v": VERSION, "w": state.words, "m": []}
    if state.n_heads != 1:
        header["h"] = state.n_heads
    if state.features:
        header["f"] = state.features
    standard = asdict(Switches())
    if switched := {name: value for name, value in asdict(state.switches).items() if value != standard[name]}:
        header["s"] = switched
    matrices = [state.cells(name) for name in state.matrices]
    if state.real is not None:
        real = state.real
        header["r"] = {
            name: getattr(real, name) for name in ("model", "place", "layer", "head", "tokens", "scale", "notes")
        }
        header["r"]["bias"] = real.bias is not None
        if real.allowed is not None:
            header["r"]["allowed"] = ["".join("01"[may] for may in row) for row in real.allowed]
        # The real values, and beside them only the cells that were changed.
        header["e"] = [
            [n, i, j, value]
            for n, name in enumerate(DIRECT)
            for i, (row, was) in enumerate(zip(state.cells(name), getattr(real, name), strict=True))
            for j, value in enumerate(row)
            if value != was[j]
        ]
        matrices = [real.q, real.k, real.v, *([real.bias] if real.bias is not None else [])]
    body = b""
    for cells in matrices:
        kind, decimals, data = _packed(np.array(cells, dtype=np.float64))
        header["m"].append([len(cells), len(cells[0]), kind, decimals])
        body += data
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    packed = zlib.compress(len(head).to_bytes(3, "little") + head + body, 9)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def from_link(text: str, limit: int = TEXT_LIMIT) -> LabState:
    """The state that `to_link` was given. Raises ValueError with one sentence for the reader for anything else."""
    if len(text) > limit:
        raise ValueError(f"This link to the Lab is too long: {len(text):,} characters, at most {limit:,} are read.")
    try:
        given = _read(text)
    except _Refused as error:
        raise ValueError(f"This link to the Lab cannot be used. {error}") from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, zlib.error):
        # Base64, zlib, JSON or a part that is no number, no text, too long or missing.
        raise ValueError("This link to the Lab is damaged. Ask for it again, or start from a preset.") from None
    try:
        return LabState(**given)
    except ValueError as error:
        raise ValueError(f"This link to the Lab cannot be used. {error}") from None


def _read(text: str) -> dict[str, Any]:
    data = _unpacked(text)
    size = int.from_bytes(data[:3], "little")
    header = json.loads(data[3 : 3 + size].decode("utf-8", "surrogatepass"), parse_constant=_no_constant)
    if header["v"] != VERSION:
        raise _Refused(f"It was made for version {_whole(header['v'])} of the Lab; this is version {VERSION}.")
    return _fields(header, _matrices(header["m"], data[3 + size :]))


class _Refused(Exception):
    """A sentence for the reader."""


def _fields(header: dict[str, Any], matrices: list[Cells]) -> dict[str, Any]:
    """What `LabState` is made from."""
    found: dict[str, Any] = {
        "words": tuple(_text(word) for word in header["w"]),
        "switches": _switches(header.get("s", {})),
        "n_heads": _whole(header.get("h", 1)),
        "features": tuple(_text(name) for name in header.get("f", ())),
    }
    if "r" not in header:
        return found | dict(zip(MAPPED, matrices, strict=True))
    given = header["r"]
    q, k, v, *rest = matrices
    if len(rest) != bool(given["bias"]):
        raise TypeError("bias")
    allowed = given.get("allowed")
    found["real"] = RealHead(
        model=_text(given["model"])[:200], place=_text(given["place"])[:200], layer=_whole(given["layer"]),
        head=_whole(given["head"]), tokens=tuple(_whole(token) for token in given["tokens"]),
        scale=float(given["scale"]), q=q, k=k, v=v, bias=rest[0] if rest else None,
        allowed=None if allowed is None else tuple(tuple("01".index(c) == 1 for c in row) for row in allowed),
        notes=tuple(_text(note)[:400] for note in given["notes"][:8]),
    )  # fmt: skip
    cells = [[list(row) for row in matrix] for matrix in (q, k, v)]
    for n, i, j, value in header["e"]:
        cells[_whole(n)][_whole(i)][_whole(j)] = float(value)
    return found | {name: tuple(tuple(row) for row in matrix) for name, matrix in zip(DIRECT, cells, strict=True)}


def _switches(given: dict[str, Any]) -> Switches:
    names = {field.name for field in fields(Switches)}
    if set(given) - names:
        raise TypeError("unknown switch")
    if "padding" in given:
        given = {**given, "padding": tuple(_whole(i) for i in given["padding"])}
    if "temperature" in given:
        given = {**given, "temperature": float(given["temperature"])}
    if given.get("window") is not None:
        given = {**given, "window": _whole(given["window"])}
    for name in ("scale", "causal"):
        if not isinstance(given.get(name, True), bool):
            raise TypeError(name)
    return replace(Switches(), **given)


def _packed(values: NDArray[np.float64]) -> tuple[str, int, bytes]:
    """The kind, its decimals and the bytes from which `_values` gives `values` back exactly."""
    for decimals in range(_DECIMALS + 1):
        whole = np.rint(values * 10**decimals)
        if np.array_equal(whole / 10**decimals, values) and np.abs(whole).max() < 2**31:
            top = np.abs(whole).max()
            kind = "b" if top < 128 else "h" if top < 32768 else "i"
            return kind, decimals, _planes(whole.astype(_INTEGERS[kind]))
    kind = "f" if np.array_equal(values.astype(np.float32).astype(np.float64), values) else "d"
    return kind, 0, _planes(values.astype(_FLOATS[kind]))


def _planes(values: NDArray[Any]) -> bytes:
    """First bytes first, then all second ones, …: like stands by like, which compresses better."""
    return values.reshape(-1, 1).view(np.uint8).T.tobytes()


def _matrices(shapes: list[Any], body: bytes) -> list[Cells]:
    found, start = [], 0
    for rows, columns, kind, decimals in shapes:
        if not (1 <= _whole(rows) <= 256 and 1 <= _whole(columns) <= 256 and 0 <= _whole(decimals) <= _DECIMALS):
            raise _Refused(f"It has a matrix of {rows} × {columns}.")
        dtype = np.dtype({**_INTEGERS, **_FLOATS}[kind])
        stop = start + rows * columns * dtype.itemsize
        if stop > len(body):
            raise IndexError(stop)
        planes = np.frombuffer(body[start:stop], np.uint8).reshape(dtype.itemsize, -1)
        values = np.ascontiguousarray(planes.T).view(dtype).astype(np.float64).reshape(rows, columns)
        found.append(tuple(tuple(row) for row in (values / 10**decimals + 0.0).tolist()))
        start = stop
    if start != len(body):
        raise IndexError(start)
    return found


def _unpacked(text: str) -> bytes:
    packed = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    inflate = zlib.decompressobj()
    data = inflate.decompress(packed, _DATA_LIMIT)
    if inflate.unconsumed_tail:
        raise _Refused(f"It unpacks to more than {_DATA_LIMIT:,} bytes.")
    if not inflate.eof or inflate.unused_data:
        raise IndexError("cut short or with something behind it")
    return data


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise TypeError(value)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _no_constant(name: str) -> float:
    raise _Refused(f"It has {name} in a cell, which is no finite number.")
