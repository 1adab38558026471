"""Record the token ids that a model's decoder is given while it runs: some task heads make them from the source."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from weakref import WeakSet

from torch import Tensor, nn
from transformers import PreTrainedModel

from attention_core.inside.of_torch import take_off


@contextmanager
def what_the_decoder_reads(body: PreTrainedModel) -> Iterator[list[int]]:
    """Collects the tokens that a body's decoder is given inside the block, in this thread's context alone.

    The hook is put on once and stays dormant otherwise.
    """
    decoder = body.get_decoder()
    if decoder not in _watched:
        _watched.add(decoder)
        decoder.register_forward_pre_hook(_note, with_kwargs=True)
    ids: list[int] = []
    token = _reads.set(ids)
    try:
        yield ids
    finally:
        _reads.reset(token)


def remove(model: nn.Module) -> None:
    """Take the dormant hook off again."""
    for module in model.modules():
        take_off(module, (_note,))
        _watched.discard(module)


_reads: ContextVar[list[int] | None] = ContextVar("reads", default=None)
_watched: WeakSet[nn.Module] = WeakSet()


def _note(_: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    ids = _reads.get()
    given = kwargs.get("input_ids", args[0] if args else None)
    if ids is not None and not ids and isinstance(given, Tensor) and not given.is_floating_point():
        ids.extend(given.reshape(-1).tolist())
