"""The text box in a real browser: counting, the limit, the gallery, and never losing what somebody types."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from pages.shared.assets import ASSETS
from tests.support.serving import Visit, at_rest, wait_until_drawn

GALLERY = json.loads((ASSETS / "examples" / "gallery.json").read_text(encoding="utf-8"))


@pytest.fixture
def opened(page: Page) -> Page:
    page.goto("/")
    wait_until_drawn(page)
    return page


def test_tokens_are_counted_while_typing(opened):
    opened.get_by_test_id("sl-text").fill("the cat sat")
    expect(opened.get_by_test_id("sl-count")).to_have_text("5 of 512 tokens")  # three words, [CLS] and [SEP]


def test_a_text_over_the_limit_is_marked_where_the_model_stops_reading(opened):
    box = opened.get_by_test_id("sl-text")
    box.fill("cat " * 599 + "dog")
    expect(opened.get_by_test_id("sl-count")).to_have_text("512 of 602 tokens fit; the rest is not read")
    opened.get_by_role("button", name="Select what is not read").click()
    selected = box.evaluate("box => box.value.slice(box.selectionStart, box.selectionEnd)")
    assert selected.split() == ["cat"] * 89 + ["dog"]  # 510 words are read, 90 of 600 are not
    before = wait_until_drawn(opened)
    box.press("Enter")
    wait_until_drawn(opened, other_than=before)


def test_a_text_over_the_limit_is_read_window_by_window_and_the_link_opens_the_same_one(opened, visit):
    """600 words: 510 are read, then from the 447th on (an eighth of the window is read again), then the first again."""
    box, words = opened.get_by_test_id("sl-text"), [f"{letter}at" for letter in "bcfhmprs"] * 75
    box.fill(" ".join(words))
    before = wait_until_drawn(opened)
    box.press("Enter")
    first = wait_until_drawn(opened, other_than=before)
    opened.get_by_role("button", name="Read on ›").click()
    second = wait_until_drawn(opened, other_than=first)
    expect(opened.get_by_text(re.compile("^Read from character 1,785 of 2,399 on"))).to_be_visible()
    expect(opened.get_by_test_id("sl-count")).to_have_text("156 of 512 tokens")  # 154 words, [CLS] and [SEP]
    expect(opened.get_by_text(re.compile("^Read from “.*” to the end"))).to_be_visible()
    expect(opened).to_have_url(re.compile("from=1784"))
    other = visit().page
    other.goto(opened.url)
    wait_until_drawn(other)
    expect(other.get_by_test_id("sl-count")).to_have_text("156 of 512 tokens")
    opened.get_by_role("button", name="‹ Read what comes before").click()
    wait_until_drawn(opened, other_than=second)
    expect(opened.get_by_test_id("sl-count")).to_have_text("512 of 602 tokens fit; the rest is not read")
    box.fill("another text")
    box.press("Enter")
    expect(opened).not_to_have_url(re.compile("from="))


def test_an_example_chosen_by_keyboard_is_shown_and_says_what_to_look_for(opened):
    before = wait_until_drawn(opened)
    opened.get_by_test_id("sl-examples").focus()
    opened.keyboard.press("Enter")
    expect(opened.get_by_role("listbox")).to_be_focused()
    last = GALLERY[-1]["topic"]
    example = [one for one in GALLERY if one["topic"] == last][-1]
    opened.keyboard.press("End")
    opened.keyboard.press("Enter")
    wait_until_drawn(opened, other_than=before)
    expect(opened.get_by_test_id("sl-text")).to_have_value(example["text"])
    expect(opened.get_by_test_id("sl-lookfor")).to_have_text(f"Look for: {example['look_for']}")


def test_escape_closes_the_gallery_and_goes_back_to_its_button(opened):
    opened.get_by_test_id("sl-examples").click()
    opened.keyboard.press("Escape")
    expect(opened.get_by_role("listbox")).to_be_hidden()
    expect(opened.get_by_test_id("sl-examples")).to_be_focused()


def test_letters_typed_are_nobody_elses_shortcuts(visit: Callable[..., Visit]):
    """Streamlit reruns on r and offers to clear its caches on c; the explorer has its own keys."""
    guest = visit()
    guest.page.goto("/")
    wait_until_drawn(guest.page)
    at_rest(guest)
    box, sent, ready = guest.page.get_by_test_id("sl-text"), len(guest.sent), wait_until_drawn(guest.page)
    box.fill("")
    box.press_sequentially("rc?[]mx+-0")
    guest.page.wait_for_timeout(600)
    expect(box).to_have_value("rc?[]mx+-0")
    expect(guest.page.get_by_role("dialog")).to_have_count(0)
    assert len(guest.sent) == sent
    head = ready.split(":", 1)[1]  # the picture follows the text, and stays with its head
    assert wait_until_drawn(guest.page).split(":", 1)[1] == head


def test_what_is_typed_while_the_server_works_is_kept(opened):
    before = wait_until_drawn(opened)
    box = opened.get_by_test_id("sl-text")
    box.fill("one sentence for the model")
    box.press("Enter")
    box.press_sequentially(" and more")
    wait_until_drawn(opened, other_than=before)
    opened.wait_for_timeout(500)
    expect(box).to_have_value("one sentence for the model and more")
    expect(opened.get_by_text("edited · Enter shows it")).to_be_visible()


def test_a_second_sentence_is_read_with_the_first_and_can_be_taken_away(opened):
    before = wait_until_drawn(opened)
    opened.get_by_role("button", name="+ second sentence").click()
    opened.get_by_test_id("sl-text").fill("the cat sat")
    opened.get_by_test_id("sl-pair").fill("it slept")
    expect(opened.get_by_test_id("sl-count")).to_have_text("8 of 512 tokens")  # 3 + 2 words, [CLS] and two [SEP]
    opened.get_by_test_id("sl-pair").press("Enter")
    pair = wait_until_drawn(opened, other_than=before)
    expect(opened).to_have_url(re.compile("it(%20|\\+)slept"))
    opened.get_by_role("button", name="Remove: second sentence").click()
    opened.get_by_test_id("sl-show").click()
    wait_until_drawn(opened, other_than=pair)
    expect(opened).not_to_have_url(re.compile("slept"))
