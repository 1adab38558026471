"""Grow a head in a real browser: scrubbed without asking anybody, grown live, queued, and over when the tab is."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from playwright.sync_api import Page, expect

from pages.shared.grow import library
from tests.support.serving import PHONE, Server, Visit, accessibility_faults, at_rest, serve

LEASE = 12  # seconds, on the server of these tests
LIVE_MS = 240_000  # a process that imports torch, on a busy machine
PATIENCE = 120  # seconds; what ends has ended long before
# With the server's own priority: at the lowest, whatever else the machine does would hold the tests up.
ENV = {"SIGHTLINE_TRAININGS": "1", "SIGHTLINE_TRAINING_NICENESS": "0", "SIGHTLINE_TRAINING_SECONDS": "600"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with one place for trainings, and visitors who are soon taken for gone."""
    with serve(env={**ENV, "SIGHTLINE_TRAINING_LEASE": str(LEASE)}) as running:
        yield running


@pytest.fixture
def grow(visit: Callable[..., Visit]) -> Callable[..., Visit]:
    """Open the page: `grow("?task=sorting", viewport=PHONE)`; returns once a run is drawn."""

    def open_page(query: str = "", **options) -> Visit:
        visitor = visit(**options)
        visitor.allow("/grow/_stcore")  # Streamlit looks for its server below the page's address first
        visitor.page.goto(f"/grow{query}")
        visitor.page.locator(".sl-grow-root[data-ready]").wait_for(state="attached")
        # While plotly starts, the page asks nobody: on a busy machine a training would be taken for left.
        visitor.page.locator("[data-testid=sl-scores-figure][data-drawn]").wait_for(state="attached")
        return visitor

    return open_page


def ready(page: Page) -> tuple[str, int]:
    """The run that is drawn and its step."""
    name, step = (page.locator(".sl-grow-root").get_attribute("data-ready") or "").split(":")
    return name, int(step)


def wait_for_ready(page: Page, what: str) -> None:
    """Wait until a run and step are drawn: `="mine:0"`, `$=":20"` (as in CSS)."""
    page.locator(f".sl-grow-root[data-ready{what}]").wait_for(state="attached", timeout=LIVE_MS)


def address(page: Page) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(page.url).query).items()}


def wait_for_address(page: Page, **wanted: str) -> None:
    page.wait_for_function(
        "wanted => { const found = new URLSearchParams(location.search);"
        " return Object.entries(wanted).every(([name, value]) => found.get(name) === value) }",
        arg=wanted,
    )


def trainings(server: Server) -> list[int]:
    """The training processes of a server: its children that run `attention_core.grow`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            group = int((folder / "stat").read_text().rpartition(")")[2].split()[2])
        except (OSError, ValueError):
            continue
        if b"attention_core.grow" in words and group == os.getpgid(server.process.pid):
            found.append(int(folder.name))
    return found


def until(holds: Callable[[], bool], page: Page | None = None) -> None:
    """Wait until something holds, with the patience that a slow machine asks for."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"not within {PATIENCE} s"
        page.wait_for_timeout(50) if page else time.sleep(0.05)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process for a while: it neither answers nor gets anything done."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it was ended meanwhile
            os.kill(pid, signal.SIGCONT)


