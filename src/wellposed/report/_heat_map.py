"""Functions of two variables as pictures of a few levels, the same on light and dark paper."""

import base64
import io
from collections.abc import Callable

import numpy as np
from markupsafe import Markup
from PIL import Image
from scipy.ndimage import zoom

from wellposed.report._axis import linear, number_name
from wellposed.report._figures import word

LEVELS = 16
_FINER = 2  # pixels for each point of the grid, so that the levels have smooth borders
# From deep to high: lightness rises evenly, hue goes from blue over green to sand.
_ANCHORS = (
    (16, 30, 84),
    (26, 88, 143),
    (52, 145, 160),
    (137, 193, 164),
    (226, 226, 172),
    (252, 247, 228),
)


def heat_map(values: np.ndarray, low: float, high: float) -> str:
    """A data URI of a PNG of the values, in `LEVELS` colors; the same bytes for the same values.

    Args:
        values: `values[i, j]` at $(x_i, y_j)$; x goes to the right and y up.
        low: What gets the deepest color; lower values as well.
        high: What gets the highest color; higher values as well.
    """
    fine = zoom(values.T[::-1], _FINER, order=1, grid_mode=True, mode="nearest")
    levels = np.clip((fine - low) / (high - low) * LEVELS, 0, LEVELS - 1)
    picture = Image.fromarray(levels.astype(np.uint8)).convert("P")
    picture.putpalette([channel for color in _colors() for channel in color])
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True, bits=4)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def color_bar(
    low: float, high: float, width: float, name: Callable[[float], str] = number_name
) -> Markup:
    """The colors from low to high with their values below, 34 pixels high.

    Args:
        low: Value of the deepest color.
        high: Value of the highest color.
        width: In pixels.
        name: Writes a value.
    """
    step = width / LEVELS
    parts = [
        Markup('<rect x="{:.1f}" y="0" width="{:.1f}" height="12" fill="#{}"/>').format(
            k * step, step + 0.3, "".join(f"{channel:02x}" for channel in color)
        )
        for k, color in enumerate(_colors())
    ]
    axis = linear([low, high], name=name, most=5)
    parts += [
        word(axis.position(value) * width, 28, text, "tick middle") for value, text in axis.ticks
    ]
    return Markup("").join(parts)


def spot(x: float, y: float) -> Markup:
    """A ring that is seen on every color."""
    return Markup(
        '<circle cx="{0:.1f}" cy="{1:.1f}" r="4.5" fill="none" stroke="#000" stroke-width="3.2"/>'
        '<circle cx="{0:.1f}" cy="{1:.1f}" r="4.5" fill="none" stroke="#fff" stroke-width="1.7"/>'
    ).format(x, y)


def _colors() -> list[tuple[int, int, int]]:
    """The color of every level."""
    at = np.linspace(0, len(_ANCHORS) - 1, LEVELS)
    channels = [
        np.interp(at, range(len(_ANCHORS)), column) for column in zip(*_ANCHORS, strict=True)
    ]
    return [
        (round(r), round(g), round(b))
        for r, g, b in zip(*map(np.ndarray.tolist, channels), strict=True)
    ]
