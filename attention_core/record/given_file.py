"""Matrices of one's own as a file: `.npz`, `.safetensors` or `.json`, as docs/own-matrices.md describes them.

A file is untrusted input: nothing in it is run, its bytes and shapes are bounded before anything is allocated, every
name in it must be known, and every fault gets a sentence.
"""

import math
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from attention_core.formats.memory import OUT_OF_MEMORY, is_out_of_memory
from attention_core.formats.strict_json import strict_json
from attention_core.record.file import FORMAT, TraceFileError, header_of_file, load_trace
from attention_core.record.given import record_of_given
from attention_core.record.given_arrays import Given, GivenError
from attention_core.record.record import Record

MOST_BYTES = 256_000_000  # of all arrays, unpacked: 144 heads of 660 tokens in float32
MOST_JSON_BYTES = 20_000_000  # numbers as text take eight times that in memory while they are read
MOST_ARRAYS = 4_096
MOST_TOKENS = 100_000
MOST_HEADER = 10_000  # bytes of an array's header in an .npz

_ARRAYS = ("attention", "encoder_attention", "decoder_attention", "cross_attention", "q", "k", "v")
_TOKENS = ("tokens", "encoder_tokens", "decoder_tokens")
_PLAIN: dict[str, type] = {"text": str, "name": str, "scale": float, "sums_to_one": bool}
NAMES = (*_ARRAYS, *_TOKENS, *_PLAIN)
_SEE = "docs/own-matrices.md describes the format."
_DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}


