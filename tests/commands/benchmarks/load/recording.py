"""What a real Chromium with an empty cache does when it opens a link: the pattern that the clients repeat."""

import base64
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from playwright.sync_api import Browser
from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.support.serving import new_visit, skip_tour, wait_until_drawn

DATA = "/sightline/data/"
COUNT = "/sightline/count"


@dataclass(frozen=True, slots=True)
class Recording:
    """Paths with their query strings, and Streamlit's messages as the browser sent them."""

    page: str
    before: list[str]  # files asked for before the websocket opens
    after: list[str]  # files asked for once the page's elements come
    first: bytes  # the message that asks for the first run
    text: bytes  # the one that commits a text; empty for a page without a text box
    head: bytes  # the one that reports another head

    def to_json(self) -> str:
        frames = {name: base64.b64encode(getattr(self, name)).decode() for name in ("first", "text", "head")}
        return json.dumps({"page": self.page, "before": self.before, "after": self.after, **frames})

    @classmethod
    def from_json(cls, text: str) -> "Recording":
        held = json.loads(text)
        frames = (base64.b64decode(held[name]) for name in ("first", "text", "head"))
        return cls(held["page"], held["before"], held["after"], *frames)


def copied_link(browser: Browser, url: str, page: str) -> str:
    """The path of the link that *Copy link* gives at `page`: a teacher's, with the mark of the server's process."""
    context, visit = new_visit(browser, url)
    skip_tour(context)
    visit.page.goto(page)
    wait_until_drawn(visit.page)
    visit.page.get_by_role("button", name="Copy link").click()
    visit.page.wait_for_function("navigator.clipboard.readText().then((text) => text.includes('sig='))")
    parts = urlsplit(visit.page.evaluate("navigator.clipboard.readText()"))
    context.close()
    return f"{parts.path}?{parts.query}"


def record(browser: Browser, url: str, page: str, *, explorer: bool = True) -> Recording:
    """Open `page` at `url`; with `explorer` type a sentence and choose another head too."""
    context, visit = new_visit(browser, url)
    skip_tour(context)
    before: list[str] = []
    after: list[str] = []
    sent: list[bytes] = []

    def on_request(request) -> None:
        parts = urlsplit(request.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "http" and DATA not in path and COUNT not in path and path != page:
            (after if sent else before).append(path)

    visit.page.on("request", on_request)
    visit.page.on("websocket", lambda socket: socket.on("framesent", lambda data: sent.append(_bytes(data))))
    visit.page.goto(page)
    if not explorer:
        visit.page.get_by_text("nothing else").wait_for()
        visit.page.wait_for_timeout(2000)
        context.close()
        return Recording(page, before, after, sent[0], b"", b"")
    wait_until_drawn(visit.page)
    visit.page.wait_for_timeout(2000)
    files = list(after)
    first = sent[0]
    box = visit.page.get_by_test_id("sl-text")
    box.fill("a small dog")
    box.press("Enter")
    visit.page.wait_for_timeout(2000)
    visit.page.get_by_test_id("sl-atlas").get_by_role("grid").first.focus()
    visit.page.keyboard.press("ArrowRight")
    visit.page.wait_for_timeout(2000)
    context.close()
    return Recording(page, before, files, first, _with_widget(sent, "-composer"), _with_widget(sent, "-explorer"))


def _with_widget(sent: list[bytes], key: str) -> bytes:
    for data in sent:
        message = BackMsg()
        message.ParseFromString(data)
        if any(widget.id.endswith(key) for widget in message.rerun_script.widget_states.widgets):
            return data
    raise RuntimeError(f"the browser sent no message with the state of {key.removeprefix('-')}")


def _bytes(frame: bytes | str) -> bytes:
    assert isinstance(frame, bytes), "Streamlit's frames are binary"
    return frame
