"""Colors, dashes and markers of curves: told apart by anybody, on light and dark paper.

The hues are those of Okabe and Ito (Color universal design, 2008), made darker or lighter until
each has the contrast that text needs (4.5 to 1) on its paper. No curve is told by color alone: each
also has its dash, its marker and, where there is room, its name beside it.
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
    Tone("#005a94", "#5cb8f2", "", ""),
    Tone("#b84500", "#ff9a4d", "7 3", "-4,-4 4,-4 4,4 -4,4"),
    Tone("#007a5a", "#2fd0a3", "2 2.5", "0,-5 5,4 -5,4"),
    Tone("#9b2f73", "#f09ccb", "9 3 2 3", "0,-5.5 5.5,0 0,5.5 -5.5,0"),
    Tone("#45454d", "#d0d0d8", "5 2 1 2 1 2", "0,5 5,-4 -5,-4"),
    Tone("#7d6200", "#e6cf3c", "12 4", "-5,-2 5,-2 5,2 -5,2"),
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
