"""PNG and JPEG files as tensors, distrusting every header."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from wellposed.data._store import unit
from wellposed.errors import DataError, first_line, require

MOST_PIXELS = 2**26  # 67 million: more than cameras have, and 200 MB once decoded
SUFFIXES = (".png", ".jpg", ".jpeg")
_MODES = {1: "L", 3: "RGB"}


def read_image(path: str | Path, shape: tuple[int, int, int]) -> Float[Tensor, "channels h w"]:
    """A PNG or JPEG file as a raw input, values in [0, 1].

    Args:
        path: The file.
        shape: (channels, height, width) to convert to: 1 channel is gray, 3 are red, green, blue.
            The middle of the image that has this aspect ratio is resized.
    """
    channels, height, width = shape
    pixels = decode(Path(path), channels, (height, width))
    return unit(torch.from_numpy(pixels.copy()))  # Pillow's own bytes are read-only


def decode(path: Path, channels: int, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """The pixels of an image file, shape (channels, height, width).

    Args:
        path: A PNG or JPEG file; its camera orientation is obeyed, transparency is dropped.
        channels: 1 or 3.
        size: (height, width) of the result, from the middle of the image; None leaves it alone.

    Raises:
        DataError: If it is no such file, damaged, empty, or has more than 67 million pixels.
    """
    require(channels in _MODES, f"images have 1 or 3 channels, got {channels}")
    if not path.is_file():  # opening a pipe would wait for ever
        found = "is no plain file" if path.exists() else "does not exist"
        raise DataError(f"{path} {found}; give a PNG or JPEG file")
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MOST_PIXELS:
                raise DataError(
                    f"{path} announces {image.width}x{image.height} pixels, at most {MOST_PIXELS} "
                    f"are read; make it smaller or remove it"
                )
            if size is not None:
                image.draft(None, (2 * size[1], 2 * size[0]))  # JPEG: decode near the final size
            pixels = _pixels(image, _MODES[channels], size)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{path} is not a readable PNG or JPEG image ({first_line(error)}); replace or remove "
            "it"
        ) from error
    return np.ascontiguousarray(np.moveaxis(np.atleast_3d(pixels), 2, 0))


def _pixels(image: Image.Image, mode: str, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    image.load()
    if image.mode.startswith("I"):  # 16 bits per pixel, which Pillow would clip to 8
        wide = np.asarray(image).astype(np.int64).clip(0, 65535)
        image = Image.fromarray((wide // 257).astype(np.uint8))
    elif "exif" in image.info:
        image = ImageOps.exif_transpose(image)
    if image.mode != mode:
        image = image.convert(mode)
    if size is not None and image.size != (size[1], size[0]):
        wanted = (size[1], size[0])
        image = ImageOps.fit(image, wanted, Image.Resampling.BILINEAR)
    return np.asarray(image)
