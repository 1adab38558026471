"""What stands where a model would be asked, while matrices of one's own are shown: that it is off, and why.

A page draws from here what it cannot offer. Nothing looks alive that is not.
"""

import streamlit as st

from pages.shared.engine.plain import TraceSummary
from pages.shared.parts import theme

NO_MODEL = "No model is behind matrices of your own"
PICKER = f"{NO_MODEL}, so there is none to choose. “Back to the text box” brings the models back."
SAYS = f"{NO_MODEL}: what a model says, and continuing its text, is off."
SURVEY = f"{NO_MODEL}: labels and the survey over text files, which both run one, are off."

EXPERIMENTS = f"{NO_MODEL}: experiments, which run one again and again, are off."


def what(trace: TraceSummary) -> str:
    """What was given, in a few words."""
    exact = sum(layer.exact for layer in trace.layers)
    if not exact:
        return trace.only_weights
    many = "" if exact == len(trace.layers) else f" in {exact} of {len(trace.layers)} layers"
    return f"weights with q, k and v{many}, given by you"


def line(trace: TraceSummary) -> str:
    """What stands under the picker, where a model has its size and licence."""
    heads = sorted({layer.n_heads for layer in trace.layers})
    n_heads = f"{heads[0]}" if len(heads) == 1 else f"{heads[0]} to {heads[-1]}"
    n_layers = f"{len(trace.layers)} layer{'' if len(trace.layers) == 1 else 's'}"
    return f"{n_layers} × {n_heads} head{'' if heads == [1] else 's'} · {what(trace)}"


def rows(trace: TraceSummary) -> list[tuple[str, str]]:
    """What is known, behind the three dots; of a model nothing is."""
    kinds = dict.fromkeys(layer.kind for layer in trace.layers)
    counts = [f"{sum(layer.kind == kind for layer in trace.layers)} {kind}" for kind in kinds]
    tokens = f"{len(trace.source_tokens):,}"
    if trace.target_tokens:
        tokens += f"; in the decoder {len(trace.target_tokens):,}"
    precisions = dict.fromkeys(layer.dtype for layer in trace.layers)
    return [
        ("Layers", ", ".join(counts)),
        ("Tokens", tokens),
        ("Given in", ", ".join(precisions)),
        ("What is here", what(trace)),
        ("What can be checked", ", ".join(trace.checks)),
        ("Model, parameters, licence", "not known: none came with the matrices"),
    ]


def banner(trace: TraceSummary) -> None:
    """In place of the text box."""
    st.text(f"{trace.facts.name}: {what(trace)}.")
    st.code(trace.text[:2_000], language=None, wrap_lines=True)
    if trace.target:
        st.code(trace.target[:2_000], language=None, wrap_lines=True)
    theme.say(
        f"{NO_MODEL}: the text cannot be changed and read again, and the picker, the tour, labels, the survey and what "
        "the model says are off. Pictures, metrics and downloads work."
    )


def off(why: str) -> None:
    """One line in the place of what is off."""
    theme.say(why)
