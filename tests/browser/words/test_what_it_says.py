"""What the model says on the first screen, and finds in a text that somebody typed."""

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.support.serving import PHONE, Visit, accessibility_faults, wait_until_drawn

TALE = "Once upon a time there was a king who had a daughter, and the king"


def open_text(page: Page, model: str, text: str, more: str = "&l=0&h=0") -> Page:
    page.goto(f"/?v=1&m={model}&t={quote(text)}{more}")
    wait_until_drawn(page)
    return page


def pinned(page: Page) -> str | None:
    return re.search(r"[?&]q=(\d+)", page.url)[1] if "q=" in page.url else None


def test_the_next_word_is_said_under_the_sentence_and_opens_to_the_bars(page):
    open_text(page, "storyteller", TALE)
    line = page.get_by_test_id("sl-says")
    expect(line).to_contain_text(re.compile(r"^next: ·?\S+ \d+ %, "))
    before = page.get_by_test_id("sl-answer").bounding_box()
    page.get_by_test_id("sl-says-open").click()
    bars = page.locator(".sl-says-bars .sl-choice")
    expect(bars).to_have_count(10)
    assert not accessibility_faults(page)
    word = bars.first.locator(".sl-token").inner_text()
    assert line.inner_text().startswith(f"next: {word}")
    bars.first.click()
    expect(page.get_by_test_id("sl-text")).to_have_value(TALE + word.replace("·", " "))
    page.get_by_test_id("sl-says-open").click()
    assert page.get_by_test_id("sl-answer").bounding_box() == before


def test_continued_words_appear_where_the_button_was_pressed_and_the_pin_survives(page):
    open_text(page, "storyteller", TALE, "&l=1&h=3&q=5")
    expect(page.get_by_test_id("sl-says")).to_contain_text("next: ")
    page.get_by_test_id("sl-says-open").click()
    before = wait_until_drawn(page)
    page.get_by_test_id("sl-continue").click()
    wait_until_drawn(page, other_than=before)
    expect(page.get_by_test_id("sl-written")).to_contain_text("10 tokens written.")
    shown = page.get_by_test_id("sl-written").locator("bdi").all_inner_texts()
    text = page.get_by_test_id("sl-text").input_value()
    assert text.startswith(TALE) and text[len(TALE) :] == "".join(shown).replace("·", " ")
    expect(page).to_have_url(re.compile("[?&]q=5(&|$)"))
    expect(page.get_by_test_id("sl-answer")).to_contain_text("In this head ·was looks most at")


def test_a_model_without_a_next_word_offers_the_one_that_has_one(page):
    open_text(page, "minilm", TALE)
    line = page.get_by_test_id("sl-says")
    expect(line).to_contain_text("no next word")
    before = wait_until_drawn(page)
    line.get_by_role("button", name="ask Storyteller").click()
    wait_until_drawn(page, other_than=before)
    expect(line).to_contain_text(re.compile(r"^next: "))
    expect(page.get_by_test_id("sl-text")).to_have_value(TALE)


def test_the_closest_of_the_sentences_typed_before_is_named(page):
    open_text(page, "minilm", "The cat slept on the sofa.")
    line = page.get_by_test_id("sl-says")
    for text in ("Interest rates rose again.", "A kitten was sleeping on a couch."):
        expect(line).not_to_be_empty()
        before = wait_until_drawn(page)
        page.get_by_test_id("sl-text").fill(text)
        page.get_by_test_id("sl-text").press("Enter")
        wait_until_drawn(page, other_than=before)
    expect(line).to_contain_text("closest of the sentences typed before: The cat slept on the sofa. 0.")


def test_ones_own_sentence_has_finds_and_each_opens_its_head(page):
    open_text(page, "minilm", "John gave a book to Mary, and later John went home.")
    finds = page.get_by_test_id("sl-finds")
    expect(finds).to_contain_text("john finds the earlier john: 2.9")
    finds.locator("[data-find=earlier]").click()
    expect(page.get_by_role("heading", name="Layer 2 · head 9")).to_be_visible()
    expect(page.get_by_test_id("sl-answer")).to_contain_text("In this head john looks most at john")
    expect(page).to_have_url(re.compile("l=2&h=9"))


def test_a_text_of_one_word_has_none_and_says_so(page):
    open_text(page, "minilm", "Hello")
    expect(page.get_by_test_id("sl-finds")).to_contain_text("No head does anything here that beats chance.")


@pytest.mark.parametrize("screen", [None, PHONE], ids=["desktop", "phone"])
def test_nothing_moves_when_the_lines_come(visit: Callable[..., Visit], screen):
    page = visit(**({"viewport": screen} if screen else {})).page
    page.route("**/says*", lambda route: (page.wait_for_timeout(300), route.continue_()))
    open_text(page, "minilm", "The bank raised its rates because it was worried.")
    at = page.get_by_test_id("sl-atlas").bounding_box()
    expect(page.get_by_test_id("sl-says")).to_contain_text("no next word")
    expect(page.get_by_test_id("sl-finds")).to_contain_text("raised → rates in 0.4")
    assert page.get_by_test_id("sl-atlas").bounding_box() == at


def test_step_by_step_opens_on_a_word_and_never_on_a_full_stop(page):
    open_text(page, "minilm", "The animal didn't cross the street because it was too tired.", "&l=3&h=1")
    page.get_by_test_id("sl-follow").click()
    expect(page).to_have_url(re.compile("q=10&k=2"))
