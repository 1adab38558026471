"""The face, continued: captures of token ids, of many texts, and of what the model writes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, SupportsIndex

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from attention_core.capturing import capture as capturing
from attention_core.capturing.encode import CaptureError
from attention_core.capturing.given_texts import require_model, require_text
from attention_core.formats.shown import shown
from attention_core.models.facts import LoadedModel
from attention_core.reading.generation import Ended, How, continue_text
from attention_core.reading.readout import Choice
from attention_core.record.choosing import HeadChoice, LayerChoice
from attention_core.trace import Trace, capture


def capture_ids(
    model: LoadedModel,
    ids: Sequence[int] | Tensor | NDArray[np.generic],
    target_ids: Sequence[int] | Tensor | NDArray[np.generic] | None = None,
    *,
    plain: bool = False,
) -> Trace:
    """Capture what attention saw while the model read these tokens of its vocabulary as they are: nothing is added.

    For probes that no text stands for: random tokens, tokens in another order. `ids` is one row: a list, a tensor, an
    array. `target_ids` are the decoder's, its start token included; an encoder-decoder needs them. `plain` as in
    `capture`.

    Raises ValueError for no tokens, more than the model can read, a number that is not in the vocabulary, or a side
    that is missing.
    """
    return Trace.of(capturing.capture_ids(model, ids, target_ids, plain=plain))


def capture_batch(
    model: LoadedModel,
    texts: Iterable[str | tuple[str, str] | Sequence[int] | Tensor | NDArray[np.generic]],
    *,
    targets: Sequence[str | None] | None = None,
    progress: bool | Callable[[int, int], None] = True,
    **options: Any,  # those of `capture`, each of its own type
) -> list[Trace]:
    """A trace of each text, in order. They are read one after the other, so no padding is ever seen.

    Each of `texts` is a string, a pair of strings (for models that read two), or a row of token ids (a list of ints, a
    tensor; a tensor of several rows is as many). `targets` are the decoder's texts of an encoder-decoder, one for each.
    `progress` draws a bar, or is called with how many are done and how many there are. Other options are those of
    `capture`.

    Raises what `capture` raises, naming which of the texts it was.
    """
    if isinstance(texts, str):
        raise CaptureError("texts are several: a list of strings. Of one text: capture(model, text).")
    require_model(model)
    if hasattr(texts, "keys") and hasattr(texts, "input_ids"):
        raise CaptureError(
            "texts are strings or rows of ids; got a tokenizer's batch, in which padding may stand: give it the texts."
        )
    listed = list(texts)
    if targets is not None and len(targets) != len(listed):
        raise CaptureError(f"targets are one for each text; got {len(targets)} for {len(listed)} texts")
    bar = tqdm(total=len(listed), unit="text", disable=progress is not True)
    traces: list[Trace] = []
    with bar:
        for n, one in enumerate(listed):
            target = None if targets is None else targets[n]
            try:
                traces.append(_captured(model, one, target, options))
            except CaptureError as error:
                raise type(error)(f"Text {n} of {len(listed)} (from 0): {error}") from None
            bar.update()
            if callable(progress):
                progress(n + 1, len(listed))
    return traces


def _captured(
    model: LoadedModel,
    one: Any,  # whatever stands in the list: looked at here, and by `capture`
    target: str | None,
    options: dict[str, Any],  # those of `capture`
) -> Trace:
    if isinstance(one, tuple) and len(one) == 2 and all(isinstance(text, str) for text in one):
        return capture(model, str(one[0]), str(one[1]), target, **options)
    if not isinstance(one, str) and (hasattr(one, "tolist") or _is_row(one)):
        return capture_ids(model, one, **options)
    text: Any = one  # whatever else it is, `capture` says what it should be
    return capture(model, text, target=target, **options)


def _is_row(one: object) -> bool:
    return isinstance(one, Sequence) and bool(one) and isinstance(one[0], SupportsIndex)


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """What a model wrote after a text, and the trace of all of it: what was there and what was written.

    A token is written from where the model stood before it: `weights` and `rows` are those of the token before each.
    """

    GO_ON: ClassVar[str] = ".weights(layer, head) [written, key] · .rows · .added · .text · .trace"

    trace: Trace
    text: str  # the whole text; of an encoder-decoder the decoder's
    added: tuple[Choice, ...]  # the tokens that were written, each with the probability that it had
    n_given: int  # tokens that were there before; of an encoder-decoder in the decoder's text
    ended: Ended  # why it is no longer than this: "length", "end", "limit" or "stopped"

    @property
    def rows(self) -> slice:
        """The queries that wrote: row i of `weights` is where the model looked when it wrote `added[i]`."""
        return slice(self.n_given - 1, self.n_given - 1 + len(self.added))

    def weights(
        self, layer: LayerChoice, head: HeadChoice, *, kind: str | None = None
    ) -> Float[Tensor, "*several written key"]:
        """Where the model looked when it wrote each token; layers, heads and `kind` as in `Trace.weights`.

        In the encoder nothing is written: there ValueError.
        """
        places = [self.trace.layer(layer, kind=kind)] if isinstance(layer, SupportsIndex | str) else []
        kinds = {one.kind for one in places} or {kind or self.trace.layers[-1].kind}
        if self.trace.target_tokens and kinds & {"encoder self", "encoder"}:
            raise ValueError('the encoder writes nothing: its layers have no row for a written token; try kind="cross"')
        return self.trace.weights(layer, head, self.rows, kind=kind)

    def __repr__(self) -> str:
        written = " ".join(choice.text for choice in self.added[:12])
        return (
            f"Generation of {len(self.added)} tokens after {self.n_given}, ended by {self.ended!r}: "
            f"{shown(written, 200)}\n  in {shown(self.trace.facts.name, 80)}\nGo on: {self.GO_ON}"
        )


def capture_generation(  # noqa: PLR0913 (public; continue_text's options and capture's, each with a default)
    model: LoadedModel,
    text: str,
    n: int = 20,
    *,
    target: str | None = None,
    source_language: str | None = None,
    target_language: str | None = None,
    chat: bool = False,
    how: How = "greedy",
    seed: int = 0,
    temperature: float = 1.0,
    plain: bool = False,
) -> Generation:
    """Let the model write up to `n` tokens, and capture what attention saw while it did.

    A causal model continues `text`, an encoder-decoder `target`, its decoder's text. All tokens are then read once more
    in one run: each looks at those before it alone, so its attention is what it was when it stood last. The options are
    those of `continue_text` and `capture`.

    Raises GenerationError if the model cannot write, and what `capture` raises.
    """
    require_model(model)
    require_text(text)
    written = continue_text(
        model,
        text,
        n,
        target=target,
        source_language=source_language,
        target_language=target_language,
        chat=chat,
        how=how,
        seed=seed,
        temperature=temperature,
    )
    trace = None
    if written.same_tokens and not chat:  # then the tokens have their places in the text
        languages = {"source_language": source_language, "target_language": target_language, "plain": plain}
        if written.source_ids is None:
            trace = capture(model, written.text, **languages)
        else:
            trace = capture(model, text, target=written.text, **languages)
    if trace is None or [token.id for token in trace.target_tokens or trace.tokens] != list(written.ids):
        source_ids = written.ids if written.source_ids is None else written.source_ids
        trace = capture_ids(model, source_ids, None if written.source_ids is None else written.ids, plain=plain)
        trace = Trace.of(replace(trace, text=written.text if written.source_ids is None else text))
    return Generation(trace, written.text, written.added, len(written.ids) - len(written.added), written.ended)
