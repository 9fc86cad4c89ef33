"""Glorot's initialization."""

from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.init._base import LayerInitializer


@final
@dataclass(frozen=True, slots=True)
class Glorot(LayerInitializer):
    r"""Variance $2 g^2 / (\text{fan in} + \text{fan out})$: a compromise of both directions.

    Signals forward and gradients backward keep their variance where the activation is near the
    identity, as tanh is around 0.

    Args:
        gain: $g > 0$; 5/3 is usual for tanh in deep networks.
        distribution: "uniform" or "normal".

    Raises:
        ArgumentError: If the gain is not positive or the distribution unknown.

    References:
        Glorot and Bengio, Understanding the difficulty of training deep feedforward neural
        networks, 2010, equation 12.
    """

    gain: float = 1.0
    distribution: Literal["uniform", "normal"] = "uniform"

    citation: ClassVar[str] = """\
@inproceedings{glorot2010understanding,
  author = {Glorot, Xavier and Bengio, Yoshua},
  title = {Understanding the difficulty of training deep feedforward neural networks},
  booktitle = {International Conference on Artificial Intelligence and Statistics},
  pages = {249--256}, year = {2010}
}"""

    def __post_init__(self) -> None:
        require(self.gain > 0, f"Glorot needs gain > 0, got {self.gain:g}; try 1")
        require(
            self.distribution in {"uniform", "normal"},
            f"Glorot draws from uniform or normal, got distribution={self.distribution!r}",
        )

    def fill(self, weight: Tensor, generator: torch.Generator) -> None:
        """Fill one weight, in place."""
        draw = nn.init.xavier_uniform_ if self.distribution == "uniform" else nn.init.xavier_normal_
        draw(weight, self.gain, generator)