def alive(pid: int) -> bool:
    """Is there such a process that still runs? (One that ended and that nobody waited for does not.)"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # the second: it ended between opening and reading
        return False


def computed(pid: int) -> float:
    """Seconds of the processor that a process has had; 0 of one that is no longer there."""
    try:
        return sum(psutil.Process(pid).cpu_times()[:2])
    except psutil.NoSuchProcess:
        return 0.0


def until_ended(server: Server, page: Page | None = None) -> None:
    """Wait until no training is left, none of which had what its steps would have taken of the processor meanwhile."""
    before = {pid: computed(pid) for pid in trainings(server)}
    until(lambda: not trainings(server) or any(computed(pid) > had + 10 for pid, had in before.items()), page)
    assert not trainings(server)


def start(page: Page, seed: int = 5) -> None:
    if page.get_by_test_id("sl-start").is_hidden():
        page.get_by_test_id("sl-own").click()
    page.get_by_test_id("sl-seed").fill(str(seed))
    page.get_by_test_id("sl-start").click()


def test_a_recorded_run_is_there_without_a_click(grow):
    page = grow().page
    name, step = ready(page)
    run = library.run(name)
    assert (name, step) == ("repeated-seed1-4heads", int(run.steps[-1]))
    expect(page.locator(".sl-head-map")).to_have_count(run.head.n_layers * run.head.n_heads)
    expect(page.get_by_test_id("sl-loss")).to_contain_text(f"{run.losses[-1]:.2f} nats")
    for score in run.head.scores:
        layer, head = run.best(score)
        expect(page.get_by_test_id("sl-scores")).to_contain_text(f"{run.scores[score][-1, layer, head]:.2f}")
    for formed in run.formed():
        expect(page.locator(f'[data-moment="{formed.score}"]')).to_contain_text(f"{formed.step:,}")
    expect(page.get_by_text(f"chance {run.head.chance:.2f}")).to_be_visible()


def test_the_browsers_back_and_forward_go_through_the_steps_that_were_looked_at(grow):
    page = grow().page
    wait_for_address(page, task="repeated")
    steps = [int(step) for step in library.run("repeated-seed1-4heads").steps][:2]
    page.get_by_test_id("sl-scrub").focus()
    for key, step in zip(("Home", "ArrowRight"), steps, strict=True):
        page.keyboard.press(key)
        wait_for_address(page, at=str(step))
    page.go_back()
    wait_for_ready(page, f'$=":{steps[0]}"')
    page.go_forward()
    wait_for_ready(page, f'$=":{steps[1]}"')
    wait_for_address(page, at=str(steps[1]))


def test_the_scrubber_moves_while_the_server_stands_still(grow, server):
    """Every saved step, drawn by the browser alone; where it stayed is told in small frames, after 0.3 s of rest."""
    visitor = grow()
    page = visitor.page
    wait_for_address(page, task="repeated")
    page.wait_for_load_state("networkidle")
    at_rest(visitor, 1500)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    visitor.sent.clear()
    page.get_by_test_id("sl-scrub").focus()
    steps = [int(step) for step in library.run("repeated-seed1-4heads").steps]
    began = time.monotonic()
    with frozen(server.process.pid):
        page.keyboard.press("Home")
        wait_for_ready(page, f'$=":{steps[0]}"')
        for step in steps[1:]:
            page.keyboard.press("ArrowRight")
            wait_for_ready(page, f'$=":{step}"')
        page.keyboard.press("ArrowLeft")
        wait_for_ready(page, f'$=":{steps[-2]}"')
    wait_for_address(page, at=str(steps[-2]))
    assert not requests
    assert 1 <= len(visitor.sent) <= 1 + (time.monotonic() - began) / 0.3
    assert max(visitor.sent) < 1000


def test_the_keyboard_plays_jumps_and_reads(grow):
    page = grow().page
    run = library.run("repeated-seed1-4heads")
    page.locator("h1").click()
    for key, step in (
        ("Home", run.steps[0]),
        ("ArrowRight", run.steps[1]),
        ("End", run.steps[-1]),
        ("ArrowLeft", run.steps[-2]),
    ):
        page.keyboard.press(key)
        expect(page.get_by_test_id("sl-at")).to_contain_text(f"step {int(step):,} of")
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    expect(page.get_by_test_id("sl-play")).to_contain_text("Pause")
    until(lambda: ready(page)[1] >= run.steps[3], page)
    page.keyboard.press(" ")
    expect(page.get_by_test_id("sl-play")).to_contain_text("Play")
    page.keyboard.press("End")
    stage = page.locator(".sl-grow-stage")
    stage.focus()
    page.keyboard.press("ArrowRight")
    layer, head = run.best("induction")
    last = len(run.head.tokens) - 1
    weight = run.maps[-1, layer, head, last, 0] / 253
    expect(page.get_by_test_id("sl-cell")).to_have_text(
        f"{run.head.tokens[last]} ({last}) looks at {run.head.tokens[0]} (0): {weight:.2f}"
    )


def test_hovering_a_small_map_enlarges_it_and_a_click_keeps_it(grow):
    visitor = grow()
    page = visitor.page
    title = page.get_by_test_id("sl-map-title")
    before = title.inner_text()
    page.locator('[data-layer="0"][data-head="3"]').hover()
    expect(title).to_contain_text("Layer 0, head 3")
    page.locator("h1").hover()
    expect(title).to_have_text(before)
    page.locator('[data-layer="0"][data-head="3"]').click()
    page.locator("h1").hover()
    expect(title).to_contain_text("Layer 0, head 3")
    wait_for_address(page, layer="0", head="3")


def test_a_link_opens_the_run_the_step_and_the_comparison(grow):
    page = grow("?task=repeated&seed=1&heads=4&positions=rotary&at=300&vs=repeated-seed1-1head").page
    assert ready(page) == ("repeated-seed1-4heads", 300)
    expect(page.get_by_test_id("sl-against")).to_have_value("repeated-seed1-1head")
    expect(page.locator(".sl-heads-of")).to_have_count(2)
    expect(page.locator(".sl-head-map:visible")).to_have_count(8 + 2)
    run, other = (library.run(name) for name in ("repeated-seed1-4heads", "repeated-seed1-1head"))
    shown = page.get_by_test_id("sl-loss")
    for one in (run, other):
        expect(shown).to_contain_text(f"{one.losses[list(one.steps).index(300)]:.2f}")


def test_copy_link_gives_the_address_of_what_is_shown(grow):
    page = grow().page
    page.locator('[data-moment="induction"]').click()
    page.get_by_test_id("sl-copy").click()
    expect(page.get_by_text("Link copied.")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert f"at={ready(page)[1]}" in copied and "seed=1" in copied


def test_settings_without_a_recorded_run_are_named_and_offered(grow):
    page = grow("?task=repeated&seed=77&heads=2&positions=none").page
    expect(page.get_by_test_id("sl-live")).to_contain_text(
        "There is no recorded run with 2 heads, no positions and seed 77"
    )
    page.get_by_test_id("sl-own").click()
    expect(page.get_by_test_id("sl-seed")).to_have_value("77")
    expect(page.get_by_test_id("sl-n-heads")).to_have_value("2")
    expect(page.get_by_test_id("sl-positions")).to_have_value("none")


@pytest.mark.parametrize("task", [run.settings["task"] for run in library.recorded()])
def test_every_task_is_one_click_away(grow, task):
    page = grow().page
    page.locator(f'[data-task="{task}"]').click()
    expect(page.locator(f'[data-task="{task}"]')).to_have_attribute("aria-pressed", "true")
    first = next(run.id for run in library.recorded() if run.settings["task"] == task)
    wait_for_ready(page, f'^="{first}:"')
    expect(page.locator(".sl-grow-says")).to_contain_text("Watch:")


def test_every_number_is_in_a_table_and_in_a_file(grow):
    page = grow().page
    run = library.run("repeated-seed1-4heads")
    page.get_by_text("Every saved step as a table").click()
    rows = page.get_by_role("region", name="Every saved step as a table").locator("tbody tr")
    expect(rows).to_have_count(len(run.steps))
    shown = rows.nth(30).locator("th, td").all_inner_texts()
    assert shown[:2] == [str(run.steps[30]), f"{run.losses[30]:.4f}"]
    assert [float(text) for text in shown[3:11]] == pytest.approx(
        run.scores["previous"][30].flatten().tolist(), abs=6e-4
    )
    page.get_by_text("This map as a table").click()
    layer, head = run.best("induction")
    lines = page.get_by_role("region", name="This map as a table").locator("tbody tr")
    expect(lines).to_have_count(len(run.head.tokens))
    line = lines.nth(20).locator("td").all_inner_texts()
    assert line[25] == "–"
    assert [float(text) for text in line[:21]] == pytest.approx(
        (run.maps[-1, layer, head, 20, :21] / 253).tolist(), abs=6e-3
    )
    page.get_by_test_id("sl-save").click()
    with page.expect_download() as download:
        page.locator('[data-file="curves"]').click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 1 + len(run.steps)
    assert lines[31].split(",")[:2] == shown[:2]


def test_a_run_of_ones_own_grows_stays_while_another_page_is_open_and_can_be_stopped(grow, server):
    visitor = grow()
    page = visitor.page
    start(page)
    status = page.get_by_test_id("sl-live")
    expect(status).to_contain_text(re.compile("Growing: step [1-9]"), timeout=LIVE_MS)
    assert ready(page)[0] == "mine"
    assert len(trainings(server)) == 1
    assert address(page)["seed"] == "5"
    expect(status).to_have_attribute("aria-live", "off")  # nobody wants every step read out
    first = ready(page)[1]
    until(lambda: ready(page)[1] > first, page)
    (pid,) = trainings(server)
    with frozen(pid):  # so that a fast machine is not done before it is stopped
        page.get_by_role("link", name="What attention shows").click()
        expect(page.get_by_text("What a weight is", exact=True)).to_be_visible()
        page.wait_for_timeout((LEASE + 2) * 1000)
        assert trainings(server) == [pid], "the run must go on while its visitor reads another page"
        page.get_by_role("link", name="Grow a head").click()
        expect(status).to_contain_text("Growing")
        page.get_by_test_id("sl-stop").click()
        expect(status).to_contain_text("Stopped: step")
        expect(status).to_have_attribute("aria-live", "polite")
        until_ended(server, page)
    page.get_by_test_id("sl-scrub").focus()
    page.keyboard.press("Home")
    wait_for_ready(page, '="mine:0"')
    page.get_by_test_id("sl-save").click()
    with page.expect_download() as download:
        page.locator('[data-file="run"]').click()
    from attention_core.grow.record import load_run

    kept = load_run(download.value.path())
    assert kept.head.settings is not None and kept.head.settings.seed == 5


def test_a_previous_token_head_forms_before_ones_eyes_and_the_loss_falls(grow):
    """How long that takes is measured by `make bench ARGS=grow`."""
    page = grow().page
    start(page, seed=2)
    expect(page.get_by_test_id("sl-live")).to_contain_text("Finished: step 900 of 900", timeout=2 * LIVE_MS)
    shown = page.get_by_test_id("sl-scores").inner_text()
    assert float(re.search(r"previous token, layer 0 head \d\s+(\d\.\d\d)", shown)[1]) >= 0.9
    assert float(page.get_by_test_id("sl-loss").locator("b").inner_text()) < 0.1
    moments = page.locator("[data-moment]")
    for moment, words in {
        "previous": "previous token head forms",
        "induction": "induction head forms",
        "loss": "loss falls",
    }.items():
        expect(moments.and_(page.locator(f'[data-moment="{moment}"]'))).to_have_text(re.compile(rf"{words}, \d+"))
    page.locator('[data-moment="loss"]').click()
    until(lambda: 0 < ready(page)[1] < 900, page)
    step = ready(page)[1]
    page.get_by_test_id("sl-against").select_option("repeated-seed1-4heads")
    expect(page.locator(".sl-heads-of:visible")).to_have_count(2)
    assert ready(page) == ("mine", step)


def test_the_next_run_of_ones_own_is_shown_and_ends_the_first(grow, server):
    visitor = grow()
    visitor.allow("410")  # a question about the first that was on its way when the second took its place
    page = visitor.page
    start(page, seed=5)
    wait_for_ready(page, '^="mine:"')
    (pid,) = trainings(server)
    with frozen(pid):
        page.locator('[data-run="repeated-seed1-4heads"]').click()
        wait_for_ready(page, '^="repeated-seed1-4heads:"')
        start(page, seed=6)
        until(lambda: pid not in trainings(server), page)
    wait_for_ready(page, '^="mine:"')
    wait_for_address(page, seed="6")
    expect(page.locator('[data-run="mine"]')).to_have_text("yours: 4 heads, seed 6")
    expect(page.locator('[data-run="mine"]')).to_have_attribute("aria-pressed", "true")
    assert len(trainings(server)) == 1
    page.get_by_test_id("sl-stop").click()
    until_ended(server, page)


def test_the_second_visitor_sees_his_place_and_starts_when_the_first_has_left(grow, server):
    first, second = grow(), grow()
    start(first.page, seed=11)
    expect(first.page.get_by_test_id("sl-live")).to_contain_text("Growing", timeout=LIVE_MS)
    (pid,) = trainings(server)
    with frozen(pid):  # it is not done before its visitor has left
        start(second.page, seed=12)
        expect(second.page.get_by_test_id("sl-live")).to_contain_text("1 run before yours")
        assert trainings(server) == [pid]
        first.page.close()
        until(lambda: pid not in trainings(server), second.page)
    expect(second.page.get_by_test_id("sl-live")).to_contain_text(re.compile("process|Growing"), timeout=LIVE_MS)
    second.page.close()
    until_ended(server)


def test_a_visitor_who_vanishes_without_a_word_frees_the_process_within_the_lease(grow, server):
    visit = grow()
    visit.allow("ERR_INTERNET_DISCONNECTED")  # a question under way, or the next one before the tab is gone
    page = visit.page
    start(page, seed=13)
    until(lambda: len(trainings(server)) == 1, page)
    (pid,) = trainings(server)
    with frozen(pid):
        began = time.monotonic()
        page.context.set_offline(True)  # neither the beacon nor another question gets through
        page.close()
        until_ended(server)
    assert time.monotonic() - began > 1, "the lease, and not a good-bye, must have ended it"


def test_closing_the_tab_frees_the_process_long_before_the_lease_ends(browser):
    """The tab says good-bye: the lease alone would keep its process longer than this test waits."""
    with serve(env={**ENV, "SIGHTLINE_TRAINING_LEASE": str(20 * PATIENCE)}) as running:
        context = browser.new_context(base_url=running.url)
        page = context.new_page()
        page.goto("/grow")
        page.locator(".sl-grow-root[data-ready]").wait_for(state="attached")
        start(page)
        until(lambda: len(trainings(running)) == 1, page)
        (pid,) = trainings(running)
        with frozen(pid):
            expect(page.get_by_test_id("sl-live")).to_contain_text(re.compile("process|Growing"))
            page.close()
            until_ended(running)
        context.close()


def test_a_page_that_the_browser_brings_back_says_that_its_run_is_over(grow, server):
    """As after Back, when the page was kept in memory: both events are as the browser would send them."""
    page = grow().page
    start(page, seed=14)
    wait_for_ready(page, '^="mine:"')
    page.evaluate("window.dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    until_ended(server, page)
    page.evaluate("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(page.get_by_test_id("sl-live")).to_contain_text("The server no longer has this run")
    expect(page.get_by_test_id("sl-stop")).to_be_hidden()
    assert ready(page)[0] == "mine", "what was saved stays on the screen"


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_running_when_the_server_ends(browser, sent):
    """The signal goes to the server alone, not to its group."""
    with serve(env=ENV) as running:
        context = browser.new_context(base_url=running.url)
        page = context.new_page()
        page.goto("/grow")
        page.locator(".sl-grow-root[data-ready]").wait_for(state="attached")
        start(page)
        expect(page.get_by_test_id("sl-live")).to_contain_text("Growing", timeout=LIVE_MS)
        (pid,) = trainings(running)
        with frozen(pid):  # at one of its first steps, however long the server takes
            os.kill(running.process.pid, sent)
            running.process.wait(PATIENCE)
            before = computed(pid)
        until(lambda: not alive(pid) or computed(pid) > before + 5)  # the rest of its steps would take more
        assert not alive(pid)
        context.close()


@pytest.mark.parametrize(("motion", "least", "most"), [("reduce", 500, 2000), ("no-preference", 50, 300)])
def test_less_motion_plays_slowly_and_nothing_plays_by_itself(grow, motion, least, most):
    page = grow("?at=0", reduced_motion=motion).page
    page.wait_for_timeout(1000)
    assert ready(page)[1] == 0
    page.evaluate(
        """() => {
          const set = window.setInterval
          window.beats = []
          window.setInterval = (...given) => {
            if (new Error().stack.includes("/grow.js")) window.beats.push(given[1])
            return set(...given)
          }
        }"""
    )
    page.get_by_test_id("sl-play").click()
    until(lambda: ready(page)[1] > 0, page)
    (beat,) = page.evaluate("window.beats")
    assert least <= beat <= most


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_no_serious_accessibility_faults(grow, scheme, size):
    options = {"viewport": PHONE} if size == "phone" else {}
    page = grow(
        "?task=repeated&seed=1&heads=4&positions=rotary&vs=repeated-seed1-1head", color_scheme=scheme, **options
    ).page
    page.get_by_test_id("sl-own").click()
    for name in ("What is measured, and on what", "Every saved step as a table", "This map as a table"):
        page.get_by_text(name).click()
    assert accessibility_faults(page) == []


def test_a_phone_needs_no_sideways_scrolling(grow):
    for query in ("?vs=repeated-seed1-1head", "?task=storyteller&seed=1&heads=5&positions=rotary"):
        page = grow(query, viewport=PHONE).page
        page.get_by_text("Every saved step as a table").click()
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0
        assert page.locator(".sl-grow").evaluate("one => one.scrollWidth - one.clientWidth") <= 0


def test_large_type_reaches_curves_and_words(grow):
    page = grow().page
    texts = page.locator(".sl-grow-chart .main-svg text")
    expect(texts.first).to_have_css("font-size", "14px")
    page.evaluate("document.documentElement.style.setProperty('--sl-size', '18px')")
    expect(texts.first).to_have_css("font-size", "18px")
    smallest = page.locator(".sl-grow").evaluate(
        """root => Math.min(...[...root.querySelectorAll("*")]
          .filter((one) => one.checkVisibility())
          .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()))
          .map((one) => parseFloat(getComputedStyle(one).fontSize)))"""
    )
    assert smallest >= 14


def test_what_the_browser_keeps_is_what_the_server_has(grow):
    """Three saves of every head: the pixels' codes in the browser are the file's."""
    page = grow().page
    run = library.run("repeated-seed1-4heads")
    found = json.loads(
        page.evaluate(
            """async (address) => {
              const roots = [...document.querySelectorAll("*")].map((one) => one.shadowRoot).filter(Boolean);
              const sheet = roots.map((root) => root.querySelector("link[href*='grow.css']")).find(Boolean);
              const { unpack } = await import(new URL("../js/base/wire.js", sheet.href).href);
              const { runOf } = await import(new URL("../js/grow/run.js", sheet.href).href);
              const run = runOf(unpack(new Uint8Array(await (await fetch(address)).arrayBuffer())));
              const codes = (at) => run.heads.map(({ layer, head }) => [...run.map(at, layer, head)]);
              return JSON.stringify([0, 30, run.saved - 1].map(codes));
            }""",
            f"/sightline/grow/run/x/{run.head.settings.name}",
        )
    )
    for at, maps in zip((0, 30, len(run.saved) - 1), found, strict=True):
        assert maps == run.maps[at].reshape(8, -1).tolist()
