"""`make bench`: one table of what Sightline costs here. `make bench ARGS=capture`, `long`, `experiment`, `pages`,
`alive`, `lab`, `grow` or `files`: a part."""

import os
import sys

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler, which counts memory, talks a lot

import torch
from playwright.sync_api import sync_playwright

from pages.shared.process.memory import keep_freed_memory
from pages.shared.process.settings import from_environment
from tests.commands.benchmarks import alive, capture, experiment, files, grow, lab, long_text, machine, pages, table
from tests.support.serving import launch_chromium

ROUNDS = 11
PARTS = ("capture", "long", "experiment", "pages", "alive", "lab", "grow", "files")


def main(parts: list[str]) -> int:
    if unknown := set(parts) - set(PARTS):
        print(f"There is no part {sorted(unknown)}; there are {', '.join(PARTS)}.")
        return 2
    threads = from_environment().threads
    torch.set_num_threads(threads)
    keep_freed_memory()  # as the app does
    rows: list[table.Row] = []
    chromium, load = None, os.getloadavg()[0]
    if "capture" in parts:
        rows += capture.rows(ROUNDS)
    if "long" in parts:
        rows += long_text.rows()
    if "experiment" in parts:
        rows += experiment.rows(ROUNDS)
    if "files" in parts:
        rows += files.rows(ROUNDS)
    if {"pages", "alive", "lab", "grow"} & set(parts):
        with sync_playwright() as playwright:
            browser = launch_chromium(playwright)
            chromium = f"Chromium {browser.version}"
            for part, measure in (("pages", pages.rows), ("alive", alive.rows), ("lab", lab.rows)):
                rows += measure(browser, ROUNDS) if part in parts else []
            rows += grow.rows(browser) if "grow" in parts else []
            browser.close()
    print(f"Sightline {machine.release()}: medians of {ROUNDS} runs unless the line says otherwise\n")
    print(machine.describe(chromium, threads, load))
    print("right     of capture: times and peaks of capture / plain SDPA forward / output_attentions=True\n")
    print(table.show(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(PARTS)))
