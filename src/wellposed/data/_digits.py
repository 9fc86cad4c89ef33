"""The 8x8 digits that come with scikit-learn."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import final

import numpy as np
from sklearn.datasets import load_digits

from wellposed.data._base import Raw, Source
from wellposed.data._examples import Examples
from wellposed.data._places import Places


@final
@dataclass(frozen=True)
class Digits(Source):
    """Handwritten digits: 1,797 images, (1, 8, 8), 10 classes; always at hand.

    The test part of the UCI set "Optical Recognition of Handwritten Digits". Raw values are the
    counts 0..16 divided by 16.

    References:
        Alpaydin and Kaynak, Optical recognition of handwritten digits, UCI, 1998.
    """

    name = "digits"

    def find(self, places: Places) -> str | None:  # noqa: ARG002
        """The package that carries them."""
        return f"scikit-learn {version('scikit-learn')}"

    def read(self, places: Places) -> Raw:  # noqa: ARG002 - always at hand
        """All of them as the train part."""
        bunch = load_digits()
        return Raw(
            train=Examples((bunch.images / 16).astype(np.float32)[:, None], bunch.target),
            classes=tuple("0123456789"),
            license="CC BY 4.0",
            citation="""@misc{alpaydin1998optical,
  author = {Alpaydin, Ethem and Kaynak, Cenk},
  title = {Optical recognition of handwritten digits},
  howpublished = {UCI Machine Learning Repository}, year = {1998},
  doi = {10.24432/C50P49}
}""",
            origin=f"scikit-learn {version('scikit-learn')}",
        )
