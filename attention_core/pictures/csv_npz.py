"""Weights as files of numbers: CSV and NPZ."""

import io
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from attention_core.reading.reading import Item


def weights_csv(
    weights: Float[Tensor, "query key"],
    queries: Sequence[Item],
    keys: Sequence[Item],
    allowed: Bool[Tensor, "query key"] | None = None,
    edited: Sequence[str] = (),
) -> str:
    """Weights as comma-separated values (RFC 4180): keys in the first line, a query first in every other.

    A label is the text and, in brackets, the index of its first token, which makes it unique. Nine digits give a
    float32 back exactly; a masked cell is empty, NaN is `NaN`. A label that begins like a formula (= + - @, in any
    width and after any blanks) gets a leading apostrophe, so that a spreadsheet shows it and does not run it. `edited`
    are sentences on what was changed while the model ran; they stand in the first cell.
    """
    corner = "query looks at key"
    if edited:
        corner = '"' + f"{corner} (edited: {' '.join(edited)})".replace('"', '""') + '"'
    lines = [",".join((corner, *(_csv_label(key) for key in keys)))]
    digits = ",".join(["%.9g"] * len(keys))
    for index, query in enumerate(queries):  # row by row: Python numbers of a whole matrix take ten times its memory
        cells = (
            (digits % tuple(weights[index].tolist())).replace("nan", "NaN").split(",")
        )  # twice as fast as cell by cell
        if allowed is not None:
            cells = [cell if may else "" for cell, may in zip(cells, allowed[index].tolist(), strict=True)]
        lines.append(",".join((_csv_label(query), *cells)))
    return "".join(f"{line}\r\n" for line in lines)


def weights_npz(
    weights: Float[Tensor, "query key"],
    queries: Sequence[Item],
    keys: Sequence[Item],
    *,
    allowed: Bool[Tensor, "query key"] | None = None,
    query_ids: Sequence[int] | None = None,
    key_ids: Sequence[int] | None = None,
    **meta: str | int | float | Sequence[str],
) -> bytes:
    """Weights as a NumPy archive that opens with `np.load(file)`, without pickle.

    Arrays: `weights` (float32), `query` and `key` (labels), `query_token` and `key_token` (index of each label's first
    token), `allowed` if something is masked, and `meta` by name. With `query_ids` and `key_ids`, the vocabulary's
    number of every token of a side, also `query_id` and `key_id`: that of each label's first token.

    Raises ValueError for a name that is taken.
    """
    arrays: dict[str, NDArray[np.generic]] = {
        "weights": weights.float().numpy(force=True),
        "query": np.array([item.text for item in queries], dtype=np.str_),
        "key": np.array([item.text for item in keys], dtype=np.str_),
        "query_token": np.array([item.pieces[0] for item in queries], dtype=np.int32),
        "key_token": np.array([item.pieces[0] for item in keys], dtype=np.int32),
    }
    for name, shown, ids in (("query_id", queries, query_ids), ("key_id", keys, key_ids)):
        if ids is not None:
            arrays[name] = np.array([ids[item.pieces[0]] for item in shown], dtype=np.int64)
    if allowed is not None:
        arrays["allowed"] = allowed.numpy(force=True)
    for name, value in meta.items():
        if name in arrays:
            raise ValueError(f"the archive has an array named {name!r} already")
        arrays[name] = np.array(value)
        if arrays[name].dtype.kind not in "Uifb":
            raise ValueError(f"{name!r} must be text or numbers; got {value!r}")
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


_FORMULA = tuple("=+-@")


def _csv_label(item: Item) -> str:
    label = f"{item.text} [{item.pieces[0]}]"
    begins = unicodedata.normalize("NFKC", label).lstrip()[:1]  # ＝ is = to a spreadsheet
    if begins in _FORMULA or label[0] in "\t\r":
        label = f"'{label}"
    return '"' + label.replace('"', '""') + '"' if re.search('[",\r\n]', label) else label
