"""Step by step in a real browser: every number is the ledger's, every step can be reached, linked and explained."""

import random
import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
from playwright.sync_api import Page, expect

from attention_core import capture, load_model
from attention_core.ledger.packs import ledger_pack
from attention_core.ledger.steps import ledger
from tests.browser.steps.walking import TEXT, parsed, path
from tests.support.serving import PHONE, Visit, accessibility_faults, serve, skip_tour, wait_until_drawn

STEPS = ["x", "qkv", "scores", "scale", "mask", "softmax", "output", "joined", "residual"]
LONG = " ".join(["The old lighthouse keeper climbed the stairs and lit the lamp."] * 5)  # 62 tokens


def wait_for_address(page: Page, **wanted: str) -> None:
    page.wait_for_function(
        "wanted => { const found = new URLSearchParams(location.search);"
        " return Object.entries(wanted).every(([name, value]) => found.get(name) === value) }",
        arg=wanted,
    )


def address(page: Page) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(page.url).query).items()}


def title(page: Page) -> str:
    return page.get_by_test_id("sl-step").get_by_role("heading", level=2).inner_text()


def cells(page: Page) -> list[dict]:
    """Every number on screen that says which tensor it is of."""
    return page.locator("[data-tensor]").evaluate_all(
        "found => found.map(one => ({tensor: one.dataset.tensor, at: one.dataset.at, text: one.textContent}))"
    )


def test_every_number_is_the_ledgers_at_the_shown_precision(walk, trace):
    """Ten random cells of each step in Numbers, at four digits and at six."""
    page = walk(mode="numbers")
    tensors = {name: tensor for step in ledger(trace, 3, 1, 10) for name, tensor in step.tensors.items()}
    chosen = random.Random(4)
    for digits in (4, 6):
        page.get_by_label("Digits after the point").select_option(f"{digits} digits")
        for step in ledger(trace, 3, 1, 10):
            page.locator(f'[data-step="{step.name}"]').click()
            shown = cells(page)
            assert len(shown) >= 10, step.name
            for cell in chosen.sample(shown, 10):
                at = tuple(int(i) for i in cell["at"].split(",")) if cell["at"] else ()
                value = float(tensors[cell["tensor"]][at])
                assert len(cell["text"].split(".")[-1]) == digits
                assert abs(parsed(cell["text"]) - value) <= 0.5 * 10**-digits + 1e-9, (step.name, cell)


def test_no_number_is_shown_without_its_tensor(walk):
    page = walk(mode="numbers", step="softmax")
    stray = page.locator(".sl-step-body .sl-num:not([data-tensor])").count()
    assert stray == 0


def test_the_keyboard_walks_all_steps_and_the_address_follows(walk):
    page = walk(step="x")
    seen = [title(page)]
    for _ in STEPS[1:]:
        page.keyboard.press("ArrowRight")
        seen.append(title(page))
    assert [re.match(r"\d+", text)[0] for text in seen] == [str(i + 1) for i in range(len(STEPS))]  # type: ignore[index]
    wait_for_address(page, step=STEPS[-1])
    page.keyboard.press("ArrowLeft")
    wait_for_address(page, step=STEPS[-2])
    page.keyboard.press("Home")
    expect(page.get_by_test_id("sl-step")).to_contain_text("Input")
    expect(page.get_by_role("status").filter(has_text="Step 1 of")).to_have_count(1)


def test_tab_and_enter_reach_everything(walk):
    """Only the keyboard: next step, a mode, a number opened, closed again."""
    page = walk(step="qkv", mode="numbers")
    page.get_by_test_id("sl-next").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("sl-step")).to_contain_text("Scores")
    page.get_by_role("button", name="Numbers").focus()
    number = page.locator('[data-tensor="scores"][data-at="2"]')
    for _ in range(80):
        if number.evaluate("one => one.getRootNode().activeElement === one"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("sl-products")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("sl-products")).to_have_count(0)


