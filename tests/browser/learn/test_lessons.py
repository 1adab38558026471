"""A lesson walked from its first step to its last by keyboard alone, with right answers and with wrong ones."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from attention_core import capture, load_model
from attention_core.lessons.asking import ask
from attention_core.lessons.lesson import Lesson
from pages.shared.learn.library import lesson_of
from tests.support.serving import PHONE, Visit, accessibility_faults

MOST_STOPS = 60
OWN = "Dogs sleep in the garden while the old cat watches them."
FOCUSED = """() => {
  let at = document.activeElement
  while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement
  return at
}"""


@pytest.fixture(scope="module")
def words() -> Lesson:
    return lesson_of("words")


@pytest.fixture(scope="module")
def asked(words: Lesson) -> list:
    trace = capture(load_model(words.model), words.text)
    return [ask(step.ask, trace) for step in words.steps if step.ask]


def open_page(visit: Callable[..., Visit], address: str = "/learn", **options) -> Page:
    seen = visit(**options)
    seen.allow("/learn/_stcore")  # Streamlit looks for its server below the page's address first
    seen.page.goto(address)
    return seen.page


def wait_for(page: Page, what: str) -> None:
    page.locator(f"[data-testid=sl-learn][data-ready='{what}']").wait_for()


def tab_to(page: Page, holds: str) -> None:
    """Press Tab until what has the focus is such: JavaScript about `at`."""
    for _ in range(MOST_STOPS):
        if page.evaluate(f"() => {{ const at = ({FOCUSED})(); return Boolean(at && ({holds})) }}"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"nothing that Tab reaches is {holds}")


def press(page: Page, button: str) -> None:
    tab_to(page, f"at.tagName === 'BUTTON' && at.textContent === {button!r}")
    page.keyboard.press("Enter")


def best(one, *, right: bool) -> int:
    """The place of the largest value that can be chosen, or of the smallest."""
    return (max if right else min)(one.among, key=lambda i: one.values[i])


def answer(page: Page, one, *, right: bool) -> None:
    """Give a right or a wrong answer with keys."""
    if one.kind == "point":
        at = one.among.index(best(one, right=right))
        tab_to(page, "at.closest('.sl-learn-words') && at.tagName === 'BUTTON'")
        for _ in range(at):
            page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
    elif one.kind == "which":
        at = one.values.index((max if right else min)(one.values))
        press(page, one.words[at])
    elif one.kind == "sketch":
        values = one.values if right else tuple(float(value == min(one.values)) for value in one.values)
        tab_to(page, "at.type === 'range'")
        for value in values:
            for _ in range(round(10 * value)):
                page.keyboard.press("PageUp")  # ten of a hundred
            page.keyboard.press("Tab")
        press(page, "Check")
    else:
        typed = f"{one.values[0] if right else 0.9:.2f}" if one.kind == "number" else one.words[best(one, right=right)]
        tab_to(page, "at.type === 'text' && !at.id")
        page.keyboard.type(typed)
        page.keyboard.press("Enter")


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_a_lesson_is_walked_by_keyboard_alone(visit: Callable[..., Visit], words: Lesson, asked: list, right: bool):
    page = open_page(visit)
    wait_for(page, "list")
    tab_to(page, "at.ariaLabel === 'Begin: Words look at words'")
    page.keyboard.press("Enter")
    for part, one in enumerate(asked, start=1):
        wait_for(page, f"words:{part}")
        answer(page, one, right=right)
        verdict = page.locator(".sl-learn-verdict")
        expect(verdict).to_have_text(re.compile("^✓ Right" if right else "^✕ Not so"))
        expect(verdict).to_be_focused()
        press(page, "Next" if part < len(asked) else "Finish")
    wait_for(page, "list")
    expect(page.locator("[data-lesson=words]")).to_contain_text(f"{len(asked)} answered")
    expect(page).to_have_url(re.compile(r"/learn$"))  # Python has been told
    page.reload()
    expect(page.locator("[data-lesson=words]")).to_contain_text(f"{len(asked)} answered")


def test_no_answer_is_in_the_page_before_one_is_given(visit: Callable[..., Visit], asked: list):
    told: list[str] = []
    page = open_page(visit)
    page.on("response", lambda response: told.append(response.text()) if "/learn/" in response.url else None)
    page.goto("/learn?lesson=words&part=2")
    wait_for(page, "words:2")
    assert told
    assert not [text for text in told if f"{asked[1].values[0]:.4f}" in text or '"values"' in text]


def test_an_own_sentence_goes_through_the_lesson_on_a_phone(visit: Callable[..., Visit]):
    page = open_page(visit, "/learn?lesson=scores&part=1", viewport=PHONE, color_scheme="dark")
    wait_for(page, "scores:1")
    page.get_by_text("A sentence of your own").click()
    page.locator("#sl-learn-own").fill(OWN)
    page.get_by_role("button", name="Use it").click()
    expect(page.locator(".sl-learn-text")).to_have_text(OWN)
    expect(page.get_by_text("“them” for “it”")).to_be_visible()
    page.get_by_role("button", name="Show me").click()
    expect(page.locator(".sl-learn-verdict")).to_have_text(re.compile("^Shown"))
    assert accessibility_faults(page) == []
    page.get_by_role("button", name="Next").click()
    wait_for(page, "scores:2")
    expect(page.locator(".sl-learn-passed")).to_have_text(
        "Passed over on this text: There is no “animal” in this text."
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page).to_have_url(re.compile("lesson=scores&part=2&own=Dogs"))


def test_back_returns_to_the_step_before(visit: Callable[..., Visit]):
    page = open_page(visit, "/learn?lesson=words&part=1")
    wait_for(page, "words:1")
    page.get_by_role("button", name="Show me").click()
    page.get_by_role("button", name="Next").click()
    wait_for(page, "words:2")
    expect(page).to_have_url(re.compile("part=2"))
    page.go_back()
    wait_for(page, "words:1")
