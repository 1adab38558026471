"""The bounded cache: bytes, eviction, and threads that ask for one thing at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier, Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.shared.service.bounded import BoundedCache, NoLongerWanted
from tests.support.patience import PATIENCE


def test_the_least_recently_used_goes_first():
    gone = []
    cache = BoundedCache(10, len, when_gone=lambda key, value: gone.append((key, value)))
    for name in "abc":
        cache.get(name, lambda: "xxx")
    cache.peek("a")
    cache.get("d", lambda: "xxx")
    assert gone == [("b", "xxx")]
    assert cache.peek("b") is None
    assert (len(cache), cache.nbytes) == (3, 9)


def test_a_value_larger_than_the_bound_is_handed_out_and_not_kept():
    cache = BoundedCache(10, len)
    assert cache.get("a", lambda: "x" * 11) == "x" * 11
    assert (len(cache), cache.nbytes) == (0, 0)


def test_the_newest_may_stay_whatever_its_size():
    gone = []
    cache = BoundedCache(10, len, when_gone=lambda key, value: gone.append(key), keep_newest=True)
    cache.put("a", "xxx")
    assert cache.get("b", lambda: "x" * 11) == cache.peek("b")
    cache.put("c", "xxx")
    assert gone == ["a", "b"]
    assert (len(cache), cache.nbytes) == (1, 3)


def test_whoever_is_told_what_goes_may_ask_the_cache():
    cache = BoundedCache(10, len, when_gone=lambda key, value: seen.append(cache.peek("c")))
    seen = []
    for name in "abc":
        cache.put(name, "x" * 5)
    assert seen == ["x" * 5]


def test_however_many_ask_at_once_it_is_made_once():
    cache, made, together = BoundedCache(10, len), [], Barrier(30)

    def make() -> str:
        made.append(1)
        return "value"

    def ask(_: int) -> str:
        together.wait()
        return cache.get("key", make)

    with ThreadPoolExecutor(30) as threads:
        assert set(threads.map(ask, range(30))) == {"value"}
    assert len(made) == 1


def test_an_error_reaches_who_asked_and_the_next_one_tries_again():
    cache = BoundedCache(10, len)

    def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.get("key", fail)
    assert cache.get("key", lambda: "value") == "value"


def test_unwanted_keys_can_be_dropped():
    cache = BoundedCache(10, len)
    for name in ("a1", "a2", "b1"):
        cache.put(name, "xx")
    cache.drop(lambda key: str(key).startswith("a"))
    assert (cache.peek("a1"), cache.peek("b1"), cache.nbytes) == (None, "xx", 2)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12))))
def test_the_bound_holds_whatever_is_put_in(puts):
    cache: BoundedCache[str] = BoundedCache(20, len)
    for key, size in puts:
        cache.put(key, "x" * size)
        assert cache.nbytes <= 20
        assert cache.nbytes == sum(len(cache.peek(k) or "") for k in range(6))


@dataclass(frozen=True)
class Asked:
    text: str
    pair: str = ""


@pytest.mark.parametrize("key", ["x" * 5_000, ("a", "x" * 5_000), Asked("x", "x" * 5_000), (Asked("é" * 5_000), 1)])
def test_a_text_in_a_key_counts_as_what_is_kept_under_it(key):
    cache = BoundedCache(10_000, len)
    cache.put(key, "value")
    assert 5_000 < cache.nbytes < 6_000
    cache.put(("b", key), "value")
    assert len(cache) == 1
    cache.drop(lambda _: True)
    assert cache.nbytes == 0


def test_who_leaves_while_another_makes_it_waits_no_longer():
    """As visitors do who leave during a download: their threads would stand before everybody's."""
    cache, go, left = BoundedCache(10, len), Event(), Event()

    def make() -> str:
        assert go.wait(PATIENCE)
        return "value"

    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(cache.get, "key", make)
        while not cache._coming:
            pass
        leaving = [threads.submit(cache.get, "key", make, lambda: not left.is_set()) for _ in range(6)]
        stays = threads.submit(cache.get, "key", make)
        left.set()
        for one in leaving:
            with pytest.raises(NoLongerWanted):
                one.result(PATIENCE)
        assert not stays.done()
        go.set()
        assert first.result(PATIENCE) == stays.result(PATIENCE) == "value"
