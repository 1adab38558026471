"""The Heads page in a real browser: one selection, sorted and filtered, found by a look, linked, opened in Explore."""

import re
from collections.abc import Callable
from urllib.parse import quote_plus

import pandas
import pytest
import torch
from playwright.sync_api import Page, expect

from attention_core import capture, load_model
from attention_core.heads.catalogue import METRICS
from attention_core.reading.contribution import contributions
from tests.support.serving import PHONE, Visit, accessibility_faults, at_rest, wait_until_drawn

TEXT = "The animal didn't cross the street because it was too tired."


@pytest.fixture(scope="module")
def trace():
    return capture(load_model("minilm"), TEXT)


def path(**params: object) -> str:
    chosen = {"v": 1, "m": "minilm", "t": TEXT, "l": 3, "h": 1, **params}
    return "/heads?" + "&".join(f"{name}={quote_plus(str(value))}" for name, value in chosen.items())


@pytest.fixture
def heads(visit: Callable[..., Visit]) -> Callable[..., Page]:
    """Open the page, with its labels: `heads(hm="rare")`; options of the visit as `visit_options={…}`."""

    def open_page(visit_options: dict | None = None, **params: object) -> Page:
        visitor = visit(**(visit_options or {}))
        visitor.allow("/heads/_stcore")  # Streamlit looks for its server below the page's address first
        visitor.page.goto(path(**params))
        visitor.page.locator('[data-ready$=":labels"]').wait_for(state="attached")
        return visitor.page

    return open_page


def wait_for_address(page: Page, **wanted: str) -> None:
    page.wait_for_function(
        "wanted => { const found = new URLSearchParams(location.search);"
        " return Object.entries(wanted).every(([name, value]) => found.get(name) === value) }",
        arg=wanted,
    )


def names(page: Page) -> list[str]:
    return page.get_by_test_id("sl-heads-table").locator("tbody th a").all_inner_texts()


def row(page: Page, head: str):
    return page.get_by_test_id("sl-heads-table").locator(f'tr[data-head="{head}"]')


def cell(page: Page, head: str):
    return page.get_by_test_id("sl-heads-map").locator(f'[data-head="{head}"]')


def selected_everywhere(page: Page, head: str) -> None:
    layer, number = head.split(".")
    expect(row(page, head)).to_have_attribute("aria-current", "true")
    expect(cell(page, head)).to_have_attribute("aria-selected", "true")
    expect(page.get_by_test_id("sl-heads-title")).to_have_text(f"Layer {layer} · head {number}")
    expect(page.get_by_test_id("sl-heads-scatter").locator(".sl-hm-readout")).to_contain_text(
        f"Layer {layer} · head {number}:"
    )
    expect(page.locator('tr[aria-current="true"]')).to_have_count(1)


def test_the_table_has_every_head_and_is_sorted_by_its_headings(heads, trace):
    page = heads()
    assert names(page) == [f"{layer}.{head}" for layer in range(6) for head in range(12)]
    page.locator('[data-sort="previous"]').click()
    assert names(page)[0] == "0.2"
    title = page.locator("th:has([data-sort='previous'])")
    expect(title).to_have_attribute("aria-sort", "descending")
    page.locator('[data-sort="previous"]').click()
    expect(title).to_have_attribute("aria-sort", "ascending")
    assert names(page)[-1] == "0.2"
    wait_for_address(page, hs="previous")


def test_the_filter_leaves_what_it_says_in_all_three_views(heads):
    page = heads()
    page.get_by_test_id("sl-only-label").select_option("previous")
    left = names(page)
    assert 1 <= len(left) < 72
    assert "0.2" in left
    assert page.get_by_test_id("sl-heads-map").locator("[data-out]").count() == 72 - len(left)
    expect(page.get_by_test_id("sl-heads-count")).to_have_text(f"{len(left)} of 72 heads")
    page.get_by_test_id("sl-only-label").select_option("")
    page.get_by_test_id("sl-only-metric").select_option("previous")
    page.get_by_test_id("sl-only-least").fill("0.9")
    assert names(page) == ["0.2"]
    wait_for_address(page, hf="previous:0.9")
    page.get_by_role("button", name="clear filter").click()
    assert len(names(page)) == 72


