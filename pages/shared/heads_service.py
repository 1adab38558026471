"""What the Heads page asks of the one service: metrics of a text, labels of a model. Kept for all visitors.

Metrics are made in the worker when a text's turn comes. Labels belong to the model and rest on many probe texts: they
are made slice by slice, one short job at a time, so that visitors' texts come in between.
"""

from functools import cache
from typing import TYPE_CHECKING

from pages.shared.bounded import BoundedCache
from pages.shared.service import Picture, Source, service

if TYPE_CHECKING:
    from attention_core.head_metrics import HeadScores
    from attention_core.trace import Trace

SCORES_BYTES = 32 * 1_000_000  # about 2,000 texts in a model of 72 heads


@cache
def _scores() -> "BoundedCache[HeadScores]":
    return BoundedCache(SCORES_BYTES, _scores_bytes)


def _scores_bytes(scores: "HeadScores") -> int:
    return sum(tensor.nbytes for tensor in (scores.values, scores.even, scores.profiles)) + 200 * len(scores.heads)


def scores_of(source: Source) -> "HeadScores":
    """Every metric of every head on a source's text: computed by the worker once, and kept.

    Raises what `Service.trace` raises.
    """
    from attention_core.head_metrics import head_scores

    return _scores().get(source, lambda: service().work(head_scores, service().trace(source)))


def heads_of(trace: "Trace", picture: Picture) -> bytes:
    """The pack of a text's heads. It does not depend on how the picture's weights are read."""
    from attention_core.head_packs import heads_pack

    return heads_pack(trace, scores_of(picture.source))


def labels_of(source: Source) -> dict[str, object]:
    return {"state": "none", "done": 0, "total": 0, "says": "no labels yet"}
