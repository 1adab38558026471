"""What the guides name is there: files, folders, targets of make. A walk past a door that is gone helps nobody."""

import re
from itertools import product
from pathlib import Path

import pytest

from tests.test_layers import ROOT

# The list of changes is history: what it names may be gone.
GUIDES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")} - {ROOT / "CHANGELOG.md"})
# Where a name may begin, as people say it: `formula/metrics` is in the core, `session/menu` in pages/shared.
FROM = ("", "attention_core", "pages", "pages/shared", "assets", "assets/js", "tests", "tests/core")
ENDINGS = ("", ".py", ".js", ".css", ".json")
# A relative path with at least one slash or a known ending; `<page>` and `…` stand for any name.
NAMED = re.compile(r"(?:\.?[\w<>*…-]+/)+[\w.<>*…-]*|[\w-]+\.(?:py|js|md|toml|txt|json|css)")
# Not of this repository: what is made, media types, other people's names.
ELSEWHERE = re.compile(
    r"^(build|bin|node_modules|org|owner|\.venv)/|^(text|application|image)/|^models--|^(q|k|v|a|b)/|^modules\.json$"
)


def named_in(guide: str) -> set[str]:
    """Paths in backticks (commands split at blanks) and targets of links, without addresses and absolute paths."""
    plain = re.sub(r"^```.*?^```", "", guide, flags=re.DOTALL | re.MULTILINE)
    words = [word for code in re.findall(r"`([^`\n]+)`", plain) for word in code.split()]
    links = re.findall(r"\]\(([^)#\s]+)", plain)
    found = {word.strip(",;:()") for word in words if NAMED.fullmatch(word.strip(",;:()"))}
    return {name for name in found if not ELSEWHERE.search(name)} | {link for link in links if ":" not in link}


def is_there(name: str, beside: Path) -> bool:
    pattern = re.sub(r"<\w+>|…", "*", name).rstrip("/")
    places = (*(ROOT / start for start in FROM), beside)
    return any(any(place.glob(pattern + ending)) for place, ending in product(places, ENDINGS))


def missing(guide: str, beside: Path = ROOT) -> list[str]:
    return sorted(name for name in named_in(guide) if not is_there(name, beside))


@pytest.mark.parametrize("file", GUIDES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_path_that_a_guide_names_is_there(file: Path):
    gone = missing(file.read_text(encoding="utf-8"), file.parent)
    assert not gone, f"{file.relative_to(ROOT)} names {gone}"


def test_a_path_that_is_gone_is_found():
    text = (
        "`pytest tests/core/heads/test_gone.py`, `formula/gone`, [map](docs/gone.md), `pages/gone.py`: `gone/<page>.js`"
    )
    gone = ["docs/gone.md", "formula/gone", "gone/<page>.js", "pages/gone.py", "tests/core/heads/test_gone.py"]
    assert missing(text) == gone


def test_paths_are_seen_where_guides_name_them():
    """At least the walks: were the pattern too narrow, nothing would ever be missing."""
    walks = named_in((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert {"pages/shared/session/menu.py", "assets/css/<page>.css", "tests/core/lab/test_lab_link.py"} <= walks
    assert "docs/architecture.md" in walks  # a link
    assert len(walks) > 50


@pytest.mark.parametrize("file", GUIDES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_target_of_make_that_a_guide_names_is_there(file: Path):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named: set[str] = set()
    for code in re.findall(r"`([^`]+)`|^(make .*)$", file.read_text(encoding="utf-8"), re.MULTILINE):
        words = "".join(code).split("#")[0].split()
        if words[:1] == ["make"]:
            named |= {word for word in words[1:] if re.fullmatch(r"[a-z]+", word)}
    assert named <= targets, f"{file.relative_to(ROOT)} names {sorted(named - targets)}"
