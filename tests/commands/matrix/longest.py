"""The longest text that a card claims is captured, and one token more is cut with a note: of source and target."""

from typing import Any

from attention_core import Trace, capture
from attention_core.models.facts import LoadedModel
from attention_core.models.loading import wrap_model
from tests.support import tiny

MOST = 1_024  # more is not captured here
UNLIMITED = 128  # tokens that are read where no limit is stated


def longest_text(model_type: str, model: Any) -> str:
    """ "64", "62; decoder 23", "no limit"; with ✗ and what went wrong. The tokenizer states no limit."""
    loaded = wrap_model(model, tiny.tokenizer(limit=10**30), name=model_type)
    facts = loaded.facts
    said = [_side(loaded, facts.context_length, target=False)]
    if facts.encoder_decoder:
        said.append(f"decoder {_side(loaded, facts.target_length, target=True)}")
    return "; ".join(said)


def _side(model: LoadedModel, limit: int | None, *, target: bool) -> str:
    """What became of a text of as many tokens as the card claims, and of one token more."""
    claimed = f"{limit}" if limit else "no limit"
    if limit and limit > MOST:
        return f"no limit tried: {limit} is too long here"
    try:
        whole, n = _read(model, limit or UNLIMITED, target=target)
        if n != (limit or UNLIMITED) or _cut(whole):
            return f"{claimed} ✗ {n} were read"
        if limit is not None:
            more, n = _read(model, limit + 1, target=target)
            if n != limit or not _cut(more):
                return f"{claimed} ✗ one token more was not cut"
    except Exception as error:  # what this column is for
        return f"{claimed} ✗ {type(error).__name__}: {str(error)[:80]}"
    return claimed


def _read(model: LoadedModel, n: int, *, target: bool) -> tuple[Trace, int]:
    """A capture of a text that comes to n tokens, and how many of that side were read."""
    others = 1 if target else 2  # the start token; [CLS] and [SEP]
    text = " ".join(["cat"] * (n - others))
    if not target:
        trace = capture(model, text, target="a dog" if model.facts.encoder_decoder else None)
        return trace, len(trace.source_tokens)
    before = len(capture(model, "a dog", target="").target_tokens)  # BART's labels begin with [CLS] too
    trace = capture(model, "a dog", target=" ".join(["cat"] * (n - before)))
    return trace, len(trace.target_tokens)


def _cut(trace: Trace) -> bool:
    return any("cut" in note for note in trace.notes)
