"""Behind a proxy that serves other things too, the app lies below a path of its own."""

from playwright.sync_api import Browser, expect

from tests.support.serving import new_visit, serve, skip_tour, wait_until_drawn


def test_the_app_below_a_path_shows_its_pages_its_numbers_and_its_files(browser: Browser):
    with serve(below="class/") as server:
        context, visit = new_visit(browser, server.url)
        skip_tour(context)
        page, missing = visit.page, []
        page.on("response", lambda answer: missing.append(answer.url) if answer.status >= 400 else None)
        page.goto("")
        before = wait_until_drawn(page)
        page.get_by_test_id("sl-text").fill("A class of its own.")
        page.get_by_test_id("sl-text").press("Enter")
        wait_until_drawn(page, other_than=before)
        assert page.url.startswith(server.url + "?v=1")

        page.goto(page.url)  # a text that was read before: the first answer's picture, too
        wait_until_drawn(page)
        expect(page.locator("#sl-first")).to_have_count(0)
        for name in ("Step by step", "Lab", "Grow a head"):
            page.get_by_test_id("stTopNavLink").get_by_text(name).click()
            expect(page.locator("[data-ready]").first).to_be_attached()
        page.goto("steps")
        expect(page.locator("[data-ready]").first).to_be_attached()
        assert page.request.get("sightline/health").json()["ready"]
        assert missing == []
        assert visit.complaints() == []
        context.close()
