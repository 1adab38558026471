"""The look, decided once: the core's palette as CSS variables, sizes, spacing, the page frame's few rules.

Colours are written with light-dark(), so the page follows the visitor's theme without asking Python.
"""

import html
from functools import cache
from typing import TYPE_CHECKING, Literal

import streamlit as st

from attention_core.formats import palette
from pages.shared.assets import ASSETS

if TYPE_CHECKING:
    from pages.shared.inside.of_streamlit import DeltaGenerator

Kind = Literal["note", "info", "warning", "error"]


def apply(*, large: bool = False, embedded: bool = False) -> None:
    """Put the variables and the page's style sheet into the page; `large` is the projector's size."""
    sheets = _sheet("page") + (_sheet("embedded") if embedded else "")
    st.html(f"<style>{_variables(large)}{sheets}</style>")


def escape(text: str) -> str:
    """Text from outside as literal text for `st.html`."""
    return html.escape(text)


def say(text: str, kind: Kind = "note", place: "DeltaGenerator | None" = None) -> None:
    """A sentence that may quote a text, a link or a file, as literal text; in `place`, or where the page stands.

    Not as Markdown, however it is escaped: Streamlit makes links of addresses, signs of arrows and pictures of
    `:names:` in what is left as text.
    """
    role = {"note": "", "info": " role='status'", "warning": " role='alert'", "error": " role='alert'"}[kind]
    (place or st).html(f"<p class='sl-said sl-{kind}'{role}>{escape(text)}</p>")


def _variables(large: bool) -> str:
    pairs = {
        "query": palette.QUERY,
        "key": palette.KEY,
        "value": palette.VALUE,
        "output": palette.OUTPUT,
        "paper": palette.PAPER,
        "panel": palette.PANEL,
        "ink": palette.INK,
        "ink-2": palette.INK_2,
        "line": palette.LINE,
        "focus": palette.FOCUS,
        "ok": palette.OK,
        "part": palette.PART,
        "bad": palette.BAD,
        "mask": palette.MASK,
        "nan": palette.NAN,
    }
    colours = {name: f"light-dark({pair.light}, {pair.dark})" for name, pair in pairs.items()}
    ramp = {
        f"ramp-{i}": f"light-dark({light}, {dark})"
        for i, (light, dark) in enumerate(zip(palette.RAMP_LIGHT, palette.RAMP_DARK, strict=True))
    }
    signed = {
        f"div-{i}": f"light-dark({light}, {dark})"
        for i, (light, dark) in enumerate(zip(palette.DIVERGING_LIGHT, palette.DIVERGING_DARK, strict=True))
    }
    sizes = {
        "mono": palette.MONO,
        "ui": palette.UI,
        "size": "18px" if large else "14px",
        "gap": "8px",
    }
    body = "".join(f"--sl-{name}:{value};" for name, value in {**colours, **ramp, **signed, **sizes}.items())
    return f":root{{{body}}}"


@cache
def _sheet(name: str) -> str:
    return (ASSETS / "css" / f"{name}.css").read_text(encoding="utf-8")
