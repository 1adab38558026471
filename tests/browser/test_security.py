"""What a page may load, whom it may ask and who may frame it, tried in a real Chromium."""

import json
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.support.serving import Server, Visit, wait_until_drawn

_LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));
"""

_ATTEMPTS = """() => {
  const put = (name, values) => document.body.append(Object.assign(document.createElement(name), values));
  fetch("http://198.51.100.7/").catch(() => 0);
  try { new WebSocket("ws://198.51.100.7/"); } catch {}
  put("img", { src: "http://198.51.100.7/a.png" });
  put("script", { src: "http://198.51.100.7/a.js" });
  put("script", { textContent: "window.ran = 1" });
  put("iframe", { src: "http://198.51.100.7/" });
}"""


@pytest.mark.parametrize("path", ["/", "/?embed=true", "/steps", "/about"])
def test_every_page_works_under_the_policy(visit: Callable[..., Visit], path):
    guest = visit()
    guest.allow("/_stcore/")  # Streamlit asks for its server under the page's own path first
    page = guest.page
    page.add_init_script(_LISTEN)
    page.goto(path)
    if path == "/about":
        expect(page.get_by_role("heading", name="What a weight is", exact=True)).to_be_visible()
    elif path == "/steps":
        expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()
        expect(
            page.get_by_role("heading", name="Step by step").or_(page.locator(".st-key-steps")).first
        ).to_be_visible()
    else:
        wait_until_drawn(page)
    page.wait_for_timeout(1_000)
    assert "\n".join(page.evaluate("window.violations")) == ""


def test_charts_files_and_pictures_work_under_the_policy(visit: Callable[..., Visit]):
    page = visit().page
    page.add_init_script(_LISTEN)
    page.goto("/")
    wait_until_drawn(page)
    page.get_by_text("All heads in numbers").click()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    assert "\n".join(page.evaluate("window.violations")) == ""


def test_no_other_host_can_be_asked_and_no_script_put_in(visit: Callable[..., Visit]):
    guest = visit()
    for expected in ("Content Security Policy", "violates", "Refused", "/_stcore/"):
        guest.allow(expected)
    page = guest.page
    page.add_init_script(_LISTEN)
    page.goto("/about")
    expect(page.get_by_role("heading", name="What a weight is", exact=True)).to_be_visible()
    page.evaluate(_ATTEMPTS)
    page.wait_for_timeout(500)
    blocked = page.evaluate("window.violations.map((one) => one.split(' ')[0])")
    assert {"connect-src", "img-src", "script-src-elem", "frame-src"} <= set(blocked)
    assert page.evaluate("window.ran") is None
    guest.foreign.clear()  # tried on purpose, and refused by the browser


@pytest.mark.parametrize(("path", "ancestors"), [("/", "'self'"), ("/?embed=true", "*"), ("/?t=embed=true", "'self'")])
def test_another_site_may_frame_one_picture_and_nothing_else(server: Server, path, ancestors):
    with urllib.request.urlopen(server.url.rstrip("/") + path) as answer:
        assert answer.headers["Content-Security-Policy"].endswith(f"frame-ancestors {ancestors}")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_no_page_around_this_one_steers_it(server: Server):
    """Streamlit's own list names its makers' cloud; the browser looks every message up in it."""
    with urllib.request.urlopen(f"{server.url}_stcore/host-config") as answer:
        assert json.load(answer)["allowedOrigins"] == []


@pytest.mark.parametrize("quoted", ["www.example.com", "http://example.com", "somebody@example.com"])
def test_what_a_link_says_becomes_no_link_of_ours(visit: Callable[..., Visit], quoted):
    page = visit().page
    page.goto(f"/?v={quoted}&m=minilm&t=Dogs+chase+cats.")
    wait_until_drawn(page)
    expect(page.get_by_text(f"This link was made for version “{quoted}”")).to_be_visible()
    assert not page.locator("a[href*='example.com']").count()
