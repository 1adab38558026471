"""The first screen says what it is: the answer in words, what is folded, what the signs mean."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.serving import PHONE, Visit, accessibility_faults, wait_until_drawn


@pytest.fixture
def opened(page: Page) -> Page:
    """The first page, drawn."""
    page.goto("/")
    wait_until_drawn(page)
    return page


def top_of(page: Page, test_id: str) -> float:
    box = page.get_by_test_id(test_id).bounding_box()
    assert box
    return box["y"]


def test_the_answer_stands_there_without_a_click(opened):
    expect(opened.get_by_test_id("sl-answer")).to_have_text(
        "Each word looks at other words. In this head it looks most at animal (0.68). Point at another word."
    )


@pytest.mark.parametrize("screen", [None, PHONE], ids=["desktop", "phone"])
def test_the_answer_follows_what_is_pointed_at_and_nothing_moves(visit: Callable[..., Visit], screen):
    page = visit(**({"viewport": screen} if screen else {})).page
    page.goto("/")
    wait_until_drawn(page)
    said = page.get_by_test_id("sl-answer")
    if screen:
        page.get_by_role("button", name="sentence", exact=True).click()
    words = page.get_by_test_id("sl-sentence").get_by_role("button")
    tops = set()
    for word in ("cross", "tired", "animal"):
        words.filter(has_text=re.compile(f"^{word}$")).hover()
        expect(said).to_contain_text(f"In this head {word} looks most at")
        page.evaluate("scrollTo(0, 0)")
        tops.add((top_of(page, "sl-atlas"), top_of(page, "sl-answer")))
    assert len(tops) == 1
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_mark_says_what_it_is_on_hover_and_on_focus(opened):
    said, words = opened.get_by_test_id("sl-answer"), opened.get_by_test_id("sl-sentence").get_by_role("button")
    words.filter(has_text="[SEP]").hover()
    expect(said).to_contain_text("[SEP]: A mark for where a text ends")
    opened.mouse.move(2, 2)
    expect(said).not_to_contain_text("[SEP]: A mark")
    words.first.focus()
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowLeft")
    expect(said).to_contain_text("[CLS]: A mark that the model puts before every text")


def test_signs_that_are_not_in_the_vocabulary_are_counted(page: Page):
    page.goto("/?v=1&m=minilm&t=a+%F0%9F%A6%A9+b+%F0%9F%A6%A9+c&l=0&h=0")
    wait_until_drawn(page)
    expect(page.get_by_test_id("sl-answer")).to_contain_text("2 signs are not in this model’s vocabulary.")
    page.get_by_test_id("sl-sentence").get_by_role("button", name="[UNK]").first.hover()
    expect(page.get_by_test_id("sl-answer")).to_contain_text("[UNK]: Stands for a sign that is not in this model's")


def test_options_are_folded_under_one_button_that_says_how_many_are_on(opened):
    button = opened.get_by_test_id("sl-options")
    expect(opened.get_by_label("hide special tokens")).to_have_count(0)
    button.click()
    special = opened.get_by_label("hide special tokens")
    expect(special).to_be_visible()
    expect(opened.get_by_label("renormalise rows")).to_be_disabled()
    expect(opened.get_by_text("Leave out the marks that the model adds")).to_be_visible()
    assert not accessibility_faults(opened)
    special.check()
    expect(opened).to_have_url(re.compile("[?&]s=1"))
    expect(button).to_have_text("Options · 1 on ▾")
    expect(opened.get_by_label("renormalise rows")).to_be_enabled()
    opened.keyboard.press("Escape")
    expect(special).to_be_hidden()
    expect(button).to_be_focused()


def test_the_bold_first_column_explains_itself_and_can_be_hidden(opened):
    before = top_of(opened, "sl-rowbars")
    expect(opened.get_by_text("The bold first column: many heads park on [CLS].")).to_be_visible()
    opened.get_by_test_id("sl-hide-first").click()
    expect(opened.get_by_test_id("sl-options")).to_have_text("Options · 1 on ▾")
    expect(opened.get_by_test_id("sl-hide-first")).to_be_hidden()
    expect(opened.get_by_test_id("sl-sentence")).not_to_contain_text("[CLS]")
    assert before > 0


def test_the_badge_says_in_words_what_was_checked_and_its_number_on_hover(opened):
    badge = opened.get_by_test_id("sl-badge")
    expect(badge).to_have_text("✓ recomputed: same as the model’s")
    expect(badge).to_have_attribute("title", re.compile(r"matches the model to \de-\d"))
    badge.click()
    expect(opened.get_by_role("region", name="Proof")).to_contain_text(re.compile(r"\de-\d"))


def test_licence_and_parameters_are_among_the_facts_and_not_on_the_first_screen(opened):
    expect(opened.get_by_text("6 layers × 12 heads", exact=True)).to_be_visible()
    expect(opened.get_by_text("Apache-2.0")).to_have_count(0)
    opened.get_by_test_id("stPopover").get_by_role("button").click()
    expect(opened.get_by_text("Apache-2.0")).to_be_visible()
    expect(opened.get_by_text("22.7 million")).to_be_visible()
