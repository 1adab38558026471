"""What `make upgrade` says and tries, on versions that are made up: nothing is asked of a registry."""

import json
import subprocess
import sys

from tests.commands import upgrade
from tests.test_layers import ROOT, pinned

NEWER = upgrade.newest(
    json.dumps(
        [
            {"name": "torch", "version": "2.13.0", "latest_version": "99.1"},
            {"name": "Huggingface.Hub", "version": "2.4.0", "latest_version": "99.2"},
            {"name": "somebody-elses", "version": "1.0", "latest_version": "99.3"},
        ]
    )
)


def known() -> dict[str, upgrade.Pin]:
    return upgrade.pins((ROOT / "requirements.txt").read_text(encoding="utf-8"))


def test_every_pin_is_read():
    for name in upgrade.FILES:
        found = upgrade.pins((ROOT / name).read_text(encoding="utf-8"))
        assert set(found) == set(pinned(name))
        assert all(f"{pin.name}=={pin.version}" in pinned(name)[key] for key, pin in found.items())


def test_it_says_what_is_newer_and_what_it_is_for():
    said = upgrade.report(known(), NEWER)
    hub = known()["huggingface-hub"]
    assert f"{hub.version} → 99.2  {hub.why}" in said
    assert f"2 of {len(known())} pins" in said
    assert "somebody" not in said  # no pin of ours
    assert upgrade.report(known(), {}) == f"All {len(known())} pins are the newest versions."


def test_torch_is_named_with_its_reason_and_not_tried():
    assert f"{known()['torch'].version} → 99.1  stays: its build" in upgrade.report(known(), NEWER)
    assert upgrade.tried(known(), NEWER) == ["huggingface_hub==99.2"]


def test_what_is_held_is_a_pin():
    assert set(upgrade.HELD) <= set(known())


def test_a_newer_package_is_imported_before_the_installed_one(tmp_path):
    (tmp_path / "cachetools").mkdir()
    (tmp_path / "cachetools" / "__init__.py").write_text("__version__ = 'newer'\n")
    command = [sys.executable, "-c", "import cachetools; print(cachetools.__version__)"]
    said = {
        folder: subprocess.run(command, env=upgrade.environment(folder), capture_output=True, text=True, check=True)
        for folder in (tmp_path, tmp_path / "empty")
    }
    assert [done.stdout.strip() for done in said.values()] == ["newer", known()["cachetools"].version]
