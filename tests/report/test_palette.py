from itertools import combinations

import pytest

from wellposed.report._palette import INK, PAPER, SOFT, TONES, contrast, css_variables, tone

# How the three kinds of color blindness change linear RGB: Machado, Oliveira and Fernandes, A
# physiologically-based model for simulation of color vision deficiency, 2009, severity 1.
BLINDNESS = {
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}
THEMES = ("light", "dark")


def linear_rgb(color):
    channels = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def lab(rgb):
    r, g, b = (min(1, max(0, c)) for c in rgb)
    xyz = (
        (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
    )
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def seen(color, blindness):
    rgb = linear_rgb(color)
    return lab([sum(m * c for m, c in zip(row, rgb, strict=True)) for row in BLINDNESS[blindness]])


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


@pytest.mark.parametrize("theme", THEMES)
def test_everything_that_is_text_can_be_read(theme):
    for color in (INK[theme], SOFT[theme], *(getattr(t, theme) for t in TONES)):
        assert contrast(color, PAPER[theme]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("blindness", BLINDNESS)
def test_tones_differ_for_everybody(theme, blindness):
    colors = [seen(getattr(t, theme), blindness) for t in TONES]
    for one, other in combinations(colors, 2):
        assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 20


def test_no_tone_is_told_by_color_alone():
    assert len({t.dash for t in TONES}) == len(TONES)
    assert len({t.marker for t in TONES}) == len(TONES)


def test_tones_repeat():
    assert [tone(k) for k in (0, 5, 6)] == [0, 5, 0]


def test_variables_name_every_color():
    css = css_variables("dark")
    assert f"--paper: {PAPER['dark']};" in css
    assert f"--tone-5: {TONES[5].dark};" in css
