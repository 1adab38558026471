"""The book of experiments: begun once for all, kept, stopped when nobody watches, and what it had is not lost."""

from concurrent.futures import Future
from threading import Event

import pytest

from pages.shared.engine.answers import ByChance, Swept, Variant
from pages.shared.engine.plain import Progress, Refused
from pages.shared.experiment import book as books
from pages.shared.experiment.book import Asked, Book
from pages.shared.service.sources import Source
from tests.support.patience import PATIENCE

SOURCE = Source("a model", "a text")
HEADS = {"sweep": "heads", "how": "mean", "texts": [], "layer": None}
ASKED = Asked.plainly("sweep", SOURCE, HEADS, None)
DIFFERENCE = Variant(({"edit": "switch off", "layer": 0, "head": 1},), "off", -2.0)
ALONE = Swept({}, "nats", -1.0, (DIFFERENCE,), total=1)
COMPARED = Swept({}, "nats", -1.0, (DIFFERENCE,), chance=ByChance(20, 0.5, 1), total=1)
LEFT = Swept({}, "nats", -1.0, (), total=1, finished=False)


class Handle:
    """A job of the engine's that a test ends."""

    def __init__(self, draws: int) -> None:
        self.draws = draws
        self.future: Future[Swept] = Future()
        self.cancelled = Event()

    def progress(self) -> Progress:
        return Progress(done=3, total=21)

    def cancel(self) -> None:
        self.cancelled.set()


class Engine:
    """Knows one sweep, and hands out its jobs as they are asked for."""

    def __init__(self) -> None:
        self.asked: list[Handle] = []
        self.news = Event()

    def sweep(self, source, what, question, draws, visitor="") -> Handle:
        handle = Handle(draws)
        self.asked.append(handle)
        self.news.set()
        return handle

    def job(self, n: int) -> Handle:
        """The nth job, once it is asked for."""
        while len(self.asked) <= n:
            self.news.clear()
            if len(self.asked) <= n:
                assert self.news.wait(PATIENCE)
        return self.asked[n]


@pytest.fixture
def engine(monkeypatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(books, "engine", lambda: made)
    return made


def until(book: Book, state: str, asked: Asked = ASKED, page: str = "nobody"):
    """How it stands once it is so."""
    pause = Event()
    for _ in range(int(PATIENCE / 0.02)):
        told = book.look(asked, page)
        if told.state == state:
            return told
        pause.wait(0.02)
    raise AssertionError(f"it never was {state}: {told}")


def test_looking_begins_nothing(engine):
    assert Book().look(ASKED, "a page").state == "none"
    assert not engine.asked


def test_two_pages_that_ask_the_same_wait_for_one_run(engine):
    book = Book()
    book.begin(ASKED, "one")
    same = Asked.plainly("sweep", SOURCE, dict(reversed(HEADS.items())), None)
    assert book.begin(same, "another").state == "working"
    engine.job(0).future.set_result(ALONE)
    engine.job(1).future.set_result(COMPARED)
    assert until(book, "ready").found == COMPARED
    assert [one.draws for one in engine.asked] == [0, books.DRAWS]
    assert book.begin(ASKED, "a third").state == "ready" and len(engine.asked) == 2


def test_what_was_measured_is_seen_before_it_is_compared_with_chance(engine):
    book = Book()
    book.begin(ASKED, "a page")
    engine.job(0).future.set_result(ALONE)
    engine.job(1)
    told = book.look(ASKED, "a page")
    assert (told.state, told.found) == ("working", ALONE)
    engine.job(1).future.set_result(COMPARED)
    until(book, "ready")


def test_it_goes_on_for_the_other_page_when_one_stops_it(engine):
    book = Book()
    book.begin(ASKED, "one")
    book.begin(ASKED, "another")
    book.stop(ASKED, "one")
    assert not engine.job(0).cancelled.wait(0.5)
    book.stop(ASKED, "another")
    assert engine.job(0).cancelled.wait(PATIENCE)
    engine.job(0).future.set_result(LEFT)
    until(book, "stopped")


def test_stopped_beside_chance_it_keeps_the_effects_and_says_so(engine):
    book = Book()
    book.begin(ASKED, "a page")
    engine.job(0).future.set_result(ALONE)
    engine.job(1)
    book.stop(ASKED, "a page")
    assert engine.job(1).cancelled.wait(PATIENCE)
    engine.job(1).future.set_result(LEFT)
    told = until(book, "stopped")
    assert isinstance(told.found, Swept) and told.found.found == ALONE.found
    assert told.found.why_no_chance == told.says == books.STOPPED


def test_a_page_that_no_longer_looks_does_not_keep_it_running(engine, monkeypatch):
    monkeypatch.setattr(books, "UNSEEN_SECONDS", 0.05)
    book = Book()
    book.begin(ASKED, "a closed tab")
    assert engine.job(0).cancelled.wait(PATIENCE)
    engine.job(0).future.set_result(LEFT)
    until(book, "stopped")


def test_one_that_fails_says_why_keeps_what_it_had_and_can_be_begun_again(engine):
    book = Book()
    book.begin(ASKED, "a page")
    engine.job(0).future.set_result(ALONE)
    engine.job(1).future.set_exception(Refused("The vocabulary is too small."))
    told = until(book, "failed")
    assert "The vocabulary is too small." in told.says and told.found == ALONE
    assert book.begin(ASKED, "a page").state == "working"
    engine.job(2).future.set_result(ALONE)
    engine.job(3).future.set_result(COMPARED)
    until(book, "ready")


def test_kept_results_stay_below_their_bound(engine, monkeypatch):
    monkeypatch.setattr(books, "KEPT_BYTES", 4 * COMPARED.nbytes)
    book = Book()
    for n in range(6):
        asked = Asked.plainly("sweep", Source("a model", f"text {n}"), HEADS, None)
        book.begin(asked, "a page")
        engine.job(2 * n).future.set_result(ALONE)
        engine.job(2 * n + 1).future.set_result(COMPARED)
        until(book, "ready", asked)
    assert 0 < book.nbytes <= 4 * COMPARED.nbytes
    assert book.look(Asked.plainly("sweep", Source("a model", "text 0"), HEADS, None), "").state == "none"


def test_too_many_at_once_are_told_to_come_again(engine, monkeypatch):
    monkeypatch.setattr(books, "MOST_WAITING", 1)
    book = Book()
    book.begin(ASKED, "a page")
    other = Asked.plainly("sweep", Source("a model", "another text"), HEADS, None)
    assert book.begin(other, "a page").state == "failed"
    engine.job(0).future.set_result(LEFT)
    until(book, "stopped")
