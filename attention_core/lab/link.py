"""A Lab state as text for an address: zlib over a JSON header and the cells, in base64url.

A matrix is stored as whole numbers where all its cells are decimals with few digits, else as float32 or float64,
whichever gives every cell back exactly. zlib's checksum finds accidents, `LabState` checks what is read, and nothing is
unpacked or allocated beyond what the largest state takes.
"""

import base64
import json
import zlib
from dataclasses import asdict, fields, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from attention_core.formats.fields import LINK_LIMIT as LINK_LIMIT
from attention_core.formats.json_data import Json, JsonObject
from attention_core.lab.edits import changed_from_real
from attention_core.lab.state import (
    DIRECT,
    MAPPED,
    MAX_REAL,
    VERSION,
    Cells,
    LabState,
    PositionsKind,
    RealHead,
    SoftmaxKind,
    Switches,
)

TEXT_LIMIT = 160_000  # characters of any state's text; test_lab_link has the largest real head
_DATA_LIMIT = 160_000  # bytes unpacked
_MANY_EDITS = 64
_INTEGERS = {"b": "<i1", "h": "<i2", "i": "<i4"}
_FLOATS = {"f": "<f4", "d": "<f8"}
_DECIMALS = 6


def to_link(state: LabState) -> str:
    """The state as text, letters, digits, - and _. Longer than LINK_LIMIT it should be a file, not an address."""
    header: JsonObject = {"v": VERSION, "w": state.words, "m": []}
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
        matrices = [real.q, real.k, real.v, *([real.bias] if real.bias is not None else [])]
        # The real values, and beside them only the cells that were changed, or all if many were.
        edits = [
            [n, i, j, state.cells(DIRECT[n])[i][j]]
            for n, cells in enumerate(changed_from_real(state).values())
            for i, j in cells
        ]
        if len(edits) <= _MANY_EDITS:
            header["e"] = edits
        else:
            matrices += [state.q, state.k, state.v]
    body = [b""] * 8
    for cells in matrices:
        kind, decimals, values = _packed(np.array(cells, dtype=np.float64))
        header["m"].append([len(cells), len(cells[0]), kind, decimals])
        for place, plane in enumerate(_planes(values)):
            body[place] += plane
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    parts = [len(head).to_bytes(3, "little") + head, *body]
    packed = min((_deflated(parts, flush) for flush in (zlib.Z_NO_FLUSH, zlib.Z_SYNC_FLUSH)), key=len)
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


def _read(text: str) -> JsonObject:
    data = _unpacked(text)
    size = int.from_bytes(data[:3], "little")
    header = json.loads(data[3 : 3 + size].decode("utf-8", "surrogatepass"), parse_constant=_no_constant)
    if header["v"] != VERSION:
        raise _Refused(f"It was made for version {_whole(header['v'])} of the Lab; this is version {VERSION}.")
    return _fields(header, _matrices(header["m"], data[3 + size :]))


class _Refused(Exception):
    """A sentence for the reader."""


def _fields(header: JsonObject, matrices: list[Cells]) -> JsonObject:
    """What `LabState` is made from."""
    found: JsonObject = {
        "words": tuple(_text(word) for word in header["w"]),
        "switches": _switches(header.get("s", {})),
        "n_heads": _whole(header.get("h", 1)),
        "features": tuple(_text(name) for name in header.get("f", ())),
    }
    if "r" not in header:
        return found | dict(zip(MAPPED, matrices, strict=True))
    given = header["r"]
    q, k, v, *rest = matrices
    edited = [q, k, v] if "e" in header else [rest.pop() for _ in range(3)][::-1]
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
    cells = [[list(row) for row in matrix] for matrix in edited]
    for n, i, j, value in header.get("e", ()):
        cells[_whole(n)][_whole(i)][_whole(j)] = float(value)
    return found | {name: tuple(tuple(row) for row in matrix) for name, matrix in zip(DIRECT, cells, strict=True)}


def _switches(given: JsonObject) -> Switches:
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
    for name, known in (("softmax", get_args(SoftmaxKind)), ("positions", get_args(PositionsKind))):
        if name in given and given[name] not in known:
            raise TypeError(name)
    return replace(Switches(), **given)


def _packed(values: NDArray[np.float64]) -> tuple[str, int, NDArray[np.number]]:
    """The kind, its decimals and the stored numbers from which `_cells` gives `values` back exactly."""
    for decimals in range(_DECIMALS + 1):
        whole = np.rint(values * 10**decimals)
        if np.array_equal(whole / 10**decimals, values) and np.abs(whole).max() < 2**31:
            top = np.abs(whole).max()
            kind = "b" if top < 128 else "h" if top < 32768 else "i"
            return kind, decimals, whole.astype(_INTEGERS[kind])
    kind = "f" if np.array_equal(values.astype(np.float32).astype(np.float64), values) else "d"
    return kind, 0, values.astype(_FLOATS[kind])


def _planes(values: NDArray[np.number]) -> list[bytes]:
    """All first bytes, all second ones, …: like stands by like, which compresses better."""
    return [plane.tobytes() for plane in values.reshape(-1, 1).view(np.uint8).T]


def _deflated(parts: list[bytes], flush: int) -> bytes:
    """Compressed; a flush between parts gives each a code of its own, which pays if they differ."""
    deflate = zlib.compressobj(9)
    done = b"".join(deflate.compress(part) + deflate.flush(flush) for part in parts if part)
    return done + deflate.flush()


def _matrices(shapes: list[Json], body: bytes) -> list[Cells]:
    sizes = []
    for rows, columns, kind, decimals in shapes:
        if not (1 <= _whole(rows) <= MAX_REAL and 1 <= _whole(columns) <= MAX_REAL):
            raise _Refused(f"It has a matrix of {rows} × {columns}.")
        if _whole(decimals) > _DECIMALS:
            raise TypeError(decimals)
        sizes.append((rows * columns, np.dtype({**_INTEGERS, **_FLOATS}[kind])))
    if sum(count * dtype.itemsize for count, dtype in sizes) != len(body):
        raise IndexError(len(body))
    planes: list[list[bytes]] = [[] for _ in sizes]
    start = 0
    for place in range(8):
        for (count, dtype), found in zip(sizes, planes, strict=True):
            if place < dtype.itemsize:
                found.append(body[start : start + count])
                start += count
    return [
        _cells(np.frombuffer(b"".join(found), np.uint8).reshape(dtype.itemsize, -1), dtype, *shape)
        for found, (_, dtype), shape in zip(planes, sizes, shapes, strict=True)
    ]


def _cells(planes: NDArray[np.uint8], dtype: np.dtype, rows: int, columns: int, _: str, decimals: int) -> Cells:
    values = np.ascontiguousarray(planes.T).view(dtype).astype(np.float64).reshape(rows, columns)
    return tuple(tuple(row) for row in (values / 10**decimals + 0.0).tolist())


def _unpacked(text: str) -> bytes:
    packed = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    inflate = zlib.decompressobj()
    data = inflate.decompress(packed, _DATA_LIMIT)
    if inflate.unconsumed_tail:
        raise _Refused(f"It unpacks to more than {_DATA_LIMIT:,} bytes.")
    if not inflate.eof or inflate.unused_data:
        raise IndexError("cut short or with something behind it")
    return data


def _whole(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        raise TypeError(value)
    return value


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _no_constant(name: str) -> float:
    raise _Refused(f"It has {name} in a cell, which is no finite number.")
