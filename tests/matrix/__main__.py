"""`python -m tests.matrix`"""

import argparse
import json
import sys
import time
from collections import Counter

from tests.matrix.architectures import text_model_types
from tests.matrix.pool import run


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("model_types", nargs="*")
    parser.add_argument("--json")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    started = time.perf_counter()
    results = run(
        options.model_types or text_model_types(),
        options.workers,
        lambda r: print(
            f"{r['model_type']:28} {r['outcome']:20} {r.get('layers') or '':40} {r.get('why') or ''}", flush=True
        ),
    )
    print(Counter(r["outcome"] for r in results), f"{time.perf_counter() - started:.0f} s")
    if options.json:
        json.dump(results, open(options.json, "w"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
