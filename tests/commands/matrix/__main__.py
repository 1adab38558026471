"""`make matrix`: every text architecture, and what has changed since docs/support.md was written.

`make matrix ARGS=--write` renews the page; `make matrix ARGS="bert llama"` checks a few and prints what is found.
`make matrix ARGS=--loading` saves every class that transformers can name and loads it again, with one attention weight
too few and one too many as well; nothing is written.
"""

import argparse
import difflib
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import transformers

from tests.commands.matrix.architectures import text_model_types
from tests.commands.matrix.pool import run
from tests.commands.matrix.table import FIELDS, FILE, row, rows_of, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="make matrix")
    parser.add_argument("model_types", nargs="*", help="only these; nothing is compared or written")
    parser.add_argument("--write", action="store_true", help=f"write {FILE.name} instead of comparing with it")
    parser.add_argument("--loading", action="store_true", help="save and load every class instead")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    started = time.perf_counter()
    results = run(options.model_types or text_model_types(), options.workers, _report, loading=options.loading)
    counts = Counter(result["outcome"] for result in results)
    print(", ".join(f"{n} {outcome}" for outcome, n in counts.most_common()), end="; ")
    print(f"{len(results)} architectures in {time.perf_counter() - started:.0f} s")
    worst = max(results, key=lambda result: result.get("difference") or 0.0)
    if worst.get("difference"):
        share = worst["difference"]
        print(f"closest to its tolerance: {worst['model_type']}, {share:.0%} of it")
    differs = [result["model_type"] for result in results if any("✗" in (result.get(name) or "") for name in _BESIDE)]
    if differs:
        print(f"beside the attention, {len(differs)} differ (✗): {', '.join(differs)}")
    faults = int(counts["wrong"] > 0 or bool(differs))
    if options.model_types or options.loading:
        return faults
    if options.write:
        FILE.write_text(table(results, transformers.__version__), encoding="utf-8")
        print(f"wrote {FILE}")
        return faults
    return int(_differs(results, FILE) or faults)


_BESIDE = FIELDS


def _report(result: dict[str, Any]) -> None:
    difference = result.get("difference")
    share = f"{difference:7.1%}" if difference is not None else " " * 7
    layers, why = result.get("layers", ""), result.get("why", "")
    beside = " | ".join(result.get(name) or "" for name in _BESIDE).strip(" |")
    print(f"{result['model_type']:26} {result['outcome']:20} {share}  {layers:40} {why}  {beside}", flush=True)


def _differs(results: list[dict[str, Any]], file: Path) -> bool:
    """Print the lines of the saved table that are not what was found now."""
    saved = [f"| {' | '.join(cells)} |" for cells in rows_of(file.read_text(encoding="utf-8")).values()]
    now = [" ".join(row(result).split()) for result in results]
    saved = [" ".join(line.split()) for line in saved]
    changes = list(difflib.unified_diff(saved, now, "saved", "now", lineterm="", n=0))
    print("\n".join(changes) if changes else "as saved in docs/support.md")
    return bool(changes)


if __name__ == "__main__":
    sys.exit(main())
