"""A script that makes a picture again and proves it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from attention_core.formats.json_data import JsonMapping
from attention_core.reading.reading import Reading


def script(  # noqa: PLR0913 (everything that a view holds)
    model_reference: str,
    text: str,
    *,
    given: Mapping[str, str | bool] = MappingProxyType({}),
    layer: int | str,
    head: int | str,
    query: int | None = None,
    reading: Reading,
    file: str | None = None,
    edits: Sequence[JsonMapping] = (),
) -> str:
    """Python that makes a picture again and proves it: it runs as it stands where `attention_core` can be imported.

    Of an edited run it says what was edited in place of a proof.

    `model_reference` is what `load_model` takes; `given` holds the other arguments of `capture` by name (`pair`,
    `target`, the languages, `chat`), empty ones are left out. `layer` and `head` are as in a view: an index, or the
    name of several layers, "mean" or "max" of several heads; `query` is the row that is printed, None for the
    strongest links. `file` names the trace file that was opened, if it was not a model that read the text. `edits` are
    those of an edited run as plain data (`trace.edits`).
    """
    options = ", ".join(f"{name}=True" for name in Reading.__slots__ if getattr(reading, name))
    texts = "".join(f", {name}={value!r}" for name, value in given.items() if value)
    what = f"layer {layer}" if isinstance(layer, int) else "all layers of one kind"
    which = f"head {head}" if isinstance(head, int) else f"{head} over heads"
    one_layer = isinstance(layer, int)
    code = [
        f'"""Attention weights, {what}, {which}: rows look at columns."""',
        "",
        f"from attention_core import {'load_trace' if file else 'capture, load_model'}",
        "from attention_core.metrics import strongest" if query is None else None,
        f"from attention_core.pictures import {'' if one_layer else 'groups, '}rows_and_columns, weights_of",
        "from attention_core.reading import Reading",
        "from attention_core.experiment.edits import edit_from_plain" if edits and not file else None,
        "",
        None if file else f"model = load_model({model_reference!r})",
        f"edits = [edit_from_plain(edit) for edit in {[dict(edit) for edit in edits]!r}]  # an edited run: no proof"
        if edits and not file
        else None,
        f"trace = load_trace({file!r})  # the saved trace: put it beside this script, or write where it is"
        if file
        else f"trace = capture(model, {text!r}{texts}{', edits=edits' if edits else ''})",
        f"reading = Reading({options})",
        f"layers = [{layer}]"
        if one_layer
        else f"layers = next(group.layers for group in groups(trace) if group.name == {layer!r})",
        "queries, keys = rows_and_columns(trace, reading, layers[0])",
        f"weights, allowed = weights_of(trace, reading, {layer!r}, {head!r})  # [query, key]",
        "",
        *(_prints_links() if query is None else _prints_row(query)),
    ]
    code += ["", *(_says_what_was_edited() if edits else _proves(head))]
    return "\n".join(line for line in code if line is not None) + "\n"


def _proves(head: int | str) -> list[str]:
    heads = f"[{head}]" if isinstance(head, int) else "range(trace.layers[n].n_heads)"
    return [
        f"checks = [check for n in layers for head in {heads} for check in trace.proof(layer=n, head=head)]",
        "assert all(check.holds for check in checks), checks",
        'print(f"{len(checks)} checks hold; largest difference {max(check.difference for check in checks):.1e}")',
    ]


def _says_what_was_edited() -> list[str]:
    return [
        'print("An edited run:", *trace.edited, sep="\\n")',
        "for n in layers:",
        '    print(f"layer {n}: {trace.verdict(n).sentence}")',
    ]


def _prints_links() -> list[str]:
    return [
        "for link in strongest(weights, allowed=allowed):",
        '    print(f"{queries[link.query].text} looks at {keys[link.key].text}: {link.weight:.4f}")',
    ]


def _prints_row(query: int) -> list[str]:
    return [
        f"rows = [n for n, query in enumerate(queries) if {query} in query.pieces]",
        "if not rows:",
        f'    print("Token {query} is hidden in this view: it has no row.")',
        "for row in rows:",
        "    for n, key in enumerate(keys):",
        "        masked = allowed is not None and not allowed[row, n]",
        "        shown = 'masked' if masked else f'{weights[row, n]:.4f}'",
        '        print(f"{queries[row].text} looks at {key.text}: {shown}")',
    ]
