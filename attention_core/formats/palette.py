"""Colours: one for each of query, key, value and output, even ramps for weights, and a light and a dark paper.

The four roles are the Okabe–Ito orange, blue, green and purple, made darker or lighter until they can be read as text
(WCAG AA, 4.5:1) on paper and panel. On a ramp more weight is more ink (light) or more light (dark): lightness alone
carries the order, in even steps of OKLab, so that colour-blind eyes and black-and-white print lose nothing. Masked and
NaN have colours outside the ramps, and a sign as well.

Sources: Okabe & Ito 2008 (Color Universal Design); Ottosson 2020 (OKLab); WCAG 2.2, success criterion 1.4.3.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Colour(NamedTuple):
    """A colour as "#rrggbb" on light and on dark paper."""

    light: str
    dark: str


QUERY = Colour("#955e06", "#f2af48")
KEY = Colour("#0570b4", "#5cb4ef")
VALUE = Colour("#067858", "#6fdea7")
OUTPUT = Colour("#a84b84", "#e08bbc")

PAPER = Colour("#fbfaf7", "#14141a")
PANEL = Colour("#ffffff", "#1d1d26")
INK = Colour("#1d1b26", "#eceaf2")
INK_2 = Colour("#5b5868", "#a9a6b8")  # secondary text
LINE = Colour("#dedbd3", "#34333f")  # rules and borders: decoration, never the only sign
MASK = Colour("#b9b5ac", "#55535f")  # hatch lines of a masked cell
NAN = Colour("#c2410c", "#ff8f6b")  # NaN and ±∞, drawn with a cross as well
FOCUS = Colour("#4a34c7", "#b3a5ff")
OK = Colour("#1a7340", "#63d490")
PART = Colour("#7a5200", "#f0c060")  # checked, with exceptions
BAD = Colour("#b3261e", "#ff9a8f")

# Weights from 0 to 1.
RAMP_LIGHT = ("#f6f3ef", "#dfd2dd", "#c9b0cb", "#b190bc", "#9771af", "#7a569d", "#5c3b8c", "#3e286d", "#23154f")
RAMP_DARK = ("#191920", "#322b42", "#553b61", "#824a73", "#b4596e", "#db745c", "#f49851", "#f9c57d", "#ffecb8")

# Signed numbers from -range to +range: 0 in the middle, equally far from both ends.
DIVERGING_LIGHT = ("#024478", "#2b6ead", "#659bd2", "#abc8e8", "#f6f4f0", "#e9ba9a", "#d17f4f", "#a64e20", "#6d2c13")
DIVERGING_DARK = ("#a4d9f9", "#58a5e4", "#3772ac", "#274367", "#1d1d25", "#613521", "#a55628", "#e0843e", "#f7c790")

MONO = 'ui-monospace, "SF Mono", "Cascadia Mono", "Segoe UI Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace'
UI = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", Arial, sans-serif'


def colour(value: float, ramp: Sequence[str]) -> str:
    """The colour of `value` on a ramp from 0 to 1, between two stops by their sRGB values; outside, the end's.

    Raises ValueError for NaN: it has a sign of its own.
    """
    if math.isnan(value):
        raise ValueError("a colour stands for a number from 0 to 1; got NaN")
    place = min(max(value, 0.0), 1.0) * (len(ramp) - 1)
    left = min(int(place), len(ramp) - 2)
    between = place - left
    pairs = zip(channels(ramp[left]), channels(ramp[left + 1]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * between):02x}" for a, b in pairs)


def channels(hex_colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of "#rrggbb"."""
    red, green, blue = (int(hex_colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


def luminance(hex_colour: str) -> float:
    """Relative luminance, 0 = black, 1 = white. Source: WCAG 2.2."""
    red, green, blue = (_linear(channel) for channel in channels(hex_colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21. Source: WCAG 2.2."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _linear(channel: int) -> float:
    """One sRGB channel, 0 to 255, as linear light, 0 to 1."""
    value = channel / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
