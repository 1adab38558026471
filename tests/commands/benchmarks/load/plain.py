"""The machine's measure: a plain pass of MiniLM over 64 tokens, before anybody comes; it prints the median's seconds.

python -m tests.commands.benchmarks.load.plain THREADS
"""

import subprocess
import sys
import time
from statistics import median

from tests.support.serving import ROOT

ROUNDS = 30


def seconds(threads: int) -> float:
    """Of one pass, in a process of its own: this one imports no torch."""
    command = [sys.executable, "-m", "tests.commands.benchmarks.load.plain", str(threads)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def main(threads: int) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    from tests.commands.benchmarks.capture import FOLDER
    from tests.commands.benchmarks.texts import text_of

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModel.from_pretrained(FOLDER, attn_implementation="sdpa", dtype=torch.float32).eval()
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        with torch.inference_mode():
            model(**tokenizer(text_of(64), return_tensors="pt"))
        times.append(time.perf_counter() - begun)
    print(median(times))


if __name__ == "__main__":
    main(int(sys.argv[1]))
