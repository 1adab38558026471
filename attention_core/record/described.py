"""A trace in a few lines: what it holds, and how to go on."""

from attention_core.formats.shown import shape_of, shown
from attention_core.record.layers import AttentionLayer, LayerTrace
from attention_core.record.record import Record

_TEXT, _TOKENS, _NOTES = 80, 12, 3  # characters, tokens and notes that are shown


def describe_trace(trace: Record) -> str:
    """Text, tokens, layers by kind, notes, and the next things to ask. At most about 1,500 characters."""
    lines = [f"Trace of {_quoted(trace.text)} in {shown(trace.facts.name, 80).strip(chr(39))}"]
    lines.append(f"  tokens: {_tokens(trace.source_tokens)}")
    if trace.target_tokens:
        lines.append(f"  target_tokens: {_tokens(trace.target_tokens)}")
    kinds: dict[str, list[int]] = {}
    for place, layer in enumerate(trace.layers):
        kinds.setdefault(layer.kind, []).append(place)
    lines += [f"  {_layers(kind, [trace.layers[place] for place in places])}" for kind, places in kinds.items()]
    lines += [
        f"  note: {shown(note, 120)[1:-1]}" for note in (*trace.edited, *trace.notes, *trace.reservations)[:_NOTES]
    ]
    named = f', kind="{list(kinds)[-1]}"' if len(kinds) > 1 else ""
    lines.append(f"Go on: .weights(layer, head{named}) · .attention({named.lstrip(', ')}) · .picture(layer, head) ·")
    lines.append("  .steps(layer, head) · .verdict() · .ledger(layer, head, query) · .readout() · .save(file)")
    return "\n".join(lines)


def _layers(kind: str, layers: list[AttentionLayer]) -> str:
    first, n = layers[0], len(layers)
    heads = sorted({layer.n_heads for layer in layers})
    what = shape_of(first.q).split(" ")[0] if isinstance(first, LayerTrace) else "weights only"
    n_heads = f"{heads[0]}" if len(heads) == 1 else f"{heads[0]} to {heads[-1]}"
    return (
        f"{n} {kind} layer{'s' * (n != 1)}, {n_heads} head{'s' * (heads[-1] != 1)} each, "
        f"{first.n_query} queries × {first.n_key} keys, {what}"
    )


def _tokens(tokens: tuple) -> str:
    few = " ".join(shown(token.text, 24)[1:-1] for token in tokens[:_TOKENS])
    return f"{len(tokens):,}: {few}{' …' if len(tokens) > _TOKENS else ''}"


def _quoted(text: str) -> str:
    text = " ".join(text[: 2 * _TEXT].split())
    return f"“{text if len(text) <= _TEXT else text[: _TEXT - 1] + '…'}”"
