"""The types that the views read packs by are those of the packs: TypeScript's checker reads real ones."""

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from attention_core import capture
from attention_core.comparing.differences import compare
from attention_core.comparing.packs import against_pack, cells_pack, changed_pack
from attention_core.formats import wire
from attention_core.heads.across import flow_pack, rollout_pack, writes_pack
from attention_core.heads.packs import between_pack, heads_pack, like_pack
from attention_core.heads.scores import head_scores
from attention_core.ledger.packs import ledger_pack, matrix_pack, products_pack, rows_pack
from attention_core.pictures import head as one_head
from attention_core.pictures.head import head_pack, line_pack, tile_pack
from attention_core.pictures.overview import overview
from attention_core.reading.reading import Reading
from attention_core.record.groups import groups
from pages.shared.grow.library import recorded
from pages.shared.grow.library import run as recorded_run
from pages.shared.grow.packs import run_pack
from tests.support import tiny

ROOT = Path(__file__).resolve().parents[2]
VIEWS = ROOT / "assets" / "js"
ARRAYS = {"|u1": "Uint8Array", "<u2": "Uint16Array", "<f4": "Float32Array", "<i4": "Int32Array"}


def packs() -> Iterator[tuple[str, str, bytes]]:
    """Module, type, pack: every kind of pack, of models that differ in what a pack may leave out."""
    bert, t5, gemma = (
        capture(tiny.family("bert"), tiny.SENTENCE),
        capture(tiny.family("t5"), tiny.SENTENCE, target="a dog ran"),
        capture(tiny.family("gemma2"), tiny.SENTENCE),
    )
    plain = Reading()
    for trace in (bert, t5):
        yield "picture/packs", "OverviewPack", overview(trace, plain)
        yield "heads/packs", "HeadsPack", heads_pack(trace, head_scores(trace))
    yield "picture/packs", "OverviewPack", overview(bert, Reading(hide_special=True, words=True))
    for trace, reading, layer, head in (
        (bert, plain, 1, 2),
        (bert, Reading(hide_special=True), 0, 0),
        (bert, plain, 1, "mean"),
        (bert, plain, groups(bert)[0].name, "max"),
        (gemma, plain, 0, 1),
        (t5, plain, 4, 0),
    ):
        yield "picture/packs", "HeadPack", head_pack(trace, reading, layer, head)
    with pytest.MonkeyPatch.context() as large:
        large.setattr(one_head, "EXACT_CELLS", 8)
        yield "picture/packs", "HeadPack", head_pack(bert, plain, 1, 2)
    for axis in ("query", "key"):
        yield "picture/packs", "LinePack", line_pack(bert, plain, 1, 2, axis, 3)
    yield "picture/packs", "LinePack", line_pack(bert, plain, 1, "mean", "query", 3)
    yield "picture/packs", "TilePack", tile_pack(bert, plain, 1, 2, 0, 0)
    for trace, layer, name in ((bert, 1, "q"), (gemma, 0, "q_projected"), (t5, 4, "scores")):
        yield "steps/packs", "LedgerPack", ledger_pack(trace, layer, 1, 2)
        yield "steps/packs", "RowsPack", rows_pack(trace, layer, 1, 2, "v", 1)
        yield "steps/packs", "ProductsPack", products_pack(trace, layer, 1, 2, name, 0, 0)
        for step in ("qkv", "scores", "softmax", "output"):
            which = "q" if step == "qkv" else ""
            yield "steps/packs", "MatricesPack", matrix_pack(trace, layer, 1, 2, step, which)
    for other in (capture(tiny.family("bert"), "the dog then sat"), capture(tiny.family("gpt2"), "a dog ran")):
        both = compare(bert, other)
        yield "compare/packs", "ChangedPack", changed_pack(both)
        yield "compare/packs", "AgainstPack", against_pack(both, 0, 1)
        yield "compare/packs", "CellsPack", cells_pack(both, (0, 1), (1, "mean"))
    group = groups(bert)[0].name
    yield "heads/packs", "LookPack", between_pack(bert, group, 2, 3)
    yield "heads/packs", "LikePack", like_pack(bert, 1, 2)
    yield "heads/packs", "AcrossPack", rollout_pack(bert, group, 2, "mean")
    yield "heads/packs", "AcrossPack", flow_pack(bert, group, 2, "max")
    yield "heads/packs", "WritesPack", writes_pack(bert, 1, 2, 3)
    yield "grow/run", "RunPack", run_pack(recorded_run(recorded()[0].id))


def declared(name: str, module: str, kind: str, pack: bytes) -> str:
    """The pack as two constants of its type: what the type does not know, or knows otherwise, is an error."""
    meta, arrays = wire.unpack(pack)
    buffers = ", ".join(
        f"{json.dumps(key)}: {{ data: new {ARRAYS[array.dtype.str]}(), shape: {list(array.shape)} }}"
        for key, array in arrays.items()
    )
    here = f'import("{(VIEWS / module).as_posix()}.js").{kind}'
    return (
        f'export const {name}: {here}["meta"] = {json.dumps(meta)};\n'
        f'export const {name}_arrays: {here}["arrays"] = {{ {buffers} }};\n'
    )


@cache
def complaints(source: str, folder: Path) -> tuple[str, ...]:
    (folder / "packs.ts").write_text(source, encoding="utf-8")
    config = {"extends": str(ROOT / "tsconfig.json"), "include": [str(folder / "packs.ts")]}
    (folder / "tsconfig.json").write_text(json.dumps(config), encoding="utf-8")
    found = subprocess.run(
        [ROOT / "node_modules" / ".bin" / "tsc", "-p", folder], capture_output=True, text=True, check=False
    )
    lines = source.splitlines()
    told = []
    for line in found.stdout.splitlines():
        at = re.match(r".*packs\.ts\((\d+),", line)
        told.append(f"{lines[int(at[1]) - 1][:90]} …: {line}" if at else line)
    return tuple(told)


@pytest.mark.slow
def test_every_pack_is_of_the_type_that_its_view_reads_it_by(tmp_path):
    source = "".join(declared(f"pack{i}", *one) for i, one in enumerate(packs()))
    assert complaints(source, tmp_path) == ()


def test_a_header_that_has_another_name_is_found(tmp_path):
    source = declared("renamed", "picture/packs", "TilePack", wire.pack({"row": 0, "col0": 0}))
    told = "\n".join(complaints(source, tmp_path))
    assert "'\"row\"' does not exist" in told
    assert "'picture' is missing" in told
