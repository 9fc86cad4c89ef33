"""A small convolutional network."""

from collections.abc import Sequence
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from wellposed.models._base import image_of


@final
class SmallCNN(nn.Module):
    """3 x 3 convolutions to 32 and 64 channels, each with ReLU and max pooling, then linear.

    Convolutions keep the size, pooling halves it. On 1 x 28 x 28 there are 50,186 weights for
    10 classes.

    Args:
        shape: (channels, height, width) of one image, at least 4 x 4.
        classes: Number of outputs.

    Raises:
        ArgumentError: If inputs are not images, or too small.
    """

    citation: ClassVar[str] = ""

    def __init__(self, *, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        channels, height, width = image_of(shape, classes, "SmallCNN", at_least=4)
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Linear(64 * (height // 4) * (width // 4), classes)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Scores of a batch."""
        scores: Tensor = self.classifier(self.features(inputs).flatten(1))
        return scores
