"""A convolutional network for speed, behind a fixed whitening layer."""

from collections.abc import Sequence
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.models._base import image_of


@final
class WhitenedCNN(nn.Module):
    """Fixed filters, then three blocks of convolution, max pooling, batch norm and ReLU.

    The first layer, 3 x 3 without bias, is not trained: begin with `wellposed.init.Whiten`,
    which sets it from the data. Max pooling follows it at once, so that everything that is
    trained works on a quarter of the pixels; its input gradient is never needed. The blocks have
    2, 4 and 4 times `width` channels and halve each side. On 1 x 28 x 28 there are 61,018
    weights for 10 classes, 144 of them fixed.

    Args:
        shape: (channels, height, width) of one image, at least 16 x 16.
        classes: Number of outputs.
        width: Filters of the first layer; even, since they come in pairs.

    Raises:
        ArgumentError: If the width is not a positive even number, or inputs are not images or
            too small.

    References:
        Jordan, 94% on CIFAR-10 in 3.29 seconds on a single GPU, 2024, arXiv:2404.00498 (the
        whitening layer and the order convolution, pooling, batch norm).
    """

    citation: ClassVar[str] = """\
@article{jordan2024cifar,
  author = {Jordan, Keller},
  title = {94\\% on {CIFAR-10} in 3.29 Seconds on a Single {GPU}},
  journal = {arXiv preprint arXiv:2404.00498}, year = {2024}
}"""

    def __init__(self, *, shape: Sequence[int], classes: int, width: int = 16) -> None:
        super().__init__()
        channels, rows, columns = image_of(shape, classes, "WhitenedCNN", at_least=16)
        require(
            width >= 2 and width % 2 == 0,
            f"WhitenedCNN needs a positive even width, got width={width}; try 16",
        )
        self.whitening = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.whitening.weight.requires_grad_(False)
        self.features = nn.Sequential(
            nn.MaxPool2d(2),
            nn.ReLU(),
            *_block(width, 2 * width),
            *_block(2 * width, 4 * width),
            *_block(4 * width, 4 * width),
        )
        self.classifier = nn.Linear(4 * width * (rows // 16) * (columns // 16), classes)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Scores of a batch."""
        features: Tensor = self.features(self.whitening(inputs))
        scores: Tensor = self.classifier(features.flatten(1))
        return scores


def _block(fan_in: int, fan_out: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(fan_out),
        nn.ReLU(),
    )
