"""LeNet, in the small form of the lecture."""

from collections.abc import Sequence
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from wellposed.models._base import image_of


@final
class LeNet(nn.Module):
    """Two convolutions with tanh and average pooling, then a linear classifier.

    Convolution to 4 channels, tanh, pooling; convolution to 48 channels, tanh, pooling; linear.
    All filters are 5 x 5, pooling halves each side. The second convolution keeps the size (2
    pixels of zeros around); the first does not, except on images below 16 pixels a side, which
    it would eat up: there it keeps the size as well. On 1 x 28 x 28 the sizes are 24, 12, 12, 6,
    with 22,242 weights for 10 classes.

    Args:
        shape: (channels, height, width) of one image, at least 4 x 4.
        classes: Number of outputs.

    Raises:
        ArgumentError: If inputs are not images, or too small.

    References:
        LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document
        recognition, 1998.
    """

    citation: ClassVar[str] = """\
@article{lecun1998gradient,
  author = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  title = {Gradient-based learning applied to document recognition},
  journal = {Proceedings of the IEEE}, volume = {86}, number = {11}, pages = {2278--2324},
  year = {1998}
}"""

    def __init__(self, *, shape: Sequence[int], classes: int) -> None:
        super().__init__()
        channels, height, width = image_of(shape, classes, "LeNet", at_least=4)
        padding = 2 if min(height, width) < 16 else 0
        rows, columns = ((side + 2 * padding - 4) // 2 // 2 for side in (height, width))
        self.features = nn.Sequential(
            nn.Conv2d(channels, 4, 5, padding=padding),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 48, 5, padding=2),
            nn.Tanh(),
            nn.AvgPool2d(2),
        )
        self.classifier = nn.Linear(48 * rows * columns, classes)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Scores of a batch."""
        scores: Tensor = self.classifier(self.features(inputs).flatten(1))
        return scores
