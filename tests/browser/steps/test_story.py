"""The pictures of Step by step: they show what a reader knows who knows matrices, number for number."""

import pytest

from attention_core.ledger.steps import ledger
from tests.browser.steps.walking import box, numbers, parsed

WIDTHS = [(390, 844), (768, 1024), (1280, 800), (1920, 1080)]


def sized(width: int, height: int) -> dict:
    return {"viewport": {"width": width, "height": height}}


@pytest.mark.parametrize("size", WIDTHS)
def test_q_is_a_product_of_matrices_with_its_sizes_and_each_number_stands_under_its_column(walk, size):
    page = walk(visit_options=sized(*size), step="qkv")
    said = page.get_by_test_id("sl-sizes").inner_text().replace("\n", " ")
    assert "1 × 384" in said and "384 × 32" in said and "1 × 32" in said
    page.get_by_role("button", name="the next column").click()
    page.get_by_test_id("sl-out").wait_for()
    weights, result = (page.locator(f'.sl-block[data-kind="{kind}"]') for kind in ("map", "result"))
    assert box(weights)["x"] == pytest.approx(box(result)["x"], abs=0.5)
    assert box(weights)["right"] == pytest.approx(box(result)["right"], abs=0.5)
    assert box(weights)["bottom"] < box(result)["y"]
    above, below = (box(one.locator(".sl-lit")) for one in (weights, result))
    assert above["x"] == pytest.approx(below["x"], abs=0.5) and above["width"] == pytest.approx(below["width"], abs=0.5)
    assert box(page.locator('.sl-block[data-kind="input"]'))["y"] == pytest.approx(box(result)["y"], abs=0.5)


@pytest.mark.parametrize(("letter", "name"), [("Query", "q"), ("Key", "k"), ("Value", "v")])
def test_the_lit_column_multiplied_out_adds_up_to_the_number_under_it(walk, trace, letter, name):
    page = walk(step="qkv", k=2)
    page.get_by_role("group", name="Which map").get_by_role("button", name=letter).click()
    page.locator('.sl-block[data-kind="map"] canvas').click(position={"x": 1, "y": 20})
    out = page.get_by_test_id("sl-out")
    out.locator('[data-kind="sum"] .sl-num').wait_for()
    assert page.get_by_test_id("sl-lit").inner_text() == "0"
    tensor = ledger(trace, 3, 1, 10).step("qkv").tensors[name]
    total = parsed(out.locator('[data-kind="sum"] .sl-num').inner_text())
    assert total == pytest.approx(float(tensor[0] if name == "q" else tensor[2, 0]), abs=0.51e-4)
    left, right, products = (numbers(out.locator(f'[data-product="{side}"]')) for side in ("left", "right", "products"))
    assert len(products) == 4
    for a, b, product in zip(left, right, products, strict=True):
        assert a * b == pytest.approx(product, abs=2e-3)
    rest, bias = (numbers(out.locator(f'[data-product="{side}"]'))[0] for side in ("rest", "bias"))
    assert sum(products) + rest + bias == pytest.approx(total, abs=5e-4)
    assert "the other 380 products, added up" in out.inner_text()


@pytest.mark.parametrize("size", WIDTHS)
def test_query_key_products_and_sum_stand_component_under_component(walk, size):
    page = walk(visit_options=sized(*size), step="scores")
    lines = page.get_by_test_id("sl-one-score").locator(".sl-pair-cell")
    page.locator(".sl-pair-told .sl-num").first.wait_for()
    pictures = [box(lines.nth(i).locator("> *")) for i in range(4)]
    for other in pictures[1:]:
        assert other["x"] == pytest.approx(pictures[0]["x"], abs=0.1)
        assert other["width"] == pytest.approx(pictures[0]["width"], abs=0.1)
    assert [one["y"] for one in pictures] == sorted(one["y"] for one in pictures)
    column = box(page.locator(".sl-lead canvas"))
    for key in page.locator(".sl-keys tbody canvas").all():
        assert box(key)["x"] == pytest.approx(column["x"], abs=0.1)
        assert box(key)["width"] == pytest.approx(column["width"], abs=0.1)
    page.get_by_role("button", name="from the first component").click()
    for _ in range(4):
        page.get_by_role("button", name="one component more").click()
    mark = box(page.locator(".sl-pair-at"))
    width = pictures[0]["width"] / 32
    assert mark["x"] == pytest.approx(pictures[0]["x"] + 4 * width, abs=0.5)
    assert mark["width"] == pytest.approx(width, abs=0.5)


