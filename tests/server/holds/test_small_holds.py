"""Small things that a second visitor, a full disk or a file of somebody else's brought to light."""

from types import SimpleNamespace

import pytest

from pages.shared.address.view import View
from pages.shared.http.static_files import HashedFiles
from pages.shared.parts import readouts
from pages.shared.service import heads
from pages.shared.service.heads import LabelBook


def test_a_second_labelling_does_not_begin_while_the_first_is_put_away(monkeypatch):
    """Whether it is known and whether it is on its way is asked under one lock."""
    book = LabelBook()
    monkeypatch.setattr(heads, "Thread", lambda **_: SimpleNamespace(start=lambda: None))
    asked = []
    real = book._known.peek
    monkeypatch.setattr(book._known, "peek", lambda key: (asked.append(book._lock.locked()), real(key))[1])
    assert book.of("minilm")["state"] == "working"
    assert asked == [True]


def test_a_compression_that_failed_is_tried_again(tmp_path, monkeypatch):
    file = tmp_path / "a.js"
    file.write_text("a" * 1_000)
    served = HashedFiles(lambda *_: None, {"/a.js": file})
    real, failures = served._compress, [OSError("no room"), MemoryError()]

    def compress(*arguments) -> None:
        if failures:
            raise failures.pop()
        real(*arguments)

    monkeypatch.setattr(served, "_compress", compress)
    for _ in range(3):
        assert not served._body(file, gzipped=True).compressed
        served._compressor.submit(lambda: None).result()  # after what was asked for
    assert served._body(file, gzipped=True).compressed


@pytest.mark.parametrize(
    ("query", "expected"), [(0, "[MASK] sat here"), (1, "cats [MASK] here"), (None, "cats sat [MASK]")]
)
def test_the_first_token_can_be_masked_as_any_other(monkeypatch, query, expected):
    words = [("cats", (0, 4)), ("sat", (5, 8)), ("here", (9, 13))]
    tokens = [SimpleNamespace(text=text, span=span, word=n) for n, (text, span) in enumerate(words)]
    trace = SimpleNamespace(source_tokens=tokens, text="cats sat here")
    view = View(text="cats sat here", query=query)
    changed = {}
    monkeypatch.setattr(readouts.state, "view", lambda: view)
    monkeypatch.setattr(readouts.state, "change", changed.update)
    readouts._mask_word(trace, "[MASK]")
    assert changed["text"] == expected
