"""A recurrent network that reads an image row by row."""

from collections.abc import Sequence
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.models._base import image_of


@final
class RowLSTM(nn.Module):
    r"""An LSTM over the rows of an image, from top to bottom, then linear.

    $$h_t = \operatorname{LSTM}(x_t, h_{t-1}),\quad t = 1, \dots, \text{height},
    \qquad f(x) = W h_{\text{height}} + b$$

    The row $x_t$ holds all its channels side by side. As many gradients flow through time as the
    image has rows, which is what makes the step size of a recurrent network delicate. On
    1 x 28 x 28, with 128 units, there are 82,186 weights for 10 classes.

    Args:
        shape: (channels, height, width) of one image, at least 1 x 1.
        classes: Number of outputs.
        hidden: Units of each layer.
        layers: How many LSTMs read each other's outputs.

    Raises:
        ArgumentError: If inputs are not images, or `hidden` or `layers` is below 1.

    References:
        Hochreiter and Schmidhuber, Long short-term memory, 1997.
    """

    citation: ClassVar[str] = """\
@article{hochreiter1997long,
  author = {Hochreiter, Sepp and Schmidhuber, J{\\"u}rgen},
  title = {Long short-term memory},
  journal = {Neural Computation}, volume = {9}, number = {8}, pages = {1735--1780}, year = {1997}
}"""

    def __init__(
        self, *, shape: Sequence[int], classes: int, hidden: int = 128, layers: int = 1
    ) -> None:
        super().__init__()
        channels, _, width = image_of(shape, classes, "RowLSTM", at_least=1)
        require(
            hidden >= 1 and layers >= 1,
            f"RowLSTM needs at least 1 unit and 1 layer, got hidden={hidden}, layers={layers}",
        )
        self.recurrent = nn.LSTM(channels * width, hidden, layers, batch_first=True)
        self.classifier = nn.Linear(hidden, classes)

    def forward(
        self, inputs: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Scores of a batch."""
        rows = inputs.transpose(1, 2).flatten(2)
        states, _ = self.recurrent(rows)
        scores: Tensor = self.classifier(states[:, -1])
        return scores