def test_the_products_grow_into_the_score_one_by_one(walk, trace):
    page = walk(step="scores", k=3)
    tensors = ledger(trace, 3, 1, 10).step("scores").tensors
    products = (tensors["q"].double() * tensors["k"][3].double()).tolist()
    told = page.locator(".sl-pair-told")
    assert numbers(told.locator(".sl-num")) == [pytest.approx(float(tensors["scores"][3]), abs=1e-4)]
    for n in (1, 2, 3):
        page.get_by_role("button", name="one component more").click()
        left, right, product, total = numbers(told.locator(".sl-num"))
        assert left * right == pytest.approx(products[n - 1], abs=1e-3)
        assert product == pytest.approx(products[n - 1], abs=0.51e-4)
        assert total == pytest.approx(sum(products[:n]), abs=0.51e-4)
    page.get_by_role("button", name="one component less").click()
    assert page.get_by_test_id("sl-one-score").get_attribute("data-added") == "2"


def test_the_score_grows_by_itself_when_asked_and_stops_when_asked(walk):
    page = walk(step="scores")
    page.get_by_test_id("sl-pair-run").click()
    page.get_by_test_id("sl-pair-run").filter(has_text="stop").click()
    added = int(page.get_by_test_id("sl-one-score").get_attribute("data-added") or "")
    assert 0 <= added < 32
    page.get_by_test_id("sl-pair-run").click()
    page.get_by_test_id("sl-pair-run").filter(has_text="add them up").wait_for()
    assert page.get_by_test_id("sl-one-score").get_attribute("data-added") == "32"


def test_who_prefers_no_motion_has_none_and_still_goes_through_the_components(walk):
    page = walk(visit_options={"reduced_motion": "reduce"}, step="scores")
    page.get_by_role("button", name="one component more").click()
    assert page.get_by_test_id("sl-one-score").get_attribute("data-added") == "1"
    assert page.get_by_test_id("sl-pair-run").count() == 0


def test_a_causal_model_opens_on_a_token_in_the_middle_with_the_named_map_first(walk):
    page = walk(m="storyteller", t="Once upon a time there was a little fox who lived in the wood", q="", step="mask")
    queries = page.get_by_test_id("sl-token").locator("option").count()
    chosen = page.get_by_test_id("sl-token").evaluate("box => box.selectedIndex")
    assert queries // 3 <= chosen < queries - queries // 3
    assert page.locator("tr[data-masked]").count() > 0
    map_of = page.get_by_test_id("sl-mask-map")
    map_of.locator("canvas").wait_for()
    assert box(map_of)["bottom"] < box(page.locator(".sl-keys"))["y"]
    names = page.locator('.sl-names[data-role="query"] bdi')
    assert names.count() == queries
    canvas = box(map_of.locator("canvas"))
    for i in (0, queries - 1):
        middle = box(names.nth(i))["y"] + box(names.nth(i))["height"] / 2
        assert middle == pytest.approx(canvas["y"] + canvas["height"] * (i + 0.5) / queries, abs=2)
    columns = page.locator('.sl-names[data-role="key"] bdi')
    for i in (0, queries - 1):
        middle = box(columns.nth(i))["x"] + box(columns.nth(i))["width"] / 2
        assert middle == pytest.approx(canvas["x"] + canvas["width"] * (i + 0.5) / queries, abs=2)


def test_a_model_without_a_mask_says_why(walk):
    page = walk(step="mask")
    said = page.locator(".sl-says").inner_text()
    assert "Nothing is masked" in said and "all of it is there from the start" in said