def test_a_link_opens_the_same_step_mode_and_token_for_somebody_else(walk):
    page = walk(step="x")
    page.get_by_test_id("sl-head").select_option("7")
    page.get_by_test_id("sl-layer").select_option("4")
    page.get_by_test_id("sl-token").select_option(label="13 tired")
    page.locator('[data-step="softmax"]').click()
    page.get_by_role("button", name="Formula").click()
    wait_for_address(page, l="4", h="7", q="13", step="softmax", mode="formula")
    link = address(page)
    other = walk(**{name: link[name] for name in ("l", "h", "q", "step", "mode")})
    assert title(other) == title(page)
    expect(other.get_by_test_id("sl-token")).to_have_value("13 tired")
    expect(other.get_by_role("button", name="Formula")).to_have_attribute("aria-pressed", "true")


def test_from_explore_to_here_and_back_keeps_the_selection(visit: Callable[..., Visit]):
    page = visit().page
    page.goto(f"/?v=1&m=minilm&t={quote_plus(TEXT)}&l=2&h=5&q=6&k=3")
    wait_until_drawn(page)
    page.get_by_test_id("sl-follow").click()
    expect(page.get_by_test_id("sl-proof")).to_contain_text("steps close")
    expect(page.get_by_test_id("sl-layer")).to_have_value("2")
    expect(page.get_by_test_id("sl-head")).to_have_value("5")
    expect(page.get_by_test_id("sl-token")).to_have_value("6 cross")
    expect(page.locator("tr[data-chosen]")).to_contain_text("didn")
    page.locator('[data-step="scores"]').click()
    page.get_by_test_id("sl-head").select_option("6")
    page.get_by_role("link", name="all heads").click()
    expect(page.get_by_role("heading", name="Layer 2 · head 6")).to_be_visible()
    wait_for_address(page, l="2", h="6", q="6", k="3")


def test_a_number_opens_into_the_products_that_make_it(walk, trace):
    page = walk(step="qkv", mode="numbers")
    step = ledger(trace, 3, 1, 10).step("qkv")
    first = page.locator('[data-tensor="q"]').first
    component = int(first.get_attribute("data-at") or "")
    first.click()
    panel = page.get_by_test_id("sl-products")
    expect(panel).to_contain_text("12 of 384 products shown, largest first; the rest sums to")
    total = panel.locator('[data-product="total"]').inner_text()
    assert parsed(total) == pytest.approx(float(step.tensors["q"][component]), abs=1e-4)
    products = [parsed(text) for text in panel.locator('td [data-product="products"]').all_inner_texts()]
    left = [parsed(text) for text in panel.locator('td [data-product="left"]').all_inner_texts()]
    right = [parsed(text) for text in panel.locator('td [data-product="right"]').all_inner_texts()]
    assert len(products) == 12
    for a, b, product in zip(left, right, products, strict=True):
        assert a * b == pytest.approx(product, abs=2e-3)
    rest = parsed(panel.locator('p [data-product="rest"]').first.inner_text())
    bias = parsed(panel.locator('[data-product="bias"]').inner_text())
    assert sum(products) + rest + bias == pytest.approx(parsed(total), abs=2e-3)
    panel.get_by_role("button", name="all 384").click()
    expect(panel.locator('td [data-product="products"]')).to_have_count(384)


def test_a_number_of_an_earlier_step_goes_to_the_step_that_made_it(walk):
    page = walk(step="output")
    page.locator('[data-tensor="weights"]').first.click()
    expect(page.get_by_test_id("sl-step")).to_contain_text("Softmax")
    page.locator('[data-tensor="masked"]').first.click()
    expect(page.get_by_test_id("sl-step")).to_contain_text("Mask")
    page.locator('[data-step="scores"]').click()
    page.locator('[data-tensor="scores"]').first.click()
    page.get_by_test_id("sl-products").locator('[data-product="right"]').first.click()
    expect(page.get_by_test_id("sl-step")).to_contain_text("Query, key, value")


