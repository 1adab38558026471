"""Languages and a chat template in a real browser: chosen beside the model, counted, in the address, kept by a link."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.chatty import bare, tokenizer
from tests.support.serving import PHONE, Server, accessibility_faults, new_visit, serve, skip_tour, wait_until_drawn
from tests.support.translators import SOURCE, TARGET, build


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("told")
    for name, (model, words) in {"nllb": build("nllb", root / "files"), "chatty": (bare(), tokenizer())}.items():
        model.save_pretrained(root / name)
        words.save_pretrained(root / name)
    return {name: str(root / name) for name in ("nllb", "chatty")}


@pytest.fixture(scope="module")
def server(folders) -> Iterator[Server]:
    with serve(env={"SIGHTLINE_FOLDERS": "1", "SIGHTLINE_MODEL": folders["nllb"]}) as running:
        yield running


@pytest.fixture
def open_model(server: Server, browser: Browser, folders) -> Iterator[Callable[..., Page]]:
    opened = []

    def open_page(name: str, more: str, **options) -> Page:
        context, visit = new_visit(browser, server.url, **options)
        skip_tour(context)
        opened.append((context, visit))
        visit.page.goto(f"/?v=1&m={quote(folders[name], safe='')}&l=0&h=0{more}")
        wait_until_drawn(visit.page)
        return visit.page

    yield open_page
    complaints = [line for _, visit in opened for line in visit.complaints()]
    for context, _ in opened:
        context.close()
    assert not complaints, "\n".join(complaints)


def test_a_language_is_chosen_beside_the_model_and_is_in_the_address(open_model):
    page = open_model("nllb", f"&t={quote(SOURCE)}&d={quote(TARGET)}")
    to = page.get_by_role("combobox", name=re.compile("^To"))
    expect(to).to_be_visible()
    before = wait_until_drawn(page)
    to.click()
    to.fill("deu_L")
    page.get_by_role("option", name="deu_Latn").click()
    wait_until_drawn(page, other_than=before)
    expect(page).to_have_url(re.compile("tl=deu_Latn"))
    page.reload()
    wait_until_drawn(page)
    expect(page.get_by_role("combobox", name=re.compile("^To"))).to_have_value("deu_Latn")
    assert accessibility_faults(page) == []


def test_the_chat_template_is_a_switch_that_the_count_follows(open_model):
    page = open_model("chatty", f"&t={quote('the cat sat')}", viewport=PHONE)
    expect(page.get_by_test_id("sl-count")).to_have_text("4 of 64 tokens")
    page.get_by_text("Chat template").click()
    expect(page.get_by_test_id("sl-count")).to_have_text("7 of 64 tokens")
    expect(page).to_have_url(re.compile("chat=1"))
    expect(page.get_by_test_id("sl-text")).to_have_value("the cat sat")
    assert accessibility_faults(page) == []