@pytest.mark.parametrize("size", WIDTHS)
def test_the_first_step_begins_with_the_embedding_and_adds_up_to_the_input(walk, trace, size):
    page = walk(visit_options=sized(*size), step="x")
    step = ledger(trace, 3, 1, 10).step("x")
    terms = page.get_by_test_id("sl-sum").locator(".sl-sum-strip")
    assert [one.get_attribute("data-term") for one in terms.all()] == ["embedding", "put_in", "gathered", "x"]
    assert "384 numbers" in page.locator(".sl-says").inner_text()
    page.get_by_role("button", name="the next component").click()
    places = [box(terms.nth(i)) for i in range(4)]
    for other in places[1:]:
        assert (other["x"], other["width"]) == pytest.approx((places[0]["x"], places[0]["width"]), abs=0.1)
    shown = page.get_by_test_id("sl-sum").locator("[data-tensor]")
    at = {int(one.get_attribute("data-at") or "") for one in shown.all() if one.evaluate("e => e.tagName") != "CANVAS"}
    (component,) = at
    values = [float(step.tensors[name][component]) for name in ("embedding", "put_in", "gathered", "x")]
    assert numbers(page.locator(".sl-sum-number .sl-num")) == pytest.approx(values, abs=0.51e-4)
    assert sum(values[:3]) == pytest.approx(values[3], abs=1e-5)


def on_screen(page, found) -> bool:
    place = box(found)
    return place["y"] >= 0 and place["bottom"] <= page.viewport_size["height"] + 1


def test_what_a_number_opens_stands_under_its_row_and_is_scrolled_to(walk):
    page = walk(step="scores", k=2)  # whose score stands in the sentence and beside the strips too
    last = page.locator('tr[data-chosen] [data-tensor="scores"]')
    last.click()
    panel = page.get_by_test_id("sl-products")
    panel.wait_for()
    page.wait_for_timeout(300)
    assert box(panel)["y"] == pytest.approx(box(last)["bottom"], abs=30)
    assert on_screen(page, panel)


def test_all_tokens_at_once_is_on_the_screen_when_it_opens(walk):
    page = walk(visit_options=sized(1280, 768), step="output")
    page.get_by_test_id("sl-matrix").check()
    panel = page.get_by_test_id("sl-matrices")
    panel.locator("canvas").first.wait_for()
    page.wait_for_timeout(300)
    assert on_screen(page, panel)


def test_the_weighted_sum_is_on_the_screen_with_its_parts_at_768_pixels(walk):
    page = walk(visit_options=sized(1366, 768), step="softmax")
    page.get_by_test_id("sl-next").click()
    result = page.get_by_test_id("sl-result")
    result.wait_for()
    assert on_screen(page, result) and on_screen(page, page.locator("tr[data-chosen]"))
    parts = page.locator(".sl-keys tbody tr")
    page.mouse.move(600, 600)
    page.mouse.wheel(0, 420)
    page.wait_for_timeout(300)
    assert on_screen(page, result) and all(on_screen(page, parts.nth(i)) for i in range(parts.count()))
    assert box(page.get_by_test_id("sl-next"))["bottom"] < box(result)["y"]  # not under what stays at the top


def test_what_the_heads_wrote_is_seen_and_adds_up_to_the_new_vector(walk, trace):
    page = walk(step="joined")
    tensors = {name: one for step in ledger(trace, 3, 1, 10).steps[-2:] for name, one in step.tensors.items()}
    for step, names in (
        ("joined", ["head_write", "others_write", "bias_write", "written"]),
        ("residual", ["resid_pre", "head_write", "others_write", "bias_write", "resid_mid"]),
    ):
        page.locator(f'[data-step="{step}"]').click()
        terms = page.get_by_test_id("sl-sum").locator(".sl-sum-strip")
        assert [one.get_attribute("data-term") for one in terms.all()] == names
        found = page.locator(".sl-sum-number .sl-num")
        at = int(found.last.get_attribute("data-at") or "")
        values = [float(tensors[name][at]) for name in names]
        assert numbers(found) == pytest.approx(values, abs=0.51e-4)
        assert sum(values[:-1]) == pytest.approx(values[-1], abs=1e-4)


def test_the_last_step_goes_on_to_the_next_layer_and_then_to_what_the_model_says(walk):
    page = walk(step="residual", l=4)
    page.get_by_test_id("sl-onward-layer").click()
    page.wait_for_function("() => new URLSearchParams(location.search).get('l') === '5'")
    assert page.get_by_test_id("sl-step-name").input_value() == "x"
    page.locator('[data-step="residual"]').click()
    assert page.get_by_test_id("sl-onward-layer").count() == 0
    page.get_by_test_id("sl-to-says").click()
    page.get_by_text("What the model says").first.wait_for()