def test_words_and_symbols_explain_themselves_on_focus_and_hover(walk):
    page = walk(step="scores")
    page.locator(".sl-says .sl-term", has_text="query").focus()
    tip = page.get_by_role("tooltip")
    expect(tip).to_contain_text("The vector with which a token looks at others")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.get_by_role("button", name="Formula").click()
    page.locator(".sl-equation .sl-term").first.hover()
    expect(tip).to_contain_text("score")


def test_all_tokens_at_once_marks_the_row_and_the_column_and_a_click_follows_others(walk):
    page = walk(step="scores")
    page.get_by_test_id("sl-matrix").check()
    panel = page.get_by_test_id("sl-matrices")
    expect(panel.locator("canvas")).to_have_count(3)
    expect(panel.locator('.sl-marked[data-role="query"]')).to_have_count(2)
    expect(panel.locator('.sl-marked[data-role="key"]')).to_have_count(2)
    product = panel.locator("canvas").nth(2)
    box = product.bounding_box()
    assert box
    product.click(position={"x": box["width"] * 8.5 / 16, "y": box["height"] * 6.5 / 16})
    wait_for_address(page, q="6", k="8")


def test_every_step_has_its_picture_for_all_tokens(walk):
    """A page that asked for a picture that there is none of would log an error, and fail."""
    page = walk(step="x")
    page.get_by_test_id("sl-matrix").check()
    for step, n in zip(STEPS, (1, 3, 3, 2, 2, 2, 3, 3, 3), strict=True):
        page.locator(f'[data-step="{step}"]').click()
        expect(page.get_by_test_id("sl-matrices").locator("canvas")).to_have_count(n)


def test_the_code_shown_is_the_ledgers(walk, trace):
    page = walk(step="softmax", mode="code")
    expect(page.get_by_test_id("sl-code")).to_have_text(ledger(trace, 3, 1, 10).step("softmax").code)


def test_a_step_that_does_not_close_is_red_and_shows_both_numbers(visit: Callable[..., Visit], trace):
    """The server answers with the ledger of a trace whose scale is wrong."""
    layers = list(trace.layers)
    layers[3] = replace(trace.exact(3), scale=0.25)
    wrong = replace(trace, layers=tuple(layers))
    visitor = visit()
    visitor.allow("/steps/_stcore")
    visitor.page.route("**/ledger/3/1/10", lambda route: route.fulfill(status=200, body=ledger_pack(wrong, 3, 1, 10)))
    visitor.page.goto(path(step="softmax"))
    wait_until_drawn(visitor.page)
    proof = visitor.page.get_by_test_id("sl-proof")
    expect(proof).to_have_attribute("data-state", "bad")
    expect(proof).to_contain_text(re.compile(r"weights differ by 0\.\d+.*here, .* in the model \(query 10, key \d+\)"))
    expect(visitor.page.locator('.sl-stop[data-state="bad"]').first).to_contain_text("✗")
    expect(visitor.page.locator('.sl-checks [data-holds="false"]')).to_contain_text("in the model")


def test_numbers_that_are_gone_are_asked_for_again(visit: Callable[..., Visit]):
    visitor = visit()
    visitor.allow("410")
    visitor.allow("/steps/_stcore")
    gone = []

    def answer(route):
        if gone:
            route.continue_()
        else:
            gone.append(1)
            route.fulfill(status=410, json={"error": "this picture is no longer here"})

    visitor.page.route("**/ledger/3/1/10", answer)
    visitor.page.goto(path())
    wait_until_drawn(visitor.page)
    expect(visitor.page.get_by_test_id("sl-proof")).to_contain_text("steps close")


