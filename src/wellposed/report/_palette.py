"""Colors, dashes and markers of curves: told apart by anybody, on light and dark paper.

The hues follow Okabe and Ito (Color universal design, 2008); a search then moved lightness and
saturation so that each has the contrast that text needs (4.5 to 1) on its paper, and the smallest
difference of two tones, as seen with full protanopia, deuteranopia and tritanopia, became largest.
No curve is told by color alone: each also has its dash, its marker and, where there is room, its
name beside it.
"""

from dataclasses import dataclass
from typing import final

PAPER = {"light": "#fcfcfa", "dark": "#15171a"}
INK = {"light": "#1c1c1a", "dark": "#e9e7e2"}
SOFT = {"light": "#5b5a56", "dark": "#adaaa4"}


@final
@dataclass(frozen=True, slots=True)
class Tone:
    """How one series looks.

    Args:
        light: Its color on light paper.
        dark: Its color on dark paper.
        dash: SVG dash pattern; empty for a solid line.
        marker: Points of its marker around (0, 0), or "" for a circle.
    """

    light: str
    dark: str
    dash: str
    marker: str


TONES = (
    Tone("#1073d5", "#0e81fe", "", ""),
    Tone("#b05601", "#de6836", "7 3", "-4,-4 4,-4 4,4 -4,4"),
    Tone("#034333", "#38fab2", "2 2.5", "0,-5 5,4 -5,4"),
    Tone("#7e2376", "#e794d9", "9 3 2 3", "0,-5.5 5.5,0 0,5.5 -5.5,0"),
    Tone("#736f77", "#85897c", "5 2 1 2 1 2", "0,5 5,-4 -5,-4"),
    Tone("#453908", "#fbec77", "12 4", "-5,-2 5,-2 5,2 -5,2"),
)


def tone(number: int) -> int:
    """Which of the tones a series of this number has; they repeat after the last."""
    return number % len(TONES)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two "#rrggbb" colors, 1 to 21, as WCAG 2.2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def css_variables(theme: str) -> str:
    """The custom properties of a theme ("light" or "dark"), as CSS declarations."""
    colors = {"paper": PAPER[theme], "ink": INK[theme], "soft": SOFT[theme]}
    colors |= {f"tone-{k}": getattr(t, theme) for k, t in enumerate(TONES)}
    return " ".join(f"--{name}: {color};" for name, color in colors.items())


def _luminance(color: str) -> float:
    """Relative luminance of "#rrggbb"."""
    channels = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
