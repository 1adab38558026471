"""What the model says, in a real browser: click a token, let the model write, and everything above follows."""

import re
import shutil
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import tiny
from tests.support.serving import PHONE, Server, accessibility_faults, new_visit, serve, skip_tour, wait_until_drawn

HEADS = {"gpt2": "GPT2LMHeadModel", "bert": "BertForMaskedLM", "bart": "BartForConditionalGeneration"}
PREDICTING = {
    "labels": ("bert", "BertForSequenceClassification"),
    "tags": ("bert", "BertForTokenClassification"),
    "answer": ("bert", "BertForQuestionAnswering"),
    "choices": ("bert", "BertForMultipleChoice"),
    "twice": ("bart", "BartForSequenceClassification"),
}
LABELS = {0: "O", 1: "<b>B-PER</b>", 2: "a label that is longer than others are and has no end in sight"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    """Tiny models with language heads, by family."""
    root = tmp_path_factory.mktemp("speakers")
    for name, architecture in HEADS.items():
        tiny.random_model(architecture, **tiny.FAMILIES[name][1]).save_pretrained(root / name)
        tiny.tokenizer(specials=name != "gpt2").save_pretrained(root / name)
    shutil.copytree(root / "bart", root / "bart-unseen")  # one that no other test has loaded
    for name, (family, architecture) in PREDICTING.items():
        labels = {} if name == "answer" else {"id2label": LABELS}
        sizes = {**tiny.FAMILIES[family][1], "eos_token_id": 3, **labels}
        tiny.random_model(architecture, **sizes).save_pretrained(root / name)
        tiny.tokenizer().save_pretrained(root / name)
    return {name: str(root / name) for name in (*HEADS, "bart-unseen", *PREDICTING)}


@pytest.fixture(scope="module")
def with_folders(folders) -> Iterator[Server]:
    with serve(env={"SIGHTLINE_FOLDERS": "1", "SIGHTLINE_MODEL": folders["gpt2"]}) as running:
        yield running


Open = Callable[..., Page]


@pytest.fixture
def open_model(with_folders: Server, browser: Browser, folders) -> Iterator[Open]:
    """Open a model on a text: `open_model("gpt2", "the cat sat", viewport=PHONE)`."""
    opened = []

    def open_page(name: str, text: str, more: str = "", **options) -> Page:
        context, visit = new_visit(browser, with_folders.url, **options)
        skip_tour(context)
        opened.append((context, visit))
        visit.page.goto(f"/?v=1&m={quote(folders[name], safe='')}&t={quote(text)}&l=0&h=0{more}")
        wait_until_drawn(visit.page)
        return visit.page

    yield open_page
    complaints = [line for _, visit in opened for line in visit.complaints()]
    for context, _ in opened:
        context.close()
    assert not complaints, "\n".join(complaints)


def choices(page: Page):
    return page.get_by_test_id("sl-readouts").locator(".sl-choice")


def words_offered(page: Page) -> list[str]:
    expect(choices(page).first).to_be_visible()  # the readout comes after the picture
    return choices(page).locator(".sl-token").all_inner_texts()


def test_a_clicked_token_goes_to_the_end_of_the_text_and_the_pictures_follow(open_model: Open):
    page = open_model("gpt2", "the cat sat")
    words = words_offered(page)
    word = next(word for word in words if not word.startswith("["))  # a special token cannot be typed
    before = wait_until_drawn(page)
    choices(page).nth(words.index(word)).click()
    wait_until_drawn(page, other_than=before)
    expect(page.get_by_test_id("sl-text")).to_have_value(f"the cat sat {word}")
    expect(page.get_by_test_id("sl-readouts")).to_contain_text(f"The next token, after {word}")


def test_the_model_continues_a_text_and_the_text_box_follows(open_model: Open):
    page = open_model("gpt2", "the cat sat")
    before = wait_until_drawn(page)
    page.locator(".st-key-readout_write button").click()
    wait_until_drawn(page, other_than=before)
    box = page.get_by_test_id("sl-text")
    expect(box).not_to_have_value("the cat sat")
    assert box.input_value().startswith("the cat sat")
    expect(page.locator(".st-key-readout")).to_contain_text("written")


def test_a_mask_is_filled_by_a_click(open_model: Open):
    page = open_model("bert", "the [MASK] sat on a mat")
    words = words_offered(page)
    word = next(word for word in words if not word.startswith("["))
    choices(page).nth(words.index(word)).click()
    expect(page.get_by_test_id("sl-text")).to_have_value(f"the {word} sat on a mat")


def test_a_decoder_writes_its_text_into_its_own_box(open_model: Open):
    page = open_model("bart", "the cat sat on a mat")
    page.locator(".st-key-readout_write button").click()
    expect(page.locator(".st-key-readout")).to_contain_text("written")
    expect(page.get_by_test_id("sl-text")).to_have_value("the cat sat on a mat")


def test_a_links_decoder_text_waits_for_its_model_and_gives_way_to_one_without_a_decoder(open_model: Open, folders):
    page = open_model("bart-unseen", "the cat sat", "&d=a+dog+ran")
    text, target = page.get_by_test_id("sl-text"), page.get_by_test_id("sl-target")
    expect(target).to_have_value("a dog ran")
    before = wait_until_drawn(page)
    text.fill("the cat slept")
    text.press("Enter")
    wait_until_drawn(page, other_than=before)
    expect(target).to_have_value("a dog ran")
    expect(page).to_have_url(re.compile("d=a\\+dog\\+ran"))
    before = wait_until_drawn(page)
    picker = page.get_by_role("combobox", name=re.compile("Model"))
    picker.click()
    picker.fill(folders["bert"])
    picker.press("Enter")
    wait_until_drawn(page, other_than=before)
    expect(target).to_be_hidden()
    expect(page.get_by_role("status").filter(has_text="has no decoder")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [None, PHONE], ids=["desktop", "phone"])
def test_the_panel_is_accessible_and_fits(open_model: Open, scheme, screen):
    page = open_model("gpt2", "the cat sat", color_scheme=scheme, **({"viewport": screen} if screen else {}))
    expect(choices(page).first).to_be_visible()
    assert not accessibility_faults(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_token_is_chosen_by_keyboard_and_the_next_one_from_there(open_model: Open):
    page = open_model("gpt2", "the cat sat")
    words = words_offered(page)
    index = next(i for i, word in enumerate(words) if not word.startswith("["))
    choice = choices(page).nth(index)
    before = choice.get_attribute("aria-label") or ""
    choice.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("sl-text")).to_have_value(f"the cat sat {words[index]}")
    expect(choice).not_to_have_attribute("aria-label", before)
    expect(choice).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [None, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize(
    ("name", "pair", "says"),
    [
        ("labels", "", "<b>B-PER</b>"),
        ("tags", "", "Every token, as a table"),
        ("answer", "a dog ran far away then", "no answer"),
        ("choices", "a dog ran%0Ait slept", "it slept"),
    ],
    ids=["labels", "tags", "answer", "choices"],
)
def test_a_prediction_is_shown_as_data_and_is_accessible(open_model: Open, name, pair, says, scheme, screen):
    """A label that looks like markup stands there as it is; one that is long does not push the page aside."""
    options = {"color_scheme": scheme, **({"viewport": screen} if screen else {})}
    page = open_model(name, "the cat sat on a mat", f"&p={pair}" if pair else "", **options)
    panel = page.get_by_test_id("sl-readouts")
    expect(panel).to_contain_text(says)
    expect(panel).to_contain_text(re.compile(r"\d\.\d %"))
    if name == "tags":
        panel.get_by_text("Every token, as a table").click()
    assert panel.locator("b").count() == 0
    assert not accessibility_faults(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_classifier_that_reads_twice_has_no_box_for_its_decoder_and_reads_pairs(open_model: Open):
    page = open_model("twice", "the cat sat on a mat")
    expect(page.get_by_test_id("sl-readouts")).to_contain_text("The model’s label")
    expect(page.get_by_test_id("sl-target")).to_be_hidden()
    expect(page.get_by_text("Decoder text", exact=True)).to_be_hidden()
    expect(page.get_by_text("has its decoder read the whole text once more").first).to_be_visible()