def open_trace(file: str | Path | bytes) -> Record:
    """Open a saved trace, or a file of matrices that were made elsewhere, told apart by what is in it.

    Raises TraceFileError with a plain sentence if the file is damaged, of another kind or inconsistent.
    """
    data = file if isinstance(file, bytes) else Path(file).read_bytes()
    try:
        if data[:4] == b"PK\x03\x04":
            return _record(_from_npz(data))
        # The length that safetensors begin with has zeros; some editors put a mark before a text.
        if data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[") and b"\0" not in data[:8]:
            return _record(_from_json(data))
        if _holds_matrices(data):
            return _record(_from_safetensors(data))
        return load_trace(data)
    except GivenError as error:
        raise TraceFileError(str(error)) from None
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TraceFileError(OUT_OF_MEMORY) from None


def _record(named: Mapping[str, Given]) -> Record:
    """The record of a file's arrays and texts by name; layers of an array may stand apart, as attention_0 … ."""
    keywords: dict[str, Given] = {}
    apart: dict[str, dict[int, Given]] = {}
    for name, value in named.items():
        if (found := _one_layer(name)) is not None:
            stem, index = found
            apart.setdefault(stem, {})[index] = value
        elif name in NAMES:
            keywords[name] = value
        else:
            raise GivenError(f"The file has “{name[:40]}”, which is none of {', '.join(NAMES)}. {_SEE}")
    for stem, layers in apart.items():
        if stem in keywords or sorted(layers) != list(range(len(layers))):
            raise GivenError(f"The layers of {stem} must be {stem}_0, {stem}_1 … without a gap, or one array. {_SEE}")
        keywords[stem] = [layers[index] for index in range(len(layers))]
    for name, kind in _PLAIN.items():
        value = keywords.get(name)
        given = float(value) if kind is float and isinstance(value, int) and abs(value) < 2**53 else value
        if given is not None and not isinstance(given, kind):
            raise GivenError(f"{name} in the file must be {_CALLED[kind]}. {_SEE}")
        keywords[name] = given
    if keywords["scale"] is not None and not 0 < abs(keywords["scale"]) < 1e30:
        raise GivenError("scale in the file must be a number that is not 0 or infinite.")
    keywords = {name: value for name, value in keywords.items() if value is not None}
    return replace(record_of_given(**keywords), opened=True)


def _one_layer(name: str) -> tuple[str, int] | None:
    """“attention_12” as the array's name and the layer; None for any other name, “attention_012” too."""
    found = re.fullmatch(rf"({'|'.join(_ARRAYS)})_(0|[1-9][0-9]{{0,3}})", name)
    return None if found is None else (found[1], int(found[2]))


_CALLED = {str: "a text", float: "a number", bool: "true or false"}


def _from_npz(data: bytes) -> dict[str, Given]:
    if data.count(b"PK\x01\x02") > 2 * MOST_ARRAYS:  # before the list of what is in it is made
        raise GivenError(f"The file holds more than {MOST_ARRAYS:,} arrays.")
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if len(members) > MOST_ARRAYS or size > MOST_BYTES:
                raise GivenError(
                    f"The file holds {len(members):,} arrays of {size / 1e6:,.0f} MB unpacked; at most {MOST_ARRAYS:,} "
                    f"of {MOST_BYTES / 1e6:,.0f} MB together are read."
                )
            return {member.filename.removesuffix(".npy"): _npy(archive, member) for member in members}
    except _DAMAGED as error:
        if isinstance(error, GivenError):
            raise
        raise GivenError(f"The file is damaged, or no .npz that numpy.savez wrote. {_SEE}") from None


_DAMAGED = (  # what reading a zip, unpacking and NumPy's header raise, each in its own words
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    SyntaxError,
    RecursionError,
    EOFError,
    NotImplementedError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
)


def _npy(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Given:
    """One array, read only when its header agrees with its size."""
    name = member.filename.removesuffix(".npy")
    if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise GivenError(f"“{name[:40]}” in the file is encrypted or packed in a way that NumPy does not use.")
    with archive.open(member) as file:
        raw = file.read(member.file_size)
    content = BytesIO(raw)
    version = np.lib.format.read_magic(content)
    if version not in ((1, 0), (2, 0)):
        raise ValueError("another version of .npy")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(content, max_header_size=MOST_HEADER)
    if dtype.hasobject:
        raise GivenError(f"“{name[:40]}” holds Python objects, which are not read. Save texts as numpy.array(texts).")
    if dtype.kind not in "fUiub" or len(shape) > 5:
        raise GivenError(f"“{name[:40]}” in the file holds neither numbers nor texts. {_SEE}")
    count = math.prod(shape)  # of Python's whole numbers, which do not wrap
    if min(shape, default=1) < 0 or dtype.itemsize == 0 or count * dtype.itemsize != len(raw) - content.tell():
        raise ValueError("the header and the size do not agree")
    array = np.frombuffer(raw, dtype, count, content.tell()).reshape(shape, order="F" if fortran else "C")
    if dtype.kind == "U" and count > MOST_TOKENS:
        raise GivenError(f"“{name[:40]}” holds {count:,} texts; at most {MOST_TOKENS:,} tokens are read.")
    return array.tolist() if dtype.kind == "U" or not shape else array


def _holds_matrices(data: bytes) -> bool:
    """Is it a safetensors file of matrices, and not a saved trace? What is neither is told when it is opened as one."""
    try:
        header = header_of_file(data)
    except ValueError:
        return False
    metadata = header.get("__metadata__")
    if not isinstance(header, dict) or (isinstance(metadata, dict) and metadata.get("format") == FORMAT):
        return False
    return any(name == stem or name.startswith(f"{stem}_") for name in header for stem in _ARRAYS[:4])


def _from_safetensors(data: bytes) -> dict[str, Given]:
    metadata = header_of_file(data).get("__metadata__") or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise GivenError(f"The file's metadata are no texts. {_SEE}")
    if len(data) > MOST_BYTES:
        raise GivenError(f"The file has {len(data) / 1e6:,.0f} MB; at most {MOST_BYTES / 1e6:,.0f} MB are read.")
    try:
        named: dict[str, Given] = dict(load_tensors(data))
    except SafetensorError:
        raise GivenError("The file is damaged: it ends early or is not safetensors.") from None
    for name in (*_TOKENS, "scale", "sums_to_one"):
        if name in metadata:
            try:
                named[name] = strict_json(metadata[name])
            except ValueError:
                raise GivenError(
                    f'{name} in the file\'s metadata must be JSON, such as ["the", "cat"]. {_SEE}'
                ) from None
    return {**named, **{name: metadata[name] for name in ("text", "name") if name in metadata}}


def _from_json(data: bytes) -> dict[str, Given]:
    if len(data) > MOST_JSON_BYTES:
        raise GivenError(
            f"The file has {len(data) / 1e6:,.0f} MB of JSON; at most {MOST_JSON_BYTES / 1e6:,.0f} MB are read. "
            "Save large matrices as .npz."
        )
    try:
        named = strict_json(data)
    except ValueError:
        raise GivenError(f"The file is no JSON that can be read. {_SEE}") from None
    if not isinstance(named, dict):
        raise GivenError(f"The file is JSON, but no object with attention and tokens. {_SEE}")
    dtype = named.pop("dtype", "float64")
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise GivenError(f"dtype in the file must be one of {', '.join(_DTYPES)}. {_SEE}")
    for name, layers in named.items():
        if _one_layer(name) is not None:
            named[name] = _numbers(layers, name, _DTYPES[dtype])
            continue
        if name not in _ARRAYS:
            continue
        if not isinstance(layers, list):
            raise GivenError(f"{name} in the file must be a list of layers. {_SEE}")
        named[name] = [_numbers(layer, f"{name}, layer {i}", _DTYPES[dtype]) for i, layer in enumerate(layers)]
    return named


def _numbers(layer: Given, where: str, dtype: torch.dtype) -> torch.Tensor:
    try:  # told the type, or a single long text among them would be given a place for every number
        array = np.array(layer, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        raise GivenError(
            f"{where} must hold numbers alone, every head as many rows and every row as many numbers. {_SEE}"
        ) from None
    return torch.from_numpy(array).to(dtype)
