"""One version, in one place, and the list of changes that belongs to it."""

import re
from datetime import date

import attention_core
from tests.test_layers import OURS, ROOT

# A dated section of CHANGELOG.md: ## 0.2.0 (2026-12-01)
SECTION = re.compile(r"^## (\d+)\.(\d+)\.(\d+) \((\d{4}-\d\d-\d\d)\)$", re.MULTILINE)


def sections() -> list[tuple[tuple[int, ...], date]]:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return [(tuple(map(int, found[:3])), date.fromisoformat(found[3])) for found in SECTION.findall(changes)]


def test_the_newest_section_of_the_changes_is_this_version():
    newest, _ = sections()[0]
    assert ".".join(map(str, newest)) == attention_core.__version__


def test_the_sections_of_the_changes_stand_newest_first_below_what_is_not_released():
    assert sections() == sorted(sections(), reverse=True)
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## (.*)$", changes, re.MULTILINE)
    assert heads[0] == "Unreleased"
    assert len(heads) == len(sections()) + 1  # every other one has a version and a date


def test_the_version_is_written_in_one_place():
    written = re.compile(rf"[\"'](v?{re.escape(attention_core.__version__)})[\"']")
    files = [*OURS, ROOT / "pyproject.toml", ROOT / "package.json", ROOT / "Makefile"]
    found = [file for file in files if written.search(file.read_text(encoding="utf-8"))]
    assert found == [ROOT / "attention_core" / "__init__.py"]
