"""The face: a trace is the record of one text in one model, with a door to everything that can be asked of it.

Behind each door the module is imported when somebody opens it: a page that draws pictures need not wait for the rest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from io import BufferedIOBase
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex

from jaxtyping import Float
from torch import Tensor

from attention_core.capturing import capture as capturing
from attention_core.models.facts import LoadedModel
from attention_core.record import file as saved
from attention_core.record.choosing import HeadChoice, LayerChoice, heads_at, layers_at
from attention_core.record.described import describe_trace
from attention_core.record.given_file import open_trace
from attention_core.record.groups import groups
from attention_core.record.record import Record

if TYPE_CHECKING:
    from attention_core.experiment.edits import Edit
    from attention_core.ledger.records import Ledger
    from attention_core.pictures.files import HeadPicture
    from attention_core.reading.readout import Readout
    from attention_core.record.verdict import Verdict


class Trace(Record):
    """One text through one model: its tokens and every attention layer in the order in which the model called them."""

    @classmethod
    def of(cls, record: Record) -> "Trace":
        """The same record with its doors; the tensors are shared."""
        return cls(**{field.name: getattr(record, field.name) for field in fields(record) if field.init})

    def verdict(
        self, layer: SupportsIndex | str | None = None, head: SupportsIndex | None = None, *, kind: str | None = None
    ) -> "Verdict":
        """What the proof comes to, in words: of one head, of all heads of a layer, or of all that was captured.

        "checked", "checked except" with what was not, "cannot be checked" with why, or "differs" with the step that
        does. Of many heads every one is proven first.
        """
        from attention_core.record.verdict import verdict_of, verdict_of_all

        if layer is None:
            if head is not None or kind is not None:
                raise ValueError("a head is one of a layer: name the layer too")
            return verdict_of_all(self)
        place, number = self.place(layer, head or 0, kind=kind)
        return verdict_of_all(self, place) if head is None else verdict_of(self, place, number)

    def readout(self) -> "Readout":
        """What the model says: the next token, the masked words, how alike two sentences are, or what it predicts."""
        from attention_core.reading.readout import read_out

        return read_out(self)

    def ledger(
        self, layer: SupportsIndex | str, head: SupportsIndex, query: SupportsIndex, *, kind: str | None = None
    ) -> "Ledger":
        """One head and one query in real numbers, step by step, for a notebook to show; `query` -1 is the last token.

        Raises ValueError naming a layer, head or query that does not exist.
        """
        from attention_core.ledger.steps import ledger

        place, number = self.place(layer, head, kind=kind)
        row, n_query = index(query), self.layers[place].n_query
        return ledger(self, place, number, row + n_query if -n_query <= row < 0 else row)

    def picture(self, layer: SupportsIndex | str, head: HeadChoice, *, kind: str | None = None) -> "HeadPicture":
        """One head's heatmap, for a notebook to show; `head` "mean" or "max" puts a layer's heads together.

        `picture("mean", "mean", kind="cross")` is the mean over all heads of all layers of a kind.

        Raises ValueError that names what there is.
        """
        from attention_core.pictures.files import HeadPicture
        from attention_core.pictures.head import layers_shown

        if isinstance(layer, str) and layer.startswith("all:"):  # as links name a mean or maximum over layers
            layers_shown(self, layer, head)  # pyright: ignore[reportArgumentType]
            return HeadPicture(self, layer, head)  # pyright: ignore[reportArgumentType]
        layers = layers_at(self.layers, layer, kind)
        if layers.how in ("mean", "max") and layers.how == head:
            name = next(group.name for group in groups(self) if group.layers == layers.indices)
            return HeadPicture(self, name, layers.how)
        if layers.how != "one":
            raise ValueError(
                f"a picture shows one layer, or the mean or maximum over all heads of all layers of a kind, "
                f'picture("mean", "mean"); got layer {layer!r} with head {head!r}'
            )
        place = layers.indices[0]
        heads = heads_at(self.layers[place].n_heads, head, place)
        if heads.how == "each":
            raise ValueError(f'a picture shows one head, or the "mean" or "max" over a layer\'s heads; got {head!r}')
        return HeadPicture(self, place, heads.indices[0] if heads.how == "one" else heads.how)

    def attention(
        self, layer: LayerChoice = None, *, kind: str | None = None, rows: slice = slice(None)
    ) -> Float[Tensor, "*layer head query key"]:
        """The weights of all heads: [head, query, key] of one layer, [layer, head, query, key] of several or of all.

        `kind` is "encoder self", "decoder self" or "cross"; an encoder-decoder needs it where no layer is named: the
        rows and columns of its kinds are different tokens. Takes layers · heads · queries · keys float32 numbers.

        Raises ValueError if that is more memory than is free (then: `attention_blocks`), or that names the kinds.
        """
        from attention_core.pictures.all_heads import attention_of

        return attention_of(self, layer, kind=kind, rows=rows)

    def attention_blocks(
        self, layer: LayerChoice = None, *, kind: str | None = None, n_rows: int | None = None
    ) -> "Iterator[tuple[slice, Float[Tensor, '*layer head row key']]]":
        """`attention`, some queries at a time, for long texts: which rows they are, and their weights.

        `n_rows` is the number of queries in a block; None takes as many as make about 8 MB.
        """
        from attention_core.pictures.all_heads import attention_blocks

        return attention_blocks(self, layer, kind=kind, n_rows=n_rows)

    @property
    def attentions(self) -> tuple[Float[Tensor, "1 head query key"], ...]:
        """The weights as transformers returns them with `output_attentions=True`: a tensor for each layer, batch of 1.

        In float32, whatever the model computes in. Raises AttributeError for an encoder-decoder, as transformers'
        output does: it has `encoder_attentions`, `decoder_attentions` and `cross_attentions`.
        """
        if self.facts.encoder_decoder:
            raise AttributeError(
                "an encoder-decoder has encoder_attentions, decoder_attentions and cross_attentions, and no attentions"
            )
        return tuple(layer.all_weights()[None] for layer in self.layers)

    @property
    def encoder_attentions(self) -> tuple[Float[Tensor, "1 head query key"], ...]:
        """The encoder's weights as transformers returns them. AttributeError without an encoder and decoder."""
        return self._attentions_of("encoder self")

    @property
    def decoder_attentions(self) -> tuple[Float[Tensor, "1 head query key"], ...]:
        """The decoder's weights on its own text as transformers returns them. AttributeError as above."""
        return self._attentions_of("decoder self")

    @property
    def cross_attentions(self) -> tuple[Float[Tensor, "1 head query key"], ...]:
        """The decoder's weights on the encoder's text as transformers returns them. AttributeError as above."""
        return self._attentions_of("cross")

    def _attentions_of(self, kind: str) -> tuple[Tensor, ...]:
        if not self.facts.encoder_decoder:
            raise AttributeError(f"{self.facts.name} is no encoder-decoder: it has attentions")
        return tuple(layer.all_weights()[None] for layer in self.layers if layer.kind == kind)

    def save(self, file: str | Path, *, projections: bool = True) -> None:
        """Write the trace to a file that `load_trace` opens without the model; see `save_trace`."""
        saved.save_trace(self, file, projections=projections)

    def save_npz(self, file: str | Path | BufferedIOBase) -> None:
        """Write the weights of every head to one NumPy archive, with tokens, their ids and what is masked.

        Arrays: `attention` [layer head query key], `tokens`, `ids`, `allowed`; of an encoder-decoder
        `encoder_attention`, `decoder_attention`, `cross_attention` and so on. See `pictures/all_heads`.
        """
        from attention_core.pictures.all_heads import save_npz

        save_npz(self, file)

    def __copy__(self) -> "Trace":
        """The tensors are shared."""
        return Trace.of(self)

    def __deepcopy__(self, memo: dict[int, object]) -> "Trace":
        """With tensors of its own; the model, which the proof and the readout ask, is shared."""
        from attention_core.record.copying import deep_copy

        return Trace.of(deep_copy(self, memo))

    def __reduce__(self) -> tuple[Callable[[bytes], "Trace"], tuple[bytes]]:
        """A pickle holds what a saved file holds: everything but the model."""
        return load_trace, (saved.trace_bytes(self),)

    def __repr__(self) -> str:
        return describe_trace(self)

    def _repr_html_(self) -> str:
        from attention_core.pictures.files import atlas_html

        return atlas_html(self)


