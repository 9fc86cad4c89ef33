"""A small convolutional network without pooling, as robust training and its proofs like it."""

from collections.abc import Sequence
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.models._base import image_of


@final
class StridedCNN(nn.Module):
    """Three 3 x 3 convolutions and two linear layers, with ReLU between them.

    Strides in the first and the third convolution halve the sides, to `width`, 2 `width` and
    2 `width` channels; the hidden layer has 4 `width` units. Strides are cheaper than pooling, and
    with nothing but affine maps and ReLU bounds on the outputs are tight. With width 32 on
    1 x 28 x 28 there are 458,570 weights for 10 classes.

    Args:
        shape: (channels, height, width) of one image, at least 4 x 4.
        classes: Number of outputs.
        width: Channels of the first convolution, at least 1.

    Raises:
        ArgumentError: If inputs are not images, or too small, or the width is below 1.
    """

    citation: ClassVar[str] = ""

    def __init__(self, *, shape: Sequence[int], classes: int, width: int = 32) -> None:
        super().__init__()
        channels, rows, columns = image_of(shape, classes, "StridedCNN", at_least=4)
        require(width >= 1, f"StridedCNN needs width >= 1, got width={width}; 32 is usual")
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        size = -(-rows // 4) * -(-columns // 4)
        self.hidden = nn.Linear(2 * width * size, 4 * width)
        self.classifier = nn.Linear(4 * width, classes)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Scores of a batch."""
        scores: Tensor = self.classifier(self.hidden(self.features(inputs).flatten(1)).relu())
        return scores
