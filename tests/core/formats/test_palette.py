"""Colours that can be read, told apart and ordered."""

import itertools
import math

import pytest

from attention_core.formats import palette
from attention_core.formats.palette import colour, contrast
from tests.support.plain_numbers import oklab

TEXT = ("QUERY", "KEY", "VALUE", "OUTPUT", "INK", "INK_2", "OK", "BAD", "NAN", "FOCUS")
ROLES = (palette.QUERY, palette.KEY, palette.VALUE, palette.OUTPUT)
RAMPS = (palette.RAMP_LIGHT, palette.RAMP_DARK)

# Full colour blindness of one kind of cone, on linear RGB. Source: Machado, Oliveira & Fernandes 2009, severity 1.
PROTAN = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
DEUTAN = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))


def seen_by(matrix: tuple[tuple[float, float, float], ...], hex_colour: str) -> str:
    linear = [palette._linear(channel) for channel in palette.channels(hex_colour)]
    seen = (min(max(sum(a * b for a, b in zip(row, linear, strict=True)), 0), 1) for row in matrix)
    back = (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in seen)
    return "#" + "".join(f"{round(255 * c):02x}" for c in back)


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_colour_can_be_read_on_paper_and_panel(name, theme):
    """WCAG AA for text: 4.5:1."""
    text = getattr(getattr(palette, name), theme)
    for ground in (palette.PAPER, palette.PANEL):
        assert contrast(text, getattr(ground, theme)) >= 4.5


def test_contrast_of_black_on_white_is_21_and_of_a_colour_on_itself_1():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)  # the lightest grey that passes, as known
    assert contrast("#123456", "#123456") == 1


@pytest.mark.parametrize("ramp", RAMPS)
def test_weights_are_ordered_by_lightness_in_even_steps(ramp):
    """Each of the eight steps is within 5 % of the mean step: half a unit of 8-bit colour, rounded, is at most that."""
    lightness = [oklab(stop)[0] for stop in ramp]
    steps = [b - a for a, b in itertools.pairwise(lightness)]
    mean = sum(steps) / len(steps)
    assert len(ramp) == 9
    assert all(abs(step / mean - 1) < 0.05 for step in steps)


def test_more_weight_is_more_ink_on_light_paper_and_more_light_on_dark():
    assert oklab(palette.RAMP_LIGHT[0])[0] > 0.95 > 0.3 > oklab(palette.RAMP_LIGHT[-1])[0]
    assert oklab(palette.RAMP_DARK[0])[0] < 0.25 < 0.9 < oklab(palette.RAMP_DARK[-1])[0]
    assert contrast(palette.RAMP_LIGHT[0], palette.PAPER.light) < 1.1
    assert contrast(palette.RAMP_DARK[0], palette.PAPER.dark) < 1.1


@pytest.mark.parametrize("ramp", [palette.DIVERGING_LIGHT, palette.DIVERGING_DARK])
def test_signed_numbers_have_zero_in_the_middle_and_equal_ends(ramp):
    lightness = [oklab(stop)[0] for stop in ramp]
    assert lightness == pytest.approx(lightness[::-1], abs=0.005)  # 8-bit rounding
    assert math.hypot(*oklab(ramp[4])[1:]) < 0.02  # nearly grey
    assert oklab(ramp[0])[2] < 0 < oklab(ramp[-1])[2]  # blue and yellow: the pair that red-green blindness keeps


@pytest.mark.parametrize("matrix", [PROTAN, DEUTAN])
@pytest.mark.parametrize("theme", [0, 1])
def test_the_four_roles_differ_to_colour_blind_eyes(matrix, theme):
    """A distance of 0.05 in OKLab is seen side by side; letters and shapes go with the colours as well."""
    for one, other in itertools.combinations(ROLES, 2):
        distance = math.dist(oklab(seen_by(matrix, one[theme])), oklab(seen_by(matrix, other[theme])))
        assert distance > 0.05, (one[theme], other[theme])


def test_query_and_key_the_pair_in_every_picture_are_far_apart_to_colour_blind_eyes():
    for matrix, theme in itertools.product((PROTAN, DEUTAN), (0, 1)):
        assert (
            math.dist(oklab(seen_by(matrix, palette.QUERY[theme])), oklab(seen_by(matrix, palette.KEY[theme]))) > 0.15
        )


def test_a_value_between_two_stops_takes_its_share_of_both():
    ramp = ("#000000", "#646464", "#ffffff")
    assert [colour(v, ramp) for v in (0.0, 0.25, 0.5, 1.0)] == ["#000000", "#323232", "#646464", "#ffffff"]
    assert (colour(-7.0, ramp), colour(7.0, ramp)) == ("#000000", "#ffffff")


def test_nan_has_no_colour_on_a_ramp():
    with pytest.raises(ValueError, match="got NaN"):
        colour(float("nan"), palette.RAMP_LIGHT)


def test_oklab_of_the_published_references():
    """Ottosson's page: white is L = 1 without hue; sRGB red is (0.628, 0.225, 0.126)."""
    assert oklab("#ffffff") == pytest.approx((1, 0, 0), abs=1e-4)
    assert oklab("#ff0000") == pytest.approx((0.628, 0.2249, 0.1258), abs=1e-3)
