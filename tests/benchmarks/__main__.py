"""`make bench`: one table of what Sightline costs here. `make bench ARGS=capture` or `ARGS=pages` measures a part."""

import os
import sys

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler, which counts memory, talks a lot

import torch
from playwright.sync_api import sync_playwright

from pages.shared.settings import from_environment
from tests.benchmarks import capture, machine, pages, reruns, table
from tests.serving import launch_chromium, serve, wait_until_drawn

ROUNDS = 11
PARTS = ("capture", "pages")


def main(parts: list[str]) -> int:
    if unknown := set(parts) - set(PARTS):
        print(f"There is no part {sorted(unknown)}; there are {', '.join(PARTS)}.")
        return 2
    threads = from_environment().threads
    torch.set_num_threads(threads)
    rows: list[table.Row] = []
    chromium = None
    if "capture" in parts:
        rows += capture.rows(ROUNDS)
    if "pages" in parts:
        with sync_playwright() as playwright:
            browser = launch_chromium(playwright)
            chromium = f"Chromium {browser.version}"
            rows += pages.rows(browser, ROUNDS)
            with serve() as server, pages.visitor(browser, server.url) as visit:
                visit.page.goto("")
                wait_until_drawn(visit.page, timeout_s=60)
                visit.page.goto("about:blank")
                server_rows = (server.url, 5 * ROUNDS)
                browser.close()
                rows += _in_a_thread(reruns.rows, *server_rows)
    print(f"Sightline {machine.commit()}: medians of {ROUNDS} runs unless the line says otherwise\n")
    print(machine.describe(chromium, threads), end="\n\n")
    print(table.show(rows))
    return 0


def _in_a_thread(job, *arguments):
    """Playwright's synchronous interface runs an event loop in this thread; what brings its own needs another one."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(job, *arguments).result()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(PARTS)))
