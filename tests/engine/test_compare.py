"""Two runs through the seam, whichever engine computes: the core's own packs, and two models beside each other."""

import gzip
from dataclasses import replace

import pytest

from attention_core import ModelError, capture, compare, load_model
from attention_core.comparing.packs import against_pack, cells_pack, changed_pack
from pages.shared.engine.plain import Refused
from pages.shared.process.settings import from_environment
from pages.shared.service.loading import Models
from pages.shared.service.service import service
from pages.shared.service.sources import Picture, Source

PATIENCE = 300
TEXT, OTHER = "the cat sat on a mat", "the dog then sat on a mat"


def test_packs_of_two_runs_are_the_cores_to_the_byte(engine, speakers):
    model = speakers["bert"]
    a, b = Source(model, TEXT), Source(model, OTHER)
    for source in (a, b):
        engine.read(source).future.result(timeout=PATIENCE)
    loaded = load_model(model)

    def both(fixed=()):
        return compare(capture(loaded, TEXT), capture(loaded, OTHER), fixed=fixed)

    wanted = {
        (("changed",), ()): lambda: changed_pack(both()),
        (("against", 0, 1), ()): lambda: against_pack(both(), 0, 1),
        (("cells", 0, 1, 1, "mean"), ((2, 3),)): lambda: cells_pack(both(((2, 3),)), (0, 1), (1, "mean")),
    }
    for (part, fixed), make in wanted.items():
        found = gzip.decompress(engine.compare(Picture(a), Picture(b), part, fixed))
        assert found == service().work(make), part


def test_what_cannot_be_compared_says_why(engine, speakers):
    a = Picture(Source(speakers["bert"], TEXT))
    with pytest.raises(ValueError, match="layer must be"):
        engine.compare(a, a, ("cells", 0, 0, 9, 0), ())
    with pytest.raises(ValueError, match="there is no pack"):
        engine.compare(a, a, ("sums",), ())
    with pytest.raises(ValueError, match="rising places"):
        engine.compare(a, a, ("changed",), ((3, 2), (2, 3)))


def test_a_model_that_would_push_out_the_other_is_not_loaded(speakers):
    """The bound holds either model and not both: the second is refused with all three sizes, and the first stays."""
    first, second = load_model(speakers["bert"]), load_model(speakers["gpt2"])
    roomy = replace(from_environment(), folders=True)

    def models(bound: int) -> Models:
        return Models(lambda: replace(roomy, model_bytes=bound), lambda job: job(), gone.append)

    gone: list = []
    narrow = models(first.nbytes + second.nbytes - 1)
    narrow.get(speakers["bert"])
    with pytest.raises(ModelError, match=r"MB and .* MB: this server keeps .* MB of models at a time"):
        narrow.get(speakers["gpt2"], beside=speakers["bert"])
    assert narrow.peek(speakers["bert"]) is not None and not gone
    wide = models(2 * (first.nbytes + second.nbytes))
    wide.get(speakers["bert"])
    wide.get(speakers["gpt2"], beside=speakers["bert"])
    assert len(wide) == 2 and not gone


def test_a_second_model_is_brought_beside_the_first(engine, speakers):
    first, second = speakers["bert"], speakers["gpt2"]
    engine.read(Source(first, TEXT)).future.result(timeout=PATIENCE)
    assert engine.bring(second, first).future.result(timeout=PATIENCE) is True
    assert engine.loaded(first) is not None and engine.loaded(second) is not None
    with pytest.raises(Refused):
        engine.bring("/there/is/none", first).future.result(timeout=PATIENCE)
