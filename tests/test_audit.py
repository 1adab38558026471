"""What the look-up of known faults comes to: a fault fails, a database that does not answer is said."""

import json

from tests.commands.audit import judged


def answer(*vulns: dict) -> str:
    safe = {"name": "torch", "version": "2.13.0", "vulns": []}
    ours = {"name": "ours", "skip_reason": "not on the index"}
    return json.dumps({"dependencies": [safe, ours, {"name": "plotly", "version": "6.0", "vulns": list(vulns)}]})


def test_a_known_fault_fails_and_says_where_it_is_mended():
    words, status = judged(answer({"id": "CVE-1", "fix_versions": ["6.1"]}, {"id": "CVE-2", "fix_versions": []}))
    assert status == 1
    assert words.splitlines() == [
        "2 packages looked up, 2 known faults.",
        "plotly 6.0: CVE-1, mended in 6.1",
        "plotly 6.0: CVE-2, mended in no version yet",
    ]


def test_no_known_fault_and_no_answer_are_no_faults():
    assert judged(answer()) == ("2 packages looked up, 0 known faults.", 0)
    for broken in ("", "Traceback", "[]", "{}"):
        words, status = judged(broken)
        assert status == 0 and "not looked up" in words