def test_a_step_changes_within_150_ms_at_64_tokens(walk):
    page = walk(text=LONG, step="x", q=30)
    times = []
    for key in ["ArrowRight"] * 8 + ["ArrowLeft"] * 8:
        times.append(
            page.evaluate(
                "key => { const start = performance.now();"
                " document.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));"
                " document.body.offsetHeight; return performance.now() - start }",
                key,
            )
        )
    assert sorted(times)[len(times) // 2] <= 150, times


def test_of_many_keys_those_that_matter_are_shown_first_and_all_on_demand(walk):
    text = " ".join([LONG] * 5)
    trace = capture(load_model("minilm"), text)
    page = walk(text=text, step="x", q=30)
    rows = page.locator(".sl-keys tbody tr")
    assert 16 <= rows.count() <= 18
    weights = trace.weights(3, 1)[30].sort(descending=True).values
    rest = page.locator('[data-tensor="rest"]').inner_text()
    assert parsed(rest) == pytest.approx(float(weights[16:].sum()), abs=1e-4)
    page.get_by_role("button", name=re.compile("show all")).first.click()
    expect(rows).to_have_count(len(trace.source_tokens))
    expect(page.locator(".sl-waiting")).to_have_count(0)
    page.get_by_role("button", name="Numbers").click()
    page.get_by_role("button", name="299", exact=False).first.click()
    wait_for_address(page, k="299")
    x = ledger(trace, 3, 1, 30).step("x").tensors["x_keys"]
    for cell in cells(page):
        if cell["tensor"] == "x_keys":
            at = tuple(map(int, cell["at"].split(",")))
            assert abs(parsed(cell["text"]) - float(x[at])) <= 0.51e-4


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("mode", ["story", "numbers", "formula", "code"])
def test_axe_finds_nothing_serious(walk, scheme, mode):
    page = walk(visit_options={"color_scheme": scheme}, step="qkv", mode=mode)
    for step in STEPS[1:]:
        if step in ("qkv", "softmax", "residual"):
            page.locator(f'[data-step="{step}"]').click()
            if step == "qkv" and mode == "numbers":
                page.locator('[data-tensor="q"]').first.click()
                page.get_by_test_id("sl-matrix").check()
                expect(page.get_by_test_id("sl-products")).to_contain_text("sum")
                expect(page.get_by_test_id("sl-matrices").locator("canvas")).to_have_count(3)
            assert accessibility_faults(page) == [], step


def test_a_phone_shows_every_step_without_sideways_scrolling(walk):
    page = walk(visit_options={"viewport": PHONE, "has_touch": True}, step="x")
    for mode in ("Story", "Numbers", "Formula", "Code"):
        page.get_by_test_id("sl-mode").select_option(mode)
        for step in STEPS:
            page.get_by_test_id("sl-step-name").select_option(step)
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, (mode, step)
            wide = page.get_by_test_id("sl-step").evaluate("one => one.scrollWidth - one.clientWidth")
            assert wide <= 1, (mode, step)


def test_large_type_reaches_the_steps(walk):
    page = walk(step="scores")
    number = page.locator('[data-tensor="scores"][data-at="5"]')
    expect(number).to_have_css("font-size", "14px")
    page.get_by_test_id("stPopover").get_by_role("button").click()
    page.get_by_text("Large type, for a projector").click()
    expect(number).to_have_css("font-size", "18px")


def test_tokens_are_data_never_markup(walk):
    page = walk(text="<b>bold</b> <script>document.title='x'</script>", q=2)
    assert page.title() != "x"
    expect(page.get_by_test_id("sl-step").locator("tbody")).to_contain_text("<")


def test_the_mean_over_heads_has_no_steps_and_the_page_says_so(walk):
    page = walk(h="mean")
    expect(page.get_by_text("has no steps of its own; head 0 is followed")).to_be_visible()
    expect(page.get_by_test_id("sl-head")).to_have_value("0")


def test_the_first_visitor_of_a_server_gets_the_page_with_its_frame(browser):
    with serve() as fresh:
        context = browser.new_context(base_url=fresh.url)
        skip_tour(context)
        page = context.new_page()
        page.goto(path(step="scores"))
        wait_until_drawn(page)
        expect(page.get_by_test_id("sl-text")).to_have_value(TEXT)
        context.close()
