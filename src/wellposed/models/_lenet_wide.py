"""LeNet as in the Entropy-SGD paper."""

from collections.abc import Sequence
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.models._base import image_of


@final
class LeNetWide(nn.Module):
    """Convolutions to 20 and 50 channels, 500 hidden units, batch norm and dropout.

    Twice: 5 x 5 convolution, batch norm, ReLU, max pooling (3 x 3, then 2 x 2), dropout; then 500
    units with batch norm, ReLU and dropout, and a linear classifier. On 1 x 28 x 28 the sizes
    are 24, 8, 4, 2, with 132,220 weights for 10 classes.

    Args:
        shape: (channels, height, width) of one image, at least 22 x 22.
        classes: Number of outputs.
        dropout: Probability, in [0, 1), that a unit is left out in training; the paper takes
            0.25 for Entropy-SGD and 0.5 for its baseline.

    Raises:
        ArgumentError: If inputs are not images or too small, or `dropout` is outside [0, 1).

    References:
        Chaudhari et al., Entropy-SGD: biasing gradient descent into wide valleys, 2017,
        section 5.2, arXiv:1611.01838. The paper names the layers and not each size; the pooling
        here is chosen so that the network has as many weights as a LeNet of that width.
    """

    citation: ClassVar[str] = """\
@inproceedings{chaudhari2017entropy,
  author = {Chaudhari, Pratik and Choromanska, Anna and Soatto, Stefano and LeCun, Yann and
    Baldassi, Carlo and Borgs, Christian and Chayes, Jennifer and Sagun, Levent and
    Zecchina, Riccardo},
  title = {{Entropy-SGD}: Biasing gradient descent into wide valleys},
  booktitle = {International Conference on Learning Representations}, year = {2017},
  note = {arXiv:1611.01838}
}"""

    def __init__(self, *, shape: Sequence[int], classes: int, dropout: float = 0.25) -> None:
        super().__init__()
        channels, height, width = image_of(shape, classes, "LeNetWide", at_least=22)
        require(0 <= dropout < 1, f"LeNetWide needs dropout in [0, 1), got {dropout:g}; try 0.25")
        rows, columns = (((side - 4) // 3 - 4) // 2 for side in (height, width))
        self.features = nn.Sequential(
            *_block(channels, 20, pool=3, dropout=dropout),
            *_block(20, 50, pool=2, dropout=dropout),
        )
        self.classifier = nn.Sequential(
            nn.Linear(50 * rows * columns, 500),
            nn.BatchNorm1d(500),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(500, classes),
        )

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Scores of a batch."""
        scores: Tensor = self.classifier(self.features(inputs).flatten(1))
        return scores


def _block(fan_in: int, fan_out: int, *, pool: int, dropout: float) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(fan_in, fan_out, 5),
        nn.BatchNorm2d(fan_out),
        nn.ReLU(),
        nn.MaxPool2d(pool),
        nn.Dropout(dropout),
    )
