"""Our own files as they are sent: sheets in one piece, nothing that only people read; colours are the core's."""

import os
import re

import pytest
from starlette.responses import PlainTextResponse

from attention_core.formats import palette
from pages.shared.assets import ASSETS
from pages.shared.http.sent_files import made_of, sent
from pages.shared.http.static_files import HashedFiles

MODULES = sorted((ASSETS / "js").rglob("*.js"))
NOBODY = PlainTextResponse("nobody")
VIEWS = ("explorer", "steps", "heads", "compare", "experiment", "lab", "grow", "learn")


def rules(text: str) -> list[str]:
    return re.sub(r"/\*.*?\*/|@import[^;]*;", "", text, flags=re.DOTALL).split()


@pytest.mark.parametrize("name", VIEWS)
def test_a_views_sheet_is_sent_with_all_that_it_imports_in_its_order_and_no_import_left(name):
    sheet = ASSETS / "css" / f"{name}.css"
    files = made_of(sheet)
    assert [file.name for file in files[:3]] == [sheet.name, "tokens.css", "parts.css"]
    assert len(files) == len(set(files)) >= 4
    answer = sent(sheet).decode()
    assert "@import" not in answer
    assert "/*" not in answer
    assert rules(answer) == [rule for file in files for rule in rules(file.read_text(encoding="utf-8"))]


def test_every_sheet_in_a_views_folder_is_sent_with_that_view():
    answered = {file for name in VIEWS for file in made_of(ASSETS / "css" / f"{name}.css")}
    assert {file for file in (ASSETS / "css").rglob("*.css") if file.parent.name != "css"} <= answered


@pytest.mark.parametrize("module", MODULES, ids=[file.stem for file in MODULES])
def test_a_module_is_sent_without_its_comments_and_every_line_of_code_keeps_its_number(module):
    source, answer = module.read_text(encoding="utf-8"), sent(module).decode()
    assert not re.search(r"^ *\*", answer, re.MULTILINE)
    there, here = source.split("\n"), answer.split("\n")
    assert len(there) == len(here)
    assert all(line in ("", there[i]) for i, line in enumerate(here))
    gone = [i for i, line in enumerate(there) if line and not here[i]]
    assert all(re.match(r" *(/\*\*| \*)", there[i]) for i in gone)
    assert all("\n".join(there[:i]).count("`") % 2 == 0 for i in gone)  # none stands within a text


def test_what_is_not_ours_is_sent_as_it_is(tmp_path):
    file = tmp_path / "a.js"
    file.write_text("/** @license MIT */\nlet a\n")
    assert HashedFiles(NOBODY, {"/a.js": file})._body(file, gzipped=False).data == file.read_bytes()
    assert HashedFiles(NOBODY, {}, {"/a.js": file})._body(file, gzipped=False).data == b"\nlet a\n"


def test_a_change_in_an_imported_sheet_is_seen_at_the_next_reload(tmp_path):
    part, sheet = tmp_path / "part.css", tmp_path / "whole.css"
    part.write_text("a { color: red; }\n")
    sheet.write_text('/* two */\n@import "part.css";\nb { color: blue; }\n')
    files = HashedFiles(NOBODY, {}, {"/whole.css": sheet})
    before = files._body(sheet, gzipped=False)
    assert before.data == b"a { color: red; }\nb { color: blue; }\n"
    part.write_text("a { color: green; }\n")
    os.utime(part, ns=(0, part.stat().st_mtime_ns + 1_000_000_000))
    assert files._body(sheet, gzipped=False).data == b"a { color: green; }\nb { color: blue; }\n"


def test_what_a_view_falls_back_to_is_the_cores_palette():
    tokens = (ASSETS / "css" / "tokens.css").read_text(encoding="utf-8")
    found = dict(re.findall(r"--c-([\w-]+): var\(--sl-[\w-]+, light-dark\((#\w+, #\w+)\)\);", tokens))
    names = "QUERY KEY VALUE OUTPUT PAPER PANEL INK LINE MASK NAN FOCUS OK PART BAD".split()
    pairs = {name.lower(): getattr(palette, name) for name in names} | {"ink2": palette.INK_2}
    wanted = {name: f"{pair.light}, {pair.dark}" for name, pair in pairs.items()}
    ramps = {"ramp": (palette.RAMP_LIGHT, palette.RAMP_DARK), "div": (palette.DIVERGING_LIGHT, palette.DIVERGING_DARK)}
    for name, (light, dark) in ramps.items():
        wanted |= {f"{name}-{i}": f"{pair[0]}, {pair[1]}" for i, pair in enumerate(zip(light, dark, strict=True))}
    assert {name: pair.lower() for name, pair in found.items()} == {name: pair.lower() for name, pair in wanted.items()}
