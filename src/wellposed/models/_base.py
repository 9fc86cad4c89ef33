"""What the networks ask of the shape of their inputs."""

from collections.abc import Sequence
from math import prod

from wellposed.errors import require


def size_of(shape: Sequence[int], classes: int, model: str) -> int:
    """How many numbers an input of this shape has; empty shapes and no classes are refused."""
    require(
        len(shape) > 0 and all(side >= 1 for side in shape),
        f"{model} needs the shape of one input, such as (2,) or (1, 28, 28), got {tuple(shape)}",
    )
    require(classes >= 1, f"{model} needs at least one class, got classes={classes}")
    return prod(shape)


def image_of(
    shape: Sequence[int], classes: int, model: str, *, at_least: int
) -> tuple[int, int, int]:
    """Channels, height and width of an input that has to be an image, `at_least` pixels a side."""
    require(
        len(shape) == 3,
        f"{model} needs images of shape (channels, height, width), got inputs of shape "
        f"{tuple(shape)}; Linear and MLP take any shape",
    )
    size_of(shape, classes, model)
    channels, height, width = shape
    require(
        min(height, width) >= at_least,
        f"{model} needs images of at least {at_least} x {at_least} pixels, got {height} x "
        f"{width}; LeNet takes them from 4 x 4, Linear and MLP of any size",
    )
    return channels, height, width