def test_table_map_and_scatter_share_one_selection(heads):
    page = heads(hx="positional")
    selected_everywhere(page, "3.1")
    row(page, "0.4").locator("td").nth(3).click()
    selected_everywhere(page, "0.4")
    cell(page, "2.7").click()
    selected_everywhere(page, "2.7")
    plot = page.locator("[data-testid=sl-scatter-figure][data-drawn]")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    # Head 0.2 stands alone near the top right corner: previous token 1, positional 0.93.
    ring = page.get_by_test_id("sl-heads-scatter").locator(".sl-sp-hovered")
    for x in range(int(box["width"]) - 8, int(box["width"]) // 2, -6):
        plot.hover(position={"x": x, "y": 36})
        if ring.evaluate("one => !one.hidden"):  # its box is a point: Playwright calls that invisible
            plot.click(position={"x": x, "y": 36})
            break
    selected_everywhere(page, "0.2")
    wait_for_address(page, l="0", h="2")


def test_the_keyboard_alone_chooses_and_opens(heads):
    page = heads()
    cell(page, "3.1").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    selected_everywhere(page, "2.2")
    row(page, "2.2").locator("a").focus()
    page.keyboard.press("ArrowDown")
    selected_everywhere(page, "2.3")
    page.get_by_role("application").focus()
    page.keyboard.press("End")
    selected_everywhere(page, "5.11")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Layer 5 · head 11")).to_be_visible()
    expect(page.get_by_test_id("sl-atlas")).to_be_visible()


def test_from_any_row_to_explore_and_back_keeps_everything(heads):
    page = heads(hm="reach", hx="rare", hy="first", hs="-reach", hf="layer:4", q=10, k=2)
    before = names(page)
    assert len(before) == 12
    for head in (before[0], before[5], before[11]):
        row(page, head).locator("a").click()
        layer, number = head.split(".")
        expect(page.get_by_role("heading", name=f"Layer {layer} · head {number}")).to_be_visible()
        expect(page.get_by_test_id("sl-atlas")).to_be_visible()
        wait_for_address(page, l=layer, h=number, q="10", k="2")
        page.get_by_test_id("stTopNavLink").filter(has_text="Heads").click()
        page.locator('[data-ready$=":labels"]').wait_for(state="attached")
        selected_everywhere(page, head)
        assert names(page) == before
        expect(page.get_by_test_id("sl-map-metric")).to_have_value("reach")
        expect(page.get_by_test_id("sl-metric-x")).to_have_value("rare")
        expect(page.get_by_test_id("sl-metric-y")).to_have_value("first")


def test_the_norm_based_switch_changes_every_number_and_goes_along_to_explore(heads, trace):
    page = heads(q=10, k=2, hm="look", hs="-look")
    first = page.get_by_test_id("sl-find-ranked").locator("li").first
    expect(first).to_contain_text(f"{float(trace.weights(3, 1)[10, 2]):.4f}")
    page.get_by_test_id("sl-heads-norm").click()
    shares = torch.stack([contributions(layer, head, slice(10, 11))[0] for layer in trace.layers for head in range(12)])
    best = float((shares[:, 2] / shares.sum(dim=1)).max())
    expect(first).to_contain_text(f"{best:.4f}")
    expect(page.get_by_test_id("sl-heads-reading")).to_contain_text("as a share of its row, not of the weights")
    wait_for_address(page, c="1", q="10", k="2", hm="look")
    page.get_by_test_id("sl-heads-open").click()
    expect(page.get_by_test_id("sl-atlas")).to_be_visible()
    page.get_by_test_id("sl-options").click()
    expect(page.get_by_label("norm-based: ‖a·v·W_O‖")).to_be_checked()
    page.keyboard.press("Escape")
    page.get_by_test_id("stTopNavLink").filter(has_text="Heads").click()
    expect(page.get_by_test_id("sl-heads-norm")).to_have_attribute("aria-pressed", "true")
    page.get_by_test_id("sl-heads-weights").click()
    expect(first).to_contain_text(f"{float(trace.weights(3, 1)[10, 2]):.4f}")


def test_a_second_click_on_a_cell_opens_the_head(heads):
    page = heads()
    cell(page, "1.3").click()
    selected_everywhere(page, "1.3")
    cell(page, "1.3").click()
    expect(page.get_by_test_id("sl-atlas")).to_be_visible()
    wait_for_address(page, l="1", h="3")


def test_heads_that_look_from_it_to_animal_are_found(heads, trace):
    page = heads()
    tokens = page.get_by_test_id("sl-find").locator(".sl-token")
    tokens.nth(10).click()
    tokens.nth(2).click()
    expect(page.get_by_test_id("sl-find-query")).to_have_text("it")
    expect(page.get_by_test_id("sl-find-key")).to_have_text("animal")
    first = page.get_by_test_id("sl-find-ranked").locator("li").first
    expect(first).to_contain_text("3.1")
    expect(first).to_contain_text(f"{float(trace.weights(3, 1)[10, 2]):.4f}")
    expect(page.get_by_test_id("sl-map-metric")).to_have_value("look")
    assert names(page)[0] == "3.1"
    wait_for_address(page, q="10", k="2", hm="look", hs="-look")
    # What opens in a tab of its own is this view too.
    link = re.compile("(?=.*[?&]l=5&)(?=.*&h=11(&|$))(?=.*&q=10(&|$))(?=.*&k=2(&|$))")
    expect(row(page, "5.11").locator("a")).to_have_attribute("href", link)


def test_a_look_is_found_with_the_keyboard(heads):
    page = heads()
    page.get_by_test_id("sl-find").locator(".sl-token").first.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("sl-find-query")).to_have_text("it")
    for _ in range(8):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("sl-find-ranked").locator("li").first).to_contain_text("3.1")


