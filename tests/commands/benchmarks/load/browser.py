"""One real Chromium among the arriving: it prints its seconds.

    python -m tests.commands.benchmarks.load.browser URL PAGE AFTER

A process of its own at low priority. A class brings its own machines: a browser that starts and draws here would take
half of the processor for seconds, and what would be measured is the browser. So its own time is an upper bound.
"""

import json
import os
import sys
import time

from playwright.sync_api import sync_playwright

from tests.commands.benchmarks import pages
from tests.support.serving import launch_chromium, wait_until_drawn

NICENESS = 19


def main(url: str, page: str, after: float) -> None:
    begun = time.monotonic()
    os.nice(NICENESS)  # the browser inherits it
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)  # before the crowd comes
        with pages.visitor(browser, url) as visit:
            time.sleep(max(0.0, begun + after - time.monotonic()))
            visit.page.goto(page, timeout=120_000)
            wait_until_drawn(visit.page, timeout_s=120)
            print(json.dumps({"seconds": visit.page.evaluate(pages.PAINTED) / 1000}))
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