def test_the_slider_shows_why_a_root_on_numbers_that_were_measured(walk, trace):
    page = walk(step="scale")
    slider = page.get_by_test_id("sl-random-size")
    tensors = ledger(trace, 3, 1, 10).step("scale").tensors
    assert slider.input_value() == "4"  # d = 32, this head's own size
    spreads = []
    for i, d in enumerate((2, 4, 8, 16, 32, 64, 128, 256)):
        slider.fill(str(i))
        assert page.get_by_test_id("sl-random-d").inner_text() == str(d)
        spread = parsed(page.locator(f'.sl-random [data-tensor="random_spreads"][data-at="{i}"]').inner_text())
        assert spread == pytest.approx(d**0.5, rel=0.05)
        spreads.append(spread)
        for name in ("random_weights", "random_scaled_weights"):
            shown = numbers(page.locator(f'.sl-random [data-tensor="{name}"]'))
            assert shown == pytest.approx(tensors[name][i].tolist(), abs=0.51e-4)
            assert sum(shown) == pytest.approx(1, abs=1e-3)
    assert spreads == sorted(spreads)
    assert max(numbers(page.locator('.sl-random [data-tensor="random_weights"]'))) > 0.99  # at 256, nearly all to one
    own = parsed(page.locator('[data-tensor="score_spread"]').inner_text())
    q, k = trace.exact(3).q[1].double(), trace.exact(3).k[1].double()
    assert own == pytest.approx(float((q @ k.T).std(correction=0)), abs=1e-3)
    assert "near 1" not in page.get_by_test_id("sl-step").inner_text()


def test_the_arrows_on_the_slider_move_the_slider_and_not_the_step(walk):
    page = walk(step="scale")
    page.get_by_test_id("sl-random-size").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_test_id("sl-random-d").inner_text() == "64"
    assert page.get_by_test_id("sl-step-name").input_value() == "scale"


@pytest.mark.parametrize("size", WIDTHS)
def test_previous_and_next_stand_in_one_place_at_every_step_and_for_every_model(walk, size):
    places = set()
    for model, text in (("minilm", "The fox saw the tired animal."), ("storyteller", "The fox saw the tired animal.")):
        page = walk(visit_options=sized(*size), m=model, t=text, q=4, step="x")
        for _ in range(page.get_by_test_id("sl-step-name").locator("option").count() - 1):
            for name in ("sl-previous", "sl-next"):
                place = box(page.get_by_test_id(name))
                places.add((name, round(place["x"]), round(place["y"])))
            page.get_by_test_id("sl-next").click()
    assert len(places) == 2, places


def test_on_a_phone_steps_have_their_names_and_the_controls_two_lines(walk):
    page = walk(visit_options=sized(390, 844) | {"has_touch": True}, step="scores")
    names = page.get_by_test_id("sl-step-name")
    assert "Scores" in names.evaluate("box => box.selectedOptions[0].textContent")
    names.select_option("softmax")
    assert page.get_by_test_id("sl-step").get_by_role("heading", level=2).inner_text().endswith("Softmax")
    controls = page.locator(".sl-walk :is(button, select):visible").all()
    step = box(page.get_by_test_id("sl-step"))
    lines = {round(box(one)["y"] + box(one)["height"] / 2) for one in controls if box(one)["bottom"] <= step["y"]}
    assert len({line // 12 for line in lines}) <= 2, lines
    page.get_by_test_id("sl-mode").select_option("Numbers")
    assert page.locator("h3", has_text="q of").count() == 0
    page.wait_for_function("() => new URLSearchParams(location.search).get('mode') === 'numbers'")


def test_one_click_shows_what_the_model_would_say_if_it_could_look_ahead(walk):
    page = walk(m="storyteller", t="Once upon a time there was a little fox who lived in the wood", q="", step="mask")
    page.get_by_test_id("sl-ahead").click()
    answer = page.get_by_test_id("sl-ahead-answer")
    answer.locator("tbody tr").first.wait_for()
    rows = answer.locator("tbody tr").all_inner_texts()
    assert len(rows) == 3 and "as it is" in rows[0] and "every head" in rows[2]
    assert "chance" in answer.inner_text() and rows[0].split("\t")[1:] != rows[2].split("\t")[1:]
    page.wait_for_timeout(300)
    assert on_screen(page, answer)