def test_a_link_restores_the_view_for_somebody_else(heads):
    page = heads()
    cell(page, "0.2").click()
    page.get_by_test_id("sl-map-metric").select_option("diagonal")
    page.locator('[data-sort="entropy"]').click()
    page.get_by_test_id("sl-only-layer").select_option("0")
    wait_for_address(page, l="0", h="2", hm="diagonal", hs="-entropy", hf="layer:0")
    other = heads(l=0, h=2, hm="diagonal", hs="-entropy", hf="layer:0")
    assert names(other) == names(page)
    selected_everywhere(other, "0.2")
    expect(other.get_by_test_id("sl-map-metric")).to_have_value("diagonal")


def test_the_label_card_shows_score_null_spread_and_n(heads):
    page = heads(l=0, h=2)
    expect(page.get_by_test_id("sl-heads-chip")).to_contain_text("previous token")
    card = page.get_by_test_id("sl-label-card")
    card.get_by_text("The evidence").click()
    for part in ("score", "chance (null)", "±", "n = "):
        expect(card).to_contain_text(part)
    cell(page, "3.1").click()
    expect(page.get_by_test_id("sl-heads-chip")).to_have_text("unlabelled")
    expect(card).to_contain_text("Unlabelled, the normal answer")


def test_a_metric_explains_itself_on_focus_and_escape_takes_it_away(heads):
    page = heads()
    page.locator('[data-sort="induction"]').focus()
    tip = page.get_by_role("tooltip")
    expect(tip).to_contain_text("earlier occurrences")
    expect(tip).to_contain_text("0 to 1")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_heads_like_this_one_can_be_chosen(heads):
    page = heads(l=0, h=2)
    like = page.get_by_test_id("sl-heads-like").locator("button")
    expect(like).to_have_count(6)
    name = like.first.locator(".sl-name").inner_text()
    like.first.click()
    selected_everywhere(page, name)


def test_across_layers_follows_a_token_by_rollout_and_by_flow(heads):
    page = heads(q=10)
    across = page.get_by_test_id("sl-across")
    expect(page.get_by_test_id("sl-across-title")).to_contain_text("“it”")
    expect(page.get_by_test_id("sl-across-bars").locator("li").first).to_be_visible()
    rolled = page.get_by_test_id("sl-across-bars").inner_text()
    across.get_by_role("button", name="Flow").click()
    expect(page.get_by_test_id("sl-across-bars")).not_to_have_text(rolled)
    expect(page.get_by_test_id("sl-writes-says")).to_contain_text("no language head")


