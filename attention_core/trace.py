"""The face: a trace is the record of one text in one model, with a door to everything that can be asked of it.

Behind each door the module is imported when somebody opens it: a page that draws pictures need not wait for the rest.
"""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from attention_core.capturing import capture as capturing
from attention_core.models.facts import LoadedModel
from attention_core.record.given_file import open_trace
from attention_core.record.record import Record

if TYPE_CHECKING:
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

    def verdict(self, layer: int | None = None, head: int | None = None) -> "Verdict":
        """What the proof comes to, in words: of one head, of all heads of a layer, or of all that was captured.

        "checked", "checked except" with what was not, "cannot be checked" with why, or "differs" with the step that
        does. Of many heads every one is proven first.
        """
        from attention_core.record.verdict import verdict_of, verdict_of_all

        if layer is None:
            if head is not None:
                raise ValueError("a head is one of a layer: name the layer too")
            return verdict_of_all(self)
        self.require(layer, head or 0)
        return verdict_of_all(self, layer) if head is None else verdict_of(self, layer, head)

    def readout(self) -> "Readout":
        """What the model says: the next token, the masked words, how alike two sentences are, or what it predicts."""
        from attention_core.reading.readout import read_out

        return read_out(self)

    def ledger(self, layer: int, head: int, query: int) -> "Ledger":
        """One head and one query in real numbers, step by step, for a notebook to show."""
        from attention_core.ledger.steps import ledger

        return ledger(self, layer, head, query)

    def picture(self, layer: int | str, head: "int | Literal['mean', 'max']") -> "HeadPicture":
        """One head's heatmap, for a notebook to show."""
        from attention_core.pictures.files import HeadPicture

        return HeadPicture(self, layer, head)

    def _repr_html_(self) -> str:
        from attention_core.pictures.files import atlas_html

        return atlas_html(self)


def capture(
    model: LoadedModel,
    text: str,
    pair: str | None = None,
    target: str | None = None,
    *,
    source_language: str | None = None,
    target_language: str | None = None,
    chat: bool = False,
) -> Trace:
    """Capture q, k, v and output of every attention call while the model reads `text`.

    Of an architecture that hides q and k from transformers' attention interface, the weights that it returns itself.

    `pair` is a second sentence for models that read two, `target` the decoder's text of an encoder-decoder (its start
    token alone if None). A text over the model's limit is cut, and `notes` says where. The languages are for models
    whose tokenizer is told some, by its own names (NLLB: "eng_Latn"); None takes what is usual, see `model.spoken`.
    `chat` puts the model's chat template around the text, as what a user says (see `chat.chat_prompt`): the trace's
    text is then the whole prompt.

    Raises NoTokensError if the text makes no tokens, CaptureError if it needs more memory than there is, for a language
    that the model does not know, a chat template that it has not or a `target` without a decoder, and ValueError
    naming a keyword of the model's attention that would change the result and that we do not know: a picture drawn
    without it would be wrong.
    """
    return Trace.of(
        capturing.capture(
            model, text, pair, target, source_language=source_language, target_language=target_language, chat=chat
        )
    )


def load_trace(file: str | Path | bytes) -> Trace:
    """Open a saved trace, without its model: the weights' witness stayed with it; `trace.checks` are those that came.

    Or a file of matrices that were made elsewhere, `.npz`, `.safetensors` or `.json` (docs/own-matrices.md).

    Raises TraceFileError with a plain sentence if the file is damaged, of another kind or inconsistent.
    """
    return Trace.of(open_trace(file))
