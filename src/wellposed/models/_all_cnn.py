"""A network of convolutions alone."""

from collections.abc import Sequence
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.models._base import image_of


@final
class AllCNN(nn.Module):
    r"""All-CNN-C with batch norm: nine convolutions, two of which halve the image by stride.

    Three convolutions of 3 x 3 to 96 channels, the third with stride 2; three to 192, the third
    with stride 2; one of 3 x 3 without padding and one of 1 x 1, both to 192; one of 1 x 1 to the
    classes; then the mean over all pixels. Batch norm and ReLU follow each but the last, dropout
    each stride. The Entropy-SGD papers train it with batch norm, which the original has not. On
    3 x 32 x 32 there are 1.37 million weights for 10 classes.

    Args:
        shape: (channels, height, width) of one image, at least 12 x 12.
        classes: Number of outputs.
        width: Channels of the first three convolutions; the others have twice as many.
        dropout: Probability, in [0, 1), that a unit is left out in training.
        input_dropout: The same for the pixels; 0.2 in the original.

    Raises:
        ArgumentError: If inputs are not images or too small, `width` is below 1, or a dropout is
            outside [0, 1).

    References:
        Springenberg, Dosovitskiy, Brox and Riedmiller, Striving for simplicity: the all
        convolutional net, 2015, arXiv:1412.6806; with batch norm in Chaudhari et al.,
        arXiv:1611.01838, section 5.3.
    """

    citation: ClassVar[str] = """\
@inproceedings{springenberg2015striving,
  author = {Springenberg, Jost Tobias and Dosovitskiy, Alexey and Brox, Thomas and
    Riedmiller, Martin},
  title = {Striving for simplicity: The all convolutional net},
  booktitle = {International Conference on Learning Representations, workshop track},
  year = {2015}, note = {arXiv:1412.6806}
}"""

    def __init__(
        self,
        *,
        shape: Sequence[int],
        classes: int,
        width: int = 96,
        dropout: float = 0.5,
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        channels, _, _ = image_of(shape, classes, "AllCNN", at_least=12)
        require(width >= 1, f"AllCNN needs a width of at least 1, got width={width}; try 96")
        for name, share in (("dropout", dropout), ("input_dropout", input_dropout)):
            require(0 <= share < 1, f"AllCNN needs {name} in [0, 1), got {share:g}; try 0.5")
        wide = 2 * width
        self.features = nn.Sequential(
            nn.Dropout(input_dropout),
            *_conv(channels, width),
            *_conv(width, width),
            *_conv(width, width, stride=2),
            nn.Dropout(dropout),
            *_conv(width, wide),
            *_conv(wide, wide),
            *_conv(wide, wide, stride=2),
            nn.Dropout(dropout),
            *_conv(wide, wide, padding=0),
            *_conv(wide, wide, kernel=1, padding=0),
        )
        self.classifier = nn.Conv2d(wide, classes, 1)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Scores of a batch."""
        scores: Tensor = self.classifier(self.features(inputs))
        return scores.mean((2, 3))


def _conv(
    fan_in: int, fan_out: int, *, kernel: int = 3, stride: int = 1, padding: int = 1
) -> tuple[nn.Module, ...]:
    """Convolution, batch norm, ReLU."""
    return (
        nn.Conv2d(fan_in, fan_out, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(fan_out),
        nn.ReLU(),
    )
