"""The server is killed while somebody types: the page comes back by itself, and nothing typed is lost."""

import os
import re
import signal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, expect

from tests.support.serving import new_visit, serve, skip_tour, wait_until_drawn

LINK = "/?v=1&m=minilm&t=Dogs+chase+cats.&l=4&h=7&q=2"


def test_after_kill_9_the_page_comes_back_with_its_view_and_what_was_being_typed(browser: Browser):
    with serve() as first:
        context, visit = new_visit(browser, first.url)
        skip_tour(context)
        page = visit.page
        page.goto(LINK)
        shown = wait_until_drawn(page)
        page.get_by_test_id("sl-text").fill("a sentence that nobody has sent yet")
        os.killpg(first.process.pid, signal.SIGKILL)
        first.process.wait()
        with serve(port=urlsplit(first.url).port) as again:
            assert again.url == first.url
            again_shown = wait_until_drawn(page, other_than=shown)
            assert again_shown.split(":")[1:] == ["4", "7"]
            expect(page.get_by_test_id("sl-text")).to_have_value("a sentence that nobody has sent yet")
            expect(page.get_by_text("edited · Enter shows it")).to_be_visible()
            page.get_by_test_id("sl-text").press("Enter")  # its picture may be there already: it follows the typing
            expect(page).to_have_url(re.compile("nobody"))
            expect(page.get_by_test_id("sl-sentence")).to_contain_text("nobody")
            wait_until_drawn(page)
        context.close()