def test_the_storyteller_says_which_words_a_head_raises(heads):
    page = heads(m="storyteller", t="Once upon a time there was a king.", l=1, h=0)
    expect(page.get_by_test_id("sl-writes-raised").locator("li")).to_have_count(10)
    expect(page.get_by_test_id("sl-writes-lowered").locator("li").first).to_contain_text("−")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(heads, scheme):
    page = heads(visit_options={"color_scheme": scheme}, q=10, k=2, hm="look")
    page.wait_for_timeout(400)
    assert accessibility_faults(page) == []


def test_a_phone_shows_everything_without_sideways_scrolling(heads):
    page = heads(visit_options={"viewport": PHONE, "has_touch": True}, q=10, k=2)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    for part in ("sl-heads-map", "sl-heads-scatter", "sl-heads-panel", "sl-find", "sl-heads-table", "sl-across"):
        box = page.get_by_test_id(part).bounding_box()
        assert box
        assert box["x"] + box["width"] <= PHONE["width"], part
    cell(page, "0.2").click()
    expect(page.get_by_test_id("sl-heads-title")).to_have_text("Layer 0 · head 2")


def test_hovering_sends_no_frame(visit: Callable[..., Visit]):
    visitor = visit()
    visitor.allow("/heads/_stcore")
    page = visitor.page
    page.goto(path())
    page.locator('[data-ready$=":labels"]').wait_for(state="attached")
    at_rest(visitor)
    frames = len(visitor.sent)
    for head in range(12):
        cell(page, f"2.{head}").hover()
    page.wait_for_timeout(600)
    assert len(visitor.sent) == frames


def test_tokens_are_data_never_markup(heads):
    page = heads(t="<b>bold</b> <script>document.title='x'</script>", q=2, k=1)
    assert page.title() != "x"
    expect(page.get_by_test_id("sl-find").locator(".sl-tokens")).to_contain_text("<")


def test_large_type_reaches_the_page(heads):
    page = heads()
    link = row(page, "3.1").locator("a")
    expect(link).to_have_css("font-size", "14px")
    page.get_by_test_id("stPopover").get_by_role("button").click()
    page.get_by_text("Large type, for a projector").click()
    expect(link).to_have_css("font-size", "18px")


def test_another_text_keeps_the_choice_and_the_labels(heads):
    page = heads(l=0, h=2, hm="reach")
    ready = page.locator("[data-ready]").first.get_attribute("data-ready") or ""
    box = page.get_by_test_id("sl-text")
    box.fill("Dogs that chase cats are often tired.")
    box.press("Enter")
    wait_until_drawn(page, other_than=ready)
    selected_everywhere(page, "0.2")
    expect(page.get_by_test_id("sl-map-metric")).to_have_value("reach")
    expect(page.get_by_test_id("sl-labels-status")).to_contain_text(re.compile(r"\d+ of 72 heads carr"))


def test_a_survey_is_stopped_goes_on_and_gives_its_table(heads, tmp_path):
    page = heads()
    texts = {"one.txt": TEXT * 120, "two.txt": "The king sat on the hill and looked at the sea. " * 120}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files([tmp_path / name for name in texts])
    page.get_by_role("button", name="Start the survey").click()
    page.get_by_role("button", name="Stop and keep what was read").click()
    expect(page.get_by_text(re.compile("2 files, minilm: Stopped"))).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text(re.compile(r"2 files, minilm: \d+ windows of 256 tokens read"))).to_be_visible(
        timeout=100_000
    )
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    table = pandas.read_csv(download.value.path())
    assert set(table["id"]) >= {metric.id for metric in METRICS}
    card = table[(table.measure == "label") & (table.id == "previous") & (table.layer == 0) & (table["head"] == 2)]
    assert set(card[card["labelled"].eq(True)]["length"]) == {16, 64, 256}
