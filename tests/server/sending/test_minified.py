"""Modules and sheets as they go compressed: smaller, and in everything that a browser runs the same."""

import gzip
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pages.shared.assets import ASSETS, ASSETS_URL, asset_files
from pages.shared.http import sent_files
from pages.shared.http.sent_files import minified, sent
from pages.shared.http.static_files import HashedFiles

pytest.importorskip("minify", reason="no minifier for this machine: files are sent as they are written")

ROOT = ASSETS.parent
MODULES = sorted((ASSETS / "js").rglob("*.js"))
SHEETS = sorted((ASSETS / "css").glob("*.css"))
NOBODY = Starlette(routes=[])
# Prints which modules every module asks for and what it offers. Nothing is run; an import that finds nothing fails.
NAMES = """
import { readFileSync } from "node:fs"
import { dirname, resolve } from "node:path"
import vm from "node:vm"
const made = new Map()
const get = (file) => {
  if (!made.has(file)) made.set(file, new vm.SourceTextModule(readFileSync(file, "utf8"), { identifier: file }))
  return made.get(file)
}
const found = []
for (const file of process.argv.slice(2)) {
  const module = get(file)
  if (module.status === "unlinked") await module.link((name, from) => get(resolve(dirname(from.identifier), name)))
  const offered = Reflect.ownKeys(module.namespace).filter((name) => typeof name === "string")
  found.push([[...new Set(module.dependencySpecifiers)].sort(), offered])
}
console.log(JSON.stringify(found))
"""


@pytest.fixture(scope="module")
def mirror(tmp_path_factory) -> Path:
    """`assets` as a browser gets it, with the tests of the modules beside it."""
    folder = tmp_path_factory.mktemp("mirror")
    shutil.copytree(ASSETS / "js", folder / "assets" / "js")
    shutil.copytree(ASSETS / "lessons", folder / "assets" / "lessons")
    shutil.copytree(ROOT / "tests" / "js", folder / "tests" / "js")
    for file in MODULES:
        (folder / file.relative_to(ROOT)).write_bytes(minified(file, sent(file)))
    return folder


def names(folder: Path) -> list[list[list[str]]]:
    """Of each module of ours below `folder`: which it asks for, what it offers."""
    (script := folder / "names.mjs").write_text(NAMES)
    files = [str(folder / file.relative_to(ROOT)) for file in MODULES]
    command = ["node", "--no-warnings", "--experimental-vm-modules", str(script), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_minified_module_asks_for_the_same_modules_and_offers_the_same_names(mirror, tmp_path):
    shutil.copytree(ASSETS / "js", tmp_path / "assets" / "js")
    written = names(tmp_path)
    assert sum(len(offered) for _, offered in written) > len(MODULES)
    assert names(mirror) == written


@pytest.mark.slow
def test_the_tests_of_the_modules_hold_for_what_is_sent(mirror):
    tests = sorted((mirror / "tests" / "js").glob("*/*.test.mjs"))
    done = subprocess.run(["node", "--test", *map(str, tests)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("kind", [MODULES, SHEETS], ids=["modules", "sheets"])
def test_what_goes_over_the_line_is_smaller(kind):
    before, after = (
        sum(len(gzip.compress(data, 9)) for data in made)
        for made in ([sent(file) for file in kind], [minified(file, sent(file)) for file in kind])
    )
    assert after < before
    for file in kind:
        assert len(minified(file, sent(file))) <= len(sent(file)), file


def test_texts_keep_every_sign_and_every_line_end(tmp_path):
    """In a template literal a blank, a line end and a comment's signs are a reader's, not the minifier's."""
    source = (
        'export const said = (n) => `two  blanks\n  ${n} // no comment /* nor this */ \\u00a0</script> "é — 鳥 😀"`;\n'
    )
    (tmp_path / "a.mjs").write_bytes(minified(Path("a.js"), source.encode()))
    (tmp_path / "b.mjs").write_text(source)
    imports = "".join(f"import * as {name} from './{name}.mjs';" for name in "ab")
    (tmp_path / "ask.mjs").write_text(f"{imports} console.log(JSON.stringify([a.said(7), b.said(7)]))")
    done = subprocess.run(["node", "ask.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True)
    a, b = json.loads(done.stdout)
    assert a == b
    assert "two  blanks\n  7 // no" in a


def answers(readable: bool) -> dict[str, bytes]:
    """The explorer's module and sheet as they come once they are compressed, by their names."""
    addresses = [f"/{ASSETS_URL}js/explore/app.js", f"/{ASSETS_URL}css/explorer.css"]
    middleware = HashedFiles(NOBODY, {}, asset_files(), readable=readable)
    with TestClient(middleware) as client:
        plain = [client.get(address).content for address in addresses]
        middleware._compressor.submit(lambda: None).result()
        came = [client.get(address) for address in addresses]
    assert [answer.headers["content-encoding"] for answer in came] == ["gzip", "gzip"]
    assert plain == [sent(asset_files()[address]) for address in addresses]  # what is asked for plainly is readable
    return {answer.headers["etag"]: answer.content for answer in came}


def test_compressed_copies_are_minified_and_readable_where_the_operator_says_so():
    small, readable = answers(False), answers(True)
    files = [ASSETS / "js" / "explore" / "app.js", ASSETS / "css" / "explorer.css"]
    assert list(readable.values()) == [sent(file) for file in files]
    assert list(small.values()) == [minified(file, sent(file)) for file in files]
    assert not set(small) & set(readable)  # another body, another tag


def test_a_file_that_cannot_be_minified_is_sent_as_it_is_with_a_sentence_in_the_log(caplog, tmp_path):
    file = tmp_path / "odd.js"
    with caplog.at_level(logging.WARNING, "sightline"):
        assert minified(file, b"let = = 3;\n") == b"let = = 3;\n"
    assert "odd.js is sent as it is written" in caplog.text
    assert minified(tmp_path / "a.json", b'{ "a": 1 }') == b'{ "a": 1 }'


def test_without_the_minifier_files_are_sent_as_they_are_written_and_the_log_says_it_once(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "minify", None)
    sent_files._minifier.cache_clear()
    try:
        with caplog.at_level(logging.WARNING, "sightline"):
            assert [minified(file, sent(file)) for file in MODULES[:3]] == [sent(file) for file in MODULES[:3]]
        assert caplog.text.count("no minifier here") == 1
    finally:
        sent_files._minifier.cache_clear()
