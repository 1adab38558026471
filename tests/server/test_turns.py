"""Fair turns: rounds over visitors, places in the queue, and jobs that nobody waits for any more."""

import time
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.runtime.state import SafeSessionState, SessionState, session_state_proxy

from pages.shared.service.turns import Asker, NoLongerWanted, Turns
from pages.shared.session import state


@pytest.fixture
def held():
    """Turns whose only thread is busy until `go` is set."""
    turns, begun, go = Turns("test"), Event(), Event()
    turns.submit(lambda: (begun.set(), go.wait(60)), "somebody")
    assert begun.wait(60)
    yield turns, go
    go.set()


def test_a_job_that_asks_for_another_one_is_told_instead_of_waiting_for_itself():
    turns = Turns("test")
    with pytest.raises(RuntimeError, match="must not ask for another one"):
        turns.submit(lambda: turns.submit(lambda: 1).result(20)).result(20)
    assert turns.submit(lambda: 2).result(20) == 2


def test_each_visitor_gets_a_turn_before_anybody_gets_a_second_one(held):
    turns, go = held
    done = []
    asked = ["ann"] * 3 + ["ben"] + ["cem"] * 2
    answers = [turns.submit(lambda i=i, who=who: done.append((who, i)), who) for i, who in enumerate(asked)]
    go.set()
    wait(answers, 20)
    assert done == [("ann", 0), ("ben", 3), ("cem", 4), ("ann", 1), ("cem", 5), ("ann", 2)]


def test_a_visitor_with_a_hundred_texts_delays_another_by_one(held):
    turns, go = held
    done = []
    for i in range(100):
        turns.submit(lambda i=i: done.append(i), "greedy")
    answer = turns.submit(lambda: done.append("modest"), "modest")
    assert turns.ahead("modest") == 2  # what runs, and one of the greedy one's
    go.set()
    answer.result(20)
    assert done.index("modest") == 1


def test_short_jobs_come_before_long_ones_and_are_no_place_in_the_queue(held):
    turns, go = held
    done = []
    answers = [turns.submit(lambda who=who: done.append(who), who) for who in "abc"]
    answers += [turns.submit(lambda i=i: done.append(i), "d", short=True) for i in range(2)]
    assert [turns.ahead(who) for who in "abcd"] == [1, 2, 3, 0]
    assert turns.waiting == 6
    go.set()
    wait(answers, 20)
    assert done == [0, 1, "a", "b", "c"]


def test_the_place_in_the_queue_counts_down_to_nothing(held):
    turns, go = held
    answers = [turns.submit(lambda: None, who) for who in "abcde"]
    assert [turns.ahead(who) for who in "abcde"] == [1, 2, 3, 4, 5]
    assert turns.waiting == 6
    go.set()
    wait(answers, 20)
    assert [turns.ahead(who) for who in "abcde"] == [0] * 5
    assert turns.ahead("nobody") == 0


def test_what_nobody_waits_for_any_more_is_dropped_before_it_costs(held):
    turns, go = held
    done, asker = [], Asker("ann", Event())
    dropped = turns.submit(lambda: done.append("dropped"), "ann", lambda: asker.waits)
    kept = turns.submit(lambda: done.append("kept"), "ann")
    asker.gone.set()
    go.set()
    with pytest.raises(NoLongerWanted):
        dropped.result(20)
    kept.result(20)
    assert done == ["kept"]


def test_an_error_reaches_the_one_who_asked_and_the_next_job_runs(held):
    turns, go = held

    def fail() -> None:
        raise ValueError("no such text")

    failed, after = turns.submit(fail, "ann"), turns.submit(lambda: 7, "ann")
    go.set()
    with pytest.raises(ValueError, match="no such text"):
        failed.result(20)
    assert after.result(20) == 7
    assert turns.waiting == 0


@given(asked=st.lists(st.sampled_from("abcdefg"), max_size=40))
def test_every_job_runs_once_and_nobody_waits_more_than_a_round(asked):
    turns, begun, go = Turns("test"), Event(), Event()
    first = turns.submit(lambda: (begun.set(), go.wait(60)), "first")
    assert begun.wait(60)
    done: list[tuple[str, int]] = []
    answers = [turns.submit(lambda i=i, who=who: done.append((who, i)), who) for i, who in enumerate(asked)]
    go.set()
    wait([first, *answers], 20)
    assert sorted(i for _, i in done) == list(range(len(asked)))
    for who in set(asked):
        mine = [place for place, (other, _) in enumerate(done) if other == who]
        assert [i for other, i in done if other == who] == sorted(i for other, i in done if other == who)
        gaps = [after - before for before, after in zip([-1, *mine], mine, strict=False)]
        assert max(gaps) <= len(set(asked))
    turns._pool.shutdown()


def test_several_threads_share_the_turns():
    turns = Turns("test", n_threads=3)
    with ThreadPoolExecutor(30) as visitors:
        found = list(visitors.map(lambda i: turns.submit(lambda: i * i, str(i % 7)).result(20), range(300)))
    assert found == [i * i for i in range(300)]
    assert turns.waiting == 0


def test_a_wait_says_only_news_and_can_be_stopped_at_every_look(monkeypatch):
    """What was said already is not sent again; Streamlit still gets its chance to stop the run."""
    looked = []
    held = SafeSessionState(SessionState(), lambda: looked.append(1))
    monkeypatch.setattr(session_state_proxy, "get_session_state", lambda: held)
    said = []
    say = state.only_news(said.append)
    for sentence in ("2 other texts first …", "2 other texts first …", "1 other text first …", "1 other text first …"):
        say(sentence)
    assert said == ["2 other texts first …", "1 other text first …"]
    assert len(looked) == 2


def test_work_in_the_background_stands_back_until_nobody_has_asked_for_a_moment():
    turns = Turns("test")

    def waited(at_most: float) -> float:
        start = time.monotonic()
        turns.stand_back(0.2, at_most)
        return time.monotonic() - start

    assert waited(60) < 0.2  # nobody has ever asked
    turns.submit(lambda: None, "somebody").result(20)
    assert waited(60) >= 0.1  # what was asked for came a moment before
    turns.submit(lambda: None, "sweep", background=True).result(20)
    assert waited(60) < 0.2  # its own kind is nobody to stand back for


def test_work_in_the_background_goes_on_where_somebody_always_asks():
    turns, stop = Turns("test"), Event()

    def asks() -> None:
        while not stop.is_set():
            turns.submit(lambda: None, "somebody").result(20)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(asks)
        try:
            turns.stand_back(10, 0.3)  # comes back though nobody is ever quiet for ten seconds
        finally:
            stop.set()
        asking.result(20)
