"""The face for attention that was made elsewhere: matrices and tokens become a trace."""

from collections.abc import Sequence

from attention_core.record.given import NAME, Given, record_of_given
from attention_core.text.tokens import Token
from attention_core.trace import Trace


def trace_from_attention(  # noqa: PLR0913 (public; the five forms that people have, all but one of them left out)
    attention: Given = None,
    tokens: Sequence[str | Token] | None = None,
    *,
    encoder_attention: Given = None,
    decoder_attention: Given = None,
    cross_attention: Given = None,
    encoder_tokens: Sequence[str | Token] | None = None,
    decoder_tokens: Sequence[str | Token] | None = None,
    q: Given = None,
    k: Given = None,
    v: Given = None,
    scale: float | None = None,
    allowed: Given = None,
    batch: int | None = None,
    sums_to_one: bool = True,
    text: str | None = None,
    name: str = NAME,
) -> Trace:
    """A trace of attention weights that were made elsewhere: by another library, another program, a paper's code.

        trace = trace_from_attention(outputs, tokenizer.convert_ids_to_tokens(ids))
        trace.weights(layer=2, head=3)  # your numbers, to the bit

    `attention` is a tuple with one array (batch, head, query, key) or (head, query, key) for each layer, one array
    (layer, head, query, key), or a model's output, of which the fields named attentions, encoder_attentions,
    decoder_attentions and cross_attentions are read. An encoder-decoder's weights may also come as `encoder_attention`,
    `decoder_attention` and `cross_attention`, with `encoder_tokens` and `decoder_tokens`. Arrays are torch's or
    NumPy's, float16 (bfloat16) to float64; they are copied. `batch` says which text of a batch is meant.

    `tokens` are the texts of the tokens as a tokenizer writes them (`Ġcat`, `##ing`, `▁the`), plain words, or `Token`s.
    Rows look at columns: row i, column j is how much token i takes from token j. If no token looks at a later one the
    layers count as a decoder's, else as an encoder's. `text` is shown as it is, and made of the tokens if None.

    Without more, the trace has weights only, and says that you gave them: there is no q·k to show. With `q`, `k` and
    `v` (for each layer (batch, head, token, d_head) or without the batch; k and v may have fewer heads) the weights are
    recomputed as softmax(q·k × scale), `scale` 1/√d_head if None, over the keys that `allowed` [query, key] lets read
    (None: all, or those before if the weights are 0 above the diagonal). Where that makes your weights again, every
    step can be followed and the proof compares them; where it does not, `notes` says by how much, and weights are all
    there is.

    Raises ValueError with a sentence that says which matrix, and what would help: for shapes and tokens that do not
    belong together, NaN and infinity, negative numbers, and rows that do not sum to 1 within their precision, unless
    `sums_to_one` is False; then each number must still lie between 0 and 1.
    """
    return Trace.of(
        record_of_given(
            attention,
            tokens,
            encoder_attention=encoder_attention,
            decoder_attention=decoder_attention,
            cross_attention=cross_attention,
            encoder_tokens=encoder_tokens,
            decoder_tokens=decoder_tokens,
            q=q,
            k=k,
            v=v,
            scale=scale,
            allowed=allowed,
            batch=batch,
            sums_to_one=sums_to_one,
            text=text,
            name=name,
        )
    )