def capture(  # noqa: PLR0913 (public; texts and ways of reading them, all but the first two with a usual value)
    model: LoadedModel,
    text: str,
    pair: str | None = None,
    target: str | None = None,
    *,
    source_language: str | None = None,
    target_language: str | None = None,
    chat: bool = False,
    plain: bool = False,
    edits: "Edit | Sequence[Edit]" = (),
) -> Trace:
    """Capture q, k, v and output of every attention call while the model reads `text`.

    Of an architecture that hides q and k from transformers' attention interface, the weights that it returns itself.

    `pair` is a second sentence for models that read two, `target` the decoder's text of an encoder-decoder (its start
    token alone if None). A text over the model's limit is cut, and `notes` says where. The languages are for models
    whose tokenizer is told some, by its own names (NLLB: "eng_Latn"); None takes what is usual, see `model.spoken`.
    `chat` puts the model's chat template around the text, as what a user says (see `chat.chat_prompt`): the trace's
    text is then the whole prompt.

    The tensors of the run (`trace.layers[0].q` …) are made in inference mode: cheapest, but autograd does not take them
    and they cannot be changed in place. With `plain` they are ordinary tensors, detached from the model. What `weights`
    and `steps` compute is ordinary either way.

    `edits` are made while the model runs (`SwitchOff(2, 0)` …, see `experiment/edits`): it is the edited run that is
    captured. What was edited stands on everything that leaves the trace, and edited layers claim no proof.

    Raises ExperimentError for an edit that cannot be made, NoTokensError if the text makes no tokens, CaptureError if
    it needs more memory than there is, for a language
    that the model does not know, a chat template that it has not or a `target` without a decoder, and ValueError
    naming a keyword of the model's attention that would change the result and that we do not know: a picture drawn
    without it would be wrong.
    """
    languages = {"source_language": source_language, "target_language": target_language}
    if edits == () or edits == []:
        return Trace.of(capturing.capture(model, text, pair, target, **languages, chat=chat, plain=plain))
    from attention_core.experiment.captured import capture_edited
    from attention_core.experiment.edits import edits_of

    prepared = capturing.prepare(model, text, pair, target, **languages, chat=chat)
    return Trace.of(capture_edited(prepared, edits_of(edits), plain=plain))


def load_trace(file: str | Path | bytes) -> Trace:
    """Open a saved trace, without its model: the weights' witness stayed with it; `trace.checks` are those that came.

    Or a file of matrices that were made elsewhere, `.npz`, `.safetensors` or `.json` (docs/own-matrices.md).

    Raises TraceFileError with a plain sentence if the file is damaged, of another kind or inconsistent.
    """
    return Trace.of(open_trace(file))
